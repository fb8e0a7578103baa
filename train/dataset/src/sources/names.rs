//! Compares names of artists and songs: pseudo-artists, spellings, and variants of a song.

use std::collections::{BTreeMap, HashSet};
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::track::Track;

/// Names that stand for several artists or none, in many languages: rows of language, term and source.
const PSEUDO_ARTISTS_CSV: &str = include_str!("../../data/pseudo-artists.csv");

/// The names in [`PSEUDO_ARTISTS_CSV`], as [`folded`].
static PSEUDO_ARTISTS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    csv::Reader::from_reader(PSEUDO_ARTISTS_CSV.as_bytes())
        .records()
        .flatten()
        .filter_map(|row| row.get(1).map(folded))
        .collect()
});

/// Words that mark a variant of a song if they are in brackets or after a dash at the end of a title.
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

/// Whether `artist` stands for several artists or none ("Various Artists", "Unknown").
pub fn is_pseudo_artist(artist: &str) -> bool {
    PSEUDO_ARTISTS.contains(&folded(artist))
}

/// A name as an eye sees it, without punctuation and spaces: "V.A." is "va".
fn folded(name: &str) -> String {
    normalised(&visible(name))
}

/// Reduces a name to its letters, combining marks and digits, in lower case and Unicode form NFKC, for comparison. A
/// name without any of these ("!!!") is only trimmed and put into NFKC.
pub fn normalised(name: &str) -> String {
    // Combining marks that NFKC does not compose, as Thai tones, distinguish words.
    let letters: String =
        one_case(name).chars().filter(|c| c.is_alphanumeric() || is_combining_mark(*c)).collect();
    if letters.is_empty() { name.trim().nfkc().collect() } else { letters }
}

