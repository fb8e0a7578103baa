//! The lists beside a data set: `left-out.csv`, each file or silent clip that is left out, with the rule and the reason;
//! `damaged.csv`, songs that are kept in part; `notes.csv`, songs with something remarkable that are kept whole.

use std::path::{Path, PathBuf};

use super::damage::DamagedSong;
use super::error::PrepareError;
use crate::fs::replace;
use crate::sources::{LeftOut, Reason};
use crate::store::StoreError;

/// The path of the list in a data set's folder.
fn path_in(folder: &Path) -> PathBuf {
    folder.join("left-out.csv")
}

/// Atomically writes the list (path, rule, reason) into `folder`, which is created if missing.
///
/// # Errors
///
/// [`PrepareError::Unwritable`] for the folder; [`StoreError::Unwritable`] for the file, which advises to make room.
pub(super) fn write(folder: &Path, left_out: &[LeftOut]) -> Result<(), PrepareError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| PrepareError::Unwritable { path: folder.to_owned(), source })?;
    let rows = left_out.iter().map(|LeftOut { path, reason }| {
        [path.clone(), reason.rule().to_owned(), reason.to_string()]
    });
    write_csv(path_in(folder), ["path", "rule", "reason"], rows)
}

/// Atomically writes `damaged.csv` beside it: the songs that are kept as far as they can be decoded.
///
/// # Errors
///
/// [`StoreError::Unwritable`] for the file.
pub(super) fn write_damaged(folder: &Path, damaged: &[DamagedSong]) -> Result<(), PrepareError> {
    let rows = damaged.iter().map(|song| {
        let lost = format!("{:.2}", song.lost_percent);
        [song.song.clone(), song.skipped_packets.to_string(), lost, song.truncated.to_string()]
    });
    write_csv(
        folder.join("damaged.csv"),
        ["path", "skipped_packets", "lost_percent", "truncated"],
        rows,
    )
}

/// Atomically writes `notes.csv` beside it.
///
/// # Errors
///
/// [`StoreError::Unwritable`] for the file.
pub(super) fn write_notes(folder: &Path, notes: &[(String, String)]) -> Result<(), PrepareError> {
    let rows = notes.iter().map(|(song, note)| [song.clone(), note.clone()]);
    write_csv(folder.join("notes.csv"), ["path", "note"], rows)
}

fn write_csv<const N: usize>(
    path: PathBuf,
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<(), PrepareError> {
    let render = || -> std::io::Result<Vec<u8>> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(header)?;
        for row in rows {
            writer.write_record(&row)?;
        }
        writer.into_inner().map_err(csv::IntoInnerError::into_error)
    };
    render()
        .and_then(|text| replace(&path, &text))
        .map_err(|source| StoreError::Unwritable { path, source }.into())
}

/// Returns [`PrepareError::TooFewArtists`], after writing the list that it refers to if `write_list` is set and any
/// file is left out. Fails where the list cannot be written.
pub(super) fn too_few_artists(
    artists: Vec<String>,
    out: &Path,
    write_list: bool,
    min_songs: usize,
    left_out: &[LeftOut],
) -> Result<PrepareError, PrepareError> {
    let list = (write_list && !left_out.is_empty()).then(|| path_in(out));
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
