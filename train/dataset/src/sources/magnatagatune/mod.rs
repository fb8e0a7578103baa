//! MagnaTagATune: 25,863 clips of 29 seconds, each a file of its own, of 5,405 tracks.
//!
//! Law et al., *Evaluation of algorithms using games: the case of music tagging* (2009). What a clip is of, its path says:
//! `X/artist-album-NN-title-START-END.mp3`. The clips of a track are one song here, in the order of their time; tracks of one title by one
//! artist are one song group. What is left out is in `train/dataset/data/magnatagatune.toml`.

mod listing;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leitmotif_models::CLIP_SAMPLES;
use serde::Serialize;

pub use listing::Listing;
pub use rules::Aliases;

use self::listing::{Clip, Listed, Names};
use self::rules::{Rules, read_text, tabbed};
use super::error::{Problem, SourceError};
use super::left_out::{LeftOut, Reason};
use super::names::song_group;
use super::track::{ClipFile, Found, Track};

/// What of the data set is wanted.
#[derive(Clone, Debug)]
pub struct Request {
    /// Folder of the audio: it holds `0/` to `f/`.
    pub audio: PathBuf,
    /// Where the list of clips comes from.
    pub listing: Listing,
    /// Which names are one artist.
    pub aliases: Aliases,
    /// Lines `artist TAB album TAB genre[;genre…]`, in the spelling of the paths.
    pub genres: Option<PathBuf>,
}

/// How many there are of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Clips.
    pub clips: usize,
    /// Names of artists.
    pub artists: usize,
    /// Albums, by artist and name.
    pub albums: usize,
    /// Tracks, by artist, album, number and title.
    pub tracks: usize,
}

impl Counts {
    /// Of clips in the order of their names.
    fn of<'a>(clips: impl Iterator<Item = &'a Clip>) -> Self {
        let mut counts = Counts::default();
        let mut before: Option<Names<'_>> = None;
        for names in clips.map(Clip::names) {
            let is_new = |key: fn(Names<'a>) -> Names<'a>| before.map(key) != Some(key(names));
            counts.clips += 1;
            counts.artists +=
                usize::from(is_new(|Names { artist, .. }| Names { artist, ..Names::default() }));
            counts.albums += usize::from(is_new(|names| Names { number: "", title: "", ..names }));
            counts.tracks += usize::from(is_new(|names| names));
            before = Some(names);
        }
        counts
    }
}

/// What the list holds, rule by rule.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The whole list.
    pub listed: Counts,
    /// Without the files that are empty in every copy.
    pub with_sound: Counts,
    /// Without pseudo-artists too: what is prepared.
    pub kept: Counts,
    /// Artists where no name is taken for another, where the likely ones are, and as asked for.
    pub artists: Artists,
    /// Rows of clips that have no audio in the data set.
    pub without_audio: usize,
    /// Titles of an artist that recur under another album or number.
    pub recurring_titles: usize,
    /// Share of clips with a neighbour in time, from the same track.
    pub neighbours: f64,
    /// Albums of the list of genres that no clip is of, and albums of the clips that it does not name.
    pub genres: Option<GenreGaps>,
}

/// Artists under three readings of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Artists {
    /// Every name is an artist.
    pub by_name: usize,
    /// The likely aliases are taken together.
    pub with_likely_aliases: usize,
    /// As asked for.
    pub used: usize,
}

/// Where the list of genres and the clips do not meet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GenreGaps {
    /// Albums that the list of genres names and no clip is of.
    pub unknown_albums: Vec<String>,
    /// Clips of albums that it does not name.
    pub clips_without: usize,
}

