//! The summary of a preparation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use leitmotif_models::SampleRate;
use leitmotif_models::text::count;
use serde::Serialize;

use super::damage::DamagedSong;
use super::plan::Plan;
use super::select::KeptSong;
use crate::sources::{ArtistFrom, LeftOut, Reason, Track};

/// Songs of one kind that the summary names.
const NAMED_SONGS: usize = 10;

/// What a data set contains, and what was left out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Whether every song was processed; false after an interruption.
    pub finished: bool,
    /// Songs in the data set.
    pub songs: usize,
    /// Songs where variants count once.
    pub song_groups: usize,
    /// Clips.
    pub clips: usize,
    /// Length of a clip, in samples.
    pub clip_samples: usize,
    /// Seconds of all clips.
    pub seconds: f64,
    /// Seconds dropped after the last whole clips of songs.
    pub dropped_seconds: f64,
    /// Counts per artist, sorted by name.
    pub artists: Vec<ArtistCount>,
    /// Songs whose artist comes from their tags.
    pub artist_from_tags: usize,
    /// Songs whose artist comes from their folders.
    pub artist_from_folder: usize,
    /// Those of them that have tags which cannot be read.
    pub unreadable_tags: Vec<String>,
    /// Songs with damaged packets or a truncated end, the most damaged first; they are kept as far as they can be decoded.
    pub damaged: Vec<DamagedSong>,
    /// Songs and what is remarkable about their files, though they are kept whole.
    pub notes: Vec<(String, String)>,
    /// Clips left out because they are silent, of songs that are kept.
    pub silent_clips: usize,
    /// Files left out.
    #[serde(skip)]
    pub left_out: Vec<LeftOut>,
    /// The number of files that each rule leaves out.
    pub left_out_by_rule: BTreeMap<&'static str, usize>,
    /// Files that are not music.
    pub other_files: usize,
    /// Songs that an earlier run had decided.
    pub resumed: usize,
    /// Seconds of music decoded in this run.
    pub decoded_seconds: f64,
    /// Wall-clock seconds of this run.
    pub wall_seconds: f64,
}

/// The counts of one artist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ArtistCount {
    /// The artist.
    pub artist: String,
    /// Named albums.
    pub albums: usize,
    /// Songs; variants count once.
    pub song_groups: usize,
    /// Clips.
    pub clips: usize,
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        kept: Vec<(&Track, KeptSong)>,
        left_out_by_audio: Vec<LeftOut>,
        finished: bool,
    ) -> Self {
        let mut left_out = plan.left_out.clone();
        left_out.extend(left_out_by_audio);
        left_out.sort_by(|a, b| a.path.cmp(&b.path));
        let mut by_rule = BTreeMap::new();
        for file in &left_out {
            *by_rule.entry(file.reason.rule()).or_default() += 1;
        }
        let clips = kept.iter().map(|(_, kept)| kept.clips).sum();
        let rate = SampleRate::NETWORK;
        let damage = |(track, kept): &(&Track, KeptSong)| {
            let samples = kept.clips * plan.options.clip_samples + kept.dropped;
            Some(kept.remarks.as_ref()?.damage?.of_song(&track.id, samples))
        };
        let mut damaged: Vec<DamagedSong> = kept.iter().filter_map(damage).collect();
        damaged.sort_by(|a, b| b.lost_percent.total_cmp(&a.lost_percent));
        let notes = kept.iter().flat_map(|(track, kept)| {
            let notes = kept.remarks.iter().flat_map(|remarks| &remarks.notes);
            notes.map(|note| (track.id.clone(), note.clone()))
        });
        let artist_from = |from: ArtistFrom| {
            kept.iter().map(|(track, _)| *track).filter(move |track| track.artist_from == from)
        };
        let unreadable_tags: Vec<String> = artist_from(ArtistFrom::FolderForUnreadableTags)
            .map(|track| track.id.clone())
            .collect();
        Report {
            finished,
            songs: kept.len(),
            song_groups: kept
                .iter()
                .map(|(track, _)| &track.song_group)
                .collect::<BTreeSet<_>>()
                .len(),
            clips,
            clip_samples: plan.options.clip_samples,
            seconds: rate.seconds((clips * plan.options.clip_samples) as u64),
            dropped_seconds: rate.seconds(kept.iter().map(|(_, kept)| kept.dropped as u64).sum()),
            artists: artists(&kept),
            artist_from_tags: artist_from(ArtistFrom::Tags).count(),
            artist_from_folder: artist_from(ArtistFrom::Folder).count() + unreadable_tags.len(),
            unreadable_tags,
            damaged,
            notes: notes.collect(),
            silent_clips: left_out.iter().filter(|file| file.reason == Reason::SilentClip).count(),
            left_out,
            left_out_by_rule: by_rule,
            other_files: plan.found.other_files,
            resumed: 0,
            decoded_seconds: 0.0,
            wall_seconds: 0.0,
        }
    }
}

