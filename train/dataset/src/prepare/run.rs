//! Decides about every planned song in order, and stores those that are kept.

use std::collections::HashMap;
use std::path::Path;

use leitmotif_models::SampleRate;

use super::decode::{self, Song};
use super::error::PrepareError;
use super::journal::{Journal, JournalMatch};
use super::left_out_csv::{self, too_few_artists};
use super::ordered_map;
use super::plan::{JOURNAL, Plan};
use super::report::Report;
use super::select::{ResumeState, Selection, Selector};
use crate::sources::{Reason, Track};
use crate::store::DatasetWriter;

/// Progress after a song.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Songs processed.
    pub done: usize,
    /// Songs in total.
    pub songs: usize,
    /// Clips in the data set so far.
    pub clips: usize,
    /// Seconds of music decoded in this run.
    pub seconds: f64,
}

/// Decodes, cuts and stores the planned songs in the folder `out`; resumes where an earlier run of the same plan
/// stopped.
///
/// `progress` is called after each song. Once `stopped` returns true, finished songs are kept and the report is not
/// `finished`.
///
/// # Errors
///
/// [`PrepareError`]. A file that cannot be decoded is no error: it is left out, with its reason.
pub fn prepare(
    plan: &Plan,
    out: &Path,
    progress: &mut dyn FnMut(Progress),
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<Report, PrepareError> {
    store_songs(plan, out, &Files { clip_samples: plan.options.clip_samples }, progress, stopped)
}

/// A song, the reason why it has no usable audio, or `Ok(None)` once its reader was stopped.
pub(super) type Decoded = Result<Option<Song>, Reason>;

/// Where the audio of planned songs comes from. An error ends the preparation.
pub(super) trait Songs: Sync {
    /// Why no further song can be had.
    type Error: From<PrepareError> + Send;

    /// The audio of a song, by its number in the plan.
    fn song(
        &self,
        number: usize,
        track: &Track,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Decoded, Self::Error>;

    /// Whether at least one of these clip files of a song, which were unusable before, is usable now.
    fn has_one_of(
        &self,
        files: &[String],
        number: usize,
        track: &Track,
        stopped: &dyn Fn() -> bool,
    ) -> Result<bool, Self::Error>;
}

/// Songs decoded from their files.
struct Files {
    clip_samples: usize,
}

impl Songs for Files {
    type Error = PrepareError;

    fn song(
        &self,
        _number: usize,
        track: &Track,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Decoded, PrepareError> {
        Ok(decode::song(track, self.clip_samples, stopped))
    }

    fn has_one_of(
        &self,
        files: &[String],
        _number: usize,
        track: &Track,
        stopped: &dyn Fn() -> bool,
    ) -> Result<bool, PrepareError> {
        Ok(decode::can_decode_one_of(files, track, self.clip_samples, stopped))
    }
}

/// [`prepare`] with the audio of `songs`.
pub(super) fn store_songs<S: Songs>(
    plan: &Plan,
    out: &Path,
    songs: &S,
    progress: &mut dyn FnMut(Progress),
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<Report, S::Error> {
    let options = &plan.options;
    let (journal, writer) = open_folder(plan, out)?;
    let mut selector = Selector::new(options, writer, journal, &plan.tracks);
    let mut decided = 0;
    let mut seconds = 0.0;
    // Songs that an earlier run decided are not decoded, but still selected, because later decisions depend on them.
    // A song's number and whether it must be decoded; few songs lack clip files.
    let (mut items, mut incomplete) = (Vec::with_capacity(plan.tracks.len()), HashMap::new());
    for (number, track) in plan.tracks.iter().enumerate() {
        let state = selector.resume_state(track);
        items.push((number, matches!(state, ResumeState::Undecided)));
        if let ResumeState::Incomplete(files) = state {
            incomplete.insert(number, files);
        }
    }
    let resumed = items.iter().filter(|(_, is_undecided)| !is_undecided).count();
    let started = std::time::Instant::now();
    let work = |(number, is_undecided): &(usize, bool)| {
        let Some(track) = plan.tracks.get(*number) else { return Ok(None) };
        let is_decided = match incomplete.get(number) {
            Some(files) => !songs.has_one_of(files, *number, track, stopped)?,
            None => !is_undecided,
        };
        if is_decided {
            return Ok(None);
        }
        songs.song(*number, track, stopped).map(Some)
    };
    ordered_map::ordered_map(&items, options.threads, work, stopped, |(number, _), decoded| {
        let Some(track) = plan.tracks.get(*number) else { return Ok(()) };
        let decoded = match decoded? {
            Some(Ok(None)) => return Ok(()),
            Some(Ok(Some(song))) => {
                seconds += SampleRate::NETWORK.seconds(song.samples as u64);
                Some(Ok(song))
            }
            Some(Err(reason)) => Some(Err(reason)),
            None => None,
        };
        selector.select(track, decoded)?;
        decided += 1;
        progress(Progress {
            done: decided,
            songs: plan.tracks.len(),
            clips: selector.clips(),
            seconds,
        });
        Ok::<_, S::Error>(())
    })?;
    let finished = decided == plan.tracks.len();
    let Selection { kept, left_out, writer } = selector.end(finished);
    let mut report = Report::new(plan, kept, left_out, finished);
    report.resumed = resumed;
    report.decoded_seconds = seconds;
    report.wall_seconds = started.elapsed().as_secs_f64();
    left_out_csv::write(out, &report.left_out)?;
    left_out_csv::write_damaged(out, &report.damaged)?;
    left_out_csv::write_notes(out, &report.notes)?;
    if finished {
        if report.artists.len() < 2 {
            let artists = report.artists.iter().map(|artist| artist.artist.clone()).collect();
            return Err(
                too_few_artists(artists, out, true, options.min_songs, &report.left_out)?.into()
            );
        }
        writer.finish().map_err(PrepareError::from)?;
    }
    Ok(report)
}

/// Opens the journals of `out`, new or of the same plan.
fn open_folder(plan: &Plan, out: &Path) -> Result<(Journal, DatasetWriter), PrepareError> {
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| PrepareError::Unwritable { path, source }
    };
    std::fs::create_dir_all(out).map_err(unwritable(out))?;
    let journal_path = out.join(JOURNAL);
    let settings = plan.fingerprint();
    let journal_match =
        Journal::compare(&journal_path, &settings).map_err(unwritable(&journal_path))?;
    // A data set without this journal was not made by `prepare`, so its settings are unknown.
    let is_foreign = !journal_path.exists() && out.join("dataset.toml").exists();
    match journal_match {
        JournalMatch::Same if !is_foreign => {}
        JournalMatch::Same | JournalMatch::OtherSettings => {
            return Err(PrepareError::OtherSettings { path: out.to_owned() });
        }
        JournalMatch::EarlierVersion => {
            return Err(PrepareError::EarlierVersion { path: out.to_owned() });
        }
    }
    let writer = DatasetWriter::create_or_resume(out, plan.info())?;
    Ok((Journal::open(&journal_path, &settings)?, writer))
}