/// Reads the list and applies the rules that need no sound.
///
/// # Errors
///
/// A list or folder that cannot be read or holds something else, each problem with its line.
pub fn find(request: &Request) -> Result<(Found, Summary), SourceError> {
    let rules = Rules::built_in()?;
    let aliases = request.aliases.read(&rules)?;
    let mut genres = request.genres.as_deref().map(Genres::read).transpose()?;
    let Listed { mut clips, without_audio, other_files } = request.listing.read()?;
    let is_empty = |clip: &&Clip| rules.empty_files.contains(&*clip.path);
    let is_pseudo = |clip: &&Clip| rules.pseudo_artists.contains(clip.names().artist);
    // Tracks in the order of their names, and the clips of each side by side.
    clips.sort_by(|a, b| a.names().cmp(&b.names()));
    let listed = Counts::of(clips.iter());
    let with_sound = Counts::of(clips.iter().filter(|clip| !is_empty(clip)));
    let mut left_out: Vec<LeftOut> = Vec::new();
    clips.retain(|clip| {
        let reason = if is_empty(&clip) {
            Reason::KnownEmpty
        } else if is_pseudo(&clip) {
            Reason::PseudoArtist { artist: clip.names().artist.to_owned() }
        } else {
            return true;
        };
        left_out.push(LeftOut { path: clip.path.to_string(), reason });
        false
    });
    let kept = Counts::of(clips.iter());
    let names: BTreeSet<String> =
        clips.iter().map(Clip::names).map(|names| names.artist.to_owned()).collect();
    let artists = |aliases: &BTreeMap<String, String>| {
        names.iter().map(|name| aliases.get(name).unwrap_or(name)).collect::<BTreeSet<_>>().len()
    };
    let recurring_titles = recurring_titles(&clips);
    let shown = shown_artists(&clips, &aliases);
    let audio: Arc<Path> = request.audio.as_path().into();
    let mut tracks: Vec<Track> = Vec::with_capacity(kept.tracks);
    let mut clips = clips.into_iter().peekable();
    while let Some(first) = clips.next() {
        let mut of_track = vec![first];
        while let Some(next) = clips
            .next_if(|next| of_track.first().is_some_and(|first| first.names() == next.names()))
        {
            of_track.push(next);
        }
        tracks.push(track(of_track, &audio, &aliases, &shown, genres.as_mut()));
    }
    let summary = Summary {
        listed,
        with_sound,
        kept,
        artists: Artists {
            by_name: names.len(),
            with_likely_aliases: artists(&rules.likely_aliases),
            used: artists(&aliases),
        },
        without_audio,
        recurring_titles,
        neighbours: neighbours(&tracks),
        genres: genres.map(Genres::gaps),
    };
    let united = aliases
        .iter()
        .filter(|(alias, _)| names.contains(*alias))
        .map(|(alias, artist)| format!("`{alias}` is taken for `{artist}` (--aliases)"))
        .collect();
    let found = Found {
        tracks,
        left_out,
        other_files,
        united,
        name: "MagnaTagATune".to_owned(),
        licence: "CC BY-NC-SA 3.0".to_owned(),
        notes: "clips of 29 s cut or padded with silence to one length; songs are tracks, song groups titles".to_owned(),
        source: format!("MagnaTagATune, artists by {}", match &request.aliases {
            Aliases::None => "name",
            Aliases::Likely => "name with the likely aliases",
            Aliases::File(_) => "name with aliases of one's own",
        }),
    };
    Ok((found, summary))
}

/// Titles of an artist that several of the tracks bear; clips are in the order of their names.
fn recurring_titles(clips: &[Clip]) -> usize {
    let recurring = |clips: &[Clip]| {
        let mut titles: BTreeMap<&str, usize> = BTreeMap::new();
        for track in clips.chunk_by(|a, b| a.names() == b.names()) {
            let title = track.first().map(|clip| clip.names().title);
            *titles.entry(title.unwrap_or_default()).or_default() += 1;
        }
        titles.values().filter(|tracks| **tracks > 1).count()
    };
    clips.chunk_by(|a, b| a.names().artist == b.names().artist).map(recurring).sum()
}

/// Each artist's name as people write it: the commonest in the list; the path's own where two artists would share it.
fn shown_artists(clips: &[Clip], aliases: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut written: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for clip in clips {
        let artist = clip.names().artist;
        let counts = written.entry(aliases.get(artist).map_or(artist, String::as_str)).or_default();
        if let Some([name, ..]) = clip.shown.as_deref() {
            *counts.entry(name).or_default() += 1;
        }
    }
    let commonest = |counts: &BTreeMap<&str, usize>| {
        counts
            .iter()
            .filter(|(name, _)| !name.is_empty())
            .max_by_key(|(_, clips)| **clips)
            .map(|(name, _)| (*name).to_owned())
    };
    let shown: BTreeMap<&str, String> = written
        .iter()
        .map(|(artist, counts)| {
            (*artist, commonest(counts).unwrap_or_else(|| (*artist).to_owned()))
        })
        .collect();
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    for name in shown.values() {
        *taken.entry(name).or_default() += 1;
    }
    let is_alone = |name: &str| taken.get(name) == Some(&1);
    shown
        .iter()
        .map(|(artist, name)| {
            let name = if is_alone(name) { name.clone() } else { (*artist).to_owned() };
            ((*artist).to_owned(), name)
        })
        .collect()
}

/// The track of `clips`, which are all of it.
fn track(
    mut clips: Vec<Clip>,
    audio: &Arc<Path>,
    aliases: &BTreeMap<String, String>,
    shown: &BTreeMap<String, String>,
    genres: Option<&mut Genres>,
) -> Track {
    clips.sort_by_key(|clip| clip.start);
    let written = |place: usize, or: &str| {
        let written = clips
            .iter()
            .filter_map(|clip| clip.shown.as_ref()?.get(place))
            .find(|name| !name.is_empty());
        written.map_or(or, |name| &**name).to_owned()
    };
    let Names { artist, album, number, title } = clips.first().map(Clip::names).unwrap_or_default();
    let by = aliases.get(artist).map_or(artist, String::as_str);
    let mut track = Track {
        id: format!("{artist}/{album}/{number}-{title}"),
        path: Arc::clone(audio),
        artist: shown.get(by).map_or(by, String::as_str).to_owned(),
        album: written(1, album),
        title: written(2, title),
        // By what the path spells, so that both lists give the same groups.
        song_group: song_group(by, title),
        genres: genres.map(|genres| genres.of(artist, album, clips.len())).unwrap_or_default(),
        seconds: Some(
            leitmotif_models::SampleRate::NETWORK.seconds((clips.len() * CLIP_SAMPLES) as u64),
        ),
        ..Track::default()
    };
    // Made piece by piece, they have room for more, twice as much even.
    track.id.shrink_to_fit();
    track.song_group.shrink_to_fit();
    let file =
        |clip: Clip| ClipFile { start_seconds: f64::from(clip.start), id: clip.path.into_string() };
    Track { clips: clips.into_iter().map(file).collect(), ..track }
}

