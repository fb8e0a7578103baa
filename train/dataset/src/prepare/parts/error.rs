//! Errors of preparing a part and of merging parts.

use std::io;
use std::path::PathBuf;

use super::number::PartOf;
use crate::prepare::error::PrepareError;
use crate::store::StoreError;

/// A part that cannot be prepared, or parts that cannot be merged. Where a part must be prepared again, `again` is the
/// command for it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PartError {
    /// The folder of a part holds one of other music, settings or of another version.
    #[error(
        "{} holds a part of other music or settings: {difference}; choose another folder with --out, or delete this \
         one",
        path.display()
    )]
    OtherSettings {
        /// The folder of the part.
        path: PathBuf,
        /// The first difference.
        difference: String,
    },
    /// Another process writes the part.
    #[error("{} is being prepared by another process; wait for it", path.display())]
    BeingPrepared {
        /// The folder of the part.
        path: PathBuf,
    },
    /// A folder that is no part, and that holds none.
    #[error(
        "{} is no part of a data set and holds none; prepare parts with --part, such as --part 1/4", path.display()
    )]
    NoParts {
        /// The folder.
        path: PathBuf,
    },
    /// Parts that no folder holds.
    #[error("{} missing; run: {again}", format_missing(missing, *of))]
    Missing {
        /// Their numbers; not empty.
        missing: Vec<u32>,
        /// The number of parts.
        of: u32,
        /// The command that prepares the first of them.
        again: String,
    },
    /// Two folders that hold the same part.
    #[error("part {part} is there twice: {} and {}; leave one of them out", first.display(), second.display())]
    Doubled {
        /// The part.
        part: PartOf,
        /// A folder.
        first: PathBuf,
        /// The other one.
        second: PathBuf,
    },
    /// A part that does not belong to the others.
    #[error(
        "{} does not belong to {}: {difference}; leave it out, or delete it{}",
        path.display(), other.display(), format_again(again)
    )]
    Stale {
        /// Folder of the part.
        path: PathBuf,
        /// Folder of one of the others.
        other: PathBuf,
        /// What differs.
        difference: String,
        /// The command that prepares the part, where no other folder holds it.
        again: Option<String>,
    },
    /// A part whose preparation was stopped or killed.
    #[error(
        "{} is not finished: {done} of {songs} songs are done{}; run again: {again}",
        path.display(), format_more(*more)
    )]
    Unfinished {
        /// Folder of the part.
        path: PathBuf,
        /// Songs that are done.
        done: usize,
        /// Songs of the part.
        songs: usize,
        /// Other parts that are not finished.
        more: usize,
        /// The command that resumes the part.
        again: String,
    },
    /// A file of a part with content that its journal does not describe: an incomplete copy, a damaged disk.
    #[error("{}: {reason}; copy the part again, or delete its folder and run: {again}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
        /// The command that prepares the part.
        again: String,
    },
    /// A file of a part cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A part by a program with another format of parts.
    #[error("{} has version {found}, this program reads {supported}; use one program for all parts", path.display())]
    Version {
        /// The journal of the part.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The supported version.
        supported: u32,
    },
    /// An error of preparing as such.
    #[error(transparent)]
    Prepare(#[from] PrepareError),
}

impl PartError {
    pub(super) fn unwritable(path: impl Into<PathBuf>, source: io::Error) -> Self {
        PrepareError::from(StoreError::Unwritable { path: path.into(), source }).into()
    }

    pub(super) fn unreadable(path: impl Into<PathBuf>, source: io::Error) -> Self {
        PartError::Unreadable { path: path.into(), source }
    }
}

/// How many missing parts are named.
const NAMED: usize = 10;

fn format_missing(missing: &[u32], of: u32) -> String {
    let named: Vec<String> = missing.iter().take(NAMED).map(u32::to_string).collect();
    let more = match missing.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    match missing {
        [_] => format!("part {} of {of} is", named.join("")),
        _ => format!("parts {}{more} of {of} are", named.join(", ")),
    }
}

fn format_again(again: &Option<String>) -> String {
    again.as_ref().map(|command| format!(" and run: {command}")).unwrap_or_default()
}

fn format_more(more: usize) -> String {
    match more {
        0 => String::new(),
        1 => ", and one other part is not finished".to_owned(),
        more => format!(", and {more} other parts are not finished"),
    }
}
