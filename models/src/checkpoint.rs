//! Where a checkpoint is and the names of its files: shared by the trainer, which writes it, and everything that reads it.
//!
//! ```text
//! RUN/last/          the newest state, perhaps within an epoch
//! RUN/best/          the state of the best epoch
//! RUN/epoch-0007/    the state after epoch 7, if it was kept
//! each with run.json  weights.safetensors  optimizer.safetensors  probe.safetensors
//! ```
//!
//! A folder cannot replace a full one in one step: the trainer renames `NAME` to `.NAME.old` and then the new folder to
//! `NAME`. Between the two, and for good where the trainer was killed there, the checkpoint is [`locate`]d under the old name.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Folder, in a run's folder, of the newest checkpoint.
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

/// Folder, in a run's folder, of the checkpoint that is kept of this epoch, counted from 1.
pub fn epoch_folder(epoch: usize) -> String {
    format!("{EPOCH}{epoch:04}")
}

/// The epoch whose kept checkpoint has this name.
pub fn epoch_of_folder(name: &str) -> Option<usize> {
    let epoch = name.strip_prefix(EPOCH)?.parse().ok()?;
    (epoch_folder(epoch) == name).then_some(epoch)
}

const EPOCH: &str = "epoch-";

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
    fn a_kept_epoch_is_known_by_its_name() {
        assert_eq!(epoch_folder(7), "epoch-0007");
        for epoch in [0, 7, 9999, 12_345] {
            assert_eq!(epoch_of_folder(&epoch_folder(epoch)), Some(epoch));
        }
        for other in ["epoch-7", "epoch-+007", "epoch-00007", "epoch-", "last", ".epoch-0007.old"] {
            assert_eq!(epoch_of_folder(other), None, "{other}");
        }
    }

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
