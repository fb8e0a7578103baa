//! The cache: one folder per package with its verified files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use leitmotif_models::text::hex;
use sha2::{Digest, Sha256};

use super::debian::{Debian, DownloadError};
use super::list::ListEntry;
use crate::sources::{Reason, SourceError};

/// Separates the path of a ZIP archive from that of a file in it.
const ARCHIVE_SEPARATOR: char = '!';

/// Larger files in archives are truncated, and then fail verification; no listed file is near this size.
const MAX_INNER_BYTES: u64 = 256 << 20;

/// In a package's folder, lists files that this version of the package lacks or has different content for, so that the
/// package is not fetched again for them.
const DIFFERING: &str = "differing.txt";

/// Whether a package has been fetched and its files are unchanged.
pub(super) fn is_complete(folder: &Path, checks: &[(&ListEntry, Option<Reason>)]) -> bool {
    let Ok(differing) = std::fs::read_to_string(folder.join(DIFFERING)) else { return false };
    let differing: BTreeSet<&str> = differing.lines().collect();
    checks.iter().all(|(entry, reason)| {
        reason.is_none() || differing.contains(entry.path_in_package.as_str())
    })
}

/// Checks the listed files of a package: each with the reason why it cannot be used, if any.
pub(super) fn check_all<'a>(
    folder: &Path,
    entries: &[&'a ListEntry],
) -> Vec<(&'a ListEntry, Option<Reason>)> {
    entries.iter().map(|entry| (*entry, check(folder, entry))).collect()
}

/// The reason why a listed file cannot be used, if any.
fn check(folder: &Path, entry: &ListEntry) -> Option<Reason> {
    let path = folder.join(&entry.path_in_package);
    match sha256(&path) {
        Ok(hash) if hash == entry.sha256 => None,
        Ok(_) => Some(Reason::HashDiffers { package: entry.package.clone() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Some(Reason::NotInPackage { package: entry.package.clone() })
        }
        Err(error) => Some(Reason::Unreadable { why: error.to_string() }),
    }
}

/// Fetches one package and renames its listed files into `CACHE/PACKAGE`.
pub(super) fn fetch(
    debian: &mut Debian,
    cache: &Path,
    package: &str,
    entries: &[&ListEntry],
) -> Result<(), DownloadError> {
    let failed = |error: io::Error| DownloadError::Failed(error.to_string());
    let temporary = cache.join(format!(".fetching-{package}"));
    // A killed run may have left it.
    remove(&temporary).map_err(failed)?;
    let (unpacked, kept) = (temporary.join("unpacked"), temporary.join("kept"));
    std::fs::create_dir_all(&unpacked).map_err(failed)?;
    std::fs::create_dir_all(&kept).map_err(failed)?;
    let result = local_package(cache, package)
        .map_or_else(|| debian.download(package, &temporary), Ok)
        .and_then(|file| {
            debian.unpack(&file, &unpacked)?;
            keep(&unpacked, &kept, entries).map_err(failed)?;
            let folder = cache.join(package);
            remove(&folder).map_err(failed)?;
            std::fs::rename(&kept, &folder).map_err(failed)
        });
    remove(&temporary).map_err(failed)?;
    result
}

/// A package file that the user has put into `CACHE/debs`, for machines without network.
fn local_package(cache: &Path, package: &str) -> Option<PathBuf> {
    let files = std::fs::read_dir(cache.join("debs")).ok()?.filter_map(Result::ok);
    files.map(|entry| entry.path()).find(|path| {
        let name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.ends_with(".deb")
            && name.strip_prefix(package).is_some_and(|rest| rest.starts_with('_'))
    })
}

/// Moves the listed files from `unpacked` to `kept`, and writes [`DIFFERING`].
fn keep(unpacked: &Path, kept: &Path, entries: &[&ListEntry]) -> io::Result<()> {
    let mut differing = String::new();
    for entry in entries {
        let target = kept.join(&entry.path_in_package);
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let moved = match entry.path_in_package.split_once(ARCHIVE_SEPARATOR) {
            Some((archive, inner)) => extract(&unpacked.join(archive), inner, &target),
            // A link could point outside the package; no listed file is one.
            None if !unpacked.join(&entry.path_in_package).is_symlink() => {
                std::fs::rename(unpacked.join(&entry.path_in_package), &target)
            }
            None => Ok(()),
        };
        // A missing file or an invalid archive means another version of the package: listed, not an error.
        let other_version = [io::ErrorKind::NotFound, io::ErrorKind::InvalidData];
        match moved {
            Err(error) if !other_version.contains(&error.kind()) => return Err(error),
            _ if check(kept, entry).is_some() => {
                differing.push_str(&format!("{}\n", entry.path_in_package))
            }
            _ => {}
        }
    }
    std::fs::write(kept.join(DIFFERING), differing)
}

/// Copies the file `inner` of a ZIP archive to `target`.
fn extract(archive: &Path, inner: &str, target: &Path) -> io::Result<()> {
    let mut archive =
        zip::ZipArchive::new(io::BufReader::new(File::open(archive)?)).map_err(io::Error::from)?;
    let file = archive.by_name(inner).map_err(io::Error::from)?;
    io::copy(&mut file.take(MAX_INNER_BYTES), &mut File::create(target)?)?;
    Ok(())
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut block)?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(block.get(..read).unwrap_or_default());
    }
}

pub(super) fn create(folder: &Path) -> Result<(), SourceError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| SourceError::Unwritable { path: folder.to_owned(), source })
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
