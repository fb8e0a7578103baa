//! A folder of tagged music.
//!
//! Artist, album, title and genre come from each file's tags. What the tags leave open comes from the folders: below the music folder,
//! `ARTIST/ALBUM/…/TITLE.ext` names all three and `ARTIST/TITLE.ext` the artist and the title; a track number before the title is dropped.
//! A file without an artist in either is left out.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use super::names::unite_spellings;
use super::{Excerpt, Found, SourceError, Track, is_pseudo_artist, song_group};
use crate::prepare::{LeftOut, Reason};
use crate::tags::{self, Tags};

/// Endings of files that hold music. Those that cannot be decoded are here too, so that they are named and not passed over.
const MUSIC: &[&str] = &[
    "aac", "aif", "aiff", "ape", "flac", "m4a", "m4b", "mka", "mp2", "mp3", "mp4", "mpc", "oga",
    "ogg", "opus", "spx", "tta", "wav", "wma", "wv",
];

/// Finds the music below `root`, in the order of the paths; symbolic links are followed once each.
///
/// `progress` hears the number of files read so far; `stopped` is asked between files.
pub fn find(
    root: &Path,
    progress: &mut dyn FnMut(usize),
    stopped: &dyn Fn() -> bool,
) -> Result<Found, SourceError> {
    if !root.is_dir() {
        return Err(match root.metadata() {
            Ok(_) => SourceError::NotAFolder { path: root.to_owned() },
            Err(source) => SourceError::Unreadable { path: root.to_owned(), source },
        });
    }
    // However the path was typed, the same folder is the same source, or an interrupted `prepare` would not go on.
    let unreadable = |source| SourceError::Unreadable { path: root.to_owned(), source };
    let root = &root.canonicalize().map_err(unreadable)?;
    let mut walk = Walk::default();
    walk.enter(root)?;
    let mut found = Found {
        tracks: Vec::new(),
        left_out: walk.left_out,
        other_files: walk.others,
        united: Vec::new(),
        name: root.file_name().map_or_else(|| "music".to_owned(), lossy),
        licence: "that of your own music".to_owned(),
        notes: "made from a folder of tagged music".to_owned(),
        source: format!("folder {}", root.display()),
    };
    let mut ids = HashSet::new();
    for (number, path) in walk.music.into_iter().enumerate() {
        if stopped() {
            return Err(SourceError::Stopped);
        }
        let id = unique_id(&parts(root, &path), &mut ids);
        match track(root, path, id, &tags::read) {
            Ok(track) => found.tracks.push(track),
            Err(left_out) => found.left_out.push(left_out),
        }
        progress(number + 1);
    }
    found.united = unite_spellings(&mut found.tracks);
    Ok(found)
}

/// One file as a track, or why not.
fn track(
    root: &Path,
    path: PathBuf,
    id: String,
    read: &dyn Fn(&Path) -> Tags,
) -> Result<Track, LeftOut> {
    let tags = read(&path);
    let folders = parts(root, &path);
    let told = match folders.as_slice() {
        [artist, album, .., _] => Some((artist.trim(), album.trim())),
        [artist, _] => Some((artist.trim(), "")),
        _ => None,
    };
    let left_out = |reason| Err(LeftOut { path: id.clone(), reason });
    let album = tags.album.or_else(|| told.map(|(_, album)| album.to_owned())).unwrap_or_default();
    let artist = tags
        .artist
        .or_else(|| tags.album_artist.clone())
        .or_else(|| told.map(|(artist, _)| artist.to_owned()));
    let Some(artist) = artist.filter(|artist| !artist.is_empty()) else {
        return left_out(Reason::NoArtist);
    };
    if is_pseudo_artist(&artist) {
        return left_out(Reason::PseudoArtist { artist });
    }
    if tags.compilation || tags.album_artist.as_deref().is_some_and(is_pseudo_artist) {
        return left_out(Reason::Compilation { album });
    }
    let title = tags.title.unwrap_or_else(|| {
        without_track_number(&path.file_stem().map(lossy).unwrap_or_default()).to_owned()
    });
    let song_group = song_group(&artist, &title);
    Ok(Track {
        id,
        path,
        artist,
        album,
        title,
        song_group,
        genres: tags.genres,
        excerpt: Excerpt::default(),
        seconds: tags.seconds,
    })
}

/// Folders and file name of `path` below `root`, in whatever can be shown of them.
fn parts(root: &Path, path: &Path) -> Vec<String> {
    path.strip_prefix(root).unwrap_or(path).iter().map(lossy).collect()
}

fn lossy(name: &std::ffi::OsStr) -> String {
    name.to_string_lossy().into_owned()
}

/// The path as the song's name; two names that differ only in bytes that cannot be shown get a number.
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

/// "03 - Title", "3. Title" and "1-03 Title" without their number; a name that is only a number stays.
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

