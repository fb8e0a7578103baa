//! Event files of TensorBoard: a run's curves in `RUN/events.out.tfevents.…`.
//!
//! A file is a list of records: length (u64, little endian), masked CRC-32C of the length, data, masked CRC-32C of the
//! data ([TFRecord](https://www.tensorflow.org/tutorials/load_data/tfrecord)); the data are messages of `event.proto`
//! and `summary.proto`, of which a few fields are enough for scalars.
//!
//! Every start of a run has a file of its own, as TensorBoard expects. The file of a run that is resumed after step s
//! begins with `session_log { status: START }` at step s + 1, by which TensorBoard forgets what a killed process wrote
//! of later steps: these are taken again.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use prost::{Enumeration, Message, Oneof};

use crate::console::log;
use crate::learn::events::{EndEvent, Event, Observer, StartEvent, StepEvent};
use crate::learn::history::EpochRow;

/// How the name of an event file begins.
const PREFIX: &str = "events.out.tfevents.";
/// Steps between two scalars of steps: a fast GPU takes hundreds of steps a second.
const EVERY: u64 = 20;
/// What was written is in the file, and so in TensorBoard, after so long.
const FLUSH: Duration = Duration::from_secs(2);

/// Writes scalars of a run into an event file in its folder.
#[derive(Debug)]
pub struct TensorBoard {
    folder: PathBuf,
    file: Option<EventFile>,
    /// Losses of the steps since the last scalar.
    losses: Vec<f64>,
}

impl TensorBoard {
    /// Event files in the folder `run`; the file is made when training starts.
    pub fn new(run: &Path) -> Self {
        TensorBoard { folder: run.to_owned(), file: None, losses: Vec::new() }
    }

    fn start(&mut self, start: &StartEvent) {
        match EventFile::create(&self.folder, start.steps_done) {
            Ok(file) => self.file = Some(file),
            Err((path, error)) => give_up(&path, &error),
        }
    }

    fn write(&mut self, step: u64, scalars: &[(&str, f64)], flush: bool) {
        let Some(file) = &mut self.file else { return };
        if let Err(error) = file.scalars(step, scalars, flush) {
            give_up(&file.path, &error);
            self.file = None;
        }
    }

    fn step(&mut self, step: &StepEvent) {
        self.losses.push(step.loss);
        if step.step.is_multiple_of(EVERY) {
            let mean = self.losses.iter().sum::<f64>() / self.losses.len() as f64;
            self.losses.clear();
            self.write(step.step, &[("step/loss", mean), ("step/rate", step.learning_rate)], false);
        }
    }

    fn epoch(&mut self, row: &EpochRow) {
        let always = [
            ("train/loss", row.loss),
            ("train/accuracy", row.accuracy),
            ("train/rate", row.learning_rate),
            ("train/clips_per_second", row.clips_per_second),
        ];
        let perhaps = [
            ("train/gradient_norm", row.gradient_norm),
            ("validation/loss", row.validation_loss),
            ("validation/segments", row.validation_segments),
            ("validation/clips", row.validation_clips),
            ("validation/songs", row.validation_songs),
            ("test/segments", row.test_segments),
            ("test/clips", row.test_clips),
            ("test/songs", row.test_songs),
        ];
        let mut scalars = always.to_vec();
        scalars.extend(perhaps.into_iter().filter_map(|(name, value)| Some((name, value?))));
        self.write(row.step, &scalars, true);
    }
}

impl Observer for TensorBoard {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(start) => self.start(start),
            Event::Step(step) => self.step(step),
            Event::Epoch(epoch) => self.epoch(epoch.row),
            Event::End(EndEvent { .. }) | Event::Stopped { .. } => self.write(0, &[], true),
            Event::Evaluation(_) => {}
        }
    }
}

fn give_up(path: &Path, error: &io::Error) {
    log!("{}: cannot be written, so training goes on without it: {error}", path.display());
}

/// A file that records are appended to.
#[derive(Debug)]
struct EventFile {
    path: PathBuf,
    out: BufWriter<File>,
    flushed: Instant,
}

