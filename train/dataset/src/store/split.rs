//! `splits/NAME.csv`: the training, validation and test clips of a split.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use leitmotif_models::text::short_hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::clips::Clips;
use super::error::StoreError;
use super::files;

/// The part of a split that a clip belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Clips that the weights are fitted to.
    Train,
    /// Clips for early stopping and for choosing the best epoch.
    Validation,
    /// Clips for the final evaluation.
    Test,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Part::Train => "train",
            Part::Validation => "validation",
            Part::Test => "test",
        })
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "train" => Ok(Part::Train),
            "validation" => Ok(Part::Validation),
            "test" => Ok(Part::Test),
            other => Err(format!("part `{other}` is none of train, validation, test")),
        }
    }
}

/// Writes `splits/NAME.csv` of the data set in `folder`, atomically replacing a split of that name.
///
/// `parts` has one entry for each clip; clips without a part are not written.
///
/// # Errors
///
/// [`StoreError::BadSplit`] where `name` has other characters than letters, digits, `-`, `_` and `.`, or `parts` and
/// `clips` differ in length; [`StoreError::Unwritable`] for I/O errors.
pub fn write_split(
    folder: &Path,
    name: &str,
    clips: &Clips,
    parts: &[Option<Part>],
) -> Result<(), StoreError> {
    let bad = |reason: String| StoreError::BadSplit { name: name.to_owned(), reason };
    check_name(name).map_err(bad)?;
    if parts.len() != clips.len() {
        return Err(bad(format!("{} parts for {} clips", parts.len(), clips.len())));
    }
    let path = file(folder, name);
    let splits = folder.join(files::SPLITS);
    fs::create_dir_all(&splits).map_err(|source| files::unwritable(&splits, source))?;
    files::replace_with(&path, |out| {
        let write = || -> csv::Result<()> {
            let mut writer = csv::Writer::from_writer(out);
            writer.write_record(["clip", "part"])?;
            for (row, part) in clips.iter().zip(parts) {
                if let Some(part) = part {
                    writer.write_record([row.clip, &part.to_string()])?;
                }
            }
            Ok(writer.flush()?)
        };
        write().map_err(|error| files::unwritten(&path, error))
    })
}

/// Identifies a split independently of its name: the first 16 hexadecimal digits of the SHA-256 over the names and
/// parts of its clips, sorted by name.
pub fn split_digest(clips: &Clips, parts: &[Option<Part>]) -> String {
    let pairs = clips.iter().zip(parts).filter_map(|(row, part)| Some((row.clip, (*part)?)));
    let mut pairs: Vec<(&str, Part)> = pairs.collect();
    pairs.sort_unstable();
    let mut hasher = Sha256::new();
    for (clip, part) in pairs {
        hasher.update((clip.len() as u64).to_le_bytes());
        hasher.update(clip);
        hasher.update(part.to_string());
    }
    short_hex(&hasher.finalize(), 16)
}

/// Identifies the audio of a split's clips, whatever its parts: the first 16 hexadecimal digits of the SHA-256 over the
/// names of the clips and their digests, sorted by name. Nothing where a clip has no digest.
pub fn samples_digest(clips: &Clips, parts: &[Option<Part>]) -> Option<String> {
    let chosen = clips.iter().zip(parts).filter(|(_, part)| part.is_some());
    let pairs = chosen.map(|(row, _)| Some((row.clip, row.audio?)));
    let mut pairs: Vec<_> = pairs.collect::<Option<_>>()?;
    pairs.sort_unstable_by_key(|(clip, _)| *clip);
    let mut hasher = Sha256::new();
    for (clip, audio) in pairs {
        hasher.update((clip.len() as u64).to_le_bytes());
        hasher.update(clip);
        hasher.update(audio.to_string());
    }
    Some(short_hex(&hasher.finalize(), 16))
}

