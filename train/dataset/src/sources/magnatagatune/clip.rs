//! Clips of MagnaTagATune and their paths.

use std::rc::Rc;

/// One clip. Its names are parsed from the path on demand, since there may be a million clips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clip {
    /// Path below the folder of the audio: `f/artist-album-01-title-30-59.mp3`.
    pub(super) path: Box<str>,
    /// Start in the track, in seconds.
    pub(super) start: u32,
    /// Artist, album and title as written in the list, where it has them.
    pub(super) written_names: Option<Box<[Rc<str>; 3]>>,
}

impl Clip {
    /// The names in its path.
    pub(super) fn names(&self) -> ClipNames<'_> {
        // Clips are only made from paths that parse.
        parse_path(&self.path).map(|(names, _)| names).unwrap_or_default()
    }
}

/// The names in the path of a clip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClipNames<'a> {
    pub(super) artist: &'a str,
    pub(super) album: &'a str,
    pub(super) number: &'a str,
    pub(super) title: &'a str,
}

/// Parses a path `X/artist-album-NN-title-START-END.mp3` into names and the start in seconds.
pub(super) fn parse_path(path: &str) -> Option<(ClipNames<'_>, u32)> {
    let (folder, file) = path.split_once('/')?;
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut letters = folder.chars();
    if !(letters.next().is_some_and(is_hex) && letters.next().is_none()) {
        return None;
    }
    let mut parts = file.strip_suffix(".mp3")?.split('-');
    let mut part = || parts.next();
    let [artist, album, number, title] = [part()?, part()?, part()?, part()?];
    let (start, end): (u32, u32) = (part()?.parse().ok()?, part()?.parse().ok()?);
    if part().is_some() || artist.is_empty() || start >= end {
        return None;
    }
    Some((ClipNames { artist, album, number, title }, start))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str =
        "f/american_bach_soloists-j_s__bach_solo_cantatas-01-bwv54__i_aria-30-59.mp3";

    #[test]
    fn a_path_has_names_and_start() {
        let (names, start) = parse_path(PATH).unwrap();
        assert_eq!((names.artist, names.number, start), ("american_bach_soloists", "01", 30));
        assert_eq!((names.album, names.title), ("j_s__bach_solo_cantatas", "bwv54__i_aria"));
        for wrong in [
            "x/a-b-01-c-0-29.mp3",
            "ff/a-b-01-c-0-29.mp3",
            "f/a-b-01-c-d-0-29.mp3",
            "f/a-b-01-c-29-29.mp3",
            "f/a-b-01-c-0-29.wav",
            "a-b-01-c-0-29.mp3",
            "f/-b-01-c-0-29.mp3",
        ] {
            assert_eq!(parse_path(wrong), None, "{wrong}");
        }
    }
}
