//! Open game music: real recordings with known artists that Debian packages ship under free licences.
//!
//! The list (`train/dataset/data/open-game-music.csv`) names every file with its package and sha256. A package is fetched into a temporary folder of the
//! cache, unpacked there, its listed files verified and kept, and only then moved to its place: a run that is killed leaves nothing half-made,
//! and the next one fetches what is still missing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use leitmotif_models::text::hex;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::debian::{Debian, DownloadError};
use super::error::SourceError;
use super::left_out::{LeftOut, Reason};
use super::track::{Excerpt, Found, Track};
use crate::fs::Lock;

/// The list that the project carries; the tests of fetching use shorter ones.
pub const LIST: &str = include_str!("../../data/open-game-music.csv");

/// What whoever learns from it should know; it goes into the data set.
const NOTES: &str = "most artists have one album; split by song group; labels of Kenta Cho, Roberto Lorenz and Jordan Trudgett \
                     come from blanket copyright statements";

/// What lies before the name of a file inside a ZIP archive.
const INSIDE: char = '!';

/// Larger files inside archives are not unpacked: none of ours comes near.
const MAX_INNER_BYTES: u64 = 256 << 20;

/// How much of the music to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Set {
    /// 9 artists, 4.3 hours, 267 MB of packages.
    Small,
    /// 15 artists, 9.7 hours, 678 MB of packages.
    Full,
}

/// One file of the list.
#[derive(Clone, Debug, Deserialize)]
pub struct Entry {
    set: String,
    package: String,
    path_in_package: String,
    artist: String,
    album: String,
    title: String,
    song_group: String,
    duration_s: f64,
    license: String,
    sha256: String,
}

/// What fetching tells while it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetching<'a> {
    /// A package is being fetched and unpacked.
    Package {
        /// Name of the package.
        package: &'a str,
        /// Its place among all, from 1.
        number: usize,
        /// How many there are.
        of: usize,
    },
    /// A package's files lie verified in the cache.
    Verified {
        /// Name of the package.
        package: &'a str,
        /// Files whose content is that of the list.
        files: usize,
        /// Files the list names.
        of: usize,
        /// Whether it was there already.
        cached: bool,
    },
    /// A package could not be fetched.
    Failed {
        /// Name of the package.
        package: &'a str,
        /// What went wrong.
        reason: &'a str,
    },
}

/// Reads a list.
pub fn entries(list: &str) -> Result<Vec<Entry>, SourceError> {
    csv::Reader::from_reader(list.as_bytes())
        .deserialize()
        .collect::<Result<_, _>>()
        .map_err(|error| SourceError::BrokenList { reason: error.to_string() })
}

/// Where the packages' files are kept when the user names no folder: `$XDG_CACHE_HOME/leitmotif`, `~/.cache/leitmotif`, or the temporary folder.
pub fn default_cache() -> PathBuf {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("leitmotif")
        .join("open-game-music")
}

