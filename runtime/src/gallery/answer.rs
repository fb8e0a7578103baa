//! The answer of a gallery for one recording.

use serde::Serialize;

/// How similar a recording is to the artists of a gallery.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct GalleryAnswer {
    /// Every artist of the gallery, most similar first; ties are in the order of the names.
    pub artists: Vec<SimilarArtist>,
    /// Similarity of the first artist from which on the recording is of one of these artists; see
    /// [`Gallery::min_similarity`](crate::Gallery::min_similarity).
    pub min_similarity: Option<f64>,
}

/// One artist of a gallery's answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SimilarArtist {
    /// The artist's name.
    pub artist: String,
    /// From -1 to 1, the cosine of the angle between the recording's embedding and the artist's: no probability.
    pub similarity: f64,
}

impl GalleryAnswer {
    /// The most similar artist.
    pub fn best(&self) -> Option<&SimilarArtist> {
        self.artists.first()
    }

    /// Whether the recording is of none of these artists: the best one's similarity is below
    /// [`min_similarity`](Self::min_similarity). `None` where there is no such threshold.
    pub fn unknown(&self) -> Option<bool> {
        let best = self.best()?.similarity;
        Some(best < self.min_similarity?)
    }
}
