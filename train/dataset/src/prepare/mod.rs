//! Music to data set: decode every song once, cut it into clips, leave out what would mislead training, and say why.
//!
//! Songs are decoded on many threads and stored in the order of artist and name, so the same music makes the same bytes. A song becomes
//! back-to-back clips from its start; what remains after the last whole clip is dropped. Rules that need the sound are applied here, in this
//! order: unreadable, too long, samples that are not numbers, shorter than one clip, silence, duplicate audio, artist is full, artist with
//! too few songs. Where the clips of a song are files of their own (MagnaTagATune), each is cut or padded to one length, and left out only if
//! it is unreadable or lacks more than a tenth.

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

pub use error::PrepareError;
pub use plan::{MIN_SONGS, Options, Plan, check_room, plan};
pub use report::{ArtistCount, Report};

use crate::sources::Track;
use crate::store::DatasetWriter;
use journal::{Journal, Origin};
use left_out_csv::too_few_artists;
use plan::JOURNAL;
use select::{ResumeState, Selection, Selector};

/// The state of a preparation after a song.
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

/// Decodes, cuts and stores the planned songs in the folder `out`; goes on where an earlier run of the same plan stopped.
///
/// `progress` is called after every song. When `stopped` turns true, what is done is kept and the report is not `finished`.
///
/// # Errors
/// [`PrepareError`]: what stops the preparation as a whole. A file that cannot be decoded is left out, with its reason.
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
    let mut selector = Selector::new(options, writer, journal, &plan.tracks);
    let mut decided = 0;
    let mut seconds = 0.0;
    // What is decided is not decoded again, but takes its turn, because later decisions depend on it.
    let items: Vec<(&Track, ResumeState)> =
        plan.tracks.iter().map(|track| (track, selector.resume_state(track))).collect();
    let resumed = items.iter().filter(|item| !matches!(item.1, ResumeState::Undecided)).count();
    let begun = std::time::Instant::now();
    let clip_samples = options.clip_samples;
    let work = |(track, state): &(&Track, ResumeState)| {
        let is_decided = match state {
            ResumeState::Undecided => false,
            ResumeState::Lacking(files) => {
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
    report.wall_seconds = begun.elapsed().as_secs_f64();
    left_out_csv::write(out, &report.left_out)?;
    if finished {
        if report.artists.len() < 2 {
            let artists = report.artists.iter().map(|artist| artist.artist.clone()).collect();
            return Err(too_few_artists(artists, out, true, options.min_songs, &report.left_out)?);
        }
        writer.finish()?;
    }
    Ok(report)
}
