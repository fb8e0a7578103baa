//! What is known of a data set and of each clip, as the files say it.

use std::{collections::HashSet, fs, io, path::Path};

use leitmotif_models::SampleRate;
use serde::{Deserialize, Serialize};

use super::{Clips, StoreError, files};

/// The version of the folder's layout that is written and read here.
pub const DATASET_VERSION: u32 = 1;

/// What a data set is: `dataset.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetInfo {
    /// Its name, for people.
    pub name: String,
    /// The terms of the recordings, for people.
    pub licence: String,
    /// Anything one should know of it.
    pub notes: String,
    /// Samples per second.
    pub sample_rate: u32,
    /// Samples of a whole clip. Clips may be shorter, never longer.
    pub clip_samples: usize,
    /// Where the recordings came from.
    pub source: String,
}

impl Default for DatasetInfo {
    /// An unnamed set of clips of MagnaTagATune's length (465,984 samples) at 16 kHz.
    fn default() -> Self {
        Self {
            name: String::new(),
            licence: String::new(),
            notes: String::new(),
            sample_rate: SampleRate::NETWORK.0,
            clip_samples: 465_984,
            source: String::new(),
        }
    }
}

impl DatasetInfo {
    /// Whether data begun as `self` may go on as `other`: all that shapes the samples is equal.
    pub(super) fn check_same(&self, other: &Self, folder: &Path) -> Result<(), StoreError> {
        let differs = |field, found: &dyn ToString, wanted: &dyn ToString| {
            Err(StoreError::OtherSettings {
                path: folder.to_path_buf(),
                field,
                found: found.to_string(),
                wanted: wanted.to_string(),
            })
        };
        if self.sample_rate != other.sample_rate {
            return differs("sample_rate", &self.sample_rate, &other.sample_rate);
        }
        if self.clip_samples != other.clip_samples {
            return differs("clip_samples", &self.clip_samples, &other.clip_samples);
        }
        if self.name != other.name {
            return differs("name", &self.name, &other.name);
        }
        if self.source != other.source {
            return differs("source", &self.source, &other.source);
        }
        Ok(())
    }
}

/// One clip: a line of `clips.csv`. Texts are free; genres are separated by `;`.
///
/// Of `String` where a row is made, of `&str` where [`Clips`] lends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipRow<S = String> {
    /// The clip's own name, unique in the data set.
    pub clip: S,
    /// The recording it was cut from, unique in the data set; its clips are adjoining rows.
    pub song: S,
    /// Who plays: the class.
    pub artist: S,
    /// Album, may be empty.
    pub album: S,
    /// Title, may be empty.
    pub title: S,
    /// Versions of one piece share it: splits by song keep them together.
    pub song_group: S,
    /// Genres, separated by `;`; may be empty.
    pub genre: S,
    /// Where the clip begins in the song, in samples at the data set's rate.
    pub start: u64,
    /// The clip's length in samples.
    pub samples: u64,
    /// The shard that holds its samples.
    pub shard: u32,
    /// Where they begin in the shard, in samples.
    pub offset: u64,
    /// The file it was decoded from, as the preparation knew it.
    pub source: S,
}

impl<S: AsRef<str>> ClipRow<S> {
    /// The same row, lent.
    pub fn view(&self) -> ClipRow<&str> {
        ClipRow {
            clip: self.clip.as_ref(),
            song: self.song.as_ref(),
            artist: self.artist.as_ref(),
            album: self.album.as_ref(),
            title: self.title.as_ref(),
            song_group: self.song_group.as_ref(),
            genre: self.genre.as_ref(),
            start: self.start,
            samples: self.samples,
            shard: self.shard,
            offset: self.offset,
            source: self.source.as_ref(),
        }
    }
}

impl ClipRow<&str> {
    /// The same row with texts of its own.
    pub fn owned(self) -> ClipRow {
        ClipRow {
            clip: self.clip.to_owned(),
            song: self.song.to_owned(),
            artist: self.artist.to_owned(),
            album: self.album.to_owned(),
            title: self.title.to_owned(),
            song_group: self.song_group.to_owned(),
            genre: self.genre.to_owned(),
            start: self.start,
            samples: self.samples,
            shard: self.shard,
            offset: self.offset,
            source: self.source.to_owned(),
        }
    }
}

/// The nearest 16-bit sample, full scale 1 being 32,768: halves away from zero, what lies beyond is clamped, NaN is 0.
pub fn quantize(sample: f32) -> i16 {
    // What `round` does to all that fits, without its call into a library, which took a ninth of preparing: just below a half
    // is added, or what lies just below a half would reach it. A float-to-integer `as` cuts towards zero and clamps.
    let scaled = sample * 32_768.0;
    (scaled + 0.5f32.next_down().copysign(scaled)) as i16
}

/// `dataset.toml` as it stands in the file; [`parse_info`] makes a [`DatasetInfo`] of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InfoFile {
    version: u32,
    name: String,
    licence: String,
    notes: String,
    source: String,
    sample_rate: u32,
    clip_samples: usize,
    /// Counts, so that a `clips.csv` cut short is noticed.
    clips: usize,
    songs: usize,
    artists: usize,
}

/// How many of each a data set holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) clips: usize,
    pub(super) songs: usize,
    pub(super) artists: usize,
}

impl Counts {
    pub(super) fn of(clips: &Clips) -> Self {
        let distinct = |key: for<'a> fn(ClipRow<&'a str>) -> &'a str| {
            clips.iter().map(key).collect::<HashSet<_>>().len()
        };
        Self {
            clips: clips.len(),
            songs: distinct(|row| row.song),
            artists: distinct(|row| row.artist),
        }
    }
}

pub(super) fn render_info(info: &DatasetInfo, counts: Counts) -> String {
    let file = InfoFile {
        version: DATASET_VERSION,
        name: info.name.clone(),
        licence: info.licence.clone(),
        notes: info.notes.clone(),
        source: info.source.clone(),
        sample_rate: info.sample_rate,
        clip_samples: info.clip_samples,
        clips: counts.clips,
        songs: counts.songs,
        artists: counts.artists,
    };
    // Strings and numbers alone cannot fail to become TOML.
    toml::to_string(&file).unwrap_or_default()
}

/// Reads the text of a `dataset.toml`; `path` is for complaints.
pub(super) fn parse_info(path: &Path, text: &str) -> Result<(DatasetInfo, Counts), StoreError> {
    let malformed =
        |reason: String| StoreError::Malformed { path: path.to_path_buf(), line: None, reason };
    #[derive(Deserialize)]
    struct VersionOnly {
        version: u32,
    }
    // The version first: another version may have other fields.
    let VersionOnly { version } =
        toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
    if version != DATASET_VERSION {
        return Err(StoreError::Version {
            path: path.to_path_buf(),
            found: version,
            supported: DATASET_VERSION,
        });
    }
    let file: InfoFile = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
    let info = DatasetInfo {
        name: file.name,
        licence: file.licence,
        notes: file.notes,
        sample_rate: file.sample_rate,
        clip_samples: file.clip_samples,
        source: file.source,
    };
    check_info(&info).map_err(malformed)?;
    Ok((info, Counts { clips: file.clips, songs: file.songs, artists: file.artists }))
}

/// What a description must be to be written and read.
pub(super) fn check_info(info: &DatasetInfo) -> Result<(), String> {
    if info.sample_rate == 0 || info.clip_samples == 0 {
        return Err("sample_rate and clip_samples must be above 0".to_owned());
    }
    Ok(())
}

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
