//! Errors of galleries, one variant for each remedy.

use std::io;
use std::path::PathBuf;

/// Why a gallery cannot be read or written, takes no song, or gives no answer.
///
/// Only the errors of the file system name the gallery's file: the caller knows it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GalleryError {
    /// The file cannot be read.
    #[error("gallery {path:?} cannot be read (check the path and its permissions)")]
    Unreadable {
        /// The gallery.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// The file cannot be written; what was there before is untouched.
    #[error(
        "gallery {path:?} cannot be written (check its folder's permissions and the space on the disk)"
    )]
    Unwritable {
        /// The gallery.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },

    /// The file is no gallery, is cut off or contradicts itself.
    #[error("it is not a whole gallery ({reason}): copy it again, or enrol its songs anew")]
    Damaged {
        /// What is wrong with it.
        reason: String,
    },

    /// The file is of another time.
    #[error(
        "the gallery is of version {found}; this leitmotif reads version {supported}: update it, or enrol the songs anew"
    )]
    Version {
        /// Version in the file.
        found: u64,
        /// That of this crate.
        supported: u64,
    },

    /// The gallery's embeddings are of another model, whose directions mean something else.
    #[error(
        "the gallery was made with another model (weights {gallery:.16}…, this one has {model:.16}…): use that model, or enrol the songs anew"
    )]
    OtherModel {
        /// SHA-256 of the weights that the gallery was made with.
        gallery: String,
        /// SHA-256 of the weights of the model at hand.
        model: String,
    },

    /// An embedding that the gallery's model does not give.
    #[error(
        "the embedding has {found} values and the gallery's model gives {expected}: use the embedding of an answer of that model"
    )]
    WrongLength {
        /// Values given.
        found: usize,
        /// Values of the model's embeddings.
        expected: usize,
    },

    /// A value of an embedding is NaN or infinite.
    #[error("value {index} of the embedding is {value}: fix what computed it")]
    NotFinite {
        /// Which value, counted from zero.
        index: usize,
        /// The value.
        value: f32,
    },

    /// An embedding without a direction, which is as similar to one artist as to any other.
    #[error("the embedding is zero in every value: choose another part of the music")]
    NoDirection,

    /// An artist or a song without a name.
    #[error("an artist and a song need a name: give both")]
    NoName,

    /// The song is enrolled already.
    #[error(
        "{song:?} of {artist:?} is the same recording as {enrolled:?} of {enrolled_artist:?}: enrol each song once"
    )]
    SameSong {
        /// The artist given.
        artist: String,
        /// The song given.
        song: String,
        /// The artist that it is enrolled for.
        enrolled_artist: String,
        /// The name by which it is enrolled.
        enrolled: String,
    },

    /// Another song of the artist has this name.
    #[error("another song of {artist:?} is enrolled as {song:?}: give it a name of its own")]
    SameName {
        /// The artist.
        artist: String,
        /// The name of both songs.
        song: String,
    },

    /// The gallery holds as many values as it may.
    #[error("the gallery is full with {songs} songs: enrol fewer songs of each artist")]
    Full {
        /// Songs in it.
        songs: usize,
    },

    /// There is nobody to recognise.
    #[error("the gallery has no artists: enrol songs first")]
    NoArtists,
}
