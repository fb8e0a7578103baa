//! Names of artists and songs: which artists are none, and which titles are one song.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Names that stand for many artists or none, normalised; the readable list is `train/data/pseudo-artists.txt`.
static PSEUDO_ARTISTS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    include_str!("../../data/pseudo-artists.txt")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(normalised)
        .collect()
});

/// Words that mark a recording as a variant of a song when they stand in brackets or after a dash at a title's end.
const VARIANT_WORDS: &[&str] = &[
    "acoustic",
    "alternate",
    "alternative",
    "bonus",
    "demo",
    "dub",
    "edit",
    "extended",
    "feat",
    "featuring",
    "ft",
    "instrumental",
    "karaoke",
    "live",
    "mix",
    "mono",
    "radio",
    "raw",
    "remaster",
    "remastered",
    "remix",
    "reprise",
    "rmx",
    "session",
    "single",
    "stereo",
    "take",
    "unplugged",
    "version",
];

/// Whether `artist` stands for many artists or for none ("Various Artists", "Unknown").
pub fn is_pseudo_artist(artist: &str) -> bool {
    PSEUDO_ARTISTS.contains(&normalised(artist))
}

/// Lower case letters and digits alone, so that spelling and punctuation do not tell names apart.
/// A name that has neither (`!!!`) stays as it is.
pub fn normalised(name: &str) -> String {
    let letters: String =
        name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if letters.is_empty() { name.trim().to_owned() } else { letters }
}

/// The group of a song that no column names: artist and title, without spelling and without what marks variants,
/// so that a live recording, a remaster and a duplicate of one song stay on one side of a split.
pub fn song_group(artist: &str, title: &str) -> String {
    format!("{}/{}", normalised(artist), normalised(without_variant(title)))
}

/// `title` without brackets or dash suffixes at its end that hold a variant word: "Song (Live 2003) - Remastered" is "Song".
fn without_variant(title: &str) -> &str {
    let mut title = title.trim();
    while let Some(shorter) = cut_variant(title) {
        title = shorter;
    }
    title
}

fn cut_variant(title: &str) -> Option<&str> {
    let (start, inner) = if let Some(body) = title.strip_suffix(')') {
        let start = body.rfind('(')?;
        (start, body.get(start + 1..)?)
    } else if let Some(body) = title.strip_suffix(']') {
        let start = body.rfind('[')?;
        (start, body.get(start + 1..)?)
    } else {
        let start = title.rfind(" - ")?;
        (start, title.get(start + 3..)?)
    };
    let is_variant = inner
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| VARIANT_WORDS.contains(&word.to_lowercase().as_str()));
    let rest = title.get(..start)?.trim_end();
    (is_variant && !rest.is_empty()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilations_are_no_artists_however_they_are_spelled() {
        for name in [
            "Various Artists",
            "VARIOUS  ARTISTS",
            "V.A.",
            "va",
            "Verschiedene Künstler",
            "<unknown>",
            "群星",
        ] {
            assert!(is_pseudo_artist(name), "{name}");
        }
        for name in ["Vangelis", "The Various", "!!!", "Unknown Mortal Orchestra", "Art"] {
            assert!(!is_pseudo_artist(name), "{name}");
        }
    }

    #[test]
    fn variants_of_a_song_share_a_group() {
        let group = song_group("The Band", "Night Train");
        for title in [
            "night train",
            "Night Train (Live at Home)",
            "Night Train [2011 Remaster]",
            "Night Train - Radio Edit",
            "Night-Train (Demo) - Remastered",
        ] {
            assert_eq!(song_group("the band", title), group, "{title}");
        }
    }

    #[test]
    fn other_songs_do_not_share_a_group() {
        let group = song_group("A", "The Trail, Pt. 1");
        for (artist, title) in [
            ("A", "The Trail, Pt. 2"),
            ("B", "The Trail, Pt. 1"),
            ("A", "The Trail (Part 1 of 3) b"),
            ("A", "Live"),
        ] {
            assert_ne!(song_group(artist, title), group, "{artist} {title}");
        }
        // A title that is only a variant word is a title.
        assert_eq!(song_group("A", "(Live)"), "a/live");
        assert_ne!(song_group("A", "..."), song_group("A", "???"));
    }
}
