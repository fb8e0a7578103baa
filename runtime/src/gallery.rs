//! New artists without training: a [`Gallery`] of a few songs each, compared by their embeddings.
//!
//! ```text
//! stored → similarity → answer
//! ```
//!
//! `stored` is the file, `similarity` the arithmetic. Nothing here runs a network: a gallery takes embeddings, and knows
//! the model that gave them by the digest of its weights.

mod answer;
mod error;
mod similarity;
mod stored;

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::OnceLock;

use leitmotif_models::Card;

pub use answer::{GalleryAnswer, SimilarArtist};
pub use error::GalleryError;
use similarity::Directions;
use stored::{MOST_SONGS, MOST_VALUES, Stored, StoredSong};

/// Artists whom a model was not trained on, each enrolled by a few songs.
#[cfg_attr(
    feature = "onnx",
    doc = r#"
```
use leitmotif::{Gallery, Recognizer};

let recognizer = Recognizer::open("tests/data/tiny.clip.onnx")?;
let mut gallery = Gallery::new(recognizer.card());
for (artist, song) in [("Ada", "mtat.mp3"), ("Bo", "stereo.ogg")] {
    let answer = recognizer.recognize_file(format!("tests/data/audio/{song}"))?;
    gallery.enroll(artist, song, &answer.embedding)?;
}
let file = std::env::temp_dir().join("friends.gallery");
gallery.save(&file)?;

let gallery = Gallery::load(&file, recognizer.card())?;
let answer = recognizer.recognize_file("tests/data/audio/cbr.mp3")?;
let answer = gallery.recognize(&answer.embedding)?;
for similar in &answer.artists {
    println!("{:.2}  {}", similar.similarity, similar.artist);
}
assert_eq!(answer.artists.len(), 2);
assert_eq!(answer.unknown(), None); // two songs are too few to say
# Ok::<(), Box<dyn std::error::Error>>(())
```
"#
)]
///
/// An artist is the mean of the directions of the songs' embeddings, and a recording is most similar to the artist with
/// the smallest angle to its own. The order of enrolling changes nothing.
///
/// A gallery is bound to a model by [`Card::weights_sha256`], the digest of the checkpoint's weights: the graphs, targets
/// and precisions compiled from one checkpoint share it, and their embeddings are equal but for rounding.
///
/// Leave out recordings that are silent (`Answer::is_silent`): their embeddings mean nothing.
#[derive(Debug, Clone)]
pub struct Gallery {
    weights_sha256: String,
    units: usize,
    /// Embeddings by artist and song: sorted, so that sums round alike in whatever order songs came.
    artists: BTreeMap<String, BTreeMap<String, Vec<f32>>>,
    songs: usize,
    /// Of every embedding: most are new, which is known without a comparison with all others.
    hashes: HashSet<u64>,
    /// Computed when first needed, forgotten when a song comes.
    directions: OnceLock<Directions>,
}

impl Gallery {
    /// An empty gallery for embeddings of the model that this card describes.
    pub fn new(card: &Card) -> Self {
        Self {
            weights_sha256: card.weights_sha256.clone(),
            units: card.embedding_units,
            artists: BTreeMap::new(),
            songs: 0,
            hashes: HashSet::new(),
            directions: OnceLock::new(),
        }
    }

    /// Adds a song by its embedding, `Answer::embedding`, under a name such as that of its
    /// file.
    ///
    /// # Errors
    ///
    /// [`GalleryError::WrongLength`], [`GalleryError::NotFinite`] and [`GalleryError::NoDirection`] for what is no
    /// embedding of the gallery's model; [`GalleryError::SameSong`] and [`GalleryError::SameName`] for a song that is
    /// enrolled already; [`GalleryError::NoName`] and [`GalleryError::Full`]. The gallery is then as before.
    pub fn enroll(
        &mut self,
        artist: &str,
        song: &str,
        embedding: &[f32],
    ) -> Result<(), GalleryError> {
        if artist.trim().is_empty() || song.trim().is_empty() {
            return Err(GalleryError::NoName);
        }
        self.check(embedding)?;
        let songs = self.songs + 1;
        if songs > MOST_SONGS || songs.saturating_mul(self.units) > MOST_VALUES {
            return Err(GalleryError::Full { songs: self.songs });
        }
        if let Some((enrolled_artist, enrolled)) = self.find(embedding) {
            return Err(GalleryError::SameSong {
                artist: artist.to_owned(),
                song: song.to_owned(),
                enrolled_artist: enrolled_artist.to_owned(),
                enrolled: enrolled.to_owned(),
            });
        }
        let songs = self.artists.entry(artist.to_owned()).or_default();
        if songs.contains_key(song) {
            let (artist, song) = (artist.to_owned(), song.to_owned());
            return Err(GalleryError::SameName { artist, song });
        }
        songs.insert(song.to_owned(), embedding.to_vec());
        self.hashes.insert(hash(embedding));
        self.songs += 1;
        self.directions = OnceLock::new();
        Ok(())
    }

