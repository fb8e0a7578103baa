//! Music to data set: decode every song once, cut it into clips, leave out what teaches wrongly, and say why.
//!
//! Songs are decoded on many threads and stored in the order of artist and name, so the same music makes the same bytes. A song becomes
//! back-to-back clips from its start; what remains after the last whole clip is dropped. Rules that need the sound are applied here, in this
//! order: unreadable, too long, samples that are not numbers, shorter than one clip, silence, duplicate audio, artist is full, artist with
//! too few songs. Where the clips of a song are files of their own (MagnaTagATune), each is cut or padded to one length, and left out only if
//! it is unreadable or lacks more than a tenth.

mod decode;
mod journal;
mod order;
mod reasons;
mod report;
mod sieve;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use leitmotif::store::{DatasetInfo, DatasetWriter, StoreError};
use leitmotif_models::SampleRate;
use sha2::{Digest, Sha256};

pub use reasons::{LeftOut, Reason};
pub use report::{ArtistCount, Report};

use crate::sources::{Found, Track};
use journal::{Journal, Origin};
use sieve::{Sieve, Sifted, Standing};

/// Samples of a clip where the user does not say otherwise: MagnaTagATune's 29 seconds.
pub const CLIP_SAMPLES: usize = 465_984;

/// Fewest songs of an artist where the user does not say otherwise: a split by song needs one for each of three parts, and one to spare.
pub const MIN_SONGS: usize = 4;

/// The journal of decisions in a data set's folder.
const JOURNAL: &str = "prepare.journal";

/// How to prepare.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Samples of a clip at 16 kHz.
    pub clip_samples: usize,
    /// Artists with fewer songs are left out; variants of one song count once.
    pub min_songs: usize,
    /// At most so many minutes of clips of each artist. Songs are then taken in an order that mixes the albums.
    pub max_minutes_per_artist: Option<f64>,
    /// Threads that decode.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Options {
            clip_samples: CLIP_SAMPLES,
            min_songs: MIN_SONGS,
            max_minutes_per_artist: None,
            threads,
        }
    }
}

/// What preparing tells while it works, after each song.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Songs looked at.
    pub done: usize,
    /// Songs in all.
    pub songs: usize,
    /// Clips in the data set so far.
    pub clips: usize,
    /// Seconds of music decoded in this run.
    pub seconds: f64,
}

