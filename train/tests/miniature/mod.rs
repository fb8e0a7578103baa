//! MagnaTagATune in miniature: made-up MP3s, 16 kHz, mono, 32 kbit/s, under real names from its list.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Samples of a clip here: a tenth of the real ones.
pub(crate) const CLIP: usize = 46_656;

/// A name from the list, taken apart.
pub(crate) struct Named<'a> {
    pub(crate) artist: &'a str,
    pub(crate) album: &'a str,
    pub(crate) number: &'a str,
    pub(crate) title: &'a str,
    /// Seconds into the track.
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

/// The data set's list of `clip_id TAB mp3_path`, written to a folder.
pub(crate) fn list(folder: &Path) -> PathBuf {
    let zipped =
        fs::File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mtat_paths.zip"));
    let mut text = String::new();
    zip::ZipArchive::new(zipped.unwrap())
        .unwrap()
        .by_index(0)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    let path = folder.join("paths.tsv");
    fs::write(&path, text).unwrap();
    path
}

/// The list's paths of some artists, by artist.
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

/// Makes one MP3 of so many seconds; `sound` is a source as ffmpeg names them, at 16 kHz.
pub(crate) fn mp3(sound: &str, more: &[&str], path: &Path) {
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", sound])
        .args(["-c:a", "libmp3lame", "-b:a", "32k", "-ac", "1"])
        .args(more)
        .arg(path)
        .status()
        .expect("ffmpeg is needed; `make doctor` says what brings it");
    assert!(made.success());
}
