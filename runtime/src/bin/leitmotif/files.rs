//! Files that are written whole.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use leitmotif_models::checkpoint::beside;

/// Writes a file by a temporary sibling and a rename: it holds the old content or the new one.
pub(crate) fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let part = beside(path, &format!("{}.part", std::process::id()));
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
