//! What a file says about itself: the only file that knows `lofty`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use lofty::config::ParseOptions;
use lofty::file::{AudioFile, TaggedFileExt};
use lofty::probe::Probe;
use lofty::tag::{ItemKey, Tag};

/// Tags of one file, trimmed; what is missing or blank is absent. Where a tag holds several values (several `ARTIST`s, values
/// between NULs), the first counts; "A feat. B" is one value and stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tags {
    /// Who performs this track.
    pub artist: Option<String>,
    /// Whose album it is; differs from `artist` on compilations.
    pub album_artist: Option<String>,
    /// Album.
    pub album: Option<String>,
    /// Title of the track.
    pub title: Option<String>,
    /// Number of the track on its album.
    pub track: Option<u32>,
    /// Genres, as many as are written.
    pub genres: Vec<String>,
    /// Whether the file is flagged as part of a compilation (`TCMP`, `cpil`, `COMPILATION`).
    pub compilation: bool,
    /// Playing time in seconds, as the header claims.
    pub seconds: Option<f64>,
}

/// Reads the tags of `path`; a file that cannot be read or understood has none.
///
/// Whether it holds music is the decoder's to say, so nothing here is an error: a song without readable tags may still be told by its folders.
pub fn read(path: &Path) -> Tags {
    // Tag parsers meet arbitrary bytes; a panic over one file must not end the preparation of all the others.
    catch_unwind(AssertUnwindSafe(|| read_unguarded(path))).unwrap_or_default()
}

fn read_unguarded(path: &Path) -> Tags {
    // Opening a pipe would wait for a writer, who may never come.
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
    // The format's own tag first; others (an ID3v1 at the end, say) fill what it leaves open.
    for tag in file.primary_tag().into_iter().chain(file.tags()) {
        let text = |key| values(tag, key, &['\0']).next();
        tags.artist = tags.artist.or_else(|| text(ItemKey::TrackArtist));
        tags.album_artist = tags.album_artist.or_else(|| text(ItemKey::AlbumArtist));
        tags.album = tags.album.or_else(|| text(ItemKey::AlbumTitle));
        tags.title = tags.title.or_else(|| text(ItemKey::TrackTitle));
        tags.track = tags.track.or_else(|| {
            // Some write "3/12" into the number.
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

/// Genres of `tag`, each once; writers separate several by `;` or NUL, or repeat the item.
fn genres(tag: &Tag) -> Vec<String> {
    let mut genres = Vec::new();
    for genre in values(tag, ItemKey::Genre, &[';', '\0']) {
        if !genres.contains(&genre) {
            genres.push(genre);
        }
    }
    genres
}

/// All values of an item that say something, in order.
fn values<'a>(
    tag: &'a Tag,
    key: ItemKey,
    separators: &'a [char],
) -> impl Iterator<Item = String> + 'a {
    tag.get_strings(key).flat_map(move |text| text.split(separators)).filter_map(clean)
}

/// Without outer blanks and control characters; nothing where nothing is left.
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
        let mut wave = b"RIFF\xa4>\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0@\x1f\0\0\x80>\0\0\x02\0\x10\0data\x80>\0\0".to_vec();
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
    fn files_without_tags_or_sense_have_none() {
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
