//! A folder of tagged music.
//!
//! Artist, album, title and genre come from the tags of each file. Missing tags are taken from its path below the music
//! folder, `ARTIST/ALBUM/…/TITLE.ext` or `ARTIST/TITLE.ext`, where a track number before the title is dropped. Files
//! without an artist in tags or path are left out; so are files whose tags cannot be read, unless [`TagsPolicy::Folder`]
//! is chosen.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use leitmotif::audio::MusicFiles;

use super::error::SourceError;
use super::left_out::{LeftOut, Reason};
use super::names::{is_pseudo_artist, merge_spellings, normalised, song_group};
use super::tags::{self, Tags};
use super::track::{ArtistFrom, Excerpt, Found, Track};

/// What happens to songs with tags that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum TagsPolicy {
    /// They are left out, as `unreadable-tags`.
    #[default]
    Read,
    /// They take their names from their folders; the summary names them.
    Folder,
}

/// Finds the music below `root`, in the order of paths; each symbolic link is followed once.
///
/// `progress` is called with the number of files read; `stopped` is checked before each file.
///
/// # Errors
///
/// [`SourceError::Unreadable`], [`SourceError::NotAFolder`] or [`SourceError::Stopped`].
pub fn find(
    root: &Path,
    policy: TagsPolicy,
    progress: &mut dyn FnMut(usize),
    stopped: &dyn Fn() -> bool,
) -> Result<Found, SourceError> {
    if !root.is_dir() {
        return Err(match root.metadata() {
            Ok(_) => SourceError::NotAFolder { path: root.to_owned() },
            Err(source) => SourceError::Unreadable { path: root.to_owned(), source },
        });
    }
    // The data set records this path, so that `prepare` can resume; all paths to one folder must be equal.
    let unreadable = |source| SourceError::Unreadable { path: root.to_owned(), source };
    let root = &root.canonicalize().map_err(unreadable)?;
    let files = MusicFiles::below(root).map_err(unreadable)?;
    let mut found = Found {
        tracks: Vec::new(),
        left_out: skipped(root, &files),
        other_files: files.others,
        merged_artists: Vec::new(),
        name: root.file_name().map_or_else(|| "music".to_owned(), lossy),
        licence: "that of your own music".to_owned(),
        notes: "made from a folder of tagged music".to_owned(),
        source: format!("folder {}", root.display()),
    };
    let mut ids = HashSet::new();
    for (number, path) in files.music.into_iter().enumerate() {
        if stopped() {
            return Err(SourceError::Stopped);
        }
        let id = unique_id(&parts(root, &path), &mut ids);
        match track(root, path, id, policy, &tags::read) {
            Ok(track) => found.tracks.push(track),
            Err(left_out) => found.left_out.push(left_out),
        }
        progress(number + 1);
    }
    found.merged_artists = merge_spellings(&mut found.tracks);
    Ok(found)
}

/// Entries that could not be read, and links to files that are already included.
fn skipped(root: &Path, files: &MusicFiles) -> Vec<LeftOut> {
    let unreadable = files.unreadable.iter().map(|(path, error)| {
        let reason = Reason::Unreadable { why: error.to_string() };
        LeftOut { path: parts(root, path).join("/"), reason }
    });
    let again = files.again.iter().map(|(path, real)| {
        let reason = Reason::SameFile { of: real.file_name().map(lossy).unwrap_or_default() };
        LeftOut { path: parts(root, path).join("/"), reason }
    });
    unreadable.chain(again).collect()
}

/// The track of one file, or why it is left out.
fn track(
    root: &Path,
    path: PathBuf,
    id: String,
    policy: TagsPolicy,
    read: &dyn Fn(&Path) -> Tags,
) -> Result<Track, LeftOut> {
    let tags = read(&path);
    let folders = parts(root, &path);
    let by_path = match folders.as_slice() {
        [artist, album, .., _] => Some((artist.trim(), album.trim())),
        [artist, _] => Some((artist.trim(), "")),
        _ => None,
    };
    let left_out = |reason| Err(LeftOut { path: id.clone(), reason });
    if let (Some(kind), TagsPolicy::Read) = (tags.unreadable, policy) {
        return left_out(Reason::UnreadableTags { kind: kind.to_owned() });
    }
    let album =
        tags.album.or_else(|| by_path.map(|(_, album)| album.to_owned())).unwrap_or_default();
    let tagged_artist = tags.artist.or_else(|| tags.album_artist.clone());
    let artist_from = match (&tagged_artist, tags.unreadable) {
        (Some(_), _) => ArtistFrom::Tags,
        (None, None) => ArtistFrom::Folder,
        (None, Some(_)) => ArtistFrom::FolderForUnreadableTags,
    };
    let artist = tagged_artist.or_else(|| by_path.map(|(artist, _)| artist.to_owned()));
    let Some(artist) = artist.filter(|artist| !artist.is_empty()) else {
        return left_out(Reason::NoArtist);
    };
    if is_pseudo_artist(&artist) {
        return left_out(Reason::PseudoArtist { artist });
    }
    // An artist's own best-of is often flagged as a compilation, too: the names outrank the flag.
    let is_own_album =
        tags.album_artist.as_deref().is_some_and(|name| normalised(name) == normalised(&artist));
    if (tags.compilation && !is_own_album)
        || tags.album_artist.as_deref().is_some_and(is_pseudo_artist)
    {
        return left_out(Reason::Compilation { album });
    }
    let title = tags.title.unwrap_or_else(|| {
        without_track_number(&path.file_stem().map(lossy).unwrap_or_default()).to_owned()
    });
    let song_group = song_group(&artist, &title);
    Ok(Track {
        id,
        path: path.into(),
        artist,
        artist_from,
        album,
        title,
        song_group,
        genres: tags.genres,
        excerpt: Excerpt::default(),
        seconds: tags.seconds,
        clips: Vec::new(),
    })
}