fn one_case(name: &str) -> String {
    // Upper case first: some letters, as "ς" and "ß", have several lower-case forms but one upper-case form.
    name.nfkc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// The song group of a title: normalised artist and title without variant marks, `artist/title`. A live recording, a
/// remaster and a duplicate of one song are thus kept in one part of a split.
pub fn song_group(artist: &str, title: &str) -> String {
    // First, because NFKC turns full-width brackets into brackets.
    let title: String = title.nfkc().collect();
    format!("{}/{}", normalised(artist), normalised(without_variant(&title)))
}

/// A name as an eye sees it: one case, Unicode form NFKC, spaces, hyphens and quotation marks alike, invisible characters
/// left out.
fn visible(name: &str) -> String {
    let seen: String =
        one_case(name).chars().filter(|c| !is_invisible(*c)).map(plain_punctuation).collect();
    seen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Hyphens and quotation marks that look alike as the one on a keyboard.
fn plain_punctuation(c: char) -> char {
    match c {
        // Dash_Punctuation of one width, and the minus sign.
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{2E3A}' | '\u{2E3B}' => '-',
        '`' | '´' | 'ʹ' | 'ʻ' | 'ʼ' | 'ʽ' | '\u{2018}'..='\u{201B}' | '\u{2032}' | '\u{2035}' => {
            '\''
        }
        '\u{201C}'..='\u{201F}' | '\u{2033}' | '\u{2036}' => '"',
        c => c,
    }
}

/// Whether a character has no shape of its own: Default_Ignorable_Code_Point of Unicode's `DerivedCoreProperties.txt`.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// Replaces names of artists that an eye cannot tell apart (case, spaces, hyphens, quotation marks, invisible characters,
/// Unicode form) by the most frequent of them (of equally frequent ones, the first in byte order). Returns one message for
/// each replaced spelling.
pub(super) fn merge_spellings(tracks: &mut [Track]) -> Vec<String> {
    let mut spellings: BTreeMap<String, BTreeMap<&str, usize>> = BTreeMap::new();
    for track in tracks.iter() {
        *spellings.entry(visible(&track.artist)).or_default().entry(&track.artist).or_default() +=
            1;
    }
    let mut replacements: BTreeMap<String, String> = BTreeMap::new();
    for spellings in spellings.values() {
        let commonest = spellings.iter().min_by_key(|(name, songs)| (usize::MAX - **songs, **name));
        let Some((commonest, _)) = commonest else { continue };
        let others = spellings.keys().filter(|name| *name != commonest);
        replacements.extend(others.map(|name| ((*name).to_owned(), (*commonest).to_owned())));
    }
    for track in tracks {
        if let Some(name) = replacements.get(&track.artist) {
            track.artist.clone_from(name);
        }
    }
    let format_replacement =
        |(name, by)| format!("`{name}` is replaced by `{by}`: only the spelling differs");
    replacements.iter().map(format_replacement).collect()
}

/// Removes brackets and dash suffixes with a variant word from the end: "Song (Live 2003) - Remastered" becomes "Song".
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

/// The position and content of the bracket that closes at the end of `title`; the content may contain brackets.
fn bracket(title: &str, open: char, close: char) -> Option<(usize, &str)> {
    let mut depth = 0usize;
    for (start, c) in title.char_indices().rev() {
        if c == close {
            depth += 1;
        } else if c == open {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some((start, title.get(start + open.len_utf8()..)?));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_look_alike_are_one_and_others_are_not() {
        for (one, other) in [
            ("blink-182", "blink\u{2010}182"),
            ("Guns N' Roses", "Guns N\u{2019} Roses"),
            ("Björk", "Bjo\u{308}rk\u{200B}"),
            ("AC/DC", "AC/DC\u{FEFF}"),
            ("The  Band", "the band"),
        ] {
            assert_eq!(visible(one), visible(other), "{one}");
        }
        for (one, other) in [("A-ha", "Aha"), ("Air", "Aïr"), ("Die!", "Die"), ("P!nk", "Pink")] {
            assert_ne!(visible(one), visible(other), "{one}");
        }
    }

    #[test]
    fn pseudo_artists_are_recognised_in_any_spelling() {
        for name in [
            "Various Artists",
            "VARIOUS  ARTISTS",
            "V.A.",
            "va",
            "Verschiedene Künstler",
            "<unknown>",
            "群星",
            "Неизвестный исполнитель",
            "OKÄND ARTIST",
            "不明なアーティスト",
            "Różni wykonawcy",
            "オムニバス",
            "Un\u{200B}known Artist",
            "Various\u{3164}Artists",
        ] {
            assert!(is_pseudo_artist(name), "{name}");
        }
        for name in ["Vangelis", "The Various", "!!!", "Unknown Mortal Orchestra", "Art"] {
            assert!(!is_pseudo_artist(name), "{name}");
        }
    }

    #[test]
    fn each_pseudo_artist_has_a_language_and_a_source() {
        let rows: Vec<csv::StringRecord> = csv::Reader::from_reader(PSEUDO_ARTISTS_CSV.as_bytes())
            .records()
            .map(Result::unwrap)
            .collect();
        let readme = include_str!("../../data/README.md");
        for row in &rows {
            let (term, source) = (&row[1], row[2].split(' ').next().unwrap());
            assert!(is_pseudo_artist(term), "{term}");
            assert!(readme.contains(&format!("`{source}`")), "{source}");
        }
        let languages: HashSet<&str> =
            rows.iter().map(|row| row[0].split('-').next().unwrap()).collect();
        assert!(languages.len() >= 40, "{}", languages.len());
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
    fn unicode_form_and_case_do_not_distinguish_names() {
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
    fn spellings_of_one_artist_become_the_most_frequent_one() {
        let mut tracks: Vec<Track> = ["ABBA", "Bjo\u{308}rk", "Abba", "Bj\u{f6}rk", "Abba", "Cher"]
            .map(|artist| Track { artist: artist.to_owned(), ..Track::default() })
            .into();
        let messages = merge_spellings(&mut tracks);
        let artists: Vec<&str> = tracks.iter().map(|track| track.artist.as_str()).collect();
        // Of two equally frequent spellings the first in byte order: the combining one.
        let bjork = "Bjo\u{308}rk";
        assert_eq!(artists, ["Abba", bjork, "Abba", bjork, "Abba", "Cher"]);
        assert_eq!(messages.len(), 2);
        assert_eq!(messages[0], "`ABBA` is replaced by `Abba`: only the spelling differs");
        assert!(merge_spellings(&mut tracks).is_empty());
    }

    #[test]
    fn artists_that_differ_in_punctuation_or_marks_stay_distinct() {
        let names = ["M.I.A.", "MIA", "Therapy?", "Therapy", "+44", "44", "ป้า", "ป่า", "ปา"];
        let mut tracks: Vec<Track> =
            names.map(|artist| Track { artist: artist.to_owned(), ..Track::default() }).into();
        assert!(merge_spellings(&mut tracks).is_empty());
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
