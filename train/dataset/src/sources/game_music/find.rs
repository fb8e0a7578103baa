//! Fetches the missing packages, and lists the songs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::cache::{check_all, create, fetch, is_complete};
use super::debian::{Debian, DownloadError};
use super::list::{ListEntry, MusicSet, entries};
use crate::fs::Lock;
use crate::sources::SourceError;
use crate::sources::left_out::{LeftOut, Reason};
use crate::sources::track::{ArtistFrom, Excerpt, Found, Track};

/// Identifies the data set in `dataset.toml`. The list has moved since; the text stays, or data sets of earlier versions
/// could not be resumed.
const SOURCE: &str = "Debian packages listed in train/data/open-game-music.csv";

/// Notes for `dataset.toml`.
const NOTES: &str = "most artists have one album; split by song group; labels of Kenta Cho, Roberto \
                     Lorenz and Jordan Trudgett come from blanket copyright statements";

/// Fetches the missing packages of `set` into `cache` and returns the songs. Packages that are `.deb` files in
/// `CACHE/debs` are not downloaded.
///
/// `debian` is called when the first package must be fetched; `stopped` is checked around each package.
///
/// # Errors
///
/// [`SourceError::NothingFetched`], [`SourceError::FetchFailed`], [`SourceError::NoDebianTools`],
/// [`SourceError::CacheInUse`], [`SourceError::Unwritable`], [`SourceError::BrokenList`] or [`SourceError::Stopped`].
pub fn find(
    list: &str,
    set: MusicSet,
    cache: &Path,
    debian: &mut dyn FnMut() -> Result<Debian, SourceError>,
    progress: &mut dyn FnMut(FetchEvent<'_>),
    stopped: &dyn Fn() -> bool,
) -> Result<Found, SourceError> {
    let entries: Vec<ListEntry> =
        entries(list)?.into_iter().filter(|entry| set.has(entry)).collect();
    let mut packages: BTreeMap<&str, Vec<&ListEntry>> = BTreeMap::new();
    for entry in &entries {
        packages.entry(&entry.package).or_default().push(entry);
    }
    create(cache)?;
    let lock = cache.join("lock");
    let lock = Lock::take(&lock)
        .map_err(|source| SourceError::Unwritable { path: lock.clone(), source })?;
    // Another process would delete this one's temporary folders.
    let _lock = lock.ok_or_else(|| SourceError::CacheInUse { path: cache.to_owned() })?;
    let mut tools = None;
    let licences: BTreeSet<&str> = entries.iter().map(|entry| entry.license.as_str()).collect();
    let mut found = Found {
        tracks: Vec::new(),
        left_out: Vec::new(),
        other_files: 0,
        merged_artists: Vec::new(),
        name: format!("open game music ({})", set.name()),
        licence: licences.into_iter().collect::<Vec<_>>().join("; "),
        notes: NOTES.to_owned(),
        source: SOURCE.to_owned(),
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
            progress(FetchEvent::Package { package, number: number + 1, of: packages.len() });
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
                progress(FetchEvent::Failed { package, reason: &reason });
                let package = (*package).to_owned();
                let is_unknown = matches!(error, DownloadError::Unknown(_));
                failures.push((package.clone(), is_unknown, reason.clone()));
                let missing = Reason::NotFetched { package, why: reason };
                let left_out =
                    |entry: &&ListEntry| LeftOut { path: entry.id(), reason: missing.clone() };
                found.left_out.extend(entries.iter().map(left_out));
                continue;
            }
            checks = check_all(&folder, entries);
        }
        let before = found.tracks.len();
        for (entry, reason) in checks {
            match reason {
                None => found.tracks.push(track(&folder, entry)),
                Some(reason) => found.left_out.push(LeftOut { path: entry.id(), reason }),
            }
        }
        progress(FetchEvent::Verified {
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
    // A package that is in no archive is left out; other failures may be temporary.
    failures.retain(|(_, is_unknown, _)| !is_unknown);
    match failures.first().map(|(_, _, reason)| reason.clone()) {
        Some(reason) => {
            let failed = failures.into_iter().map(|(package, ..)| package).collect();
            Err(SourceError::FetchFailed { packages, failed, reason })
        }
        None => Ok(found),
    }
}

fn track(folder: &Path, entry: &ListEntry) -> Track {
    Track {
        id: entry.id(),
        path: folder.join(&entry.path_in_package).into(),
        artist: entry.artist.clone(),
        artist_from: ArtistFrom::List,
        album: entry.album.clone(),
        title: entry.title.clone(),
        song_group: entry.song_group.clone(),
        genres: Vec::new(),
        excerpt: Excerpt::default(),
        seconds: Some(entry.duration_s),
        clips: Vec::new(),
    }
}

/// Progress of fetching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchEvent<'a> {
    /// A package is being fetched and unpacked.
    Package {
        /// Name of the package.
        package: &'a str,
        /// Its number, from 1.
        number: usize,
        /// Number of packages.
        of: usize,
    },
    /// A package's files are in the cache and verified.
    Verified {
        /// Name of the package.
        package: &'a str,
        /// Files whose content matches the list.
        files: usize,
        /// Files in the list.
        of: usize,
        /// Whether the package was already in the cache.
        cached: bool,
    },
    /// A package could not be fetched.
    Failed {
        /// Name of the package.
        package: &'a str,
        /// Why not.
        reason: &'a str,
    },
}

/// The default cache folder: `leitmotif/open-game-music` in `$XDG_CACHE_HOME`, `~/.cache` or the temporary folder.
pub fn default_cache() -> PathBuf {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("leitmotif")
        .join("open-game-music")
}
