//! Where a checkpoint is and the names of its files: shared by the trainer, which writes it, and everything that reads it.
//!
//! ```text
//! RUN/last/    the state after the newest epoch      run.json  weights.safetensors  optimizer.safetensors  probe.safetensors
//! RUN/best/    the state of the best epoch           the same files
//! ```
//!
//! A folder cannot replace a full one in one step: the trainer renames `NAME` to `.NAME.old` and then the new folder to
//! `NAME`. Between the two, and for good where the trainer was killed there, the checkpoint is [`locate`]d under the old name.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Folder, in a run's folder, of the checkpoint after the newest epoch.
pub const LAST: &str = "last";
/// Folder, in a run's folder, of the checkpoint of the best epoch.
pub const BEST: &str = "best";
/// What was trained, on what and how far: [`RunRecord`](crate::RunRecord).
pub const RECORD: &str = "run.json";
/// Weights and running statistics, by the names of [`Network::params`](crate::Network::params).
pub const WEIGHTS: &str = "weights.safetensors";
/// The optimizer's moments.
pub const OPTIMIZER: &str = "optimizer.safetensors";
/// Inputs with the trained network's own logits and embeddings.
pub const PROBE: &str = "probe.safetensors";
/// Predictions on the test part, in a run's folder.
pub const PREDICTIONS: &str = "test.predictions.jsonl";

/// The folder of the checkpoint of this name: `folder`, or the earlier one beside it while only that is there.
pub fn locate(folder: &Path) -> PathBuf {
    let old = beside(folder, "old");
    if !folder.exists() && old.exists() { old } else { folder.to_path_buf() }
}

/// Whether `folder` is a checkpoint.
pub fn is_checkpoint(folder: &Path) -> bool {
    locate(folder).join(RECORD).exists()
}

/// Whether `folder` is a run's: it holds checkpoints and is none itself.
pub fn is_run(folder: &Path) -> bool {
    !is_checkpoint(folder) && [LAST, BEST].iter().any(|name| is_checkpoint(&folder.join(name)))
}

/// `.NAME.ending` beside `path`, on the same file system: `new` while it is being written, `old` while it is replaced.
pub fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_found_where_a_kill_left_it() {
        let run = tempfile::tempdir().unwrap();
        let last = run.path().join(LAST);
        assert_eq!(locate(&last), last);
        assert!(!is_run(run.path()) && !is_checkpoint(&last));

        let old = run.path().join(".last.old");
        std::fs::create_dir(&old).unwrap();
        std::fs::write(old.join(RECORD), "{}").unwrap();
        assert_eq!(locate(&last), old);
        assert!(is_run(run.path()) && is_checkpoint(&last) && !is_run(&last));

        std::fs::create_dir(&last).unwrap();
        assert_eq!(locate(&last), last, "the new one counts as soon as it has its name");
    }
}
