//! Turns music into a data set: decodes each song, cuts it into clips, and records why files are left out.
//!
//! Songs are decoded by several threads and stored in the order of artist and name, so the same music gives the same
//! bytes. A song becomes consecutive clips from its start; the rest after the last whole clip is dropped. The rules
//! that need the audio apply in this order: unreadable, samples that are not finite or far over full scale, too long,
//! shorter than one clip, silence (clip by clip, by [`Level`](leitmotif::audio::Level)), duplicate audio, maximum per
//! artist, too few songs of an artist. Where each clip is a file of its own (MagnaTagATune), files are cut or padded to
//! one length; unreadable ones and those shorter than nine tenths of it are left out, but silent ones are kept, as
//! published sets are kept complete.

mod damage;
mod decode;
mod error;
mod journal;
mod left_out_csv;
mod ordered_map;
mod plan;
mod report;
mod select;

use std::path::Path;

use leitmotif_models::SampleRate;

pub use damage::DamagedSong;
pub use error::PrepareError;
pub use plan::{MIN_SONGS, Options, Plan, check_room, plan};
pub use report::{ArtistCount, Report};

use crate::sources::Track;
use crate::store::DatasetWriter;
use journal::{Journal, JournalMatch};
use left_out_csv::too_few_artists;
use plan::JOURNAL;
use select::{ResumeState, Selection, Selector};

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
    let options = &plan.options;
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
    let journal = Journal::open(&journal_path, &settings)?;
    let mut selector = Selector::new(options, writer, journal, &plan.tracks);
    let mut decided = 0;
    let mut seconds = 0.0;
    // Songs that an earlier run decided are not decoded, but still selected, because later decisions depend on them.
    let items: Vec<(&Track, ResumeState)> =
        plan.tracks.iter().map(|track| (track, selector.resume_state(track))).collect();
    let resumed = items.iter().filter(|item| !matches!(item.1, ResumeState::Undecided)).count();
    let started = std::time::Instant::now();
    let clip_samples = options.clip_samples;
    let work = |(track, state): &(&Track, ResumeState)| {
        let is_decided = match state {
            ResumeState::Undecided => false,
            ResumeState::Incomplete(files) => {
                !decode::can_decode_one_of(files, track, clip_samples, stopped)
            }
            ResumeState::Decided => true,
        };
        (!is_decided).then(|| decode::song(track, clip_samples, stopped))
    };
    ordered_map::ordered_map(&items, options.threads, work, stopped, |(track, _), decoded| {
        let decoded = match decoded {
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
        Ok::<_, PrepareError>(())
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
            return Err(too_few_artists(artists, out, true, options.min_songs, &report.left_out)?);
        }
        writer.finish()?;
    }
    Ok(report)
}
