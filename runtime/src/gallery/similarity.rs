//! Which artist an embedding is nearest to, and from which similarity on that means something.

/// Songs that must have been left out, one after the other, before a threshold is fitted on them.
pub(super) const FEWEST_SONGS: usize = 10;
/// Share of the songs left out that the threshold keeps.
const KEEP: f64 = 0.8;

/// The directions of a gallery's artists, and the threshold fitted on its songs.
#[derive(Debug, Clone)]
pub(super) struct Directions {
    /// One for each artist, in the order given.
    artists: Vec<Vec<f64>>,
    /// Least similarity of the nearest artist; `None` where too few songs could be left out.
    pub(super) min_similarity: Option<f64>,
}

impl Directions {
    /// The embeddings of the songs of each artist.
    pub(super) fn new<'a>(artists: impl Iterator<Item = Vec<&'a [f32]>>) -> Self {
        let songs: Vec<Vec<Vec<f64>>> =
            artists.map(|songs| songs.into_iter().map(direction).collect()).collect();
        let sums: Vec<Vec<f64>> = songs.iter().map(|songs| sum(songs)).collect();
        let artists: Vec<Vec<f64>> = sums.iter().map(|sum| unit(sum.clone())).collect();
        let mut left_out = Vec::new();
        for (own, (songs, sum)) in songs.iter().zip(&sums).enumerate() {
            // An artist of one song would be left without any.
            for song in songs.iter().filter(|_| songs.len() > 1) {
                let others = artists.iter().enumerate().filter(|(artist, _)| *artist != own);
                let without = unit(sum.iter().zip(song).map(|(sum, x)| sum - x).collect());
                let nearest = others.map(|(_, artist)| dot(song, artist));
                left_out.push(nearest.fold(dot(song, &without), f64::max));
            }
        }
        Self { artists, min_similarity: threshold(left_out) }
    }

    /// The similarity of an embedding to each artist, in their order.
    pub(super) fn similarities(&self, embedding: &[f32]) -> impl Iterator<Item = f64> {
        let embedding = direction(embedding);
        self.artists.iter().map(move |artist| dot(artist, &embedding).clamp(-1.0, 1.0))
    }
}

/// The largest threshold with four decimals that keeps the share [`KEEP`] of these similarities.
fn threshold(mut similarities: Vec<f64>) -> Option<f64> {
    if similarities.len() < FEWEST_SONGS {
        return None;
    }
    similarities.sort_by(|a, b| b.total_cmp(a));
    let needed = (KEEP * similarities.len() as f64).ceil() as usize;
    // Down, so that rounding does not lose the song that it is taken from.
    similarities.get(needed.checked_sub(1)?).map(|least| (least * 1e4).floor() / 1e4)
}

fn direction(embedding: &[f32]) -> Vec<f64> {
    unit(embedding.iter().map(|x| f64::from(*x)).collect())
}

/// The vector with length one; zeros stay zeros, as similar to anything as to anything else.
fn unit(mut vector: Vec<f64>) -> Vec<f64> {
    let length = dot(&vector, &vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

fn sum(vectors: &[Vec<f64>]) -> Vec<f64> {
    let mut sum = vec![0.0; vectors.first().map_or(0, Vec::len)];
    for vector in vectors {
        sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
    }
    sum
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}
