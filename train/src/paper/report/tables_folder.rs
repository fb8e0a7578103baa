//! The folder of CSV files beside the page: written anew under another name, then renamed, so that reports never mix.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::iter;
use std::path::Path;

use leitmotif_dataset::fs::sync_folder;
use leitmotif_models::checkpoint::beside;
use leitmotif_models::text::hex;
use sha2::{Digest, Sha256};

use crate::paper::experiment::error::{ExperimentError, ReportError};

/// Checksums of the tables, for `sha256sum --check`. A folder whose files are all listed in it was written by a report.
const CHECKSUMS: &str = "leitmotif-report.sha256";

/// Replaces `folder` by one that holds these files by name.
///
/// # Errors
///
/// `ForeignFile` where the folder holds a file that no report wrote; whatever cannot be read, removed or written.
pub(super) fn replace(
    folder: &Path,
    files: &BTreeMap<String, String>,
) -> Result<(), ExperimentError> {
    let failed = |e| ExperimentError::file(folder, e);
    let (new, old) = (beside(folder, "new"), beside(folder, "old"));
    let replaced = is_own(folder)?;
    remove(&new)?;
    fs::create_dir_all(&new).map_err(failed)?;
    let line = |(name, text)| format!("{}  {name}\n", hex(&Sha256::digest(text)));
    let checksums = (CHECKSUMS.to_owned(), files.iter().map(line).collect());
    // The checksums first: they mark a folder that a kill leaves unfinished.
    for (name, text) in iter::once((&checksums.0, &checksums.1)).chain(files) {
        let mut file = File::create(new.join(name)).map_err(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    }
    if replaced {
        remove(&old)?;
        fs::rename(folder, &old).map_err(failed)?;
    }
    fs::rename(&new, folder).map_err(failed)?;
    sync_folder(folder.parent().unwrap_or(Path::new("")));
    remove(&old)
}

fn remove(folder: &Path) -> Result<(), ExperimentError> {
    let removed = if is_own(folder)? { fs::remove_dir_all(folder) } else { Ok(()) };
    removed.map_err(|e| ExperimentError::file(folder, e))
}

/// Whether the folder exists; an error where it holds a file that is not listed in its checksums.
fn is_own(folder: &Path) -> Result<bool, ExperimentError> {
    let failed = |e| ExperimentError::file(folder, e);
    // A link to a folder is somebody's own arrangement.
    if folder.is_symlink() {
        return Err(ReportError::ForeignFile { path: folder.to_owned() }.into());
    }
    let entries = match fs::read_dir(folder) {
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(false),
        entries => entries.map_err(failed)?,
    };
    let checksums = fs::read_to_string(folder.join(CHECKSUMS)).unwrap_or_default();
    let listed: Vec<&str> =
        checksums.lines().filter_map(|line| Some(line.split_once("  ")?.1)).collect();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if name != CHECKSUMS && !listed.iter().any(|known| name == *known) {
            return Err(ReportError::ForeignFile { path: folder.join(name) }.into());
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), format!("{name}\n"))).collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> =
            entries.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn tables_of_an_earlier_report_go() {
        let folder = tempfile::tempdir().unwrap();
        let tables = folder.path().join("tables");
        fs::create_dir(&tables).unwrap();
        replace(&tables, &files(&["a.csv", "b.csv"])).unwrap();
        fs::write(tables.join("a.csv"), "changed\n").unwrap();
        replace(&tables, &files(&["a.csv", "c.csv"])).unwrap();
        assert_eq!(names(&tables), ["a.csv", "c.csv", CHECKSUMS]);
        assert_eq!(names(folder.path()), ["tables"]);
        assert_eq!(fs::read_to_string(tables.join("a.csv")).unwrap(), "a.csv\n");
        let checksums = fs::read_to_string(tables.join(CHECKSUMS)).unwrap();
        let first = format!("{}  a.csv", hex(&Sha256::digest("a.csv\n")));
        assert_eq!(checksums.lines().next(), Some(first.as_str()));
    }

    #[test]
    fn what_no_report_wrote_stays() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |path: &Path, file: &Path| {
            let error = replace(path, &files(&["a.csv"])).unwrap_err().to_string();
            assert!(error.contains(file.to_str().unwrap()) && error.contains("--out"), "{error}");
            assert!(file.exists());
        };
        let foreign = folder.path().join("foreign");
        fs::create_dir(&foreign).unwrap();
        fs::write(foreign.join("a.csv"), "mine\n").unwrap();
        refused(&foreign, &foreign.join("a.csv"));
        let tables = folder.path().join("tables");
        replace(&tables, &files(&["b.csv"])).unwrap();
        fs::write(tables.join("notes.txt"), "mine\n").unwrap();
        refused(&tables, &tables.join("notes.txt"));
        assert!(tables.join("b.csv").exists());
        assert_eq!(names(folder.path()), ["foreign", "tables"]);
    }

    #[test]
    fn after_a_kill_at_any_step_the_next_report_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let tables = folder.path().join("tables");
        let (new, old) = (beside(&tables, "new"), beside(&tables, "old"));
        let whole = || {
            replace(&tables, &files(&["b.csv"])).unwrap();
            assert_eq!(names(&tables), ["b.csv", CHECKSUMS]);
            assert_eq!(names(folder.path()), ["tables"]);
        };
        let unfinished = || {
            replace(&new, &files(&["a.csv", "b.csv"])).unwrap();
            fs::remove_file(new.join("b.csv")).unwrap();
        };
        // While the tables are written; between the two renames; before the old folder is removed.
        whole();
        unfinished();
        whole();
        unfinished();
        fs::rename(&tables, &old).unwrap();
        whole();
        replace(&old, &files(&["a.csv"])).unwrap();
        whole();
    }
}