fn artists(kept: &[(&Track, KeptSong)]) -> Vec<ArtistCount> {
    let mut songs: BTreeMap<&str, Vec<(&Track, usize)>> = BTreeMap::new();
    for (track, kept) in kept {
        songs.entry(&track.artist).or_default().push((track, kept.clips));
    }
    let count = |(artist, songs): (&str, Vec<(&Track, usize)>)| ArtistCount {
        artist: artist.to_owned(),
        albums: songs
            .iter()
            .map(|(track, _)| &track.album)
            .filter(|album| !album.is_empty())
            .collect::<BTreeSet<_>>()
            .len(),
        song_groups: songs
            .iter()
            .map(|(track, _)| &track.song_group)
            .collect::<BTreeSet<_>>()
            .len(),
        clips: songs.iter().map(|(_, clips)| clips).sum(),
    };
    songs.into_iter().map(count).collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>6} {:>6} {:>6}  artist", "clips", "songs", "albums")?;
        for artist in &self.artists {
            writeln!(
                f,
                "{:>6} {:>6} {:>6}  {}",
                artist.clips, artist.song_groups, artist.albums, artist.artist
            )?;
        }
        let clip = SampleRate::NETWORK.seconds(self.clip_samples as u64);
        writeln!(
            f,
            "{} clips of {clip:.1} s from {} songs ({} without variants) of {} artists, {:.1} hours",
            self.clips,
            self.songs,
            self.song_groups,
            self.artists.len(),
            self.seconds / 3600.0
        )?;
        writeln!(
            f,
            "{:.1} minutes after the last whole clips of songs are dropped",
            self.dropped_seconds / 60.0
        )?;
        // Lists have neither.
        if self.artist_from_tags + self.artist_from_folder > 0 {
            writeln!(
                f,
                "{} took the artist from tags, {} from folders",
                count(self.artist_from_tags, "song"),
                count(self.artist_from_folder, "song")
            )?;
        }
        if !self.unreadable_tags.is_empty() {
            let songs = count(self.unreadable_tags.len(), "song");
            writeln!(f, "unreadable tags, named by the folder (--tags folder): {songs}")?;
            name_songs(f, &self.unreadable_tags)?;
        }
        if !self.damaged.is_empty() {
            writeln!(
                f,
                "damaged or truncated, kept as far as they can be decoded: {} (damaged.csv)",
                count(self.damaged.len(), "song")
            )?;
            let songs: Vec<String> = self.damaged.iter().map(ToString::to_string).collect();
            name_songs(f, &songs)?;
        }
        if !self.notes.is_empty() {
            let songs = self.notes.iter().map(|(song, _)| song).collect::<BTreeSet<_>>().len();
            writeln!(f, "kept, with a note: {} (notes.csv)", count(songs, "song"))?;
            let notes: Vec<String> =
                self.notes.iter().map(|(song, note)| format!("{song}: {note}")).collect();
            name_songs(f, &notes)?;
        }
        if self.silent_clips > 0 {
            writeln!(
                f,
                "quieter than −80 dB, left out of songs that are kept: {}",
                count(self.silent_clips, "clip")
            )?;
        }
        let mut headings: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
        let files = || self.left_out.iter().filter(|file| file.reason != Reason::SilentClip);
        for file in files() {
            headings.entry(file.reason.heading()).or_insert((0, &file.path)).0 += 1;
        }
        writeln!(f, "{} left out", count(files().count(), "file"))?;
        for (heading, (files, first)) in headings {
            writeln!(f, "{files:>6}  {heading}, for example {first}")?;
        }
        if self.other_files > 0 {
            writeln!(f, "{} of other kinds ignored", count(self.other_files, "file"))?;
        }
        Ok(())
    }
}

fn name_songs(f: &mut fmt::Formatter<'_>, songs: &[String]) -> fmt::Result {
    for song in songs.iter().take(NAMED_SONGS) {
        writeln!(f, "        {song}")?;
    }
    match songs.len().saturating_sub(NAMED_SONGS) {
        0 => Ok(()),
        more => writeln!(f, "        and {more} more"),
    }
}
