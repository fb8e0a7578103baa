//! Files that are written whole.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use leitmotif_models::checkpoint::beside;

/// Checks that a file can be written, before the work of which it is the result.
pub(crate) fn check_writable(path: &Path) -> anyhow::Result<()> {
    let part = part(path);
    File::create(&part)
        .and_then(|_| fs::remove_file(&part))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// Writes a file by a temporary sibling and a rename: it holds the old content or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let part = part(path);
    let write = || {
        let mut file = File::create(&part)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write()
        .inspect_err(|_| {
            // Frees the space on a full disk.
            let _ = fs::remove_file(&part);
        })
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The temporary sibling, of this process's own.
fn part(path: &Path) -> PathBuf {
    beside(path, &format!("{}.part", std::process::id()))
}
