//! What was decided about each song, so that an interrupted preparation goes on where it stopped.
//!
//! One JSON object a line in `prepare.journal`; the first names the settings. A line that was cut off by a crash is dropped, and its song decided
//! again. The store has a journal of its own, and it alone says what audio is there.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::decode::AudioDigest;
use crate::digest::NameDigest;
use crate::sources::Reason;
use crate::store::StoreError;

/// What became of a song.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Decision {
    /// Its clips are in the store.
    Kept(Box<Kept>),
    /// It is left out.
    LeftOut(Box<Reason>),
}

/// Facts about a song in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Digest of the whole decoded song.
    #[serde(rename = "hash")]
    pub(super) digest: AudioDigest,
    /// Clips.
    pub(super) clips: usize,
    /// Samples after the last whole clip.
    pub(super) dropped: usize,
    /// Whether packets were damaged or the file ends early.
    pub(super) damaged: bool,
    /// Of a song whose clips are files, those that could not be used, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) without: Vec<(String, Reason)>,
}

/// Version 1 identified audio by another hash.
const VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    settings: String,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    song: String,
    decision: Decision,
}

/// Whose a journal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Begun with the same settings, or not there yet.
    Ours,
    /// Of other settings, or of another program.
    Other,
    /// Of a version of this program that noted other things.
    Earlier,
}

/// The journal of one data set folder.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// What earlier runs decided, by the digests of the songs' names: there may be hundreds of thousands.
    decided: HashMap<NameDigest, Decision>,
}

impl Journal {
    /// Whose the journal at `path` is, for these settings. Changes nothing.
    pub(super) fn origin(path: &Path, settings: &str) -> io::Result<Origin> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Origin::Ours),
            Err(error) => return Err(error),
        };
        let Some(header) = Lines::of(file).next()? else { return Ok(Origin::Ours) };
        Ok(match serde_json::from_str::<Header>(&header) {
            Ok(header) if header.version < VERSION => Origin::Earlier,
            Ok(header) if header.version == VERSION && header.settings == settings => Origin::Ours,
            _ => Origin::Other,
        })
    }

    /// Opens or begins the journal at `path`, which is [ours](Origin::Ours) for these settings.
    pub(super) fn open(path: &Path, settings: &str) -> Result<Journal, StoreError> {
        Self::begin(path, settings)
            .map_err(|source| StoreError::Unwritable { path: path.to_owned(), source })
    }

    fn begin(path: &Path, settings: &str) -> io::Result<Journal> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut lines = Lines::of(File::open(path)?);
        let mut decided = HashMap::new();
        let mut good = lines.next()?.map_or(0, |header| header.len() + 1);
        while good > 0
            && let Some(line) = lines.next()?
        {
            let Ok(Entry { song, decision }) = serde_json::from_str(&line) else { break };
            decided.insert(NameDigest::of(&song), decision);
            good += line.len() + 1;
        }
        file.set_len(good as u64)?;
        file.seek(SeekFrom::End(0))?;
        let mut journal = Journal { path: path.to_owned(), file, decided };
        if good == 0 {
            journal.line(&Header { version: VERSION, settings: settings.to_owned() })?;
        }
        Ok(journal)
    }

    /// What earlier runs decided about `song`, if that was not [taken](Self::take).
    pub(super) fn decided(&self, song: &str) -> Option<&Decision> {
        self.decided.get(&NameDigest::of(song))
    }

    /// The same, taken out.
    pub(super) fn take(&mut self, song: &str) -> Option<Decision> {
        self.decided.remove(&NameDigest::of(song))
    }

    /// Notes a decision, which counts from the next run on.
    pub(super) fn note(&mut self, song: &str, decision: Decision) -> Result<(), StoreError> {
        let line = Entry { song: song.to_owned(), decision };
        self.line(&line)
            .map_err(|source| StoreError::Unwritable { path: self.path.clone(), source })
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())
    }
}

/// The lines of a file that were written to their ends.
struct Lines(BufReader<File>);

impl Lines {
    fn of(file: File) -> Self {
        Lines(BufReader::new(file))
    }

    /// The next line without its end; nothing after the last whole line of text.
    fn next(&mut self) -> io::Result<Option<String>> {
        let mut bytes = Vec::new();
        self.0.read_until(b'\n', &mut bytes)?;
        Ok(if bytes.pop() == Some(b'\n') { String::from_utf8(bytes).ok() } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_cut_off_by_a_crash_is_dropped_and_the_rest_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prepare.journal");
        let kept = Decision::Kept(Box::new(Kept {
            digest: AudioDigest([0xab; 16]),
            clips: 3,
            dropped: 7,
            damaged: false,
            without: Vec::new(),
        }));
        let mut journal = Journal::open(&path, "s").unwrap();
        journal.note("a \"quoted\", 🎸\n.ogg", kept.clone()).unwrap();
        journal.note("b.ogg", Decision::LeftOut(Box::new(Reason::Silent))).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path, "s").unwrap();
            assert!(journal.decided("b.ogg").is_none(), "cut at {cut}");
            if journal.decided("a \"quoted\", 🎸\n.ogg").is_none() {
                journal.note("a \"quoted\", 🎸\n.ogg", kept.clone()).unwrap();
            }
            journal.note("b.ogg", Decision::LeftOut(Box::new(Reason::Silent))).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
        assert_eq!(Journal::origin(&path, "s").unwrap(), Origin::Ours);
        assert_eq!(Journal::origin(&path, "other settings").unwrap(), Origin::Other);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, whole.replacen("\"version\":2", "\"version\":1", 1)).unwrap();
        assert_eq!(Journal::origin(&path, "s").unwrap(), Origin::Earlier);
    }
}
