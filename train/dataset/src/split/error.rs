//! Why a split cannot be made.

use super::request::Protocol;

/// Why a split cannot be made.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// A share that is out of range or leaves a part empty.
    #[error("the {part} share {share} must be {range}")]
    BadShare {
        /// `test` or `validation`.
        part: &'static str,
        /// The requested share.
        share: f64,
        /// The allowed range.
        range: &'static str,
    },
    /// Artists with too few groups for a training and a test part.
    #[error(
        "a split by {protocol} needs {needed} {protocol}s of each artist: {}; \
         prepare with --min-songs {needed} or more",
        format_artists(artists)
    )]
    TooFewGroups {
        /// The protocol.
        protocol: Protocol,
        /// Groups needed.
        needed: usize,
        /// Artists with fewer, and how many they have.
        artists: Vec<(String, usize)>,
    },
    /// Fewer than two artists can be divided.
    #[error("a split by {protocol} leaves fewer than two artists: {}", excluded_artists.join("; "))]
    TooFewArtists {
        /// The protocol.
        protocol: Protocol,
        /// Artists that cannot be divided, and why.
        excluded_artists: Vec<String>,
    },
    /// No artist has enough groups for a validation part.
    #[error(
        "no artist has three {protocol}s, so the validation part would be empty; split with --validation 0"
    )]
    NoValidation {
        /// The protocol.
        protocol: Protocol,
    },
    /// Groups that several artists share leave an artist without clips in one part.
    #[error(
        "`{artist}` shares so many song groups with other artists that it has none left for {part}; \
         try another seed"
    )]
    SharedGroups {
        /// The artist.
        artist: String,
        /// The part.
        part: &'static str,
    },
}

fn format_artists(artists: &[(String, usize)]) -> String {
    artists
        .iter()
        .map(|(artist, groups)| format!("`{artist}` has {groups}"))
        .collect::<Vec<_>>()
        .join(", ")
}
