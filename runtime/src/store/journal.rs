//! What has been stored so far, line by line, for a writer that is killed.
//!
//! A CSV of three kinds of records: `dataset`, the text of `dataset.toml`; `clip` and the columns of a [`ClipRow`]; and
//! `song`, its name and number of clips, which makes the clips before it count. Whatever follows the last whole `song` record was
//! being written when the writer died and is cut off.

use std::{
    fs::{self, File, OpenOptions},
    io::{Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::{
    ClipRow, DatasetInfo, StoreError, files,
    rows::{self, Counts},
};

#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes that count; a failed write may have left more.
    length: u64,
}

impl Journal {
    /// Opens the journal of `folder`, which may be new, and reads the clips it holds.
    ///
    /// # Errors
    ///
    /// [`StoreError::OtherSettings`] where it was begun for another data set.
    pub(super) fn open(
        folder: &Path,
        info: &DatasetInfo,
        known: &[ClipRow],
    ) -> Result<(Self, Vec<ClipRow>), StoreError> {
        let path = folder.join(files::JOURNAL);
        if !path.is_file() {
            // As a whole and by rename: there is no journal without its first record.
            let mut text = render(
                &path,
                &[vec!["dataset".into(), rows::render_info(info, Counts::default())]],
            )?;
            for song in known.chunk_by(|a, b| a.song == b.song) {
                text.extend(render(&path, &song_records(song))?);
            }
            files::replace(&path, &text)?;
        }
        let bytes = fs::read(&path).map_err(|source| files::unreadable(&path, source))?;
        let (begun, clips, length) = parse(&path, &bytes)?;
        begun.check_same(info, folder)?;
        let file = OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(|source| files::unwritable(&path, source))?;
        let journal = Self { path, file, length };
        Ok((journal, clips))
    }

    /// Notes a song whose samples are on disk.
    pub(super) fn note(&mut self, song: &[ClipRow]) -> Result<(), StoreError> {
        let bytes = render(&self.path, &song_records(song))?;
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

    /// The data set is finished.
    pub(super) fn remove(self) -> Result<(), StoreError> {
        drop(self.file);
        fs::remove_file(&self.path).map_err(|source| files::unwritable(&self.path, source))
    }
}

fn render(path: &Path, records: &[Vec<String>]) -> Result<Vec<u8>, StoreError> {
    let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
    for record in records {
        writer.write_record(record).map_err(|error| files::malformed(path, error))?;
    }
    writer.into_inner().map_err(|error| files::unwritable(path, error.into_error()))
}

fn song_records(song: &[ClipRow]) -> Vec<Vec<String>> {
    let mut records: Vec<Vec<String>> = song
        .iter()
        .map(|row| {
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
            } = row;
            let numbers =
                [start.to_string(), samples.to_string(), shard.to_string(), offset.to_string()];
            [clip, song, artist, album, title, song_group, genre]
                .into_iter()
                .chain(&numbers)
                .chain([source])
                .cloned()
                .collect()
        })
        .map(|columns: Vec<String>| std::iter::once("clip".to_owned()).chain(columns).collect())
        .collect();
    let name = song.first().map(|row| row.song.clone()).unwrap_or_default();
    records.push(vec!["song".to_owned(), name, song.len().to_string()]);
    records
}

/// The data set's description, its clips, and the bytes up to the end of the last whole song.
fn parse(path: &Path, bytes: &[u8]) -> Result<(DatasetInfo, Vec<ClipRow>, u64), StoreError> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(bytes);
    let mut record = csv::StringRecord::new();
    let first = reader.read_record(&mut record);
    let info = match (first, record.get(0), record.get(1)) {
        (Ok(true), Some("dataset"), Some(text)) => rows::parse_info(path, text)?.0,
        _ => {
            let reason =
                "not a journal of this program; delete the folder and prepare again".to_owned();
            return Err(StoreError::Malformed { path: path.to_path_buf(), line: Some(1), reason });
        }
    };
    let mut clips = Vec::new();
    let mut length = reader.position().byte();
    let mut song: Vec<ClipRow> = Vec::new();
    // The first record that makes no sense ends it: what follows is stored again.
    while let Ok(true) = reader.read_record(&mut record) {
        match record.get(0) {
            Some("clip") => {
                let columns = csv::StringRecord::from_iter(record.iter().skip(1));
                match columns.deserialize::<ClipRow>(None) {
                    Ok(row) if rows::check_row(&row, &info).is_ok() => song.push(row),
                    _ => break,
                }
            }
            Some("song") => {
                let end = reader.position().byte();
                let whole =
                    usize::try_from(end).ok().and_then(|end| bytes.get(end.checked_sub(1)?))
                        == Some(&b'\n');
                let count = record.get(2).and_then(|count| count.parse().ok());
                if !whole
                    || count != Some(song.len())
                    || song.iter().any(|row| Some(row.song.as_str()) != record.get(1))
                {
                    break;
                }
                clips.append(&mut song);
                length = end;
            }
            _ => break,
        }
    }
    Ok((info, clips, length))
}
