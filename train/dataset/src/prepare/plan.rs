//! Plans which songs to decode: those of a source, after the rules that need no audio.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use leitmotif_models::text::hex;
use leitmotif_models::{CLIP_SAMPLES, SampleRate};
use sha2::{Digest, Sha256};

use super::error::PrepareError;
use super::left_out_csv::too_few_artists;
use crate::fs::available_space;
use crate::sources::{Found, LeftOut, Reason, Track};
use crate::store::DatasetInfo;

/// Default minimum of songs per artist: one for each of the three parts of a split by song, and one more.
pub const MIN_SONGS: usize = 4;

/// The journal of decisions in a data set's folder.
pub(super) const JOURNAL: &str = "prepare.journal";

/// How to prepare.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Length of a clip, in samples at 16 kHz.
    pub clip_samples: usize,
    /// Artists with fewer songs are left out; variants of one song count once.
    pub min_songs: usize,
    /// Maximum minutes of clips per artist. Where set, songs are chosen in a pseudo-random order that mixes albums.
    pub max_minutes_per_artist: Option<f64>,
    /// Number of decoding threads.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Options {
            clip_samples: CLIP_SAMPLES,
            min_songs: MIN_SONGS,
            max_minutes_per_artist: None,
            threads,
        }
    }
}

/// The songs to decode, from [`plan`].
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) tracks: Vec<Track>,
    pub(super) left_out: Vec<LeftOut>,
    pub(super) found: Found,
    pub(super) options: Options,
}

impl Plan {
    /// The songs to decode, in the order in which they are stored.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    /// The number of songs to decode.
    pub fn songs(&self) -> usize {
        self.tracks.len()
    }

    /// The number of their artists.
    pub fn artists(&self) -> usize {
        self.tracks.iter().map(|track| &track.artist).collect::<BTreeSet<_>>().len()
    }

    /// Hours of music, and the number of songs of unknown length, which are not included.
    pub fn hours(&self) -> (f64, usize) {
        let known: f64 = self.tracks.iter().filter_map(|track| track.seconds).sum();
        (known / 3600.0, self.tracks.iter().filter(|track| track.seconds.is_none()).count())
    }

    /// Estimated bytes of the data set, without songs of unknown length.
    pub fn bytes(&self) -> u64 {
        self.bytes_of(self.tracks.iter())
    }

    /// [`bytes`](Self::bytes) of some of its songs.
    pub(super) fn bytes_of<'a>(&self, tracks: impl Iterator<Item = &'a Track>) -> u64 {
        let samples = |track: &Track| match track.clips.len() {
            0 => (track.seconds.unwrap_or(0.0) * f64::from(SampleRate::NETWORK.0)) as u64,
            clips => (clips * self.options.clip_samples) as u64,
        };
        2 * tracks.map(samples).sum::<u64>()
    }
}

/// Checks that the data set fits on the disk, as far as the lengths of its songs are known and counting what an earlier
/// run has written. Passes where the system does not report its free space.
///
/// # Errors
///
/// [`PrepareError::DiskTooSmall`].
pub fn check_room(plan: &Plan, out: &Path) -> Result<(), PrepareError> {
    check_room_for(plan.bytes(), out)
}

/// [`check_room`] for `bytes` of samples in the folder's `shards`.
pub(super) fn check_room_for(bytes: u64, out: &Path) -> Result<(), PrepareError> {
    let shards = std::fs::read_dir(out.join("shards")).into_iter().flatten().flatten();
    let written: u64 = shards.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum();
    let needed = bytes.saturating_sub(written);
    match available_space(out) {
        Ok(left) if left < needed => {
            Err(PrepareError::DiskTooSmall { path: out.to_owned(), needed, left })
        }
        _ => Ok(()),
    }
}

