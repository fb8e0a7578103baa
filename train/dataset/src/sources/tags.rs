//! Reads the tags of audio files. Only this file uses `lofty`.
//!
//! A file is read by the rules of its format, then with less strict ones, then without its properties (rate, length),
//! and where no artist was found, by `raw_tags`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use lofty::config::{ParseOptions, ParsingMode};
use lofty::file::{AudioFile, TaggedFile, TaggedFileExt};
use lofty::probe::Probe;
use lofty::tag::ItemKey;

use super::raw_tags::{self, Field};

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
    /// The kind of tags that the file has and that could not be read, where no artist could be.
    pub unreadable: Option<&'static str>,
}

/// Reads the tags of `path`; a file that cannot be opened, or in which no tags are found, has none.
///
/// This is no error: the folder names may give the artist, and the decoder reports unreadable files.
pub fn read(path: &Path) -> Tags {
    // Opening a named pipe would block until another process writes to it.
    if !path.is_file() {
        return Tags::default();
    }
    let mut tags = Tags::default();
    let mut options = ParseOptions::new().read_cover_art(false);
    // Each change adds to the ones before it.
    let attempts =
        [options, options.parsing_mode(ParsingMode::Relaxed), options.read_properties(false)];
    let mut attempts = attempts.into_iter().enumerate();
    let read = attempts.find_map(|(number, options)| Some((number, parse(path, options)?)));
    // Later attempts may skip fields.
    let is_complete = matches!(read, Some((0, _)));
    let read = read.map(|(_, file)| file);
    let seconds = |file: &TaggedFile| {
        let seconds = file.properties().duration().as_secs_f64();
        (seconds > 0.0).then_some(seconds)
    };
    tags.seconds = read.as_ref().and_then(seconds);
    if tags.seconds.is_none() && !is_complete {
        let options = options.read_properties(true).read_tags(false);
        tags.seconds = parse(path, options).as_ref().and_then(seconds);
    }
    if let Some(file) = read {
        // The primary tag of the format first; other tags (ID3v1, for example) fill in what it lacks.
        for tag in file.primary_tag().into_iter().chain(file.tags()) {
            tags.fill(&|field| tag.get_strings(item_key(field)).collect());
        }
    }
    if tags.has_artist() {
        return tags;
    }
    let raw = raw_tags::read(path);
    tags.fill(&|field| {
        raw.fields.iter().filter(|(of, _)| *of == field).map(|(_, text)| text.as_str()).collect()
    });
    if !tags.has_artist() {
        tags.unreadable = raw.damaged.or(raw.unknown.filter(|_| !is_complete));
    }
    tags
}

fn parse(path: &Path, options: ParseOptions) -> Option<TaggedFile> {
    let parse = || {
        Probe::open(path)
            .map(|probe| probe.options(options))
            .and_then(|probe| Ok(probe.guess_file_type()?))
            .and_then(Probe::read)
            .ok()
    };
    // A panic of the tag parser over one file must not stop the preparation of all others.
    catch_unwind(AssertUnwindSafe(parse)).ok().flatten()
}

fn item_key(field: Field) -> ItemKey {
    match field {
        Field::Artist => ItemKey::TrackArtist,
        Field::AlbumArtist => ItemKey::AlbumArtist,
        Field::Album => ItemKey::AlbumTitle,
        Field::Title => ItemKey::TrackTitle,
        Field::Track => ItemKey::TrackNumber,
        Field::Genre => ItemKey::Genre,
        Field::Compilation => ItemKey::FlagCompilation,
    }
}

impl Tags {
    fn has_artist(&self) -> bool {
        self.artist.is_some() || self.album_artist.is_some()
    }

    /// Fills in what is missing from another tag, given its texts of each field.
    fn fill<'a>(&mut self, texts: &dyn Fn(Field) -> Vec<&'a str>) {
        let text = |field| values(&texts(field), &['\0']).into_iter().next();
        self.artist = self.artist.take().or_else(|| text(Field::Artist));
        self.album_artist = self.album_artist.take().or_else(|| text(Field::AlbumArtist));
        self.album = self.album.take().or_else(|| text(Field::Album));
        self.title = self.title.take().or_else(|| text(Field::Title));
        self.track = self.track.or_else(|| {
            // Some programs write "3/12".
            text(Field::Track)?.split('/').next()?.trim().parse().ok().filter(|n| *n > 0)
        });
        self.compilation |= text(Field::Compilation)
            .is_some_and(|flag| flag == "1" || flag.eq_ignore_ascii_case("true"));
        if self.genres.is_empty() {
            self.genres = genres(&texts(Field::Genre));
        }
    }
}

/// The distinct genres; several are separated by `;` or NUL, or are repeated items.
fn genres(texts: &[&str]) -> Vec<String> {
    let mut genres = Vec::new();
    for genre in values(texts, &[';', '\0']) {
        if !genres.contains(&genre) {
            genres.push(genre);
        }
    }
    genres
}

/// All values that are not blank, in order.
fn values(texts: &[&str], separators: &[char]) -> Vec<String> {
    texts.iter().flat_map(|text| text.split(separators)).filter_map(clean).collect()
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
    use lofty::tag::{Tag, TagExt, TagType};

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