/// Reads `splits/NAME.csv`: the part of each clip, in the order of `clips`; `None` for clips that are not in the split.
pub(super) fn read_split(
    folder: &Path,
    name: &str,
    clips: &Clips,
) -> Result<Vec<Option<Part>>, StoreError> {
    let path = file(folder, name);
    if check_name(name).is_err() || !path.is_file() {
        let available = names(folder)?;
        return Err(StoreError::NoSplit {
            path: folder.to_path_buf(),
            name: name.to_owned(),
            available,
        });
    }
    let index = clips.name_index();
    let mut parts = vec![None; clips.len()];
    let mut reader =
        csv::Reader::from_path(&path).map_err(|error| files::malformed(&path, error))?;
    let invalid = |line, reason| StoreError::Malformed { path: path.clone(), line, reason };
    let header = reader.headers().map_err(|error| files::malformed(&path, error))?;
    if header.iter().ne(["clip", "part"]) {
        let found = header.iter().collect::<Vec<_>>().join(",");
        return Err(invalid(Some(1), format!("the columns must be clip,part, not {found}")));
    }
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| files::malformed(&path, error))? {
        // Every record is a line. The position's own line would count only the first character of each CR LF.
        let line = record.position().map(|at| at.record() + 1);
        let (clip, part) = (record.get(0).unwrap_or_default(), record.get(1).unwrap_or_default());
        let part: Part = part.parse().map_err(|reason| invalid(line, reason))?;
        let slot = index.row_of(clip).and_then(|row| parts.get_mut(row));
        let slot =
            slot.ok_or_else(|| invalid(line, format!("clip `{clip}` is not in {}", files::CLIPS)))?;
        if slot.replace(part).is_some() {
            return Err(invalid(line, format!("clip `{clip}` appears twice")));
        }
    }
    if parts.iter().all(Option::is_none) {
        return Err(invalid(None, "no clip has a part".to_owned()));
    }
    Ok(parts)
}

/// The names of the splits of a data set, sorted.
pub(super) fn names(folder: &Path) -> Result<Vec<String>, StoreError> {
    let splits = folder.join(files::SPLITS);
    if !splits.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&splits).map_err(|source| files::unreadable(&splits, source))? {
        let path = entry.map_err(|source| files::unreadable(&splits, source))?.path();
        if path.extension().is_some_and(|extension| extension == "csv") {
            names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(files::SPLITS).join(format!("{name}.csv"))
}

fn check_name(name: &str) -> Result<(), String> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_short = !name.is_empty() && name.len() <= 100;
    if !is_short || name.starts_with('.') || !name.chars().all(is_allowed) {
        return Err(
            "a name has 1 to 100 letters, digits, `-`, `_` and `.`, and no `.` at its start"
                .to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{ClipRow, SampleDigest};

    fn rows(names: &[&str]) -> Clips {
        Clips::of(names.iter().map(|clip| ClipRow { clip: *clip, ..ClipRow::default() })).unwrap()
    }

    #[test]
    fn a_digest_depends_on_names_and_parts_but_not_on_their_order() {
        use Part::{Test, Train};
        let one = split_digest(&rows(&["a", "b", "c"]), &[Some(Train), Some(Test), None]);
        assert_eq!(one.len(), 16);
        assert_eq!(one, split_digest(&rows(&["b", "c", "a"]), &[Some(Test), None, Some(Train)]));
        for (names, parts) in [
            (["a", "b", "c"], [Some(Test), Some(Train), None]),
            (["a", "b", "c"], [Some(Train), Some(Test), Some(Test)]),
            (["a", "bb", "c"], [Some(Train), Some(Test), None]),
        ] {
            assert_ne!(one, split_digest(&rows(&names), &parts), "{names:?} {parts:?}");
        }
    }

    #[test]
    fn a_digest_of_samples_depends_on_the_clips_of_the_split_alone() {
        use Part::{Test, Train};
        let clips = |audio: [&str; 3]| {
            let rows = ["a", "b", "c"].into_iter().zip(audio).map(|(clip, audio)| ClipRow {
                clip,
                audio: (!audio.is_empty()).then(|| SampleDigest::of(audio.as_bytes())),
                ..ClipRow::default()
            });
            Clips::of(rows).unwrap()
        };
        let parts = [Some(Train), Some(Test), None];
        let one = samples_digest(&clips(["x", "y", "z"]), &parts);
        assert!(one.is_some());
        assert_eq!(one, samples_digest(&clips(["x", "y", ""]), &[Some(Test), Some(Train), None]));
        assert_ne!(one, samples_digest(&clips(["y", "x", "z"]), &parts));
        assert_eq!(None, samples_digest(&clips(["x", "", "z"]), &parts));
    }
}
