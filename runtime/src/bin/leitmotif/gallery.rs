//! What `enroll` and `recognize --gallery` share: opening a gallery, and a gallery's answer as text or JSON.

use std::path::Path;

use leitmotif::{Answer, Gallery, GalleryAnswer, GalleryError, Recognizer};
use leitmotif_models::text::{printable, with_causes};
use serde::Serialize;

/// A gallery's answer for a recording, as the value of `gallery` in a line of `--json`.
#[derive(Serialize)]
pub(crate) struct Similar {
    /// `null` where the gallery has too few songs for a threshold and the recording is not silent.
    unknown: Option<bool>,
    #[serde(flatten)]
    answer: GalleryAnswer,
}

/// The gallery in a file, for the recognizer's model.
pub(crate) fn load(path: &Path, recognizer: &Recognizer) -> anyhow::Result<Gallery> {
    Gallery::load(path, recognizer.card()).map_err(|error| match &error {
        GalleryError::Unreadable { .. } => anyhow::Error::new(error),
        _ => anyhow::anyhow!("{}: {}", path.display(), with_causes(&error)),
    })
}

/// Compares the recording with a gallery of at least one artist, and keeps the first `top`.
pub(crate) fn compare(gallery: &Gallery, of: &Answer, top: usize) -> Result<Similar, GalleryError> {
    let mut answer = gallery.recognize(&of.embedding)?;
    answer.artists.truncate(top);
    let unknown = if of.is_silent() { Some(true) } else { answer.unknown() };
    Ok(Similar { unknown, answer })
}

impl Similar {
    /// The lines below a file's name.
    pub(crate) fn text(&self, silent: bool) -> String {
        let mut text = String::new();
        if silent {
            text +=
                "  silent: there is nothing to recognise, and these similarities mean nothing\n";
        } else if let (Some(true), Some(least)) = (self.unknown, self.answer.min_similarity) {
            text += &format!(
                "  none of these artists: no similarity reaches {least:.2}; the best guesses\n"
            );
        }
        for (rank, similar) in self.answer.artists.iter().enumerate() {
            let (similarity, artist) = (similar.similarity, printable(&similar.artist));
            text += &format!("{:>4}. {similarity:7.2}  {artist}\n", rank + 1);
        }
        text
    }
}
