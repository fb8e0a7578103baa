//! `part.journal`: which part it is, and the result of each of its songs.
//!
//! One JSON object per line; the first is the header. What follows the last complete line is an interrupted write, and
//! its song is decoded again.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::error::PartError;
use super::number::PartOf;
use crate::fs::replace;
use crate::prepare::plan::Plan;

/// The name of the file in the folder of a part.
pub(super) const JOURNAL: &str = "part.journal";

/// The version of the folder's format.
const VERSION: u32 = 1;

/// The version of the program: another one may decode to other samples.
pub(super) const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// The first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Header {
    version: u32,
    /// The program that made the part.
    pub(super) program: String,
    pub(super) part: PartOf,
    /// SHA-256 of `music.jsonl`.
    pub(super) music: String,
    /// The number of songs in all parts.
    pub(super) songs: usize,
    /// Files found that are not music; part of no data set, so that a new picture does not make another one.
    pub(super) other_files: usize,
    /// The arguments of the program that made the part, without which part it is.
    pub(super) command: Vec<String>,
}

impl Header {
    /// The header of a part of `plan`, whose list has the digest `music`.
    pub(super) fn new(part: PartOf, music: String, plan: &Plan, command: &[String]) -> Self {
        Header {
            version: VERSION,
            program: PROGRAM.to_owned(),
            part,
            music,
            songs: plan.tracks.len(),
            other_files: plan.found.other_files,
            command: command.to_vec(),
        }
    }

    /// The command that prepares a part.
    pub(super) fn command_of(&self, part: PartOf) -> String {
        if self.command.is_empty() {
            return format!("the same `prepare` with --part {part}");
        }
        let words: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        format!("{} --part {part}", words.join(" "))
    }
}

/// A word as a POSIX shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=+:,@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Reads the journal of the part in `folder` as far as it is complete, and calls `on_entry` for each line after the
/// header, with its first byte. Returns the header and the length of what was read; `None` where there is no journal.
pub(super) fn read(
    folder: &Path,
    mut on_entry: impl FnMut(u64, Entry) -> Result<(), PartError>,
) -> Result<Option<(Header, u64)>, PartError> {
    let path = folder.join(JOURNAL);
    let unreadable = |source| PartError::unreadable(&path, source);
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mut file = BufReader::new(file);
    let mut text = Vec::new();
    file.read_until(b'\n', &mut text).map_err(unreadable)?;
    let header = header(&path, &text)?;
    let mut length = text.len() as u64;
    loop {
        text.clear();
        file.read_until(b'\n', &mut text).map_err(unreadable)?;
        let (true, Ok(entry)) = (text.ends_with(b"\n"), serde_json::from_slice(&text)) else {
            return Ok(Some((header, length)));
        };
        on_entry(length, entry)?;
        length += text.len() as u64;
    }
}

fn header(path: &Path, text: &[u8]) -> Result<Header, PartError> {
    #[derive(Deserialize)]
    struct VersionOnly {
        version: u32,
    }
    let invalid = |_| {
        let reason = "no journal of this program";
        let source = io::Error::new(io::ErrorKind::InvalidData, reason);
        PartError::unreadable(path, source)
    };
    // The version first: another one may have other fields.
    let VersionOnly { version } = serde_json::from_slice(text).map_err(invalid)?;
    if version != VERSION {
        let path = path.to_owned();
        return Err(PartError::Version { path, found: version, supported: VERSION });
    }
    serde_json::from_slice(text).map_err(invalid)
}

/// Reads the line that begins at a byte; `None` where there is none now.
pub(super) fn read_line(folder: &Path, start: u64) -> Result<Option<Entry>, PartError> {
    let path = folder.join(JOURNAL);
    let text = || -> io::Result<Vec<u8>> {
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::Start(start))?;
        let mut text = Vec::new();
        BufReader::with_capacity(1024, file).read_until(b'\n', &mut text)?;
        Ok(text)
    };
    let text = text().map_err(|source| PartError::unreadable(&path, source))?;
    Ok(serde_json::from_slice(&text).ok())
}

/// Adds lines to a journal.
pub(super) struct JournalWriter {
    path: PathBuf,
    file: File,
    /// Bytes of complete lines; a failed write may have left more.
    length: u64,
}

impl JournalWriter {
    /// Creates the journal of the part in `folder`.
    pub(super) fn create(folder: &Path, header: &Header) -> Result<Self, PartError> {
        let path = folder.join(JOURNAL);
        let text = line_of(header).and_then(|text| {
            // Renamed into place, so that a journal always has its header.
            replace(&path, &text).map(|()| text)
        });
        let text = text.map_err(|source| PartError::unwritable(&path, source))?;
        Self::open(folder, text.len() as u64)
    }

    /// Opens an existing journal, of which `length` bytes are complete.
    pub(super) fn open(folder: &Path, length: u64) -> Result<Self, PartError> {
        let path = folder.join(JOURNAL);
        match OpenOptions::new().write(true).open(&path) {
            Ok(file) => Ok(JournalWriter { path, file, length }),
            Err(source) => Err(PartError::unwritable(path, source)),
        }
    }

    /// Records the result of a song, whose samples are on disk.
    pub(super) fn append(&mut self, entry: &Entry) -> Result<(), PartError> {
        let mut write = || -> io::Result<u64> {
            let text = line_of(entry)?;
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
            self.file.write_all(&text)?;
            self.file.sync_data()?;
            Ok(text.len() as u64)
        };
        self.length += write().map_err(|source| PartError::unwritable(&self.path, source))?;
        Ok(())
    }
}

fn line_of(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec(value)?;
    text.push(b'\n');
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prepare::parts::entry::Outcome;
    use crate::sources::Reason;

    #[test]
    fn a_line_truncated_by_a_crash_is_dropped_and_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let part: PartOf = "2/3".parse().unwrap();
        let words = ["prepare", "folder", "My Music"].map(str::to_owned);
        let header = Header {
            version: VERSION,
            program: PROGRAM.to_owned(),
            part,
            music: "digest".to_owned(),
            songs: 6,
            other_files: 0,
            command: words.to_vec(),
        };
        let again = header.command_of(part.with_part(3));
        assert_eq!(again, "prepare folder 'My Music' --part 3/3");
        let entry = |song| Entry { song, result: Outcome::LeftOut(Box::new(Reason::Silent)) };
        let mut journal = JournalWriter::create(folder, &header).unwrap();
        journal.append(&entry(1)).unwrap();
        journal.append(&entry(4)).unwrap();
        let path = folder.join(JOURNAL);
        let whole = std::fs::read(&path).unwrap();
        let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for cut in first..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let mut found = Vec::new();
            let read = read(folder, |line, entry| {
                assert_eq!(read_line(folder, line)?, Some(entry.clone()));
                found.push(entry.song);
                Ok(())
            });
            let (same, length) = read.unwrap().unwrap();
            assert_eq!(same, header);
            assert!(found.is_empty() || found == [1], "cut at {cut}");
            let mut journal = JournalWriter::open(folder, length).unwrap();
            for song in [1, 4].into_iter().skip(found.len()) {
                journal.append(&entry(song)).unwrap();
            }
            assert_eq!(std::fs::read(&path).unwrap(), whole, "cut at {cut}");
        }
        let newer = String::from_utf8(whole).unwrap().replacen(":1,", ":2,", 1);
        std::fs::write(&path, newer).unwrap();
        let error = read(folder, |_, _| Ok(())).unwrap_err().to_string();
        assert!(error.contains("has version 2, this program reads 1"), "{error}");
    }
}
