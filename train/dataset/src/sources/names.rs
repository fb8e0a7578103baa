//! Names of artists and songs: which artists are none, and which titles are one song.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::track::Track;

/// Names that stand for many artists or none, normalised; the readable list is `train/dataset/data/pseudo-artists.txt`.
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
    "clean",
    "demo",
    "dub",
    "edit",
    "explicit",
    "extended",
    "feat",
    "featuring",
    "ft",
    "instrumental",
    "karaoke",
    "live",
    "mix",
    "mono",
    "orchestral",
    "radio",
    "raw",
    "remaster",
    "remastered",
    "remix",
    "remixed",
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

/// Letters, their marks and digits alone, in one case and one way of writing them (NFKC): "Jóga" with a combining accent is
/// "jóga". A name without any ("!!!") stays as it is.
pub fn normalised(name: &str) -> String {
    // Marks that NFKC leaves by themselves (Thai tones) tell words apart.
    let letters: String =
        one_case(name).chars().filter(|c| c.is_alphanumeric() || is_combining_mark(*c)).collect();
    if letters.is_empty() { name.trim().nfkc().collect() } else { letters }
}

fn one_case(name: &str) -> String {
    // To upper case first: some letters ("ς", "ß") have several small forms but one capital.
    name.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// The group of a song that no column names: artist and title, without spelling and without what marks variants,
/// so that a live recording, a remaster and a duplicate of one song stay on one side of a split.
pub fn song_group(artist: &str, title: &str) -> String {
    // First, so that full-width brackets are brackets.
    let title: String = title.nfkc().collect();
    format!("{}/{}", normalised(artist), normalised(without_variant(&title)))
}

/// Gives artists whose names differ in case, spaces or Unicode form alone the commonest of the spellings, of equally common ones the first by its
/// letters. Says for each other spelling what it became.
pub(super) fn unite_spellings(tracks: &mut [Track]) -> Vec<String> {
    let mut spellings: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for track in tracks.iter() {
        *spellings
            .entry(one_case(&track.artist).split_whitespace().collect::<Vec<_>>().join(" "))
            .or_default()
            .entry(&track.artist)
            .or_default() += 1;
    }
    let mut becomes: BTreeMap<String, String> = BTreeMap::new();
    for spellings in spellings.values() {
        let commonest = spellings.iter().min_by_key(|(name, songs)| (usize::MAX - **songs, **name));
        let Some((commonest, _)) = commonest else { continue };
        let others = spellings.keys().filter(|name| *name != commonest);
        becomes.extend(others.map(|name| ((*name).to_owned(), (*commonest).to_owned())));
    }
    for track in tracks {
        if let Some(name) = becomes.get(&track.artist) {
            track.artist.clone_from(name);
        }
    }
    let say =
        |(name, becomes)| format!("`{name}` is taken for `{becomes}`: only the spelling differs");
    becomes.iter().map(say).collect()
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
    let (start, inner) = if title.ends_with(')') {
        bracket(title, '(', ')')?
    } else if title.ends_with(']') {
        bracket(title, '[', ']')?
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

/// Where the bracket that closes at the end of `title` opens, and what it holds, brackets within it included.
fn bracket(title: &str, open: char, close: char) -> Option<(usize, &str)> {
    let mut depth = 0usize;
    for (place, c) in title.char_indices().rev() {
        if c == close {
            depth += 1;
        } else if c == open {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some((place, title.get(place + open.len_utf8()..)?));
            }
        }
    }
    None
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
            "Night Train (Live (2003))",
            "Night Train [Live (in [the] park)]",
            "Night Train （Live）",
            "Night Train (Explicit)",
            "Night Train (Clean)",
            "Night Train (Orchestral)",
            "Night Train (Remixed by X)",
        ] {
            assert_eq!(song_group("the band", title), group, "{title}");
        }
    }

    #[test]
    fn one_name_is_one_name_however_its_letters_are_written() {
        let group = song_group("Bj\u{f6}rk", "J\u{f3}ga");
        for (artist, title) in [
            ("Bjo\u{308}rk", "Jo\u{301}ga"),
            ("BJ\u{d6}RK", "J\u{d3}GA"),
            ("Ｂｊörk", "Jóga (Live)"),
        ] {
            assert_eq!(song_group(artist, title), group, "{artist} {title}");
        }
        assert_ne!(song_group("Bjork", "Joga"), group);
        assert_eq!(normalised("ΠΥΞ ΛΑΞ, ΟΔΟΣ"), normalised("Πυξ Λαξ, Οδος"));
    }

    #[test]
    fn spellings_of_one_artist_become_the_commonest() {
        let mut tracks: Vec<Track> = ["ABBA", "Bjo\u{308}rk", "Abba", "Bj\u{f6}rk", "Abba", "Cher"]
            .map(|artist| Track { artist: artist.to_owned(), ..Track::default() })
            .into();
        let said = unite_spellings(&mut tracks);
        let artists: Vec<&str> = tracks.iter().map(|track| track.artist.as_str()).collect();
        // Of two equally common spellings the first by its letters: the combining one.
        let bjork = "Bjo\u{308}rk";
        assert_eq!(artists, ["Abba", bjork, "Abba", bjork, "Abba", "Cher"]);
        assert_eq!(said.len(), 2);
        assert_eq!(said[0], "`ABBA` is taken for `Abba`: only the spelling differs");
        assert!(unite_spellings(&mut tracks).is_empty());
    }

    #[test]
    fn artists_told_apart_by_signs_or_marks_stay_apart() {
        let names = ["M.I.A.", "MIA", "Therapy?", "Therapy", "+44", "44", "ป้า", "ป่า", "ปา"];
        let mut tracks: Vec<Track> =
            names.map(|artist| Track { artist: artist.to_owned(), ..Track::default() }).into();
        assert!(unite_spellings(&mut tracks).is_empty());
        assert_ne!(song_group("A", "ป้า"), song_group("A", "ป่า"));
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
