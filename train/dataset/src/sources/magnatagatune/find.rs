//! Turns a list of clips into tracks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use leitmotif_models::CLIP_SAMPLES;

use super::clip::{Clip, ClipNames};
use super::genres::Genres;
use super::listing::{ClipList, Listing};
use super::rules::{Aliases, Rules};
use super::summary::{ArtistCounts, ListCounts, Summary, neighbour_share, recurring_titles};
use crate::sources::SourceError;
use crate::sources::left_out::{LeftOut, Reason};
use crate::sources::names::song_group;
use crate::sources::track::{ClipFile, Found, Track};

/// Notes for `dataset.toml`.
const NOTES: &str =
    "clips of 29 s cut or padded with silence to one length; songs are tracks, song groups titles";

/// What to read, and how.
#[derive(Clone, Debug)]
pub struct Request {
    /// The folder of the audio, with the folders `0` to `f`.
    pub audio: PathBuf,
    /// The list of clips.
    pub listing: Listing,
    /// The names that denote one artist.
    pub aliases: Aliases,
    /// A file of lines `artist TAB album TAB genre[;genre…]`, with names as in the paths.
    pub genres: Option<PathBuf>,
}

/// Reads the list of clips and applies the rules that need no audio.
///
/// # Errors
///
/// [`SourceError::Unreadable`]; [`SourceError::Manifest`] with all invalid lines of a list;
/// [`SourceError::NotAFolder`], [`SourceError::StillPacked`] or [`SourceError::NoClips`] for the folder of the audio.
pub fn find(request: &Request) -> Result<(Found, Summary), SourceError> {
    let rules = Rules::built_in()?;
    let aliases = request.aliases.read(&rules)?;
    let mut genres = request.genres.as_deref().map(Genres::read).transpose()?;
    let ClipList { mut clips, without_audio, other_files } = request.listing.read()?;
    let is_empty = |clip: &&Clip| rules.empty_files.contains(&*clip.path);
    let is_pseudo = |clip: &&Clip| rules.pseudo_artists.contains(clip.names().artist);
    // Makes the clips of a track consecutive.
    clips.sort_by(|a, b| a.names().cmp(&b.names()));
    let listed = ListCounts::of(clips.iter());
    let with_sound = ListCounts::of(clips.iter().filter(|clip| !is_empty(clip)));
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
    let kept = ListCounts::of(clips.iter());
    let names: BTreeSet<String> =
        clips.iter().map(Clip::names).map(|names| names.artist.to_owned()).collect();
    let artists = |aliases: &BTreeMap<String, String>| {
        names.iter().map(|name| aliases.get(name).unwrap_or(name)).collect::<BTreeSet<_>>().len()
    };
    let recurring_titles = recurring_titles(&clips);
    let display_names = display_names(&clips, &aliases);
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
        tracks.push(track(of_track, &audio, &aliases, &display_names, genres.as_mut()));
    }
    let summary = Summary {
        listed,
        with_sound,
        kept,
        artists: ArtistCounts {
            by_name: names.len(),
            with_likely_aliases: artists(&rules.likely_aliases),
            used: artists(&aliases),
        },
        without_audio,
        recurring_titles,
        neighbours: neighbour_share(&tracks),
        genres: genres.map(Genres::gaps),
    };
    let merged_artists = aliases
        .iter()
        .filter(|(alias, _)| names.contains(*alias))
        .map(|(alias, artist)| format!("`{alias}` is replaced by `{artist}` (--aliases)"))
        .collect();
    let found = Found {
        tracks,
        left_out,
        other_files,
        merged_artists,
        name: "MagnaTagATune".to_owned(),
        licence: "CC BY-NC-SA 3.0".to_owned(),
        notes: NOTES.to_owned(),
        source: format!(
            "MagnaTagATune, artists by {}",
            match &request.aliases {
                Aliases::None => "name",
                Aliases::Likely => "name with the likely aliases",
                Aliases::File(_) => "name with aliases of one's own",
            }
        ),
    };
    Ok((found, summary))
}

/// The display name of each artist: the most frequent one in the list, or the name in the paths where two artists would
/// have the same.
fn display_names(clips: &[Clip], aliases: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut written: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for clip in clips {
        let artist = clip.names().artist;
        let counts = written.entry(aliases.get(artist).map_or(artist, String::as_str)).or_default();
        if let Some([name, ..]) = clip.written_names.as_deref() {
            *counts.entry(name).or_default() += 1;
        }
    }
    let most_frequent = |counts: &BTreeMap<&str, usize>| {
        counts
            .iter()
            .filter(|(name, _)| !name.is_empty())
            .max_by_key(|(_, clips)| **clips)
            .map(|(name, _)| (*name).to_owned())
    };
    let names: BTreeMap<&str, String> = written
        .iter()
        .map(|(artist, counts)| {
            (*artist, most_frequent(counts).unwrap_or_else(|| (*artist).to_owned()))
        })
        .collect();
    let mut taken: BTreeMap<&str, usize> = BTreeMap::new();
    for name in names.values() {
        *taken.entry(name).or_default() += 1;
    }
    let is_unique = |name: &str| taken.get(name) == Some(&1);
    names
        .iter()
        .map(|(artist, name)| {
            let name = if is_unique(name) { name.clone() } else { (*artist).to_owned() };
            ((*artist).to_owned(), name)
        })
        .collect()
}

/// The track that consists of `clips`.
fn track(
    mut clips: Vec<Clip>,
    audio: &Arc<Path>,
    aliases: &BTreeMap<String, String>,
    display_names: &BTreeMap<String, String>,
    genres: Option<&mut Genres>,
) -> Track {
    clips.sort_by_key(|clip| clip.start);
    let written = |index: usize, default: &str| {
        let written = clips
            .iter()
            .filter_map(|clip| clip.written_names.as_ref()?.get(index))
            .find(|name| !name.is_empty());
        written.map_or(default, |name| &**name).to_owned()
    };
    let ClipNames { artist, album, number, title } =
        clips.first().map(Clip::names).unwrap_or_default();
    let artist_key = aliases.get(artist).map_or(artist, String::as_str);
    let mut track = Track {
        id: format!("{artist}/{album}/{number}-{title}"),
        path: Arc::clone(audio),
        artist: display_names.get(artist_key).map_or(artist_key, String::as_str).to_owned(),
        album: written(1, album),
        title: written(2, title),
        // From the path, so that all lists give the same groups.
        song_group: song_group(artist_key, title),
        genres: genres.map(|genres| genres.of(artist, album, clips.len())).unwrap_or_default(),
        seconds: Some(
            leitmotif_models::SampleRate::NETWORK.seconds((clips.len() * CLIP_SAMPLES) as u64),
        ),
        ..Track::default()
    };
    // Built piece by piece, their capacity can be twice their length; there may be a million tracks.
    track.id.shrink_to_fit();
    track.song_group.shrink_to_fit();
    let file =
        |clip: Clip| ClipFile { start_seconds: f64::from(clip.start), id: clip.path.into_string() };
    Track { clips: clips.into_iter().map(file).collect(), ..track }
}