impl EventFile {
    /// Makes the next file of the run in `folder`, which goes on after `step` steps.
    fn create(folder: &Path, step: u64) -> Result<Self, (PathBuf, io::Error)> {
        let path = next_path(folder).map_err(|error| (folder.to_owned(), error))?;
        let open = || {
            let out = BufWriter::new(File::create_new(&path)?);
            let mut file = EventFile { path: path.clone(), out, flushed: Instant::now() };
            file.record(0, What::FileVersion("brain.Event:2".to_owned()))?;
            let log = SessionLog { status: Status::Start.into() };
            file.record(step + 1, What::SessionLog(log))?;
            file.flush()?;
            Ok(file)
        };
        open().map_err(|error| (path.clone(), error))
    }

    fn scalars(&mut self, step: u64, scalars: &[(&str, f64)], flush: bool) -> io::Result<()> {
        if !scalars.is_empty() {
            let value = |(tag, value): &(&str, f64)| Value {
                tag: (*tag).to_owned(),
                simple_value: Some(*value as f32),
            };
            let summary = Summary { value: scalars.iter().map(value).collect() };
            self.record(step, What::Summary(summary))?;
        }
        if flush || self.flushed.elapsed() >= FLUSH {
            self.flush()?;
        }
        Ok(())
    }

    fn record(&mut self, step: u64, what: What) -> io::Result<()> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let step = i64::try_from(step).unwrap_or(i64::MAX);
        let event = Record { wall_time: since.as_secs_f64(), step, what: Some(what) };
        write_record(&mut self.out, &event.encode_to_vec())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        self.out.flush()
    }
}

/// The path of the next event file: TensorBoard reads the files of a run in the order of their names, in which the
/// seconds since 1970 come first, so that a clock that was set back must not lead in front of an earlier file.
fn next_path(folder: &Path) -> io::Result<PathBuf> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (mut seconds, mut number) = (now, 0u32);
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let Some(rest) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        let (mut front, mut back) = (rest.split('.'), rest.rsplit('.'));
        let begins = front.next().and_then(|digits| digits.parse().ok());
        seconds = seconds.max(begins.unwrap_or(0));
        let before: Option<u32> = back.next().and_then(|digits| digits.parse().ok());
        number = number.max(before.unwrap_or(0).saturating_add(1));
    }
    Ok(folder.join(format!("{PREFIX}{seconds:010}.leitmotif.{number:04}")))
}

fn write_record(out: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked_crc(&length).to_le_bytes())?;
    out.write_all(data)?;
    out.write_all(&masked_crc(data).to_le_bytes())
}

/// CRC-32C, rotated and with a constant added, because a CRC of data that contain their CRC says little.
fn masked_crc(data: &[u8]) -> u32 {
    const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    CASTAGNOLI.checksum(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// `tensorflow.Event`.
#[derive(Clone, PartialEq, Message)]
struct Record {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

/// `tensorflow.Summary`.
#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

/// `tensorflow.Summary.Value`.
#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    // Of a `oneof`, so that a zero is written, too.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// `tensorflow.SessionLog`.
#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(enumeration = "Status", tag = "1")]
    status: i32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
enum Status {
    Unspecified = 0,
    Start = 1,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_tensorflows() {
        // The CRC-32C of these digits, its check value, is 0xE306_9283.
        assert_eq!(masked_crc(b"123456789"), 0xC78A_B0E5);
    }

    #[test]
    fn a_later_file_has_a_later_name_though_the_clock_was_set_back() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut names = Vec::new();
        for _ in 0..3 {
            let file = EventFile::create(folder, 7).unwrap();
            names.push(file.path.file_name().unwrap().to_str().unwrap().to_owned());
        }
        fs::write(folder.join(format!("{PREFIX}9999999999.other")), "").unwrap();
        let file = EventFile::create(folder, 7).unwrap();
        names.push(file.path.file_name().unwrap().to_str().unwrap().to_owned());
        assert!(
            names.is_sorted() && names[3].starts_with("events.out.tfevents.9999999999."),
            "{names:?}"
        );
    }

    #[test]
    fn what_cannot_be_written_is_left_without_an_error() {
        let mut tensorboard = TensorBoard::new(Path::new("/nonexistent/run"));
        tensorboard.observe(&Event::Start(&StartEvent::default()));
        tensorboard.observe(&Event::Step(StepEvent { step: EVERY, ..StepEvent::default() }));
        assert!(tensorboard.file.is_none());
    }
}
