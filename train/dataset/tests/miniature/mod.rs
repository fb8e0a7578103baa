//! A small MagnaTagATune: synthetic audio under real paths from its list. Also used by the tests of `train`.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Samples of a clip: a tenth of the real length.
pub(crate) const CLIP: usize = 46_656;

/// The parts of a path in the list.
pub(crate) struct Named<'a> {
    pub(crate) artist: &'a str,
    pub(crate) album: &'a str,
    pub(crate) number: &'a str,
    pub(crate) title: &'a str,
    /// Start in the track, in seconds.
    pub(crate) start: u64,
}

impl<'a> Named<'a> {
    /// `X/artist-album-NN-title-START-END.mp3`
    pub(crate) fn of(path: &'a str) -> Self {
        let parts: Vec<&str> = path.split_once('/').unwrap().1.split('-').collect();
        let [artist, album, number, title, start, _] = parts[..] else { panic!("{path}") };
        Named { artist, album, number, title, start: start.parse().unwrap() }
    }
}

/// Writes the full list, lines `clip_id TAB mp3_path`, to `paths.tsv` in a folder.
pub(crate) fn list(folder: &Path) -> PathBuf {
    let zipped = include_bytes!("../data/mtat_paths.zip");
    let mut text = String::new();
    zip::ZipArchive::new(Cursor::new(zipped))
        .unwrap()
        .by_index(0)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let path = folder.join("paths.tsv");
    fs::write(&path, text).unwrap();
    path
}

/// The paths of some artists in the list, by artist.
pub(crate) fn paths_of(folder: &Path, artists: &[&str]) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(list(folder)).unwrap();
    let mut of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in text.lines().map(|line| line.split('\t').nth(1).unwrap()) {
        let artist = Named::of(path).artist;
        if artists.contains(&artist) {
            of.entry(artist.to_owned()).or_default().push(path.to_owned());
        }
    }
    of
}

/// Writes an MP3 (mono, 32 kbit/s); `sound` is a source of ffmpeg at 16 kHz.
pub(crate) fn mp3(sound: &str, more: &[&str], path: &Path) {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", sound])
        .args(["-c:a", "libmp3lame", "-b:a", "32k", "-ac", "1"])
        .args(more)
        .arg(path)
        .status()
        .expect("ffmpeg is needed; `make doctor` names its package");
    assert!(made.success());
}
