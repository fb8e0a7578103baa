//! `journal.csv`: the rows that are stored so far, so that a killed writer can resume.
//!
//! A CSV of four kinds of records: `dataset`, the text of `dataset.toml`; `clip` and the columns of a [`ClipRow`];
//! `song`, its name and number of clips, which commits the clips before it; and, before the clips of a song that is
//! replaced, `gone` with the names of its old clips. What follows the last complete `song` record is an interrupted
//! write and is truncated.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::clips::Clips;
use super::error::StoreError;
use super::info::{self, DatasetCounts, DatasetInfo};
use super::row::ClipRow;
use super::{clips_file, files};

/// Called for each song in order with the names of the clips that it replaces and its rows. An error stops reading.
type OnSong<'a> = &'a mut dyn FnMut(&[String], &[ClipRow]) -> Result<(), StoreError>;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of complete records; a failed write may have left more.
    length: u64,
}

impl Journal {
    /// Opens the journal of `folder`, or creates one that holds `known`; calls `on_song` for each song in it.
    ///
    /// # Errors
    ///
    /// [`StoreError::OtherSettings`] where it belongs to another data set.
    pub(super) fn open(
        folder: &Path,
        info: &DatasetInfo,
        known: Option<Clips>,
        on_song: OnSong<'_>,
    ) -> Result<Self, StoreError> {
        let path = folder.join(files::JOURNAL);
        if !path.is_file() {
            // Renamed into place, so that a journal always has its first record.
            files::replace_with(&path, |out| {
                let mut writer = RecordWriter::new(&path, out);
                writer.record(["dataset", &info::render_info(info, DatasetCounts::default())])?;
                let known = known.unwrap_or_default();
                let mut song: Vec<ClipRow<&str>> = Vec::new();
                for row in known.iter() {
                    if song.first().is_some_and(|first| first.song != row.song) {
                        writer.song(&song)?;
                        song.clear();
                    }
                    song.push(row);
                }
                if song.is_empty() { Ok(()) } else { writer.song(&song) }
            })?;
        }
        let (found, length) = read(&path, on_song)?;
        found.check_same(info, folder)?;
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|source| files::unwritable(&path, source))?;
        Ok(Self { path, file, length })
    }

    /// Records a song whose samples are on disk, and the names of the clips that it replaces.
    pub(super) fn append(&mut self, replaced: &[&str], song: &[ClipRow]) -> Result<(), StoreError> {
        let mut bytes: Vec<u8> = Vec::new();
        let mut writer = RecordWriter::new(&self.path, &mut bytes);
        if !replaced.is_empty() {
            writer.record(["gone"].iter().chain(replaced).copied())?;
        }
        writer.song(&song.iter().map(ClipRow::view).collect::<Vec<_>>())?;
        drop(writer);
        let mut write = || {
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::Start(self.length))?;
            self.file.write_all(&bytes)?;
            self.file.sync_data()
        };
        write().map_err(|source| files::unwritable(&self.path, source))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Reads all songs again.
    pub(super) fn songs(&self, on_song: OnSong<'_>) -> Result<(), StoreError> {
        read(&self.path, on_song).map(|_| ())
    }

    /// Deletes the journal of a finished data set.
    pub(super) fn remove(self) -> Result<(), StoreError> {
        drop(self.file);
        fs::remove_file(&self.path).map_err(|source| files::unwritable(&self.path, source))
    }
}

/// Writes the records of a journal.
struct RecordWriter<'a> {
    path: &'a Path,
    writer: csv::Writer<&'a mut dyn io::Write>,
}

impl<'a> RecordWriter<'a> {
    fn new(path: &'a Path, out: &'a mut dyn io::Write) -> Self {
        Self { path, writer: csv::WriterBuilder::new().flexible(true).from_writer(out) }
    }

    fn record<'t>(&mut self, record: impl IntoIterator<Item = &'t str>) -> Result<(), StoreError> {
        self.writer.write_record(record).map_err(|error| files::unwritten(self.path, error))
    }

    /// The records of a song.
    fn song(&mut self, song: &[ClipRow<&str>]) -> Result<(), StoreError> {
        for row in song {
            let ClipRow {
                clip,
                song,
                artist,
                album,
                title,
                song_group,
                genre,
                start,
                samples,
                shard,
                offset,
                source,
                audio,
            } = *row;
            let numbers =
                [start.to_string(), samples.to_string(), shard.to_string(), offset.to_string()];
            let texts = ["clip", clip, song, artist, album, title, song_group, genre];
            let audio = audio.map_or_else(String::new, |digest| digest.to_string());
            let numbers = numbers.iter().map(String::as_str);
            self.record(texts.into_iter().chain(numbers).chain([source, &audio]))?;
        }
        let name = song.first().map(|row| row.song).unwrap_or_default();
        self.record(["song", name, &song.len().to_string()])?;
        self.writer.flush().map_err(|source| files::unwritable(self.path, source))
    }
}

/// Whether a valid record was read. An I/O error is not the end of the journal, since songs may follow.
fn is_record(read: csv::Result<bool>) -> io::Result<bool> {
    match read.map_err(csv::Error::into_kind) {
        Ok(is_record) => Ok(is_record),
        Err(csv::ErrorKind::Io(error)) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Returns the data set's description and the byte offset after the last complete song.
fn read(path: &Path, on_song: OnSong<'_>) -> Result<(DatasetInfo, u64), StoreError> {
    let unreadable = |source| files::unreadable(path, source);
    let mut file = File::open(path).map_err(unreadable)?;
    let bytes = file.metadata().map_err(unreadable)?.len();
    let ends_a_line = bytes > 0 && {
        let mut last = [0];
        file.seek(SeekFrom::Start(bytes - 1)).map_err(unreadable)?;
        file.read_exact(&mut last).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        last == *b"\n"
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(BufReader::new(file));
    let mut record = csv::StringRecord::new();
    let first = reader.read_record(&mut record);
    let is_first = is_record(first).map_err(unreadable)?;
    let info = match (is_first, record.get(0), record.get(1)) {
        (true, Some("dataset"), Some(text)) => info::parse_info(path, text)?.0,
        _ => {
            let reason =
                "not a journal of this program; delete the folder and prepare again".to_owned();
            return Err(StoreError::Malformed { path: path.to_path_buf(), line: Some(1), reason });
        }
    };
    let mut length = reader.position().byte();
    let mut song: Vec<ClipRow> = Vec::new();
    let mut replaced: Vec<String> = Vec::new();
    // Reading stops at the first invalid record; songs after it are stored again.
    while is_record(reader.read_record(&mut record)).map_err(unreadable)? {
        match record.get(0) {
            Some("gone") if replaced.is_empty() && song.is_empty() => {
                replaced.extend(record.iter().skip(1).map(str::to_owned));
            }
            Some("clip") => {
                let columns = csv::StringRecord::from_iter(record.iter().skip(1));
                match columns.deserialize::<ClipRow<&str>>(None) {
                    Ok(row) if clips_file::check_row(&row, &info).is_ok() => song.push(row.owned()),
                    _ => break,
                }
            }
            Some("song") => {
                let end = reader.position().byte();
                let count = record.get(2).and_then(|count| count.parse().ok());
                if !(end < bytes || ends_a_line)
                    || count != Some(song.len())
                    || song.iter().any(|row| Some(row.song.as_str()) != record.get(1))
                {
                    break;
                }
                on_song(&replaced, &song)?;
                song.clear();
                replaced.clear();
                length = end;
            }
            _ => break,
        }
    }
    Ok((info, length))
}