/// Fetches what is missing of `set` into `cache` and names its songs. Packages that lie as `.deb` files in `CACHE/debs` are not downloaded.
pub fn find(
    list: &str,
    set: Set,
    cache: &Path,
    debian: &mut dyn FnMut() -> Result<Debian, SourceError>,
    progress: &mut dyn FnMut(Fetching<'_>),
    stopped: &dyn Fn() -> bool,
) -> Result<Found, SourceError> {
    let entries: Vec<Entry> = entries(list)?
        .into_iter()
        .filter(|entry| set == Set::Full || entry.set == "small")
        .collect();
    let mut packages: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
    for entry in &entries {
        packages.entry(&entry.package).or_default().push(entry);
    }
    create(cache)?;
    let lock = cache.join("lock");
    let lock = Lock::take(&lock)
        .map_err(|source| SourceError::Unwritable { path: lock.clone(), source })?;
    // Keeps other processes from clearing our temporary folders.
    let _lock = lock.ok_or_else(|| SourceError::CacheInUse { path: cache.to_owned() })?;
    let mut tools = None;
    let licences: BTreeSet<&str> = entries.iter().map(|entry| entry.license.as_str()).collect();
    let mut found = Found {
        tracks: Vec::new(),
        left_out: Vec::new(),
        other_files: 0,
        united: Vec::new(),
        name: format!("open game music ({})", if set == Set::Small { "small" } else { "full" }),
        licence: licences.into_iter().collect::<Vec<_>>().join("; "),
        notes: NOTES.to_owned(),
        source: "Debian packages listed in train/dataset/data/open-game-music.csv".to_owned(),
    };
    let mut failures = Vec::new();
    for (number, (package, entries)) in packages.iter().enumerate() {
        if stopped() {
            return Err(SourceError::Stopped);
        }
        let folder = cache.join(package);
        let mut checks = check_all(&folder, entries);
        let cached = is_complete(&folder, &checks);
        if !cached {
            progress(Fetching::Package { package, number: number + 1, of: packages.len() });
            if tools.is_none() {
                tools = Some(debian()?);
            }
            let fetched =
                tools.as_mut().map_or(Ok(()), |tools| fetch(tools, cache, package, entries));
            if stopped() {
                return Err(SourceError::Stopped);
            }
            if let Err(error) = fetched {
                let reason = error.to_string();
                progress(Fetching::Failed { package, reason: &reason });
                let package = (*package).to_owned();
                let is_unknown = matches!(error, DownloadError::Unknown(_));
                failures.push((package.clone(), is_unknown, reason.clone()));
                let missing = Reason::NotFetched { package, why: reason };
                let left_out =
                    |entry: &&Entry| LeftOut { path: id(entry), reason: missing.clone() };
                found.left_out.extend(entries.iter().map(left_out));
                continue;
            }
            checks = check_all(&folder, entries);
        }
        let before = found.tracks.len();
        for (entry, reason) in checks {
            match reason {
                None => found.tracks.push(track(&folder, entry)),
                Some(reason) => found.left_out.push(LeftOut { path: id(entry), reason }),
            }
        }
        progress(Fetching::Verified {
            package,
            files: found.tracks.len() - before,
            of: entries.len(),
            cached,
        });
    }
    let packages = packages.len();
    if let (Some((_, _, reason)), true) = (failures.first(), found.tracks.is_empty()) {
        return Err(SourceError::NothingFetched { packages, reason: reason.clone() });
    }
    // A package that no archive holds stays away for good; any other may come next time.
    failures.retain(|(_, is_unknown, _)| !is_unknown);
    match failures.first().map(|(_, _, reason)| reason.clone()) {
        Some(reason) => {
            let failed = failures.into_iter().map(|(package, ..)| package).collect();
            Err(SourceError::FetchFailed { packages, failed, reason })
        }
        None => Ok(found),
    }
}

fn id(entry: &Entry) -> String {
    format!("{}/{}", entry.package, entry.path_in_package)
}

fn track(folder: &Path, entry: &Entry) -> Track {
    Track {
        id: id(entry),
        path: folder.join(&entry.path_in_package).into(),
        artist: entry.artist.clone(),
        album: entry.album.clone(),
        title: entry.title.clone(),
        song_group: entry.song_group.clone(),
        genres: Vec::new(),
        excerpt: Excerpt::default(),
        seconds: Some(entry.duration_s),
        clips: Vec::new(),
    }
}

/// Name of the note in a package's folder that lists files another version lacks or has otherwise: they are not fetched again each time.
const DIFFERING: &str = "differing.txt";

/// Whether a package was fetched and is as it was then.
fn is_complete(folder: &Path, checks: &[(&Entry, Option<Reason>)]) -> bool {
    let Ok(differing) = std::fs::read_to_string(folder.join(DIFFERING)) else { return false };
    let differing: BTreeSet<&str> = differing.lines().collect();
    checks.iter().all(|(entry, reason)| {
        reason.is_none() || differing.contains(entry.path_in_package.as_str())
    })
}

/// Each listed file with why it cannot be used, if so.
fn check_all<'a>(folder: &Path, entries: &[&'a Entry]) -> Vec<(&'a Entry, Option<Reason>)> {
    entries.iter().map(|entry| (*entry, check(folder, entry))).collect()
}

