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
    /// `path` is for complaints.
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
    // By the number of their names.
    let (mut names, mut songs) = (Numbers::default(), Numbers::default());
    let mut song = None;
    let header = reader.headers().map_err(|error| files::malformed(path, error))?.clone();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| files::malformed(path, error))? {
        let line = record.position().map(csv::Position::line);
        let row: ClipRow<&str> =
            record.deserialize(Some(&header)).map_err(|error| files::malformed(path, error))?;
        let wrong =
            |reason: String| StoreError::Malformed { path: path.to_path_buf(), line, reason };
        check_row(&row, info).map_err(wrong)?;
        clips.push(&row).map_err(|error| wrong(error.to_string()))?;
        let Some((name, of)) = clips.last_numbers() else { continue };
        if !names.add(name) {
            return Err(wrong(format!("clip `{}` appears twice", row.clip)));
        }
        if song != Some(of) {
            if !songs.add(of) {
                return Err(wrong(format!("song `{}` appears in two places", row.song)));
            }
            song = Some(of);
        }
    }
    Ok(clips)
}

/// A set of numbers that begin at 0 and leave few out.
#[derive(Default)]
struct Numbers(Vec<bool>);

impl Numbers {
    /// Whether it was not there before.
    fn add(&mut self, number: u32) -> bool {
        let number = number as usize;
        if number >= self.0.len() {
            self.0.resize(number + 1, false);
        }
        self.0.get_mut(number).is_some_and(|there| !std::mem::replace(there, true))
    }
}

/// Checks a row by itself; the reason where it cannot be.
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
        return Err("positions too large to be true".to_owned());
    }
    Ok(())
}