/// Folders and file name of `path` below `root`, as valid UTF-8.
fn parts(root: &Path, path: &Path) -> Vec<String> {
    path.strip_prefix(root).unwrap_or(path).iter().map(lossy).collect()
}

fn lossy(name: &std::ffi::OsStr) -> String {
    name.to_string_lossy().into_owned()
}

/// The path as an id; paths that differ only in invalid UTF-8 get a number.
fn unique_id(parts: &[String], taken: &mut HashSet<String>) -> String {
    let name = parts.join("/");
    let mut id = name.clone();
    let mut number = 2;
    while !taken.insert(id.clone()) {
        id = format!("{name}~{number}");
        number += 1;
    }
    id
}

/// Removes the number from "03 - Title", "3. Title" and "1-03 Title"; a name that is only a number is kept.
fn without_track_number(name: &str) -> &str {
    let rest = name.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = name.len() - rest.len();
    let rest = rest.strip_prefix('-').map_or(rest, |after| {
        let title = after.trim_start_matches(|c: char| c.is_ascii_digit());
        if after.len() == title.len() { rest } else { title }
    });
    let title = rest.trim_start_matches([' ', '.', '-', '_', ')']);
    if (1..=3).contains(&digits) && title.len() < rest.len() && !title.is_empty() {
        title
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Artist, album and title of a file with this path and these tags.
    fn names_of(path: &str, tags: Tags) -> Result<(String, String, String), Reason> {
        let root = Path::new("music");
        let read = move |_: &Path| tags.clone();
        track(root, root.join(path), path.to_owned(), TagsPolicy::Read, &read)
            .map(|track| (track.artist, track.album, track.title))
            .map_err(|left_out| left_out.reason)
    }

    fn three(artist: &str, album: &str, title: &str) -> Result<(String, String, String), Reason> {
        Ok((artist.to_owned(), album.to_owned(), title.to_owned()))
    }

    #[test]
    fn missing_tags_are_taken_from_the_path() {
        let none = Tags::default;
        assert_eq!(
            names_of("Artist/Album/01 - Title.mp3", none()),
            three("Artist", "Album", "Title")
        );
        assert_eq!(
            names_of("Artist/Album/CD2/2-01 Title.mp3", none()),
            three("Artist", "Album", "Title")
        );
        assert_eq!(names_of("Artist/Title.mp3", none()), three("Artist", "", "Title"));
        assert_eq!(names_of("Title.mp3", none()), Err(Reason::NoArtist));
        let artist = Tags { artist: Some("Tagged".into()), ..none() };
        assert_eq!(names_of("Title.mp3", artist.clone()), three("Tagged", "", "Title"));
        assert_eq!(names_of("A/B/Title.mp3", artist), three("Tagged", "B", "Title"));
        let album_artist =
            Tags { album_artist: Some("Owner".into()), title: Some("T".into()), ..none() };
        assert_eq!(names_of("A/B/Title.mp3", album_artist), three("Owner", "B", "T"));
    }

    #[test]
    fn compilations_are_left_out_by_name_and_by_flag() {
        let tags = |artist: &str, album_artist: Option<&str>, compilation| Tags {
            artist: Some(artist.into()),
            album_artist: album_artist.map(Into::into),
            album: Some("Hits".into()),
            compilation,
            ..Tags::default()
        };
        let compilation = Err(Reason::Compilation { album: "Hits".into() });
        assert_eq!(
            names_of("x.mp3", tags("VARIOUS", None, false)),
            Err(Reason::PseudoArtist { artist: "VARIOUS".into() })
        );
        assert_eq!(names_of("x.mp3", tags("Abba", Some("Various Artists"), false)), compilation);
        assert_eq!(names_of("x.mp3", tags("Abba", None, true)), compilation);
        // A best-of of one artist, flagged.
        assert_eq!(names_of("x.mp3", tags("Abba", Some("ABBA"), true)), three("Abba", "Hits", "x"));
        assert_eq!(
            names_of("x.mp3", tags("Abba", Some("Abba"), false)),
            three("Abba", "Hits", "x")
        );
        assert_eq!(
            names_of("Various Artists/Hits/x.mp3", Tags::default()),
            Err(Reason::PseudoArtist { artist: "Various Artists".into() })
        );
    }

    #[test]
    fn track_numbers_are_not_part_of_a_title() {
        for (name, title) in [
            ("01 - Night", "Night"),
            ("1. Night", "Night"),
            ("2-07 Night", "Night"),
            ("07_Night", "Night"),
            ("99 Luftballons", "Luftballons"),
            ("1999", "1999"),
            ("24K Magic", "24K Magic"),
            ("04", "04"),
            ("2001 A Space", "2001 A Space"),
        ] {
            assert_eq!(without_track_number(name), title, "{name}");
        }
    }
}
