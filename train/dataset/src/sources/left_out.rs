//! Why a file is not in the data set.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A file that is left out, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// The song's name: its path below the source's root.
    pub path: String,
    /// The rule that leaves it out.
    pub reason: Reason,
}

/// The rules; each file that is left out falls under one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Reason {
    /// Neither tags nor folders name an artist.
    NoArtist,
    /// The artist stands for many or for none.
    PseudoArtist {
        /// The name found.
        artist: String,
    },
    /// The file has no bytes in any copy of its data set.
    KnownEmpty,
    /// The album is a compilation of several artists.
    Compilation {
        /// The album.
        album: String,
    },
    /// The artist has fewer songs than a split needs.
    FewSongs {
        /// The artist.
        artist: String,
        /// Songs (groups of variants count once) that could be used.
        songs: usize,
        /// Songs needed.
        needed: usize,
    },
    /// The artist has as much music as is asked for.
    ArtistIsFull {
        /// The artist.
        artist: String,
        /// The limit, in minutes.
        minutes: f64,
    },
    /// Missing, damaged or of a kind that cannot be decoded.
    Unreadable {
        /// What the decoder or the system says.
        why: String,
    },
    /// Not one whole clip long.
    TooShort {
        /// Seconds decoded.
        seconds: f64,
        /// Seconds of a clip.
        needed: f64,
    },
    /// Longer than any song.
    TooLong {
        /// The limit, in hours.
        hours: f64,
    },
    /// Samples that are not finite numbers.
    NotNumbers {
        /// Where the first one lies.
        seconds: f64,
    },
    /// Nothing but silence.
    Silent,
    /// The same sound, sample by sample, as another song.
    Duplicate {
        /// The song that is kept.
        of: String,
    },
    /// A link to a file that is taken under another name.
    SameFile {
        /// That file.
        of: String,
    },
    /// The package that holds it could not be fetched.
    NotFetched {
        /// The package.
        package: String,
        /// What went wrong.
        why: String,
    },
    /// This version of the package does not hold it.
    NotInPackage {
        /// The package.
        package: String,
    },
    /// This version of the package holds another file under its name.
    HashDiffers {
        /// The package.
        package: String,
    },
}

impl Reason {
    /// The rule's name, as `left-out.csv` has it.
    pub fn rule(&self) -> &'static str {
        match self {
            Reason::NoArtist => "no-artist",
            Reason::PseudoArtist { .. } => "pseudo-artist",
            Reason::KnownEmpty => "known-empty",
            Reason::Compilation { .. } => "compilation",
            Reason::FewSongs { .. } => "few-songs",
            Reason::ArtistIsFull { .. } => "artist-is-full",
            Reason::Unreadable { .. } => "unreadable",
            Reason::TooShort { .. } => "too-short",
            Reason::TooLong { .. } => "too-long",
            Reason::NotNumbers { .. } => "not-numbers",
            Reason::Silent => "silent",
            Reason::Duplicate { .. } => "duplicate",
            Reason::SameFile { .. } => "same-file",
            Reason::NotFetched { .. } => "not-fetched",
            Reason::NotInPackage { .. } => "not-in-package",
            Reason::HashDiffers { .. } => "hash-differs",
        }
    }

    /// What the rule says, for a summary of many files.
    pub fn heading(&self) -> &'static str {
        match self {
            Reason::NoArtist => "no artist in tags or folders",
            Reason::PseudoArtist { .. } => "various or unknown artists",
            Reason::KnownEmpty => "empty in every copy of the data set",
            Reason::Compilation { .. } => "compilations of several artists",
            Reason::FewSongs { .. } => "artist with too few songs",
            Reason::ArtistIsFull { .. } => "beyond the minutes asked for per artist",
            Reason::Unreadable { .. } => "unreadable or damaged",
            Reason::TooShort { .. } => "shorter than one clip",
            Reason::TooLong { .. } => "longer than a song",
            Reason::NotNumbers { .. } => "samples that are not numbers",
            Reason::Silent => "silence",
            Reason::Duplicate { .. } => "duplicate audio",
            Reason::SameFile { .. } => "the same file twice",
            Reason::NotFetched { .. } => "package not fetched",
            Reason::NotInPackage { .. } => "not in this version of the package",
            Reason::HashDiffers { .. } => "another file in this version of the package",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NoArtist => {
                write!(f, "no artist in its tags, and it lies in no ARTIST/ALBUM/TITLE folders")
            }
            Reason::PseudoArtist { artist } => write!(f, "`{artist}` is no artist"),
            Reason::KnownEmpty => write!(f, "the file has no bytes in any copy of the data set"),
            Reason::Compilation { album } => write!(f, "`{album}` is a compilation"),
            Reason::FewSongs { artist, songs, needed } => {
                write!(f, "`{artist}` has {songs} usable songs, {needed} are needed (--min-songs)")
            }
            Reason::ArtistIsFull { artist, minutes } => {
                write!(f, "`{artist}` already has {minutes} minutes (--max-minutes-per-artist)")
            }
            Reason::Unreadable { why } => f.write_str(why),
            Reason::TooShort { seconds, needed } => {
                write!(f, "{seconds:.1} s are shorter than one clip of {needed:.1} s")
            }
            Reason::TooLong { hours } => {
                write!(f, "longer than {hours} hours: an audiobook or radio, not a song")
            }
            Reason::NotNumbers { seconds } => {
                write!(f, "holds a sample that is no number, {seconds:.3} s from its start")
            }
            Reason::Silent => write!(f, "holds nothing but silence"),
            Reason::Duplicate { of } => write!(f, "the same audio as {of}"),
            Reason::SameFile { of } => write!(f, "a link to {of}, which is taken already"),
            Reason::NotFetched { package, why } => {
                write!(f, "package {package} could not be fetched: {why}")
            }
            Reason::NotInPackage { package } => {
                write!(f, "this version of {package} does not hold it")
            }
            Reason::HashDiffers { package } => {
                write!(f, "this version of {package} holds another file here")
            }
        }
    }
}
