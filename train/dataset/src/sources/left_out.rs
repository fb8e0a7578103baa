//! Why a file is not in the data set.

use std::fmt;

use leitmotif::audio::Level;
use leitmotif_models::text::count;
use serde::{Deserialize, Serialize};

/// A file that is left out, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct LeftOut {
    /// The file's path below the source's root.
    pub path: String,
    /// The rule that applies to it.
    pub reason: Reason,
}

/// The rules for leaving out a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum Reason {
    /// Neither tags nor folders name an artist.
    NoArtist,
    /// The file has tags, and its artist cannot be read from them.
    UnreadableTags {
        /// The kind of tags.
        kind: String,
    },
    /// The name stands for several artists or none ("Various Artists", "Unknown").
    PseudoArtist {
        /// The name.
        artist: String,
    },
    /// The file is empty in every copy of MagnaTagATune.
    KnownEmpty,
    /// The album is a compilation of several artists.
    Compilation {
        /// The album.
        album: String,
    },
    /// The artist has fewer songs than `--min-songs`.
    FewSongs {
        /// The artist.
        artist: String,
        /// Usable songs; variants of a song count once.
        songs: usize,
        /// Songs needed.
        needed: usize,
    },
    /// The artist already has `--max-minutes-per-artist` of music.
    ArtistIsFull {
        /// The artist.
        artist: String,
        /// The limit, in minutes.
        minutes: f64,
    },
    /// Missing, damaged or in an unsupported format.
    Unreadable {
        /// The error with its causes.
        why: String,
    },
    /// Shorter than one clip.
    TooShort {
        /// Decoded seconds.
        seconds: f64,
        /// Seconds of a clip.
        needed: f64,
    },
    /// Too long for a song.
    TooLong {
        /// The limit, in hours.
        hours: f64,
    },
    /// Contains samples that are NaN or infinite.
    NotNumbers {
        /// Position of the first one, in seconds.
        seconds: f64,
    },
    /// Contains samples far over full scale: integers that were never divided.
    OutOfScale {
        /// The largest absolute sample; full scale is 1.
        peak: f32,
    },
    /// Every clip is silent.
    Silent,
    /// A silent clip of a song whose other clips are kept.
    SilentClip,
    /// The same samples as another song.
    Duplicate {
        /// The song that is kept.
        of: String,
    },
    /// A link to a file that is already included.
    SameFile {
        /// That file.
        of: String,
    },
    /// The Debian package of the file could not be fetched.
    NotFetched {
        /// The package.
        package: String,
        /// Why not.
        why: String,
    },
    /// This version of the package does not contain the file.
    NotInPackage {
        /// The package.
        package: String,
    },
    /// This version of the package contains a different file of this name.
    HashDiffers {
        /// The package.
        package: String,
    },
}

impl Reason {
    /// The rule's name in `left-out.csv` and in JSON.
    pub fn rule(&self) -> &'static str {
        match self {
            Reason::NoArtist => "no-artist",
            Reason::UnreadableTags { .. } => "unreadable-tags",
            Reason::PseudoArtist { .. } => "pseudo-artist",
            Reason::KnownEmpty => "known-empty",
            Reason::Compilation { .. } => "compilation",
            Reason::FewSongs { .. } => "few-songs",
            Reason::ArtistIsFull { .. } => "artist-is-full",
            Reason::Unreadable { .. } => "unreadable",
            Reason::TooShort { .. } => "too-short",
            Reason::TooLong { .. } => "too-long",
            Reason::NotNumbers { .. } => "not-numbers",
            Reason::OutOfScale { .. } => "out-of-scale",
            Reason::Silent => "silent",
            Reason::SilentClip => "silent-clip",
            Reason::Duplicate { .. } => "duplicate",
            Reason::SameFile { .. } => "same-file",
            Reason::NotFetched { .. } => "not-fetched",
            Reason::NotInPackage { .. } => "not-in-package",
            Reason::HashDiffers { .. } => "hash-differs",
        }
    }

    /// The rule's heading in the summary.
    pub fn heading(&self) -> &'static str {
        match self {
            Reason::NoArtist => "no artist in tags or folders",
            Reason::UnreadableTags { .. } => "unreadable tags",
            Reason::PseudoArtist { .. } => "various or unknown artists",
            Reason::KnownEmpty => "empty in every copy of the data set",
            Reason::Compilation { .. } => "compilations of several artists",
            Reason::FewSongs { .. } => "artist with too few songs",
            Reason::ArtistIsFull { .. } => "more than the maximum minutes per artist",
            Reason::Unreadable { .. } => "unreadable or damaged",
            Reason::TooShort { .. } => "shorter than one clip",
            Reason::TooLong { .. } => "too long for a song",
            Reason::NotNumbers { .. } => "samples that are not finite",
            Reason::OutOfScale { .. } => "samples far over full scale",
            Reason::Silent => "silence",
            Reason::SilentClip => "silent clips",
            Reason::Duplicate { .. } => "duplicate audio",
            Reason::SameFile { .. } => "the same file twice",
            Reason::NotFetched { .. } => "package not fetched",
            Reason::NotInPackage { .. } => "not in this version of the package",
            Reason::HashDiffers { .. } => "different in this version of the package",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::NoArtist => {
                write!(f, "no artist in its tags, and its path is not ARTIST/ALBUM/TITLE")
            }
            Reason::UnreadableTags { kind } => write!(
                f,
                "has tags that cannot be read ({kind}): write them anew, or use its folder's names with --tags folder"
            ),
            Reason::PseudoArtist { artist } => write!(f, "`{artist}` is not one artist"),
            Reason::KnownEmpty => write!(f, "the file is empty in every copy of MagnaTagATune"),
            Reason::Compilation { album } => write!(f, "`{album}` is a compilation"),
            Reason::FewSongs { artist, songs, needed } => {
                write!(
                    f,
                    "`{artist}` has {}, {needed} are needed (--min-songs)",
                    count(*songs, "song")
                )
            }
            Reason::ArtistIsFull { artist, minutes } => {
                write!(f, "`{artist}` already has {minutes} minutes (--max-minutes-per-artist)")
            }
            Reason::Unreadable { why } => f.write_str(why),
            Reason::TooShort { seconds, needed } => {
                write!(f, "{seconds:.1} s is shorter than one clip of {needed:.1} s")
            }
            Reason::TooLong { hours } => {
                write!(f, "longer than {hours} hours: probably an audiobook or radio")
            }
            Reason::NotNumbers { seconds } => {
                write!(f, "has a sample that is not finite, {seconds:.3} s from its start")
            }
            Reason::OutOfScale { peak } => write!(
                f,
                "its samples reach {peak:.0} times full scale: divide them by {}",
                Level::divisor(*peak)
            ),
            Reason::Silent => write!(f, "contains only silence, quieter than −80 dB"),
            Reason::SilentClip => write!(f, "this clip of it is quieter than −80 dB"),
            Reason::Duplicate { of } => write!(f, "the same audio as {of}"),
            Reason::SameFile { of } => write!(f, "a link to {of}, which is already included"),
            Reason::NotFetched { package, why } => {
                write!(f, "package {package} could not be fetched: {why}")
            }
            Reason::NotInPackage { package } => {
                write!(f, "this version of {package} does not contain it")
            }
            Reason::HashDiffers { package } => {
                write!(f, "this version of {package} contains a different file")
            }
        }
    }
}
