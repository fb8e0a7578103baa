//! `prepare.journal`: the decision about each song, so that an interrupted preparation can resume.
//!
//! One JSON object per line; the first holds the settings. A line that a crash has truncated is dropped, and its song
//! decided again. Which audio is stored is recorded by the journal of the store, not here.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::damage::Damage;
use super::decode::AudioDigest;
use crate::digest::NameDigest;
use crate::sources::Reason;
use crate::store::StoreError;

/// The decision about a song.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Decision {
    /// Its clips are in the store.
    Kept(Box<Kept>),
    /// It is left out.
    LeftOut(Box<Reason>),
}

/// A song in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Digest of the whole decoded song.
    #[serde(rename = "hash")]
    pub(super) digest: AudioDigest,
    /// Number of clips.
    pub(super) clips: usize,
    /// Samples dropped after the last whole clip.
    pub(super) dropped: usize,
    /// What is remarkable about its files. Of a million songs few have any, so that it takes no room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) remarks: Option<Box<Remarks>>,
    /// Clips that are silent, and where each clip is a file of its own, those that cannot be used; and why.
    #[serde(rename = "without", default, skip_serializing_if = "<[_]>::is_empty")]
    pub(super) unusable_files: Box<[(String, Reason)]>,
}

/// What is remarkable about a song in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Remarks {
    /// What was lost, if packets were damaged or the file ends early.
    pub(super) damage: Option<Damage>,
    /// What else there is to know.
    pub(super) notes: Vec<String>,
}

/// Version 1 used another hash of the audio; version 2 kept silent clips.
const VERSION: u32 = 3;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    settings: String,
}

#[derive(Serialize, Deserialize)]
struct JournalEntry {
    song: String,
    decision: Decision,
}

/// How an existing journal compares with the current settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JournalMatch {
    /// It has the same settings, or does not exist yet.
    Same,
    /// It has other settings, or is not a journal of this program.
    OtherSettings,
    /// It has an earlier version of the format.
    EarlierVersion,
}

/// The journal of one data set folder.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// The decisions of earlier runs, by the digests of the songs' names, since there may be a million.
    decided: HashMap<NameDigest, Decision>,
}

impl Journal {
    /// Compares the journal at `path` with `settings`, without changing it.
    pub(super) fn compare(path: &Path, settings: &str) -> io::Result<JournalMatch> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(JournalMatch::Same);
            }
            Err(error) => return Err(error),
        };
        let Some(header) = CompleteLines::of(file).next()? else { return Ok(JournalMatch::Same) };
        Ok(match serde_json::from_str::<Header>(&header) {
            Ok(header) if header.version < VERSION => JournalMatch::EarlierVersion,
            Ok(header) if header.version == VERSION && header.settings == settings => {
                JournalMatch::Same
            }
            _ => JournalMatch::OtherSettings,
        })
    }

    /// Opens or creates the journal at `path`, which must be the [same](JournalMatch::Same) for these settings.
    pub(super) fn open(path: &Path, settings: &str) -> Result<Journal, StoreError> {
        Self::read_or_create(path, settings)
            .map_err(|source| StoreError::Unwritable { path: path.to_owned(), source })
    }

    fn read_or_create(path: &Path, settings: &str) -> io::Result<Journal> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut lines = CompleteLines::of(File::open(path)?);
        let mut decided = HashMap::new();
        let mut valid_bytes = lines.next()?.map_or(0, |header| header.len() + 1);
        while valid_bytes > 0
            && let Some(line) = lines.next()?
        {
            let Ok(JournalEntry { song, decision }) = serde_json::from_str(&line) else { break };
            decided.insert(NameDigest::of(&song), decision);
            valid_bytes += line.len() + 1;
        }
        file.set_len(valid_bytes as u64)?;
        file.seek(SeekFrom::End(0))?;
        let mut journal = Journal { path: path.to_owned(), file, decided };
        if valid_bytes == 0 {
            journal.append_line(&Header { version: VERSION, settings: settings.to_owned() })?;
        }
        Ok(journal)
    }

    /// The decision of an earlier run about `song`, unless it was [taken](Self::take).
    pub(super) fn decided(&self, song: &str) -> Option<&Decision> {
        self.decided.get(&NameDigest::of(song))
    }

    /// Removes and returns the decision of an earlier run about `song`.
    pub(super) fn take(&mut self, song: &str) -> Option<Decision> {
        self.decided.remove(&NameDigest::of(song))
    }

    /// Writes a decision to the file, for the next run.
    pub(super) fn append(&mut self, song: &str, decision: Decision) -> Result<(), StoreError> {
        let line = JournalEntry { song: song.to_owned(), decision };
        self.append_line(&line)
            .map_err(|source| StoreError::Unwritable { path: self.path.clone(), source })
    }

    fn append_line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut text = serde_json::to_string(line)?;
        text.push('\n');
        self.file.write_all(text.as_bytes())
    }
}

/// The lines of a file that end with a line break.
struct CompleteLines(BufReader<File>);

impl CompleteLines {
    fn of(file: File) -> Self {
        CompleteLines(BufReader::new(file))
    }

    /// The next line without its line break; `None` after the last complete line of valid UTF-8.
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
    fn a_line_truncated_by_a_crash_is_dropped_and_the_rest_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("prepare.journal");
        let kept = Decision::Kept(Box::new(Kept {
            digest: AudioDigest([0xab; 16]),
            clips: 3,
            dropped: 7,
            remarks: Some(Box::new(Remarks {
                damage: Some(Damage { skipped_packets: 2, lost_seconds: 0.05, truncated: false }),
                notes: vec!["a note".to_owned()],
            })),
            unusable_files: Box::default(),
        }));
        let mut journal = Journal::open(&path, "s").unwrap();
        journal.append("a \"quoted\", 🎸\n.ogg", kept.clone()).unwrap();
        journal.append("b.ogg", Decision::LeftOut(Box::new(Reason::Silent))).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path, "s").unwrap();
            assert!(journal.decided("b.ogg").is_none(), "cut at {cut}");
            if journal.decided("a \"quoted\", 🎸\n.ogg").is_none() {
                journal.append("a \"quoted\", 🎸\n.ogg", kept.clone()).unwrap();
            }
            journal.append("b.ogg", Decision::LeftOut(Box::new(Reason::Silent))).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
        assert_eq!(Journal::compare(&path, "s").unwrap(), JournalMatch::Same);
        assert_eq!(Journal::compare(&path, "other").unwrap(), JournalMatch::OtherSettings);
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, whole.replacen("\"version\":3", "\"version\":2", 1)).unwrap();
        assert_eq!(Journal::compare(&path, "s").unwrap(), JournalMatch::EarlierVersion);
    }
}
