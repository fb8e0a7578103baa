//! Real music to measure with, made by ffmpeg from the minute that the decoders are tested with.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// Seconds of each file that [`make`] makes.
pub const SECONDS: usize = 180;
/// Songs of the library, by two artists in turn.
const SONGS: usize = 8;
/// Seconds of one of them: two clips and a little.
const SONG_SECONDS: usize = 60;
/// Seconds of music in the library that [`library`] makes.
pub const LIBRARY_SECONDS: usize = SONGS * SONG_SECONDS;
/// Clips in that library.
pub const LIBRARY_CLIPS: usize = 2 * SONGS;
/// The format of its files.
pub const LIBRARY_FORMAT: &str = "cbr.mp3";

/// A file of each format: its name, what it is, and how ffmpeg makes it from the source.
const FORMATS: [(&str, &str, &[&str]); 8] = [
    ("cbr.mp3", "MP3, 192 kbit/s", &["-codec:a", "libmp3lame", "-b:a", "192k"]),
    ("vbr.mp3", "MP3, VBR", &["-codec:a", "libmp3lame", "-q:a", "2"]),
    // At 16 kHz already: nothing to resample.
    (
        "mtat.mp3",
        "MP3, 16 kHz mono 32 kbit/s (MagnaTagATune)",
        &["-codec:a", "libmp3lame", "-b:a", "32k", "-ar", "16000", "-ac", "1"],
    ),
    ("vorbis.ogg", "Vorbis", &["-codec:a", "libvorbis", "-q:a", "5"]),
    ("opus.opus", "Opus", &["-codec:a", "libopus", "-b:a", "128k"]),
    ("flac.flac", "FLAC", &["-codec:a", "flac", "-sample_fmt", "s16"]),
    ("aac.m4a", "AAC", &["-codec:a", "aac", "-b:a", "160k", "-aac_pns", "0"]),
    ("wav.wav", "WAV", &["-codec:a", "pcm_s16le"]),
];

/// Names of the files that [`make`] makes.
pub fn names() -> impl Iterator<Item = &'static str> {
    formats().map(|(name, _)| name)
}

/// The same names, each with a description.
pub fn formats() -> impl Iterator<Item = (&'static str, &'static str)> {
    FORMATS.iter().map(|(name, what, _)| (*name, *what))
}

/// Makes the missing files of `folder`, [`SECONDS`] in each format, and returns the paths of all.
///
/// # Errors
///
/// Where ffmpeg is missing or fails, and where the folder cannot be written.
pub fn make(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (name, _, how) in FORMATS {
        let path = folder.join(name);
        encode(0, SECONDS, how, &path)?;
        files.push(path);
    }
    Ok(files)
}

/// Makes the missing files of a music library in `folder`: `ARTIST/ALBUM/TITLE.mp3`, no two songs alike.
///
/// # Errors
///
/// As [`make`].
pub fn library(folder: &Path) -> anyhow::Result<()> {
    let how = FORMATS.iter().find(|(name, ..)| *name == LIBRARY_FORMAT).map_or(&[][..], |f| f.2);
    for song in 0..SONGS {
        let path = folder.join(format!("Artist {}/Album/Song {song}.mp3", song % 2));
        encode(7 * song, SONG_SECONDS, how, &path)?;
    }
    Ok(())
}

/// Makes `path` where it is missing: `seconds` of the looped minute, from second `start` on.
fn encode(start: usize, seconds: usize, how: &[&str], path: &Path) -> anyhow::Result<()> {
    if path.is_file() {
        return Ok(());
    }
    let music = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/tests/data/music");
    let source = fs::read_dir(&music)
        .with_context(|| format!("{} holds the music to measure with", music.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "ogg"))
        .with_context(|| format!("{} holds no .ogg", music.display()))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let part = folder.join(format!("part-{name}"));
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-y", "-nostdin", "-loglevel", "error", "-stream_loop", "-1", "-i"]).arg(&source);
    ffmpeg.args(["-ss", &start.to_string(), "-t", &seconds.to_string(), "-map_metadata", "-1"]);
    let done = ffmpeg.args(how).arg(&part).status();
    let done =
        done.context("ffmpeg makes the files to measure with; `make doctor` says how to get it")?;
    ensure!(done.success(), "{}: ffmpeg failed ({done})", part.display());
    fs::rename(&part, path).with_context(|| path.display().to_string())
}
