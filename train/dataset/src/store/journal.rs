//! What has been stored so far, line by line, for a writer that is killed.
//!
//! A CSV of four kinds of records: `dataset`, the text of `dataset.toml`; `clip` and the columns of a [`ClipRow`];
//! `song`, its name and number of clips, which makes the clips before it count; and, before the clips of a song that is stored anew,
//! `gone` with the names of the clips that it had. Whatever follows the last whole `song` record was being written when the writer
//! died and is cut off.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::clips::Clips;
use super::error::StoreError;
use super::info::{self, Counts, DatasetInfo};
use super::row::ClipRow;
use super::{clips_file, files};

/// Called for each song in order with the clips that it had before and those that it has. An error ends the reading.
type OnSong<'a> = &'a mut dyn FnMut(&[String], &[ClipRow]) -> Result<(), StoreError>;

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes that count; a failed write may have left more.
    length: u64,
}

impl Journal {
    /// Opens the journal of `folder`, which may be new and then holds `known`; `on_song` is called for each song that it holds.
    ///
    /// # Errors
    ///
    /// [`StoreError::OtherSettings`] where it was begun for another data set.
    pub(super) fn open(
        folder: &Path,
        info: &DatasetInfo,
        known: Option<Clips>,
        on_song: OnSong<'_>,
    ) -> Result<Self, StoreError> {
        let path = folder.join(files::JOURNAL);
        if !path.is_file() {
            // As a whole and by rename: there is no journal without its first record.
            files::replace_with(&path, |out| {
                let mut writer = Writer::new(&path, out);
                writer.record(["dataset", &info::render_info(info, Counts::default())])?;
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
        let (begun, length) = read(&path, on_song)?;
        begun.check_same(info, folder)?;
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|source| files::unwritable(&path, source))?;
        Ok(Self { path, file, length })
    }

    /// Notes a song whose samples are on disk, and the names of the clips that it had before.
    pub(super) fn note(&mut self, gone: &[&str], song: &[ClipRow]) -> Result<(), StoreError> {
        let mut bytes: Vec<u8> = Vec::new();
        let mut writer = Writer::new(&self.path, &mut bytes);
        if !gone.is_empty() {
            writer.record(["gone"].iter().chain(gone).copied())?;
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

    /// Reads all songs once more.
    pub(super) fn songs(&self, on_song: OnSong<'_>) -> Result<(), StoreError> {
        read(&self.path, on_song).map(|_| ())
    }

    /// The data set is finished.
    pub(super) fn remove(self) -> Result<(), StoreError> {
        drop(self.file);
        fs::remove_file(&self.path).map_err(|source| files::unwritable(&self.path, source))
    }
}

/// Writes records.
struct Writer<'a> {
    path: &'a Path,
    writer: csv::Writer<&'a mut dyn io::Write>,
}

impl<'a> Writer<'a> {
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
            } = *row;
            let numbers =
                [start.to_string(), samples.to_string(), shard.to_string(), offset.to_string()];
            let texts = ["clip", clip, song, artist, album, title, song_group, genre];
            self.record(
                texts.into_iter().chain(numbers.iter().map(String::as_str)).chain([source]),
            )?;
        }
        let name = song.first().map(|row| row.song).unwrap_or_default();
        self.record(["song", name, &song.len().to_string()])?;
        self.writer.flush().map_err(|source| files::unwritable(self.path, source))
    }
}

/// Whether there is a record that makes sense. What the system refuses to read is no end of a journal: songs follow it.
fn whole(read: csv::Result<bool>) -> io::Result<bool> {
    match read.map_err(csv::Error::into_kind) {
        Ok(there) => Ok(there),
        Err(csv::ErrorKind::Io(error)) => Err(error),
        Err(_) => Ok(false),
    }
}

/// The data set's description and the bytes up to the end of the last whole song.
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
    let there = whole(first).map_err(unreadable)?;
    let info = match (there, record.get(0), record.get(1)) {
        (true, Some("dataset"), Some(text)) => info::parse_info(path, text)?.0,
        _ => {
            let reason =
                "not a journal of this program; delete the folder and prepare again".to_owned();
            return Err(StoreError::Malformed { path: path.to_path_buf(), line: Some(1), reason });
        }
    };
    let mut length = reader.position().byte();
    let mut song: Vec<ClipRow> = Vec::new();
    let mut gone: Vec<String> = Vec::new();
    // The first record that makes no sense ends it: what follows is stored again.
    while whole(reader.read_record(&mut record)).map_err(unreadable)? {
        match record.get(0) {
            Some("gone") if gone.is_empty() && song.is_empty() => {
                gone.extend(record.iter().skip(1).map(str::to_owned));
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
                on_song(&gone, &song)?;
                song.clear();
                gone.clear();
                length = end;
            }
            _ => break,
        }
    }
    Ok((info, length))
}
