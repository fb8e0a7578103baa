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

#[cfg(test)]
mod tests {
    use super::*;

    fn directions(artists: &[&[[f32; 2]]]) -> Directions {
        Directions::new(
            artists.iter().map(|songs| songs.iter().map(<[f32; 2]>::as_slice).collect()),
        )
    }

    #[test]
    fn an_artist_is_the_mean_of_directions_whatever_their_lengths() {
        let directions = directions(&[&[[3.0, 0.0], [0.0, 0.1]], &[[0.0, -2.0]]]);
        let similarities: Vec<f64> = directions.similarities(&[5.0, 5.0]).collect();
        assert!((similarities[0] - 1.0).abs() < 1e-12, "{similarities:?}");
        assert!((similarities[1] + 0.5f64.sqrt()).abs() < 1e-12, "{similarities:?}");
    }

    #[test]
    fn songs_that_cancel_are_similar_to_nothing() {
        let directions = directions(&[&[[1.0, 0.0], [-1.0, 0.0]]]);
        assert_eq!(directions.similarities(&[1.0, 1.0]).next(), Some(0.0));
    }

    #[test]
    fn largest_and_smallest_numbers_have_directions() {
        for size in [f32::MAX, f32::from_bits(1)] {
            let directions = directions(&[&[[size, size]]]);
            let similarity = directions.similarities(&[size, size]).next().unwrap();
            assert!((similarity - 1.0).abs() < 1e-12, "{size}: {similarity}");
        }
    }

    #[test]
    fn a_threshold_keeps_four_of_five_and_needs_ten_songs() {
        let similarities = |count: usize| (1..=count).map(|i| i as f64 / 20.0).collect::<Vec<_>>();
        assert_eq!(threshold(similarities(9)), None);
        assert_eq!(threshold(similarities(10)), Some(0.15));
        assert_eq!(threshold(similarities(11)), Some(0.15));
        assert_eq!(threshold(vec![0.123_456; 12]), Some(0.1234));
    }

    #[test]
    fn an_artists_only_song_is_not_left_out() {
        let pair: &[[f32; 2]] = &[[1.0, 0.0], [1.0, 0.1]];
        let single: &[[f32; 2]] = &[[0.0, 1.0]];
        assert!(directions(&[pair; 5]).min_similarity.is_some());
        assert_eq!(directions(&[pair, pair, pair, pair, single, single]).min_similarity, None);
    }
}
