//! Prepares one part.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use leitmotif_models::SampleRate;
use leitmotif_models::text::count;
use serde::Serialize;

use super::entry::{DecodedSong, Entry, Outcome, Place};
use super::error::PartError;
use super::journal::{self, Header, JournalWriter, PROGRAM};
use super::music_list;
use super::number::PartOf;
use super::samples::SampleWriter;
use crate::fs::Lock;
use crate::prepare::decode::{self, AudioDigest};
use crate::prepare::error::PrepareError;
use crate::prepare::ordered_map::ordered_map;
use crate::prepare::plan::{Plan, check_room_for};
use crate::prepare::run::Progress;
use crate::prepare::select::ResumeState;
use crate::sources::{Reason, Track};

impl PartOf {
    /// The number of songs of a plan that belong to this part.
    pub fn songs(self, plan: &Plan) -> usize {
        self.count(plan.tracks.len())
    }
}

/// The lock in the folder of a part.
pub(super) const LOCK: &str = "part.lock";

/// Which part to prepare, and where.
#[derive(Clone, Copy, Debug)]
pub struct PartRun<'a> {
    /// The part.
    pub part: PartOf,
    /// The folder of all parts; this one has a folder of its own there.
    pub parts: &'a Path,
    /// The program and its arguments without the part, for the messages of [`Merge`](super::merge::Merge); may be
    /// empty.
    pub command: &'a [String],
}

impl PartRun<'_> {
    /// The folder of the part.
    pub fn folder(&self) -> PathBuf {
        self.part.folder(self.parts)
    }
}

/// What a part holds.
#[derive(Clone, Debug, Serialize)]
pub struct PartReport {
    /// The part.
    pub part: PartOf,
    /// Whether every song of the part was processed; false after an interruption.
    pub finished: bool,
    /// Its songs.
    pub songs: usize,
    /// Those that are decoded; some of them may be left out when the parts are merged.
    pub decoded: usize,
    /// Their clips.
    pub clips: usize,
    /// The number of songs and clip files that each rule leaves out.
    pub left_out_by_rule: BTreeMap<&'static str, usize>,
    /// Songs that an earlier run had processed.
    pub resumed: usize,
    /// Seconds of music decoded in this run.
    pub decoded_seconds: f64,
    /// Wall-clock seconds of this run.
    pub wall_seconds: f64,
}

impl fmt::Display for PartReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "part {}: {} of {} decoded, {}",
            self.part,
            self.decoded,
            count(self.songs, "song"),
            count(self.clips, "clip")
        )?;
        for (rule, files) in &self.left_out_by_rule {
            writeln!(f, "{files:>6}  left out: {rule}")?;
        }
        Ok(())
    }
}

