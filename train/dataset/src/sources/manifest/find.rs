//! Turns the rows of a manifest into tracks.

use std::path::Path;

use super::rows::{file_stem, parse};
use crate::sources::SourceError;
use crate::sources::left_out::{LeftOut, Reason};
use crate::sources::names::{is_pseudo_artist, song_group};
use crate::sources::tags;
use crate::sources::track::{ArtistFrom, Found, Track};

/// Larger manifests are refused, so that a wrong file name does not fill the memory.
const MAX_BYTES: u64 = 1 << 30;

/// Reads the manifest `file`, and the playing times of its audio files. Rows of pseudo-artists are left out.
///
/// `progress` is called with the number of rows done; `stopped` is checked before each row.
///
/// # Errors
///
/// [`SourceError::Manifest`] with all invalid rows, [`SourceError::Unreadable`], or [`SourceError::Stopped`].
pub fn find(
    file: &Path,
    progress: &mut dyn FnMut(usize),
    stopped: &dyn Fn() -> bool,
) -> Result<Found, SourceError> {
    let unreadable = |source| SourceError::Unreadable { path: file.to_owned(), source };
    // The data set records this path, so that `prepare` can resume; all paths to one manifest must be equal.
    let file = &file.canonicalize().map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > MAX_BYTES {
        let error = format!("a manifest of {size} bytes; at most {MAX_BYTES} are allowed");
        return Err(unreadable(std::io::Error::other(error)));
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let rows = parse(&bytes)
        .map_err(|problems| SourceError::Manifest { path: file.to_owned(), problems })?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut tracks = Vec::new();
    let mut left_out = Vec::new();
    for (number, row) in rows.into_iter().enumerate() {
        if stopped() {
            return Err(SourceError::Stopped);
        }
        if is_pseudo_artist(&row.artist) {
            left_out.push(LeftOut {
                path: row.id(),
                reason: Reason::PseudoArtist { artist: row.artist },
            });
            continue;
        }
        let (id, path) = (row.id(), folder.join(&row.path));
        let title = if row.title.is_empty() { file_stem(&row.path) } else { row.title };
        let song_group = if row.song_group.is_empty() {
            song_group(&row.artist, &title)
        } else {
            row.song_group
        };
        let genres = row
            .genre
            .split(';')
            .map(str::trim)
            .filter(|genre| !genre.is_empty())
            .map(str::to_owned)
            .collect();
        let seconds = tags::read(&path).seconds.map(|seconds| row.excerpt.length_in(seconds));
        progress(number + 1);
        tracks.push(Track {
            id,
            path: path.into(),
            artist: row.artist,
            artist_from: ArtistFrom::List,
            album: row.album,
            title,
            song_group,
            genres,
            excerpt: row.excerpt,
            seconds,
            clips: Vec::new(),
        });
    }
    Ok(Found {
        tracks,
        left_out,
        other_files: 0,
        // The spelling of artists in a manifest is taken as intended.
        merged_artists: Vec::new(),
        name: file_stem(&file.to_string_lossy()),
        licence: "that of your own music".to_owned(),
        notes: "made from a manifest".to_owned(),
        source: format!("manifest {}", file.display()),
    })
}