/// Why a listed file cannot be used, if so.
fn check(folder: &Path, entry: &Entry) -> Option<Reason> {
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

/// Fetches one package and puts its listed files into `CACHE/PACKAGE` by a rename.
fn fetch(
    debian: &mut Debian,
    cache: &Path,
    package: &str,
    entries: &[&Entry],
) -> Result<(), DownloadError> {
    let say = |error: io::Error| DownloadError::Failed(error.to_string());
    let temporary = cache.join(format!(".fetching-{package}"));
    // Left by a run that was killed.
    remove(&temporary).map_err(say)?;
    let (unpacked, kept) = (temporary.join("unpacked"), temporary.join("kept"));
    std::fs::create_dir_all(&unpacked).map_err(say)?;
    std::fs::create_dir_all(&kept).map_err(say)?;
    let result = given(cache, package)
        .map_or_else(|| debian.download(package, &temporary), Ok)
        .and_then(|file| {
            debian.unpack(&file, &unpacked)?;
            keep(&unpacked, &kept, entries).map_err(say)?;
            let place = cache.join(package);
            remove(&place).map_err(say)?;
            std::fs::rename(&kept, &place).map_err(say)
        });
    remove(&temporary).map_err(say)?;
    result
}

/// A package that the user put into `CACHE/debs`, for machines without network.
fn given(cache: &Path, package: &str) -> Option<PathBuf> {
    let files = std::fs::read_dir(cache.join("debs")).ok()?.filter_map(Result::ok);
    files.map(|entry| entry.path()).find(|path| {
        let name =
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        name.ends_with(".deb")
            && name.strip_prefix(package).is_some_and(|rest| rest.starts_with('_'))
    })
}

/// Moves the listed files from `unpacked` to `kept` and notes which are not those of the list.
fn keep(unpacked: &Path, kept: &Path, entries: &[&Entry]) -> io::Result<()> {
    let mut differing = String::new();
    for entry in entries {
        let place = kept.join(&entry.path_in_package);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let moved = match entry.path_in_package.split_once(INSIDE) {
            Some((archive, inner)) => take_out(&unpacked.join(archive), inner, &place),
            // A link could lead out of the package; listed files are none.
            None if !unpacked.join(&entry.path_in_package).is_symlink() => {
                std::fs::rename(unpacked.join(&entry.path_in_package), &place)
            }
            None => Ok(()),
        };
        // A file that is not there, or an archive that is none, is another version's: named, not an error.
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

/// Copies the file `inner` of a ZIP archive to `place`.
fn take_out(archive: &Path, inner: &str, place: &Path) -> io::Result<()> {
    let mut archive =
        zip::ZipArchive::new(io::BufReader::new(File::open(archive)?)).map_err(io::Error::from)?;
    let file = archive.by_name(inner).map_err(io::Error::from)?;
    io::copy(&mut file.take(MAX_INNER_BYTES), &mut File::create(place)?)?;
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

fn create(folder: &Path) -> Result<(), SourceError> {
    std::fs::create_dir_all(folder)
        .map_err(|source| SourceError::Unwritable { path: folder.to_owned(), source })
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_what_its_readme_says() {
        let entries = entries(LIST).unwrap();
        let count = |of: &dyn Fn(&Entry) -> String, small: bool| {
            entries
                .iter()
                .filter(|e| !small || e.set == "small")
                .map(of)
                .collect::<BTreeSet<_>>()
                .len()
        };
        assert_eq!((count(&id, false), count(&id, true)), (186, 116));
        assert_eq!(
            (count(&|e| e.song_group.clone(), false), count(&|e| e.song_group.clone(), true)),
            (180, 110)
        );
        assert_eq!(
            (count(&|e| e.artist.clone(), false), count(&|e| e.artist.clone(), true)),
            (15, 9)
        );
        assert_eq!(
            (count(&|e| e.package.clone(), false), count(&|e| e.package.clone(), true)),
            (21, 15)
        );
        let hours = entries.iter().map(|entry| entry.duration_s).sum::<f64>() / 3600.0;
        assert!((hours - 9.7).abs() < 0.1, "{hours}");
        // Paths are joined to folders of ours, so none may lead elsewhere.
        assert!(
            entries
                .iter()
                .all(|e| !e.path_in_package.starts_with('/') && !e.path_in_package.contains(".."))
        );
    }
}