/// Decodes the songs of `plan` that belong to a part, and stores them in its folder; resumes where an earlier run
/// stopped. A finished part is only checked for files that were unreadable and are not any more.
///
/// `progress` is called after each song. Once `stopped` returns true, finished songs are kept and the report is not
/// `finished`.
///
/// # Errors
///
/// [`PartError::OtherSettings`], [`PartError::BeingPrepared`], [`PartError::Unreadable`], and in
/// [`PartError::Prepare`] a disk that is too small or cannot be written.
pub fn prepare_part(
    plan: &Plan,
    run: &PartRun<'_>,
    progress: &mut dyn FnMut(Progress),
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<PartReport, PartError> {
    let started = Instant::now();
    let part = run.part;
    let own = || plan.tracks.iter().enumerate().filter(|(number, _)| part.has(*number));
    let mut writer = PartWriter::open(plan, run)?;
    check_room_for(plan.bytes_of(own().map(|(_, track)| track)), &run.folder())?;
    let items: Vec<(usize, &Track, ResumeState)> =
        own().map(|(number, track)| (number, track, writer.resume_state(number, track))).collect();
    let resumed = items.iter().filter(|item| !matches!(item.2, ResumeState::Undecided)).count();
    let clip_samples = plan.options.clip_samples;
    let work = |(_, track, state): &(usize, &Track, ResumeState)| {
        let is_decided = match state {
            ResumeState::Undecided => false,
            ResumeState::Incomplete(files) => {
                !decode::can_decode_one_of(files, track, clip_samples, stopped)
            }
            ResumeState::Decided => true,
        };
        (!is_decided).then(|| decode::song(track, clip_samples, stopped))
    };
    let (mut done, mut clips, mut seconds) = (0, 0, 0.0);
    ordered_map(&items, plan.options.threads, work, stopped, |(number, track, _), decoded| {
        match decoded {
            Some(Ok(None)) => return Ok(()),
            Some(Ok(Some(song))) => {
                seconds += SampleRate::NETWORK.seconds(song.samples as u64);
                writer.put_song(*number, track, &song)?;
            }
            Some(Err(reason)) => writer.put_reason(*number, reason)?,
            None => {}
        }
        done += 1;
        clips += writer.clips(*number);
        progress(Progress { done, songs: items.len(), clips, seconds });
        Ok::<_, PartError>(())
    })?;
    let mut report = writer.report(part, items.len());
    report.finished = done == items.len();
    report.resumed = resumed;
    report.decoded_seconds = seconds;
    report.wall_seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// Writes the folder of a part.
struct PartWriter {
    clip_samples: usize,
    journal: JournalWriter,
    samples: SampleWriter,
    /// The results of songs, including those of earlier runs.
    results: HashMap<usize, Outcome>,
    /// Held until the part is written.
    _lock: Lock,
}

impl PartWriter {
    fn open(plan: &Plan, run: &PartRun<'_>) -> Result<Self, PartError> {
        let folder = run.folder();
        let unwritable = |source| PrepareError::Unwritable { path: folder.clone(), source };
        std::fs::create_dir_all(&folder).map_err(unwritable)?;
        let lock = Lock::take(&folder.join(LOCK))
            .map_err(unwritable)?
            .ok_or_else(|| PartError::BeingPrepared { path: folder.clone() })?;
        let music = music_list::digest(plan).map_err(unwritable)?;
        let clip_samples = plan.options.clip_samples;
        let (mut results, mut end) = (HashMap::new(), Place::default());
        let known = journal::read(&folder, |_, Entry { song, result }| {
            if let Outcome::Decoded(song) = &result {
                let samples = song.clips.saturating_mul(clip_samples) as u64;
                let offset = song.place.offset.saturating_add(samples);
                end = end.max(Place { offset, ..song.place });
            }
            results.insert(song, result);
            Ok(())
        })?;
        let journal = match known {
            Some((known, length)) => {
                check_same(&known, plan, &music, &folder, run.part)?;
                JournalWriter::open(&folder, length)?
            }
            None => {
                // Before the journal, whose existence tells that the list is complete.
                music_list::write(&folder, plan)?;
                JournalWriter::create(&folder, &Header::new(run.part, music, plan, run.command))?
            }
        };
        let samples = SampleWriter::open(&folder, end)?;
        Ok(PartWriter { clip_samples, journal, samples, results, _lock: lock })
    }

    /// What earlier runs have recorded about a song. Unreadable files are tried again: a drive may be reconnected.
    fn resume_state(&self, number: usize, track: &Track) -> ResumeState {
        match self.results.get(&number) {
            None => ResumeState::Undecided,
            Some(Outcome::LeftOut(reason)) if matches!(**reason, Reason::Unreadable { .. }) => {
                ResumeState::Undecided
            }
            Some(Outcome::Decoded(song)) if !track.clips.is_empty() && !song.without.is_empty() => {
                ResumeState::Incomplete(song.without.iter().map(|(file, _)| file.clone()).collect())
            }
            Some(_) => ResumeState::Decided,
        }
    }

    /// Stores a decoded song, unless an earlier run has stored as much of it.
    fn put_song(
        &mut self,
        number: usize,
        track: &Track,
        song: &decode::Song,
    ) -> Result<(), PartError> {
        if let Some(Outcome::Decoded(stored)) = self.results.get(&number) {
            let is_left_out = |id: &String| song.unusable_files.iter().any(|file| file.path == *id);
            let was_left_out = |id: &String| stored.without.iter().any(|(path, _)| path == id);
            let mut files = track.clips.iter().map(|file| &file.id);
            let has_lost_one = files.any(|id| is_left_out(id) && !was_left_out(id));
            if has_lost_one || song.clips.len() <= stored.clips * self.clip_samples {
                return Ok(());
            }
        }
        let (place, pcm) = match song.clips.is_empty() {
            true => (Place::default(), AudioDigest::default()),
            false => self.samples.append(&song.clips)?,
        };
        let decoded = DecodedSong::of(song, self.clip_samples, place, pcm);
        self.put(number, Outcome::Decoded(Box::new(decoded)))
    }

    /// Records why a song has no audio.
    fn put_reason(&mut self, number: usize, reason: Reason) -> Result<(), PartError> {
        self.put(number, Outcome::LeftOut(Box::new(reason)))
    }

    fn put(&mut self, song: usize, result: Outcome) -> Result<(), PartError> {
        if self.results.get(&song) != Some(&result) {
            self.journal.append(&Entry { song, result: result.clone() })?;
            self.results.insert(song, result);
        }
        Ok(())
    }

    fn clips(&self, number: usize) -> usize {
        match self.results.get(&number) {
            Some(Outcome::Decoded(song)) => song.clips,
            _ => 0,
        }
    }

    fn report(&self, part: PartOf, songs: usize) -> PartReport {
        let mut report = PartReport {
            part,
            finished: false,
            songs,
            decoded: 0,
            clips: 0,
            left_out_by_rule: BTreeMap::new(),
            resumed: 0,
            decoded_seconds: 0.0,
            wall_seconds: 0.0,
        };
        let mut leave_out = |reason: &Reason, files| {
            *report.left_out_by_rule.entry(reason.rule()).or_default() += files;
        };
        for result in self.results.values() {
            match result {
                Outcome::LeftOut(reason) => leave_out(reason, 1),
                Outcome::Decoded(song) => {
                    song.without.iter().for_each(|(_, reason)| leave_out(reason, 1));
                    if !song.silent.is_empty() {
                        leave_out(&Reason::SilentClip, song.silent.len());
                    }
                    report.decoded += usize::from(song.clips > 0);
                    report.clips += song.clips;
                }
            }
        }
        report
    }
}

/// Checks that an existing part can be resumed for `plan`.
fn check_same(
    known: &Header,
    plan: &Plan,
    music: &str,
    folder: &Path,
    part: PartOf,
) -> Result<(), PartError> {
    let differs =
        |difference| Err(PartError::OtherSettings { path: folder.to_owned(), difference });
    if known.part != part {
        return differs(format!("it is part {}, not {part}", known.part));
    }
    if known.program != PROGRAM {
        return differs(format!("it was made by version {}, not {PROGRAM}", known.program));
    }
    if known.music != music {
        let (found, wanted) = (music_list::lines_in(folder)?, music_list::lines(plan));
        return differs(music_list::difference(found, wanted));
    }
    Ok(())
}