/// Applies the rules that need no audio: leaves out artists with too few songs, and sorts the songs by artist and name.
///
/// # Errors
///
/// [`PrepareError::BadOption`]; [`PrepareError::NoMusic`]; [`PrepareError::TooFewArtists`] for fewer than two, after writing `left-out.csv` to
/// `out`.
pub fn plan(mut found: Found, out: &Path, options: &Options) -> Result<Plan, PrepareError> {
    let bad = |option, must: &str| Err(PrepareError::BadOption { option, must: must.to_owned() });
    if options.clip_samples == 0 {
        return bad("--clip-samples", "at least 1");
    }
    if options.max_minutes_per_artist.is_some() && options.cap().is_none_or(|clips| clips == 0) {
        return bad("--max-minutes-per-artist", "a number of minutes that holds at least one clip");
    }
    if found.tracks.is_empty() && found.left_out.is_empty() {
        return Err(PrepareError::NoMusic { other_files: found.other_files });
    }
    let mut groups: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for track in &found.tracks {
        groups.entry(&track.artist).or_default().insert(&track.song_group);
    }
    let few: BTreeMap<String, usize> = groups
        .into_iter()
        .filter(|(_, songs)| songs.len() < options.min_songs)
        .map(|(artist, songs)| (artist.to_owned(), songs.len()))
        .collect();
    let mut left_out = std::mem::take(&mut found.left_out);
    let mut tracks = std::mem::take(&mut found.tracks);
    tracks.retain_mut(|track| {
        let Some(songs) = few.get(&track.artist).copied() else { return true };
        let (path, artist) = (std::mem::take(&mut track.id), std::mem::take(&mut track.artist));
        let reason = Reason::FewSongs { artist, songs, needed: options.min_songs };
        left_out.push(LeftOut { path, reason });
        false
    });
    if options.max_minutes_per_artist.is_some() {
        let mixed = |track: &Track| Sha256::digest(&track.id).to_vec();
        tracks.sort_by_cached_key(|track| (track.artist.clone(), mixed(track), track.id.clone()));
    } else {
        // In place and without copying names, since there may be a million.
        tracks.sort_unstable_by(|a, b| (&a.artist, &a.id).cmp(&(&b.artist, &b.id)));
    }
    let plan = Plan { tracks, left_out, found, options: options.clone() };
    if plan.artists() < 2 {
        let artists: BTreeSet<&String> = plan.tracks.iter().map(|track| &track.artist).collect();
        let artists = artists.into_iter().cloned().collect();
        // The list of an existing data set is kept; another process may be writing it.
        let list = !out.join(JOURNAL).exists();
        return Err(too_few_artists(artists, out, list, options.min_songs, &plan.left_out)?);
    }
    Ok(plan)
}

impl Options {
    /// Maximum number of clips per artist.
    pub(super) fn cap(&self) -> Option<usize> {
        let clip_seconds = SampleRate::NETWORK.seconds(self.clip_samples as u64);
        self.max_minutes_per_artist.map(|minutes| (minutes * 60.0 / clip_seconds) as usize)
    }
}

impl Plan {
    pub(super) fn info(&self) -> DatasetInfo {
        DatasetInfo {
            name: self.found.name.clone(),
            licence: self.found.licence.clone(),
            notes: self.found.notes.clone(),
            sample_rate: SampleRate::NETWORK.0,
            clip_samples: self.options.clip_samples,
            source: self.found.source.clone(),
        }
    }

    /// A SHA-256 of everything that determines the content of the data set: only runs with the same one can resume.
    pub(super) fn fingerprint(&self) -> String {
        let mut hasher = Sha256::new();
        let mut add = |text: &str| {
            hasher.update((text.len() as u64).to_le_bytes());
            hasher.update(text);
        };
        let Options { clip_samples, min_songs, max_minutes_per_artist, threads: _ } = &self.options;
        add(&format!("{clip_samples} {min_songs} {max_minutes_per_artist:?}"));
        for track in &self.tracks {
            // The id of a track includes its file and excerpt.
            let Track { id, artist, album, title, song_group, genres, clips, .. } = track;
            [id, artist, album, title, song_group]
                .into_iter()
                .chain(genres)
                .chain(clips.iter().map(|clip| &clip.id))
                .for_each(|text| add(text));
        }
        hex(&hasher.finalize())
    }
}