/// Share of the clips that another clip of their track adjoins.
fn neighbours(tracks: &[Track]) -> f64 {
    const SECONDS: f64 = 29.0;
    let (mut clips, mut adjoined) = (0, 0);
    for track in tracks {
        clips += track.clips.len();
        let starts: Vec<f64> = track.clips.iter().map(|clip| clip.start_seconds).collect();
        let gaps: Vec<bool> = starts
            .windows(2)
            .map(|pair| matches!(pair, [a, b] if (b - a - SECONDS).abs() <= 1.0))
            .collect();
        let is_near = |place: usize| {
            gaps.get(place).copied().unwrap_or(false)
                || place
                    .checked_sub(1)
                    .and_then(|before| gaps.get(before))
                    .copied()
                    .unwrap_or(false)
        };
        adjoined += (0..starts.len()).filter(|place| is_near(*place)).count();
    }
    if clips == 0 { 0.0 } else { adjoined as f64 / clips as f64 }
}

/// The genres of albums.
struct Genres {
    albums: BTreeMap<(String, String), Vec<String>>,
    met: BTreeSet<(String, String)>,
    clips_without: usize,
}

impl Genres {
    fn read(path: &Path) -> Result<Self, SourceError> {
        let text = read_text(path)?;
        let (mut albums, mut problems) = (BTreeMap::new(), Vec::new());
        for (line, fields) in tabbed(&text) {
            let [artist, album, genres] = fields.as_slice() else {
                problems.push(Problem::whole(
                    line,
                    "not `artist TAB album TAB genre[;genre…]`".to_owned(),
                ));
                continue;
            };
            let genres: Vec<String> = genres
                .split(';')
                .map(str::trim)
                .filter(|genre| !genre.is_empty())
                .map(str::to_owned)
                .collect();
            if genres.is_empty() {
                problems.push(Problem::whole(line, "names no genre".to_owned()));
            }
            let key = ((*artist).to_owned(), (*album).to_owned());
            if albums.insert(key, genres).is_some() {
                problems.push(Problem::whole(
                    line,
                    format!("`{artist}`'s `{album}` has its genres already"),
                ));
            }
        }
        if !problems.is_empty() {
            return Err(SourceError::Manifest { path: path.to_owned(), problems });
        }
        Ok(Genres { albums, met: BTreeSet::new(), clips_without: 0 })
    }

    fn of(&mut self, artist: &str, album: &str, clips: usize) -> Vec<String> {
        let key = (artist.to_owned(), album.to_owned());
        let Some(genres) = self.albums.get(&key) else {
            self.clips_without += clips;
            return Vec::new();
        };
        self.met.insert(key);
        genres.clone()
    }

    fn gaps(self) -> GenreGaps {
        let unknown = self.albums.keys().filter(|album| !self.met.contains(*album));
        GenreGaps {
            unknown_albums: unknown.map(|(artist, album)| format!("{artist}/{album}")).collect(),
            clips_without: self.clips_without,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:>7} {:>7} {:>7} {:>7}", "clips", "artists", "albums", "tracks")?;
        let lines = [
            (self.listed, "listed"),
            (self.with_sound, "without the files that are empty in every copy"),
            (self.kept, "without compilations and the label itself"),
        ];
        for (Counts { clips, artists, albums, tracks }, what) in lines {
            writeln!(f, "{clips:>7} {artists:>7} {albums:>7} {tracks:>7}  {what}")?;
        }
        let Artists { by_name, with_likely_aliases, used } = self.artists;
        writeln!(
            f,
            "{used} artists; {by_name} where every name is one, {with_likely_aliases} where the likely aliases are taken together (the paper: 222)"
        )?;
        writeln!(
            f,
            "{} titles recur under another album or number; {:.1} % of the clips adjoin another of their track",
            self.recurring_titles,
            100.0 * self.neighbours
        )?;
        if self.without_audio > 0 {
            writeln!(
                f,
                "{} more clips are described that the data set has no audio of",
                self.without_audio
            )?;
        }
        if let Some(GenreGaps { unknown_albums, clips_without }) = &self.genres {
            writeln!(f, "{clips_without} clips are of albums without genres")?;
            if let Some(first) = unknown_albums.first() {
                writeln!(
                    f,
                    "{} albums have genres and no clips, as {first}",
                    unknown_albums.len()
                )?;
            }
        }
        Ok(())
    }
}
