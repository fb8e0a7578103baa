//! `left-out.csv`: every file that is not in the data set, and why.

use std::path::{Path, PathBuf};

use super::error::PrepareError;
use crate::fs::replace;
use crate::sources::{LeftOut, Reason};

/// The list's path in a data set's folder.
fn path_in(folder: &Path) -> PathBuf {
    folder.join("left-out.csv")
}

/// Writes the list (path, rule, reason) into `folder`, which is created where it is missing; whole or not at all.
///
/// # Errors
/// [`PrepareError::Unwritable`] or the store's, with the file.
pub(super) fn write(folder: &Path, left_out: &[LeftOut]) -> Result<(), PrepareError> {
    let unwritable = |path: &Path| {
        let path = path.to_owned();
        move |source| PrepareError::Unwritable { path, source }
    };
    std::fs::create_dir_all(folder).map_err(unwritable(folder))?;
    let path = path_in(folder);
    let render = || -> std::io::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["path", "rule", "reason"])?;
        for LeftOut { path, reason } in left_out {
            writer.write_record([path.as_str(), reason.rule(), &reason.to_string()])?;
        }
        writer.into_inner().map_err(csv::IntoInnerError::into_error)
    };
    render().and_then(|text| replace(&path, &text)).map_err(unwritable(&path))
}

/// The error, once the list it points to is written, where there is one to write and anything to list.
pub(super) fn too_few_artists(
    artists: Vec<String>,
    out: &Path,
    list: bool,
    min_songs: usize,
    left_out: &[LeftOut],
) -> Result<PrepareError, PrepareError> {
    let list = (list && !left_out.is_empty()).then(|| path_in(out));
    if list.is_some() {
        write(out, left_out)?;
    }
    let mut unreadable = left_out.iter().filter_map(|file| match &file.reason {
        Reason::Unreadable { why } if why.contains(&file.path) => Some(why.clone()),
        Reason::Unreadable { why } => Some(format!("{}: {why}", file.path)),
        _ => None,
    });
    let first = unreadable.next();
    Ok(PrepareError::TooFewArtists {
        artists,
        min_songs,
        unreadable: first.map(|why| (why, 1 + unreadable.count())),
        left_out: list,
    })
}