/// What a walk through folders collects.
#[derive(Default)]
struct Walk {
    music: Vec<PathBuf>,
    others: usize,
    left_out: Vec<LeftOut>,
    /// Every folder and file once, by its real path: links may form loops or name one song twice.
    seen: HashSet<PathBuf>,
}

impl Walk {
    /// Walks below `root`; only the root itself must be readable.
    fn enter(&mut self, root: &Path) -> Result<(), SourceError> {
        let unreadable = |source| SourceError::Unreadable { path: root.to_owned(), source };
        self.seen.insert(root.canonicalize().map_err(unreadable)?);
        let mut folders = vec![root.to_owned()];
        std::fs::read_dir(root).map_err(unreadable)?;
        let mut links = Vec::new();
        while let Some(folder) = folders.pop() {
            match sorted(&folder) {
                Ok(entries) => entries.into_iter().for_each(|(path, is_link)| {
                    self.take(root, path, is_link, &mut folders, &mut links)
                }),
                Err(error) => {
                    self.leave_out(root, &folder, Reason::Unreadable { why: error.to_string() })
                }
            }
            if folders.is_empty() {
                // Links last: a song that lies in the folder itself keeps its own path, whatever points at it.
                links.sort();
                for path in std::mem::take(&mut links) {
                    self.take(root, path, false, &mut folders, &mut Vec::new());
                }
            }
        }
        self.music.sort();
        Ok(())
    }

    fn take(
        &mut self,
        root: &Path,
        path: PathBuf,
        is_link: bool,
        folders: &mut Vec<PathBuf>,
        links: &mut Vec<PathBuf>,
    ) {
        if is_link {
            return links.push(path);
        }
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let is_folder = path.is_dir();
        if hidden || (!is_folder && !is_music(&path)) {
            self.others += usize::from(!is_folder);
            return;
        }
        match path.canonicalize() {
            Err(error) => {
                self.leave_out(root, &path, Reason::Unreadable { why: error.to_string() })
            }
            Ok(real) if self.seen.contains(&real) => {
                if !is_folder {
                    self.leave_out(
                        root,
                        &path,
                        Reason::SameFile { of: real.file_name().map(lossy).unwrap_or_default() },
                    );
                }
            }
            Ok(real) => {
                self.seen.insert(real);
                if is_folder { folders.push(path) } else { self.music.push(path) }
            }
        }
    }

    fn leave_out(&mut self, root: &Path, path: &Path, reason: Reason) {
        self.left_out.push(LeftOut { path: parts(root, path).join("/"), reason });
    }
}

/// Entries of a folder by name, each with whether it is a symbolic link.
fn sorted(folder: &Path) -> std::io::Result<BTreeMap<PathBuf, bool>> {
    std::fs::read_dir(folder)?
        .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?.is_symlink()))))
        .collect()
}

fn is_music(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| MUSIC.contains(&ending.to_string_lossy().to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, tags: Tags) -> Result<(String, String, String), Reason> {
        let root = Path::new("music");
        track(root, root.join(path), path.to_owned(), &move |_| tags.clone())
            .map(|track| (track.artist, track.album, track.title))
            .map_err(|left_out| left_out.reason)
    }

    fn three(artist: &str, album: &str, title: &str) -> Result<(String, String, String), Reason> {
        Ok((artist.to_owned(), album.to_owned(), title.to_owned()))
    }

    #[test]
    fn folders_tell_what_tags_do_not() {
        let none = Tags::default;
        assert_eq!(told("Artist/Album/01 - Title.mp3", none()), three("Artist", "Album", "Title"));
        assert_eq!(
            told("Artist/Album/CD2/2-01 Title.mp3", none()),
            three("Artist", "Album", "Title")
        );
        assert_eq!(told("Artist/Title.mp3", none()), three("Artist", "", "Title"));
        assert_eq!(told("Title.mp3", none()), Err(Reason::NoArtist));
        let artist = Tags { artist: Some("Tagged".into()), ..none() };
        assert_eq!(told("Title.mp3", artist.clone()), three("Tagged", "", "Title"));
        assert_eq!(told("A/B/Title.mp3", artist), three("Tagged", "B", "Title"));
        let album_artist =
            Tags { album_artist: Some("Owner".into()), title: Some("T".into()), ..none() };
        assert_eq!(told("A/B/Title.mp3", album_artist), three("Owner", "B", "T"));
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
            told("x.mp3", tags("VARIOUS", None, false)),
            Err(Reason::PseudoArtist { artist: "VARIOUS".into() })
        );
        assert_eq!(told("x.mp3", tags("Abba", Some("Various Artists"), false)), compilation);
        assert_eq!(told("x.mp3", tags("Abba", None, true)), compilation);
        assert_eq!(told("x.mp3", tags("Abba", Some("Abba"), false)), three("Abba", "Hits", "x"));
        assert_eq!(
            told("Various Artists/Hits/x.mp3", Tags::default()),
            Err(Reason::PseudoArtist { artist: "Various Artists".into() })
        );
    }

    #[test]
    fn track_numbers_are_no_part_of_a_title() {
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
