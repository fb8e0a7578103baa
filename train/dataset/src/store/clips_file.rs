//! Reads and writes `clips.csv`.

use std::{fs, io, path::Path};

use super::clips::Clips;
use super::error::StoreError;
use super::files;
use super::info::DatasetInfo;
use super::row::ClipRow;

/// Writes a `clips.csv`, row by row.
pub(super) struct ClipsFile<'a> {
    path: &'a Path,
    writer: csv::Writer<&'a mut dyn io::Write>,
}

impl<'a> ClipsFile<'a> {
    /// `path` is only for error messages.
    pub(super) fn new(path: &'a Path, out: &'a mut dyn io::Write) -> Self {
        Self { path, writer: csv::Writer::from_writer(out) }
    }

    pub(super) fn row(&mut self, row: &ClipRow<&str>) -> Result<(), StoreError> {
        self.writer.serialize(row).map_err(|error| files::unwritten(self.path, error))
    }

    pub(super) fn end(mut self) -> Result<(), StoreError> {
        self.writer.flush().map_err(|source| files::unwritable(self.path, source))
    }
}

/// Reads a `clips.csv` and checks everything in it that needs no other file.
pub(super) fn read_clips(path: &Path, info: &DatasetInfo) -> Result<Clips, StoreError> {
    let file = fs::File::open(path).map_err(|source| files::unreadable(path, source))?;
    let mut reader = csv::Reader::from_reader(file);
    let mut clips = Clips::default();
    // Names of clips and songs seen so far, by their text ids.
    let (mut names, mut songs) = (IdSet::default(), IdSet::default());
    let mut song = None;
    let header = reader.headers().map_err(|error| files::malformed(path, error))?.clone();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| files::malformed(path, error))? {
        let line = record.position().map(csv::Position::line);
        let row: ClipRow<&str> =
            record.deserialize(Some(&header)).map_err(|error| files::malformed(path, error))?;
        let malformed =
            |reason: String| StoreError::Malformed { path: path.to_path_buf(), line, reason };
        check_row(&row, info).map_err(malformed)?;
        clips.push(&row).map_err(|error| malformed(error.to_string()))?;
        let Some((clip_id, song_id)) = clips.last_ids() else { continue };
        if !names.insert(clip_id) {
            return Err(malformed(format!("clip `{}` appears twice", row.clip)));
        }
        if song != Some(song_id) {
            if !songs.insert(song_id) {
                return Err(malformed(format!("song `{}` appears in two places", row.song)));
            }
            song = Some(song_id);
        }
    }
    Ok(clips)
}

/// A set of dense ids: one flag for each.
#[derive(Default)]
struct IdSet(Vec<bool>);

impl IdSet {
    /// Adds an id; whether it is new.
    fn insert(&mut self, id: u32) -> bool {
        let id = id as usize;
        if id >= self.0.len() {
            self.0.resize(id + 1, false);
        }
        self.0.get_mut(id).is_some_and(|present| !std::mem::replace(present, true))
    }
}

/// Checks a row by itself; the error is the reason why it is invalid.
pub(super) fn check_row(row: &ClipRow<&str>, info: &DatasetInfo) -> Result<(), String> {
    for (name, value) in [("clip", row.clip), ("song", row.song), ("artist", row.artist)] {
        if value.trim().is_empty() {
            return Err(format!("the column {name} is empty"));
        }
    }
    if row.samples == 0 || row.samples > info.clip_samples as u64 {
        return Err(format!("{} samples; a clip has 1 to {}", row.samples, info.clip_samples));
    }
    let end = row.offset.checked_add(row.samples).and_then(|end| end.checked_mul(files::SAMPLE));
    if end.is_none() || row.start.checked_add(row.samples).is_none() {
        return Err("its position is too large".to_owned());
    }
    Ok(())
}