/// What stops a preparation as a whole.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The output folder cannot be written.
    #[error("cannot write {}: {source}; choose another folder with --out", path.display())]
    Unwritable {
        /// File or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The folder holds a data set made from other music or with other settings.
    #[error("{} holds a data set of other music or other settings; choose another folder with --out, or delete this one", path.display())]
    OtherSettings {
        /// The output folder.
        path: PathBuf,
    },
    /// The folder was prepared by an earlier version of this program, whose decisions this one cannot take over.
    #[error("{} was prepared by an earlier version: train on it as it is, or delete the folder and prepare it anew", path.display())]
    EarlierVersion {
        /// The output folder.
        path: PathBuf,
    },
    /// Recognising needs at least two artists.
    #[error(
        "fewer than two artists with {min_songs} songs or more{}: nothing can be told apart{}",
        found(artists),
        told(unreadable, left_out)
    )]
    TooFewArtists {
        /// Those there are.
        artists: Vec<String>,
        /// Songs an artist needs.
        min_songs: usize,
        /// Why the first of the files that cannot be read cannot, and how many they are.
        unreadable: Option<(String, usize)>,
        /// The list of what was left out, where anything was.
        left_out: Option<PathBuf>,
    },
    /// An option that makes no sense.
    #[error("{option} must be {must}")]
    BadOption {
        /// The option.
        option: &'static str,
        /// What it must be.
        must: String,
    },
    /// The data set would not fit.
    #[error(
        "the data set takes {:.1} GB more and the disk of {} has {:.1} GB left; make room, or choose another disk with --out",
        *needed as f64 / 1e9, path.display(), *left as f64 / 1e9
    )]
    DiskTooSmall {
        /// The output folder.
        path: PathBuf,
        /// Bytes still to be written, at least.
        needed: u64,
        /// Bytes left.
        left: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn found(artists: &[String]) -> String {
    if artists.is_empty() { " (none)".to_owned() } else { format!(" ({})", artists.join(", ")) }
}

fn told(unreadable: &Option<(String, usize)>, left_out: &Option<PathBuf>) -> String {
    let unreadable = match unreadable {
        Some((why, 1)) => format!("; a file cannot be read: {why}"),
        Some((why, files)) => format!("; {files} files cannot be read, the first: {why}"),
        None => String::new(),
    };
    let list = left_out
        .as_ref()
        .map(|list| format!("; the files left out and why are listed in {}", list.display()));
    unreadable + &list.unwrap_or_default()
}

/// Music that is ready to be decoded: what [`plan`] leaves of what a source found.
#[derive(Clone, Debug)]
pub struct Plan {
    tracks: Vec<Track>,
    left_out: Vec<LeftOut>,
    found: Found,
    options: Options,
}

impl Plan {
    /// The songs to decode, in the order in which they are stored.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// Songs to decode.
    pub fn songs(&self) -> usize {
        self.tracks.len()
    }

    /// Artists of those songs.
    pub fn artists(&self) -> usize {
        self.tracks.iter().map(|track| &track.artist).collect::<BTreeSet<_>>().len()
    }

    /// Hours of music, and the number of songs whose length nothing tells.
    pub fn hours(&self) -> (f64, usize) {
        let known: f64 = self.tracks.iter().filter_map(|track| track.seconds).sum();
        (known / 3600.0, self.tracks.iter().filter(|track| track.seconds.is_none()).count())
    }

    /// About how many bytes the data set will take, songs of unknown length left aside.
    pub fn bytes(&self) -> u64 {
        let samples = |track: &Track| match track.clips.len() {
            0 => (track.seconds.unwrap_or(0.0) * f64::from(SampleRate::NETWORK.0)) as u64,
            clips => (clips * self.options.clip_samples) as u64,
        };
        2 * self.tracks.iter().map(samples).sum::<u64>()
    }
}

/// Refuses a disk that the plan does not fit on, as far as the lengths of its songs are known; what an earlier run wrote is there already.
///
/// # Errors
/// [`PrepareError::DiskTooSmall`]. A system that tells nothing of its disk is believed to have room.
pub fn check_room(plan: &Plan, out: &Path) -> Result<(), PrepareError> {
    let shards = std::fs::read_dir(out.join("shards")).into_iter().flatten().flatten();
    let written: u64 = shards.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    let needed = plan.bytes().saturating_sub(written);
    let is_there =
        out.ancestors().find(|folder| folder.exists()).filter(|folder| *folder != Path::new(""));
    match fs4::available_space(is_there.unwrap_or(Path::new("."))) {
        Ok(left) if left < needed => {
            Err(PrepareError::DiskTooSmall { path: out.to_owned(), needed, left })
        }
        _ => Ok(()),
    }
}

/// Applies the rules that need no sound: artists with too few songs go, and two artists must remain.
///
/// # Errors
/// Options without sense; fewer than two artists, after `left-out.csv` is written to `out`.
pub fn plan(mut found: Found, out: &Path, options: &Options) -> Result<Plan, PrepareError> {
    let bad = |option, must: &str| Err(PrepareError::BadOption { option, must: must.to_owned() });
    if options.clip_samples == 0 {
        return bad("--clip-samples", "at least 1");
    }
    if options.max_minutes_per_artist.is_some() && options.cap().is_none_or(|clips| clips == 0) {
        return bad("--max-minutes-per-artist", "a number of minutes that holds at least one clip");
    }
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for track in &found.tracks {
        groups.entry(&track.artist).or_default().insert(&track.song_group);
    }
    let few: BTreeMap<String, usize> = groups
        .into_iter()
        .filter(|(_, songs)| songs.len() < options.min_songs)
        .map(|(artist, songs)| (artist.to_owned(), songs.len()))
        .collect();
    let mut left_out = std::mem::take(&mut found.left_out);
    let mut tracks = std::mem::take(&mut found.tracks);
    tracks.retain_mut(|track| {
        let Some(songs) = few.get(&track.artist).copied() else { return true };
        let (path, artist) = (std::mem::take(&mut track.id), std::mem::take(&mut track.artist));
        let reason = Reason::FewSongs { artist, songs, needed: options.min_songs };
        left_out.push(LeftOut { path, reason });
        false
    });
    if options.max_minutes_per_artist.is_some() {
        let mixed = |track: &Track| Sha256::digest(&track.id).to_vec();
        tracks.sort_by_cached_key(|track| (track.artist.clone(), mixed(track), track.id.clone()));
    } else {
        // In place and without copies of the names: there may be hundreds of thousands.
        tracks.sort_unstable_by(|a, b| (&a.artist, &a.id).cmp(&(&b.artist, &b.id)));
    }
    let plan = Plan { tracks, left_out, found, options: options.clone() };
    if plan.artists() < 2 {
        let artists: BTreeSet<String> =
            plan.tracks.iter().map(|track| track.artist.clone()).collect();
        // Beside a data set lies its own list, and another process may be at work there.
        let list = !out.join(JOURNAL).exists();
        return Err(too_few(artists.into_iter().collect(), out, list, options, &plan.left_out)?);
    }
    Ok(plan)
}

/// The error, once the list it points to is written, where there is one to write and anything to list.
fn too_few(
    artists: Vec<String>,
    out: &Path,
    list: bool,
    options: &Options,
    left_out: &[LeftOut],
) -> Result<PrepareError, PrepareError> {
    let list = (list && !left_out.is_empty()).then(|| reasons::list(out));
    if list.is_some() {
        write_left_out(out, left_out)?;
    }
    let mut unreadable = left_out.iter().filter_map(|file| match &file.reason {
        Reason::Unreadable { why } if why.contains(&file.path) => Some(why.clone()),
        Reason::Unreadable { why } => Some(format!("{}: {why}", file.path)),
        _ => None,
    });
    let first = unreadable.next();
    Ok(PrepareError::TooFewArtists {
        artists,
        min_songs: options.min_songs,
        unreadable: first.map(|why| (why, 1 + unreadable.count())),
        left_out: list,
    })
}

/// Decodes, cuts and stores the planned songs in the folder `out`; goes on where an earlier run of the same plan stopped.
///
/// `progress` hears of every song. When `stopped` turns true, what is done is kept and the report says that it is not finished.
pub fn prepare(
    plan: &Plan,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<Report, PrepareError> {
    let options = &plan.options;
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| PrepareError::Unwritable { path, source }
    };
    std::fs::create_dir_all(out).map_err(unwritable(out))?;
    let journal_path = out.join(JOURNAL);
    let settings = plan.fingerprint();
    let origin = Journal::origin(&journal_path, &settings).map_err(unwritable(&journal_path))?;
    // A data set without our journal was made by other means, and what it holds is not known.
    let is_strange = !journal_path.exists() && out.join("dataset.toml").exists();
    match origin {
        Origin::Ours if !is_strange => {}
        Origin::Ours | Origin::Other => {
            return Err(PrepareError::OtherSettings { path: out.to_owned() });
        }
        Origin::Earlier => return Err(PrepareError::EarlierVersion { path: out.to_owned() }),
    }
    let writer = DatasetWriter::create_or_resume(out, plan.info())?;
    let journal = Journal::open(&journal_path, &settings)?;
    let mut sieve = Sieve::new(options, writer, journal, &plan.tracks);
    let mut decided = 0;
    let mut seconds = 0.0;
    // What is decided is not decoded again, but takes its turn, because later decisions depend on it.
    let items: Vec<(&Track, Standing)> =
        plan.tracks.iter().map(|track| (track, sieve.standing(track))).collect();
    let resumed = items.iter().filter(|item| !matches!(item.1, Standing::Undecided)).count();
    let begun = std::time::Instant::now();
    let clip_samples = options.clip_samples;
    let work = |(track, standing): &(&Track, Standing)| {
        let is_decided = match standing {
            Standing::Undecided => false,
            Standing::Lacking(files) => {
                !decode::can_hear_one_of(files, track, clip_samples, stopped)
            }
            Standing::Decided => true,
        };
        (!is_decided).then(|| decode::song(track, clip_samples, stopped))
    };
    order::in_order(&items, options.threads, work, stopped, |(track, _), decoded| {
        match decoded {
            None => sieve.recall(track)?,
            Some(Ok(None)) => return Ok(()),
            Some(Ok(Some(song))) => {
                seconds += SampleRate::NETWORK.seconds(song.samples as u64);
                sieve.song(track, song)?;
            }
            Some(Err(reason)) => sieve.leave_out(track, reason)?,
        }
        decided += 1;
        progress(Progress {
            done: decided,
            songs: plan.tracks.len(),
            clips: sieve.clips(),
            seconds,
        });
        Ok::<_, PrepareError>(())
    })?;
    let finished = decided == plan.tracks.len();
    let Sifted { kept, left_out, writer } = sieve.end(finished);
    let mut report = Report::new(plan, kept, left_out, finished);
    report.resumed = resumed;
    report.decoded_seconds = seconds;
    report.wall_seconds = begun.elapsed().as_secs_f64();
    write_left_out(out, &report.left_out)?;
    if finished {
        if report.artists.len() < 2 {
            let artists = report.artists.iter().map(|artist| artist.artist.clone()).collect();
            return Err(too_few(artists, out, true, options, &report.left_out)?);
        }
        writer.finish()?;
    }
    Ok(report)
}

fn write_left_out(out: &Path, left_out: &[LeftOut]) -> Result<(), PrepareError> {
    let unwritable = |source| PrepareError::Unwritable { path: out.to_owned(), source };
    std::fs::create_dir_all(out).map_err(unwritable)?;
    Ok(reasons::write(out, left_out)?)
}

impl Options {
    /// Most clips of an artist.
    fn cap(&self) -> Option<usize> {
        let clip_seconds = SampleRate::NETWORK.seconds(self.clip_samples as u64);
        self.max_minutes_per_artist.map(|minutes| (minutes * 60.0 / clip_seconds) as usize)
    }
}

impl Plan {
    fn info(&self) -> DatasetInfo {
        DatasetInfo {
            name: self.found.name.clone(),
            licence: self.found.licence.clone(),
            notes: self.found.notes.clone(),
            sample_rate: SampleRate::NETWORK.0,
            clip_samples: self.options.clip_samples,
            source: self.found.source.clone(),
        }
    }

    /// Everything that decides what the data set will hold: a run with another fingerprint is another data set.
    fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        let mut add = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        let Options { clip_samples, min_songs, max_minutes_per_artist, threads: _ } = &self.options;
        add(&format!("{clip_samples} {min_songs} {max_minutes_per_artist:?}"));
        for track in &self.tracks {
            // A track's id tells the file and the excerpt.
            let Track { id, artist, album, title, song_group, genres, clips, .. } = track;
            [id, artist, album, title, song_group]
                .into_iter()
                .chain(genres)
                .chain(clips.iter().map(|clip| &clip.id))
                .for_each(|text| add(text));
        }
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
