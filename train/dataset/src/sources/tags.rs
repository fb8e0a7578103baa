//! Reads the tags of audio files. Only this file uses `lofty`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use lofty::config::ParseOptions;
use lofty::file::{AudioFile, TaggedFileExt};
use lofty::probe::Probe;
use lofty::tag::{ItemKey, Tag};

/// The tags of one file, trimmed; missing and blank tags are `None`. Of several values (repeated `ARTIST` fields,
/// values separated by NUL) the first is used; "A feat. B" is one value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tags {
    /// Artist of the track.
    pub artist: Option<String>,
    /// Artist of the album; differs from `artist` on compilations.
    pub album_artist: Option<String>,
    /// Album.
    pub album: Option<String>,
    /// Title of the track.
    pub title: Option<String>,
    /// Number of the track on its album.
    pub track: Option<u32>,
    /// Genres.
    pub genres: Vec<String>,
    /// Whether the file is flagged as part of a compilation (`TCMP`, `cpil`, `COMPILATION`).
    pub compilation: bool,
    /// Playing time in seconds, from the header.
    pub seconds: Option<f64>,
}

/// Reads the tags of `path`; a file that cannot be read or parsed has none.
///
/// This is no error: the folder names may give the artist, and the decoder reports unreadable files.
pub fn read(path: &Path) -> Tags {
    // A panic of the tag parser over one file must not stop the preparation of all others.
    catch_unwind(AssertUnwindSafe(|| read_unguarded(path))).unwrap_or_default()
}

fn read_unguarded(path: &Path) -> Tags {
    // Opening a named pipe would block until another process writes to it.
    if !path.is_file() {
        return Tags::default();
    }
    let options = ParseOptions::new().read_cover_art(false);
    let file = Probe::open(path)
        .map(|probe| probe.options(options))
        .and_then(|probe| Ok(probe.guess_file_type()?))
        .and_then(Probe::read);
    let Ok(file) = file else { return Tags::default() };
    let seconds = file.properties().duration().as_secs_f64();
    let mut tags = Tags { seconds: (seconds > 0.0).then_some(seconds), ..Tags::default() };
    // The primary tag of the format first; other tags (ID3v1, for example) fill in what it lacks.
    for tag in file.primary_tag().into_iter().chain(file.tags()) {
        let text = |key| values(tag, key, &['\0']).next();
        tags.artist = tags.artist.or_else(|| text(ItemKey::TrackArtist));
        tags.album_artist = tags.album_artist.or_else(|| text(ItemKey::AlbumArtist));
        tags.album = tags.album.or_else(|| text(ItemKey::AlbumTitle));
        tags.title = tags.title.or_else(|| text(ItemKey::TrackTitle));
        tags.track = tags.track.or_else(|| {
            // Some programs write "3/12".
            text(ItemKey::TrackNumber)?.split('/').next()?.trim().parse().ok().filter(|n| *n > 0)
        });
        tags.compilation |= text(ItemKey::FlagCompilation)
            .is_some_and(|flag| flag == "1" || flag.eq_ignore_ascii_case("true"));
        if tags.genres.is_empty() {
            tags.genres = genres(tag);
        }
    }
    tags
}

/// The distinct genres of `tag`; several are separated by `;` or NUL, or are repeated items.
fn genres(tag: &Tag) -> Vec<String> {
    let mut genres = Vec::new();
    for genre in values(tag, ItemKey::Genre, &[';', '\0']) {
        if !genres.contains(&genre) {
            genres.push(genre);
        }
    }
    genres
}

/// All values of an item that are not blank, in order.
fn values<'a>(
    tag: &'a Tag,
    key: ItemKey,
    separators: &'a [char],
) -> impl Iterator<Item = String> + 'a {
    tag.get_strings(key).flat_map(move |text| text.split(separators)).filter_map(clean)
}

/// Replaces control characters and trims; `None` for blank text.
fn clean(text: &str) -> Option<String> {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use lofty::config::WriteOptions;
    use lofty::tag::{TagExt, TagType};

    use super::*;

    /// A second of silence with the given tag, read back.
    fn read_back(kind: TagType, items: &[(ItemKey, &str)]) -> Tags {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let mut wave = b"RIFF\xa4>\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        wave.extend(b"@\x1f\0\0\x80>\0\0\x02\0\x10\0data\x80>\0\0");
        wave.resize(wave.len() + 16_000, 0);
        std::fs::write(&path, wave).unwrap();
        let mut tag = Tag::new(kind);
        for (key, text) in items {
            assert!(tag.insert_text(*key, (*text).to_owned()), "{key:?} is not part of {kind:?}");
        }
        tag.save_to_path(&path, WriteOptions::default()).unwrap();
        read(&path)
    }

    #[test]
    fn tags_are_read_trimmed_and_genres_split() {
        let tags = read_back(
            TagType::Id3v2,
            &[
                (ItemKey::TrackArtist, " Sigur Rós \n"),
                (ItemKey::AlbumArtist, "Various Artists"),
                (ItemKey::AlbumTitle, "( ) 🎸"),
                (ItemKey::TrackTitle, "   "),
                (ItemKey::Genre, "Rock; Ambient;Rock"),
                (ItemKey::FlagCompilation, "1"),
            ],
        );
        assert_eq!(tags.artist.as_deref(), Some("Sigur Rós"));
        assert_eq!(tags.album_artist.as_deref(), Some("Various Artists"));
        assert_eq!((tags.album.as_deref(), tags.title), (Some("( ) 🎸"), None));
        assert_eq!(
            (tags.genres, tags.compilation),
            (vec!["Rock".to_owned(), "Ambient".to_owned()], true)
        );
        assert!((tags.seconds.unwrap() - 1.0).abs() < 0.01);
    }

    #[test]
    fn files_without_tags_and_invalid_files_have_none() {
        let tags = read_back(TagType::RiffInfo, &[(ItemKey::TrackTitle, "T")]);
        assert_eq!(
            (tags.artist, tags.title.as_deref(), tags.compilation),
            (None, Some("T"), false)
        );
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [("a.mp3", b"".as_slice()), ("b.ogg", b"OggS"), ("c.flac", b"text")]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            assert_eq!(read(&path), Tags::default(), "{name}");
        }
        assert_eq!(read(&folder.path().join("missing.mp3")), Tags::default());
    }
}
