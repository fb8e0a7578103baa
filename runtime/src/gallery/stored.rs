//! The file of a gallery: JSON with a name and a version of its own.
//!
//! ```json
//! {"format": "leitmotif-gallery", "version": 1, "weights_sha256": "…", "embedding_units": 128,
//!  "songs": [{"artist": "Ada", "song": "first.mp3", "embedding": [0.25, …]}, …]}
//! ```
//!
//! Embeddings are as the model gave them, so that another way to compare them needs no other file. Unknown fields are
//! passed over.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use leitmotif_models::checkpoint::beside;
use serde::{Deserialize, Serialize};

use super::error::GalleryError;

/// The word in every file.
const FORMAT: &str = "leitmotif-gallery";
/// The version that is written, and the only one so far.
pub(super) const VERSION: u64 = 1;
/// Most songs of a gallery: each is compared with every artist when the threshold is fitted.
pub(super) const MOST_SONGS: usize = 10_000;
/// Most values in all embeddings of a gallery: 64 MiB in memory.
pub(super) const MOST_VALUES: usize = 1 << 24;
/// Largest file: a value is written in at most 15 characters and a comma, and names need room.
const MOST_BYTES: u64 = 20 * MOST_VALUES as u64;

/// A gallery as it is written.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) format: String,
    pub(super) version: u64,
    pub(super) weights_sha256: String,
    pub(super) embedding_units: usize,
    pub(super) songs: Vec<StoredSong>,
}

/// One enrolled song.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredSong {
    pub(super) artist: String,
    pub(super) song: String,
    pub(super) embedding: Vec<f32>,
}

/// What is known of a file of any version.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u64,
}

impl Stored {
    pub(super) fn new(
        weights_sha256: &str,
        embedding_units: usize,
        songs: Vec<StoredSong>,
    ) -> Self {
        let weights_sha256 = weights_sha256.to_owned();
        Self { format: FORMAT.to_owned(), version: VERSION, weights_sha256, embedding_units, songs }
    }

    pub(super) fn from_json(text: &[u8]) -> Result<Self, GalleryError> {
        // The head first: a later version may hold anything else.
        let head: Head = serde_json::from_slice(text).map_err(damaged)?;
        if head.format != FORMAT {
            return Err(GalleryError::Damaged { reason: format!("its format is not {FORMAT:?}") });
        }
        if head.version != VERSION {
            return Err(GalleryError::Version { found: head.version, supported: VERSION });
        }
        serde_json::from_slice(text).map_err(damaged)
    }

    pub(super) fn to_json(&self) -> Result<String, GalleryError> {
        serde_json::to_string(self).map_err(damaged)
    }
}

fn damaged(error: serde_json::Error) -> GalleryError {
    GalleryError::Damaged { reason: error.to_string() }
}

/// The bytes of a gallery's file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, GalleryError> {
    let unreadable = |source| GalleryError::Unreadable { path: path.to_owned(), source };
    // Before it is opened: opening a pipe would wait for a writer.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::other("it is not a regular file")));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(GalleryError::Damaged { reason: format!("it is over {MOST_BYTES} bytes") });
    }
    Ok(bytes)
}

/// Writes a temporary sibling and renames it: readers see the old gallery or the new one.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), GalleryError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    // Neither another process nor another thread writes the same temporary file.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let part = beside(path, &format!("{}.{number}.part", std::process::id()));
    let written = || -> io::Result<()> {
        let mut file = File::create(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    written().map_err(|source| {
        // Frees the space on a full disk.
        let _ = fs::remove_file(&part);
        GalleryError::Unwritable { path: path.to_owned(), source }
    })
}
