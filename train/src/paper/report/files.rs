//! The CSV files beside the page: what an earlier report wrote and this one does not goes, and nothing else does.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Component, Path};

use sha2::{Digest, Sha256};

use crate::learn::checkpoint::write_text;
use crate::paper::experiment::error::ExperimentError;

/// What the report wrote, as `sha256sum --check` reads it; under a name that nobody gives to checksums of their own.
const LIST: &str = "leitmotif-report.sha256";

/// Writes files by name into `folder`, and removes those that are listed there from before, unless somebody changed them.
///
/// # Errors
///
/// Whatever cannot be read, removed or written.
pub(super) fn replace(
    folder: &Path,
    files: &BTreeMap<String, String>,
) -> Result<(), ExperimentError> {
    fs::create_dir_all(folder).map_err(|e| ExperimentError::file(folder, e))?;
    let list = folder.join(LIST);
    let before = listed(&list)?;
    for (name, digest) in &before {
        let path = folder.join(name);
        if files.contains_key(name) || !written_by_us(&path, digest)? {
            continue;
        }
        fs::remove_file(&path).map_err(|e| ExperimentError::file(&path, e))?;
    }
    let line = |(name, digest): (&String, &str)| format!("{digest}  {name}\n");
    let own: String =
        files.iter().map(|(name, text)| line((name, &digest(text.as_bytes())))).collect();
    // Until all are written the list holds what they were, too: a kill leaves either behind, and what is not listed would stay for ever.
    let were = before.iter().filter(|(name, _)| files.contains_key(name));
    let were: String = were.map(|(name, digest)| line((name, digest))).collect();
    write_text(&list, &format!("{were}{own}"))?;
    for (name, text) in files {
        write_text(&folder.join(name), text)?;
    }
    Ok(write_text(&list, &own)?)
}

/// Names and digests of a list; none where there is none. It may have come from elsewhere: only plain names of tables in this folder
/// count.
fn listed(list: &Path) -> Result<Vec<(String, String)>, ExperimentError> {
    let text = match fs::read_to_string(list) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(ExperimentError::file(list, e)),
    };
    let is_table = |name: &str| Path::new(name).extension().is_some_and(|end| end == "csv");
    let plain = |name: &str| {
        let mut parts = Path::new(name).components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(only)), None) if only == name)
    };
    let lines = text.lines().filter_map(|line| line.split_once("  "));
    let files = lines.filter(|(_, name)| plain(name) && is_table(name));
    Ok(files.map(|(digest, name)| (name.to_owned(), digest.to_owned())).collect())
}

/// Whether the file is there with these very contents.
fn written_by_us(path: &Path, known: &str) -> Result<bool, ExperimentError> {
    // A link is somebody's own.
    if !fs::symlink_metadata(path).is_ok_and(|file| file.is_file()) {
        return Ok(false);
    }
    let bytes = fs::read(path).map_err(|e| ExperimentError::file(path, e))?;
    Ok(digest(&bytes) == known)
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_earlier_report_wrote_and_nobody_changed_goes() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside.csv");
        fs::write(&outside, "1\n").unwrap();
        let tables = folder.path().join("tables");
        let files = |names: &[&str]| -> BTreeMap<String, String> {
            names.iter().map(|name| ((*name).to_owned(), format!("{name}\n"))).collect()
        };
        replace(&tables, &files(&["a.csv", "b.csv", "c.csv", "d.csv"])).unwrap();
        fs::write(tables.join("c.csv"), "changed\n").unwrap();
        fs::write(tables.join("own.csv"), "own\n").unwrap();
        fs::remove_file(tables.join("d.csv")).unwrap();
        let mut list = fs::read_to_string(tables.join(LIST)).unwrap();
        let one = digest(b"1\n");
        fs::write(tables.join("notes.txt"), "1\n").unwrap();
        list += &format!(
            "{one}  notes.txt\n{one}  ../outside.csv\n{one}  {}\nno line\n",
            outside.display()
        );
        fs::write(tables.join(LIST), list).unwrap();

        replace(&tables, &files(&["a.csv", "e.csv"])).unwrap();
        let mut there: Vec<String> = fs::read_dir(&tables)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        there.sort();
        assert_eq!(there, ["a.csv", "c.csv", "e.csv", LIST, "notes.txt", "own.csv"]);
        assert_eq!(fs::read_to_string(tables.join("c.csv")).unwrap(), "changed\n");
        assert!(outside.exists());
        let list = fs::read_to_string(tables.join(LIST)).unwrap();
        assert_eq!(list.lines().count(), 2);
        assert_eq!(list.lines().next().unwrap(), format!("{}  a.csv", digest(b"a.csv\n")));

        // As a kill leaves it: two contents listed, either of them there.
        let earlier = digest(b"earlier\n");
        fs::write(tables.join(LIST), format!("{earlier}  a.csv\n{list}")).unwrap();
        fs::write(tables.join("a.csv"), "earlier\n").unwrap();
        replace(&tables, &files(&["e.csv"])).unwrap();
        assert!(!tables.join("a.csv").exists());
    }
}
