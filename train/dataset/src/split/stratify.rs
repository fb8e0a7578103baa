//! Assigns the groups of each artist to parts so that each part has its share of the artist's clips.

use std::collections::{BTreeMap, BTreeSet};

use leitmotif_models::Random;

use super::error::SplitError;
use super::groups::{ArtistGroup, Groups};
use super::request::{Protocol, SplitRequest};
use super::subset;
use crate::store::{ClipRow, Clips, Part};

/// A finished split.
#[derive(Clone, Debug, PartialEq)]
pub struct Split {
    /// The part of each clip, in the order of the data set; `None` for clips of excluded artists.
    pub parts: Vec<Option<Part>>,
    /// Artists that cannot be divided, and why.
    pub excluded_artists: Vec<String>,
    /// Artists without validation clips because they have only two groups.
    pub artists_without_validation: Vec<String>,
}

impl Split {
    /// The number of clips in a part.
    pub fn count(&self, part: Part) -> usize {
        self.parts.iter().filter(|of| **of == Some(part)).count()
    }
}

/// Divides `clips` into training, validation and test parts.
///
/// # Errors
///
/// [`SplitError::BadShare`] for shares out of range; the other variants where artists have too few groups.
pub fn split(clips: &Clips, request: &SplitRequest) -> Result<Split, SplitError> {
    check_shares(request)?;
    let protocol = request.protocol;
    let mut excluded_artists = Vec::new();
    let mut artists_without_validation = Vec::new();
    let groups = Groups::of(clips, protocol);
    let mut artists = groups.of_artists(clips);
    let needed = if request.validation > 0.0 { 3 } else { 2 };
    if protocol == Protocol::Album {
        artists.retain(|artist, albums| {
            if albums.len() < 2 {
                let albums = match albums.is_empty() {
                    true => "no named album",
                    false => "one album, or several that share songs",
                };
                excluded_artists.push(format!("`{artist}` has {albums}"));
            } else if albums.len() < needed {
                artists_without_validation.push((*artist).to_owned());
            }
            albums.len() >= 2
        });
    } else {
        let few: Vec<_> = artists
            .iter()
            .filter(|(_, groups)| groups.len() < 2)
            .map(|(artist, groups)| ((*artist).to_owned(), groups.len()))
            .collect();
        if !few.is_empty() {
            return Err(SplitError::TooFewGroups { protocol, needed: 2, artists: few });
        }
        let two = artists.iter().filter(|(_, groups)| groups.len() < needed);
        artists_without_validation.extend(two.map(|(artist, _)| (*artist).to_owned()));
    }
    if artists.len() < 2 {
        return Err(SplitError::TooFewArtists { protocol, excluded_artists });
    }
    if request.validation > 0.0 && artists_without_validation.len() == artists.len() {
        return Err(SplitError::NoValidation { protocol });
    }
    let assigned = assign(&artists, groups.count, request)?;
    // An excluded artist may share a group with one that is not.
    let part = |(clip, group): (ClipRow<&str>, &Option<usize>)| {
        let group = group.filter(|_| artists.contains_key(clip.artist))?;
        assigned.get(group).copied()?
    };
    let parts = clips.iter().zip(&groups.of_clips).map(part).collect();
    Ok(Split { parts, excluded_artists, artists_without_validation })
}

fn check_shares(request: &SplitRequest) -> Result<(), SplitError> {
    if !(request.test > 0.0 && request.test < 1.0) {
        return Err(SplitError::BadShare {
            part: "test",
            share: request.test,
            range: "between 0 and 1",
        });
    }
    if !(request.validation >= 0.0 && request.validation < 1.0) {
        return Err(SplitError::BadShare {
            part: "validation",
            share: request.validation,
            range: "from 0 to below 1",
        });
    }
    Ok(())
}

/// Assigns each group of these artists to a part.
fn assign(
    artists: &BTreeMap<&str, Vec<ArtistGroup>>,
    groups: usize,
    request: &SplitRequest,
) -> Result<Vec<Option<Part>>, SplitError> {
    let mut assigned: Vec<Option<Part>> = vec![None; groups];
    // Artists with few groups first: artists with many can compensate for groups that they share.
    let order: BTreeSet<(usize, &str)> =
        artists.iter().map(|(artist, groups)| (groups.len(), *artist)).collect();
    for (_, artist) in order {
        let Some(groups) = artists.get(artist) else { continue };
        let has_validation = request.validation > 0.0 && groups.len() >= 3;
        let clips: usize = groups.iter().map(|of| of.clips).sum();
        let part_of =
            |of: &ArtistGroup, assigned: &[Option<Part>]| assigned.get(of.group).copied()?;
        let assigned_clips = |part: Part, assigned: &[Option<Part>]| -> usize {
            groups.iter().filter(|of| part_of(of, assigned) == Some(part)).map(|of| of.clips).sum()
        };
        let mut free: Vec<ArtistGroup> =
            groups.iter().filter(|of| part_of(of, &assigned).is_none()).copied().collect();
        let purpose = format!("split/{}/{artist}", request.protocol);
        Random::derive(request.seed, &purpose, &[]).shuffle(&mut free);

        let test_target = request.test * clips as f64;
        let test = assigned_clips(Part::Test, &assigned);
        let spare = usize::from(assigned_clips(Part::Train, &assigned) == 0)
            + usize::from(has_validation && assigned_clips(Part::Validation, &assigned) == 0);
        choose(&mut free, test_target, test, spare, Part::Test, artist, &mut assigned)?;
        if has_validation {
            let target =
                request.validation * (clips - assigned_clips(Part::Test, &assigned)) as f64;
            let assigned_already = assigned_clips(Part::Validation, &assigned);
            let spare = usize::from(assigned_clips(Part::Train, &assigned) == 0);
            choose(
                &mut free,
                target,
                assigned_already,
                spare,
                Part::Validation,
                artist,
                &mut assigned,
            )?;
        }
        free.iter().for_each(|of| assign_group(of, Part::Train, &mut assigned));
        if assigned_clips(Part::Train, &assigned) == 0 {
            return Err(SplitError::SharedGroups { artist: artist.to_owned(), part: "training" });
        }
    }
    Ok(assigned)
}

fn assign_group(of: &ArtistGroup, part: Part, assigned: &mut [Option<Part>]) {
    if let Some(slot) = assigned.get_mut(of.group) {
        *slot = Some(part);
    }
}

/// Moves groups from `free` to `part` so that their clips, with those `assigned_already`, come as near to `target` as
/// possible; leaves at least `spare` groups in `free`.
fn choose(
    free: &mut Vec<ArtistGroup>,
    target: f64,
    assigned_already: usize,
    spare: usize,
    part: Part,
    artist: &str,
    assigned: &mut [Option<Part>],
) -> Result<(), SplitError> {
    let sizes: Vec<usize> = free.iter().map(|of| of.clips).collect();
    let most = sizes.len().saturating_sub(spare);
    let least = usize::from(assigned_already == 0);
    let Some(chosen) = subset::nearest(&sizes, target - assigned_already as f64, least, most)
    else {
        let part = if part == Part::Test { "testing" } else { "validation" };
        return Err(SplitError::SharedGroups { artist: artist.to_owned(), part });
    };
    let mut chosen = chosen.into_iter();
    free.retain(|of| {
        let taken = chosen.next().unwrap_or(false);
        if taken {
            assign_group(of, part, assigned);
        }
        !taken
    });
    Ok(())
}