    /// Compares a recording, by its embedding, with every artist.
    ///
    /// # Errors
    ///
    /// [`GalleryError::NoArtists`] in an empty gallery; [`GalleryError::WrongLength`], [`GalleryError::NotFinite`] and
    /// [`GalleryError::NoDirection`] for what is no embedding of the gallery's model.
    pub fn recognize(&self, embedding: &[f32]) -> Result<GalleryAnswer, GalleryError> {
        self.check(embedding)?;
        if self.artists.is_empty() {
            return Err(GalleryError::NoArtists);
        }
        let directions = self.directions();
        let similarities = directions.similarities(embedding);
        let mut artists: Vec<SimilarArtist> = self
            .artists
            .keys()
            .zip(similarities)
            .map(|(artist, similarity)| SimilarArtist { artist: artist.clone(), similarity })
            .collect();
        // `sort_by` is stable, so ties stay in the order of the names.
        artists.sort_by(|a, b| b.similarity.total_cmp(&a.similarity));
        Ok(GalleryAnswer { artists, min_similarity: directions.min_similarity })
    }

    /// The similarity from which on a recording is of one of these artists, so that [`GalleryAnswer::unknown`] is false.
    ///
    /// Each song is compared with the gallery without it, and the threshold keeps 80 % of them, whether or not the
    /// most similar artist is the right one. `None` unless ten songs can be left out, each of an artist with others.
    pub fn min_similarity(&self) -> Option<f64> {
        self.directions().min_similarity
    }

    /// The artists with the names of their songs, both sorted.
    pub fn artists(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        let artists = self.artists.iter();
        artists.map(|(artist, songs)| (artist.as_str(), songs.keys().map(String::as_str)))
    }

    /// Number of songs of all artists.
    pub fn songs(&self) -> usize {
        self.songs
    }

    /// Writes the gallery to a file, which is replaced as a whole or left as it was.
    ///
    /// # Errors
    ///
    /// [`GalleryError::Unwritable`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), GalleryError> {
        stored::replace(path.as_ref(), &self.to_json()?)
    }

    /// Reads a gallery that was saved, for embeddings of the model that this card describes.
    ///
    /// # Errors
    ///
    /// [`GalleryError::Unreadable`], [`GalleryError::Damaged`], [`GalleryError::Version`]; [`GalleryError::OtherModel`] if
    /// it was made with other weights.
    pub fn load(path: impl AsRef<Path>, card: &Card) -> Result<Self, GalleryError> {
        Self::from_json(&stored::read(path.as_ref())?, card)
    }

    /// The content of a gallery's file.
    ///
    /// # Errors
    ///
    /// [`GalleryError::Damaged`] with the reason, should JSON be unable to hold it.
    pub fn to_json(&self) -> Result<String, GalleryError> {
        let mut songs = Vec::new();
        for (artist, of_artist) in &self.artists {
            songs.extend(of_artist.iter().map(|(song, embedding)| StoredSong {
                artist: artist.clone(),
                song: song.clone(),
                embedding: embedding.clone(),
            }));
        }
        Stored::new(&self.weights_sha256, self.units, songs).to_json()
    }

    /// Reads the content of a gallery's file.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load) but for [`GalleryError::Unreadable`].
    pub fn from_json(text: &[u8], card: &Card) -> Result<Self, GalleryError> {
        let stored = Stored::from_json(text)?;
        if stored.weights_sha256 != card.weights_sha256 {
            return Err(GalleryError::OtherModel {
                gallery: stored.weights_sha256,
                model: card.weights_sha256.clone(),
            });
        }
        let (found, expected) = (stored.embedding_units, card.embedding_units);
        if found != expected {
            let reason =
                format!("it claims {found} values in an embedding, the model gives {expected}");
            return Err(GalleryError::Damaged { reason });
        }
        let mut gallery = Self::new(card);
        for StoredSong { artist, song, embedding } in stored.songs {
            gallery.enroll(&artist, &song, &embedding).map_err(|error| GalleryError::Damaged {
                reason: format!("{song:?} of {artist:?}: {error}"),
            })?;
        }
        Ok(gallery)
    }

    fn directions(&self) -> &Directions {
        let embeddings = || {
            let artists = self.artists.values();
            Directions::new(artists.map(|songs| songs.values().map(Vec::as_slice).collect()))
        };
        self.directions.get_or_init(embeddings)
    }

    /// Whether these may be an embedding of the gallery's model.
    fn check(&self, embedding: &[f32]) -> Result<(), GalleryError> {
        if embedding.len() != self.units {
            let (found, expected) = (embedding.len(), self.units);
            return Err(GalleryError::WrongLength { found, expected });
        }
        let odd = embedding.iter().enumerate().find(|(_, value)| !value.is_finite());
        if let Some((index, value)) = odd {
            return Err(GalleryError::NotFinite { index, value: *value });
        }
        if embedding.iter().all(|value| *value == 0.0) {
            return Err(GalleryError::NoDirection);
        }
        Ok(())
    }

    /// The artist and the song with this very embedding.
    fn find(&self, embedding: &[f32]) -> Option<(&str, &str)> {
        if !self.hashes.contains(&hash(embedding)) {
            return None;
        }
        self.artists.iter().find_map(|(artist, songs)| {
            let song = songs.iter().find(|(_, enrolled)| enrolled.as_slice() == embedding)?;
            Some((artist.as_str(), song.0.as_str()))
        })
    }
}

/// The same for equal embeddings.
fn hash(embedding: &[f32]) -> u64 {
    let mut hasher = DefaultHasher::new();
    // Both zeros are equal; added to zero, they have the same bits.
    embedding.iter().for_each(|value| (value + 0.0).to_bits().hash(&mut hasher));
    hasher.finish()
}
