//! `music.jsonl`: settings, what the source leaves out, and the songs of the plan, one JSON object per line.
//!
//! It holds everything that determines a data set but the audio, in the order of the plan, so the digest of its bytes
//! shows whether parts belong together, and merging needs neither the music nor its list.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use leitmotif_models::text::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::PartError;
use crate::fs::replace_with;
use crate::prepare::plan::{Options, Plan};
use crate::sources::{Found, LeftOut, Reason, Track};

/// The name of the file in the folder of a part.
pub(super) const MUSIC: &str = "music.jsonl";

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Settings {
    clip_samples: usize,
    min_songs: usize,
    max_minutes_per_artist: Option<f64>,
    source: String,
    name: String,
    licence: String,
    notes: String,
    songs: usize,
    left_out: usize,
}

impl Settings {
    fn of(plan: &Plan) -> Self {
        let Options { clip_samples, min_songs, max_minutes_per_artist, threads: _ } = plan.options;
        let Found { name, licence, notes, source, .. } = plan.found.clone();
        let (songs, left_out) = (plan.tracks.len(), plan.left_out.len());
        Settings {
            clip_samples,
            min_songs,
            max_minutes_per_artist,
            source,
            name,
            licence,
            notes,
            songs,
            left_out,
        }
    }

    /// Each setting as text.
    fn named(&self) -> [(&'static str, String); 9] {
        let minutes = self.max_minutes_per_artist;
        [
            ("--clip-samples", self.clip_samples.to_string()),
            ("--min-songs", self.min_songs.to_string()),
            (
                "--max-minutes-per-artist",
                minutes.map_or("unlimited".to_owned(), |limit| limit.to_string()),
            ),
            ("source", self.source.clone()),
            ("name", self.name.clone()),
            ("licence", self.licence.clone()),
            ("notes", self.notes.clone()),
            ("number of songs", self.songs.to_string()),
            ("number of files left out", self.left_out.to_string()),
        ]
    }
}

/// The lines of a plan's list.
pub(super) fn lines(plan: &Plan) -> impl Iterator<Item = io::Result<String>> {
    let mut left_out: Vec<&LeftOut> = plan.left_out.iter().collect();
    // A source need not name them in an order of its own; the report sorts them like this, too.
    left_out.sort_by(|a, b| a.path.cmp(&b.path));
    let settings = std::iter::once_with(|| line(&Settings::of(plan)));
    let left_out = left_out.into_iter().map(|file| line(&(&file.path, &file.reason)));
    settings.chain(left_out).chain(plan.tracks.iter().map(line))
}

fn line(value: &impl Serialize) -> io::Result<String> {
    let mut text = serde_json::to_string(value)?;
    text.push('\n');
    Ok(text)
}

/// SHA-256 of the lines.
pub(super) fn digest(plan: &Plan) -> io::Result<String> {
    let mut hasher = Sha256::new();
    for line in lines(plan) {
        hasher.update(line?);
    }
    Ok(hex(&hasher.finalize()))
}

/// Atomically writes the list of a plan into the folder of a part.
pub(super) fn write(folder: &Path, plan: &Plan) -> Result<(), PartError> {
    let path = folder.join(MUSIC);
    let unwritable = |source| PartError::unwritable(&path, source);
    let write = |out: &mut dyn io::Write| {
        for line in lines(plan) {
            out.write_all(line.map_err(unwritable)?.as_bytes()).map_err(unwritable)?;
        }
        Ok(())
    };
    replace_with(&path, write, unwritable)
}

/// Reads the plan of a part. `None` where the list has another digest than the part records.
pub(super) fn read(
    folder: &Path,
    digest: &str,
    other_files: usize,
) -> Result<Option<Plan>, PartError> {
    let path = folder.join(MUSIC);
    let file = File::open(&path).map_err(|source| PartError::unreadable(&path, source))?;
    let mut lines = Lines { file: BufReader::new(file), hasher: Sha256::new(), text: Vec::new() };
    let mut read = || -> io::Result<Plan> {
        let Settings {
            clip_samples,
            min_songs,
            max_minutes_per_artist,
            source,
            name,
            licence,
            notes,
            songs,
            left_out: files,
        } = serde_json::from_slice(lines.next()?)?;
        let mut left_out = Vec::new();
        for _ in 0..files {
            let (path, reason): (String, Reason) = serde_json::from_slice(lines.next()?)?;
            left_out.push(LeftOut { path, reason });
        }
        let mut tracks = Vec::new();
        // Songs are not decoded from here, so they share a path.
        let no_path: Arc<Path> = Path::new("").into();
        for _ in 0..songs {
            let mut track: Track = serde_json::from_slice(lines.next()?)?;
            track.path = Arc::clone(&no_path);
            track.genres.shrink_to_fit();
            track.clips.shrink_to_fit();
            tracks.push(track);
        }
        lines.end()?;
        // Songs are only copied: more threads would hold more of them in memory.
        let options = Options { clip_samples, min_songs, max_minutes_per_artist, threads: 1 };
        let found = Found {
            tracks: Vec::new(),
            left_out: Vec::new(),
            other_files,
            merged_artists: Vec::new(),
            name,
            licence,
            notes,
            source,
        };
        Ok(Plan { tracks, left_out, found, options })
    };
    match read() {
        Ok(plan) => Ok((hex(&lines.hasher.finalize()) == digest).then_some(plan)),
        Err(error) if is_content(&error) => Ok(None),
        Err(source) => Err(PartError::unreadable(path, source)),
    }
}

/// Whether an error is about what a file holds, not about reading it.
fn is_content(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// The lines of a file, and their digest.
struct Lines {
    file: BufReader<File>,
    hasher: Sha256,
    text: Vec<u8>,
}

impl Lines {
    fn next(&mut self) -> io::Result<&[u8]> {
        self.text.clear();
        self.file.read_until(b'\n', &mut self.text)?;
        self.hasher.update(&self.text);
        Ok(&self.text)
    }

    fn end(&mut self) -> io::Result<()> {
        if self.next()?.is_empty() { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
    }
}

/// The lines of the list in the folder of a part.
pub(super) fn lines_in(
    folder: &Path,
) -> Result<impl Iterator<Item = io::Result<String>>, PartError> {
    let path = folder.join(MUSIC);
    match File::open(&path) {
        Ok(file) => Ok(BufReader::new(file).lines()),
        Err(source) => Err(PartError::unreadable(path, source)),
    }
}

/// Names the first difference between two lists.
pub(super) fn difference(
    found: impl Iterator<Item = io::Result<String>>,
    mut expected: impl Iterator<Item = io::Result<String>>,
) -> String {
    let text = |line: Option<io::Result<String>>| line.and_then(Result::ok).unwrap_or_default();
    for found in found {
        let (found, expected) = (text(Some(found)), text(expected.next()));
        let (found, expected) = (found.trim_end(), expected.trim_end());
        if found != expected {
            return line_difference(found, expected);
        }
    }
    "its list of music is shorter".to_owned()
}

fn line_difference(found: &str, expected: &str) -> String {
    if let (Ok(found), Ok(expected)) =
        (serde_json::from_str::<Settings>(found), serde_json::from_str::<Settings>(expected))
    {
        let differs = found.named().into_iter().zip(expected.named()).find(|(a, b)| a != b);
        return differs.map_or_else(String::new, |((setting, found), (_, expected))| {
            format!("{setting} is `{found}`, not `{expected}`")
        });
    }
    if let (Ok(found), Ok(expected)) =
        (serde_json::from_str::<Track>(found), serde_json::from_str::<Track>(expected))
    {
        if found.id != expected.id {
            return format!("it has the song {}, not {}", found.id, expected.id);
        }
        let labels = |track: &Track| {
            let Track { artist, album, title, song_group, genres, .. } = track.clone();
            [
                ("artist", artist),
                ("album", album),
                ("title", title),
                ("song group", song_group),
                ("genre", genres.join(";")),
            ]
        };
        let differs = labels(&found).into_iter().zip(labels(&expected)).find(|(a, b)| a != b);
        return match differs {
            Some(((label, text), (_, other))) => {
                format!("the {label} of {} is `{text}`, not `{other}`", found.id)
            }
            None => format!("the clip files of {} are others", found.id),
        };
    }
    let path = |line| {
        let file = serde_json::from_str::<(String, Reason)>(line).ok();
        file.map_or("another file".to_owned(), |(path, reason)| format!("{path} ({reason})"))
    };
    format!("it leaves out {}, not {}", path(found), path(expected))
}
