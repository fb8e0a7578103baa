//! When and in which order the files of a run are written, so that a kill at any moment costs no more than the steps
//! since the last checkpoint.

use std::cmp::Reverse;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use leitmotif_models::Network;
use leitmotif_models::checkpoint::{
    BEST, LAST, PREDICTIONS, RECORD, beside, epoch_folder, epoch_of_folder,
};

use crate::error::TrainError;
use crate::learn::checkpoint::{Checkpoint, remove, settle};
use crate::learn::config::FitConfig;
use crate::learn::history::{HISTORY, History};
use crate::learn::probe::{Position, TrainedValues};
use crate::learn::settings;
use crate::learn::task::Task;
use crate::model::tensors::Values;

/// Writes the folder of a run.
#[derive(Debug)]
pub(crate) struct Saving<'a> {
    run: &'a Path,
    task: &'a Task,
    config: &'a FitConfig,
    /// Inputs of the probe.
    probe: Values,
    /// Within an epoch; `None` writes no checkpoint there.
    every: Option<Duration>,
    /// Finished epochs that are kept.
    kept: usize,
    since: Instant,
}

impl<'a> Saving<'a> {
    pub(crate) fn new(run: &'a Path, task: &'a Task, config: &'a FitConfig, probe: Values) -> Self {
        let seconds = 60.0 * config.checkpoint_minutes;
        let every = (seconds > 0.0).then(|| Duration::try_from_secs_f64(seconds));
        // A time that is too long for a duration never passes.
        let every = every.and_then(Result::ok);
        let (kept, since) = (config.keep_checkpoints, Instant::now());
        Saving { run, task, config, probe, every, kept, since }
    }

    /// Whether so long has passed since the last checkpoint that one is due within the epoch.
    pub(crate) fn is_due(&self) -> bool {
        self.every.is_some_and(|every| self.since.elapsed() >= every)
    }

    /// Writes a checkpoint within an epoch, as the last and nothing else: best checkpoint and history are of whole
    /// epochs.
    pub(crate) fn within_epoch(
        &mut self,
        values: TrainedValues,
        network: &Network,
        at: Position,
    ) -> Result<(), TrainError> {
        self.checkpoint(values, network, at)?.write(&self.run.join(LAST))?;
        self.since = Instant::now();
        Ok(())
    }

    /// Writes a finished epoch. The last checkpoint is written last: a run that is killed before that resumes from the
    /// one before, and so repeats the rest of this epoch and writes the same again.
    pub(crate) fn after_epoch(
        &mut self,
        values: TrainedValues,
        network: &Network,
        at: Position,
        is_best: bool,
        history: &History,
    ) -> Result<(), TrainError> {
        let checkpoint = self.checkpoint(values, network, at)?;
        if is_best {
            checkpoint.write(&self.run.join(BEST))?;
        }
        history.write(self.run)?;
        if self.kept > 0 {
            checkpoint.write(&self.run.join(epoch_folder(at.epoch)))?;
        }
        checkpoint.write(&self.run.join(LAST))?;
        self.since = Instant::now();
        self.remove_older(at.epoch)
    }

    fn checkpoint(
        &self,
        values: TrainedValues,
        network: &Network,
        at: Position,
    ) -> Result<Checkpoint, TrainError> {
        values.checkpoint(self.task, network, self.config, at, &self.probe)
    }

    /// Clears away what a kill left of any write. Only for the process that holds the run's lock.
    pub(crate) fn recover(run: &Path) -> Result<(), TrainError> {
        for name in names(run)? {
            let Some((of, ending)) = name.strip_prefix('.').and_then(|name| name.rsplit_once('.'))
            else {
                continue;
            };
            let is_checkpoint = [LAST, BEST].contains(&of) || epoch_of_folder(of).is_some();
            match ending {
                "old" | "new" if is_checkpoint => settle(&run.join(of))?,
                GOING if is_checkpoint => remove(&run.join(&name))?,
                _ => {}
            }
        }
        let kept = names(run)?.into_iter().filter(|name| epoch_of_folder(name).is_some());
        let checkpoints = [LAST, BEST].map(str::to_owned).into_iter().chain(kept);
        let folders = checkpoints.map(|name| run.join(name)).chain([run.to_owned()]);
        for folder in folders.filter(|folder| folder.exists()) {
            // As `replace` names them: `.NAME.PROCESS.part`.
            for name in names(&folder)?.into_iter().filter(|name| name.ends_with(".part")) {
                if WRITTEN.iter().any(|file| name.starts_with(&format!(".{file}."))) {
                    let path = folder.join(&name);
                    fs::remove_file(&path).map_err(|e| TrainError::file(&path, e))?;
                }
            }
        }
        Ok(())
    }

    /// Removes kept epochs but for the newest ones up to this epoch, whose last checkpoint is complete: a kill may have
    /// come before.
    pub(crate) fn remove_older(&self, newest: usize) -> Result<(), TrainError> {
        if self.kept == 0 {
            return Ok(());
        }
        let names = names(self.run)?;
        let mut kept: Vec<usize> = names.iter().filter_map(|name| epoch_of_folder(name)).collect();
        kept.retain(|epoch| *epoch <= newest);
        kept.sort_unstable_by_key(|epoch| Reverse(*epoch));
        for epoch in kept.into_iter().skip(self.kept) {
            // Renamed first: a folder without some of its files would look like a damaged checkpoint.
            let folder = self.run.join(epoch_folder(epoch));
            let going = beside(&folder, GOING);
            remove(&going)?;
            fs::rename(&folder, &going).map_err(|e| TrainError::file(&folder, e))?;
            remove(&going)?;
        }
        Ok(())
    }
}

/// Ending of a kept epoch that is being removed.
const GOING: &str = "going";
/// Files that are replaced by themselves.
const WRITTEN: [&str; 5] = [HISTORY, RECORD, PREDICTIONS, settings::FILE, settings::NETWORK];

/// The names in a folder; one that is no Unicode is none of ours.
fn names(folder: &Path) -> Result<Vec<String>, TrainError> {
    let failed = |error| TrainError::file(folder, error);
    let entries = fs::read_dir(folder).map_err(failed)?;
    let names = entries.map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
    names.filter_map(Result::transpose).collect::<Result<_, _>>().map_err(failed)
}
