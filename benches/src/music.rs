//! Three minutes of real music in every format that the ears know, made by ffmpeg from the minute that the ears are
//! tested with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

/// A file of each format: its name and how ffmpeg makes it from the source.
const FORMATS: [(&str, &[&str]); 8] = [
    ("cbr.mp3", &["-codec:a", "libmp3lame", "-b:a", "192k"]),
    ("vbr.mp3", &["-codec:a", "libmp3lame", "-q:a", "2"]),
    ("vorbis.ogg", &["-codec:a", "libvorbis", "-q:a", "5"]),
    ("opus.opus", &["-codec:a", "libopus", "-b:a", "128k"]),
    ("flac.flac", &["-codec:a", "flac", "-sample_fmt", "s16"]),
    ("wav.wav", &["-codec:a", "pcm_s16le"]),
    ("aac.m4a", &["-codec:a", "aac", "-b:a", "160k", "-aac_pns", "0"]),
    // As in MagnaTagATune: nothing to resample.
    ("mtat.mp3", &["-codec:a", "libmp3lame", "-b:a", "32k", "-ar", "16000", "-ac", "1"]),
];

/// The names of the files that [`make`] makes.
pub fn names() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().map(|(name, _)| *name)
}

/// Makes what is missing of the files in `folder` and returns their paths.
///
/// # Errors
///
/// Where ffmpeg is missing or fails, and where the folder cannot be written.
pub fn make(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let music = Path::new(env!("CARGO_MANIFEST_DIR")).join("../runtime/tests/data/music");
    let source = fs::read_dir(&music)
        .with_context(|| format!("{} holds the music to measure with", music.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "ogg"))
        .with_context(|| format!("{} holds no .ogg", music.display()))?;
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let mut files = Vec::new();
    for (name, how) in FORMATS {
        let path = folder.join(name);
        if !path.is_file() {
            let part = folder.join(format!("part-{name}"));
            let mut ffmpeg = Command::new("ffmpeg");
            ffmpeg.args(["-y", "-nostdin", "-loglevel", "error", "-stream_loop", "-1", "-i"]);
            ffmpeg.arg(&source).args(["-t", "180", "-map_metadata", "-1"]).args(how).arg(&part);
            let done = ffmpeg.status().context("ffmpeg makes the files to measure with")?;
            ensure!(done.success(), "{}: ffmpeg failed ({done})", part.display());
            fs::rename(&part, &path).with_context(|| path.display().to_string())?;
        }
        files.push(path);
    }
    Ok(files)
}
