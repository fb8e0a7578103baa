//! Which artist an embedding is nearest to, and from which similarity on that means something.

/// Songs that must have been left out, one after the other, before a threshold is fitted on them.
pub(super) const FEWEST_SONGS: usize = 10;
/// Share of the songs left out that the threshold keeps.
const KEEP: f64 = 0.8;

/// Artists with whom a song is compared at once.
const LANES: usize = 16;

/// The directions of a gallery's artists, and the threshold fitted on its songs.
#[derive(Debug, Clone)]
pub(super) struct Directions {
    /// In the order given.
    artists: Vec<Group>,
    /// Least similarity of the nearest artist; `None` where too few songs could be left out.
    pub(super) min_similarity: Option<f64>,
}

/// Up to [`LANES`] directions, value by value: the processor adds to their products at once, in the order in which it
/// would for one of them alone.
#[derive(Debug, Clone)]
struct Group {
    values: Vec<[f64; LANES]>,
    count: usize,
}

impl Directions {
    /// The embeddings of the songs of each artist.
    pub(super) fn new<'a>(artists: impl Iterator<Item = Vec<&'a [f32]>>) -> Self {
        let songs: Vec<Vec<Vec<f64>>> =
            artists.map(|songs| songs.into_iter().map(direction).collect()).collect();
        let sums: Vec<Vec<f64>> = songs.iter().map(|songs| sum(songs)).collect();
        let artists: Vec<Vec<f64>> = sums.iter().map(|sum| unit(sum.clone())).collect();
        let artists: Vec<Group> = artists.chunks(LANES).map(Group::new).collect();
        let min_similarity = threshold(left_out(&songs, &sums, &artists));
        Self { artists, min_similarity }
    }

    /// The similarity of an embedding to each artist, in their order.
    pub(super) fn similarities(&self, embedding: &[f32]) -> Vec<f64> {
        let embedding = direction(embedding);
        let products = self.artists.iter().flat_map(|group| group.products(&embedding));
        products.map(|product| product.clamp(-1.0, 1.0)).collect()
    }
}

/// The similarity of each song to its nearest artist in the gallery without it, but for the only songs of an artist,
/// who would be left without any.
fn left_out(songs: &[Vec<Vec<f64>>], sums: &[Vec<f64>], artists: &[Group]) -> Vec<f64> {
    let mut found = Vec::new();
    for (own, (songs, sum)) in songs.iter().zip(sums).enumerate() {
        for song in songs.iter().filter(|_| songs.len() > 1) {
            let without = unit(sum.iter().zip(song).map(|(sum, x)| sum - x).collect());
            found.push((own, song, dot(song, &without)));
        }
    }
    // All songs with one group, which stays in the processor's cache.
    for (group, first) in artists.iter().zip((0..).step_by(LANES)) {
        for (own, song, nearest) in &mut found {
            let others = (first..).zip(group.products(song)).filter(|(artist, _)| artist != own);
            *nearest = others.fold(*nearest, |nearest, (_, product)| nearest.max(product));
        }
    }
    found.into_iter().map(|(.., nearest)| nearest).collect()
}

impl Group {
    fn new(directions: &[Vec<f64>]) -> Self {
        let mut values = vec![[0.0; LANES]; directions.first().map_or(0, Vec::len)];
        for (lane, direction) in directions.iter().enumerate() {
            for (row, x) in values.iter_mut().zip(direction) {
                row.iter_mut().skip(lane).take(1).for_each(|place| *place = *x);
            }
        }
        Self { values, count: directions.len() }
    }

    /// The product of each direction with this one.
    fn products(&self, with: &[f64]) -> impl Iterator<Item = f64> + use<> {
        let mut sums = [0.0; LANES];
        for (row, x) in self.values.iter().zip(with) {
            sums.iter_mut().zip(row).for_each(|(sum, y)| *sum += x * y);
        }
        sums.into_iter().take(self.count)
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
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn directions(artists: &[&[[f32; 2]]]) -> Directions {
        Directions::new(
            artists.iter().map(|songs| songs.iter().map(<[f32; 2]>::as_slice).collect()),
        )
    }

    #[test]
    fn an_artist_is_the_mean_of_directions_whatever_their_lengths() {
        let directions = directions(&[&[[3.0, 0.0], [0.0, 0.1]], &[[0.0, -2.0]]]);
        let similarities = directions.similarities(&[5.0, 5.0]);
        assert!((similarities[0] - 1.0).abs() < 1e-12, "{similarities:?}");
        assert!((similarities[1] + 0.5f64.sqrt()).abs() < 1e-12, "{similarities:?}");
    }

    #[test]
    fn songs_that_cancel_are_similar_to_nothing() {
        let directions = directions(&[&[[1.0, 0.0], [-1.0, 0.0]]]);
        assert_eq!(directions.similarities(&[1.0, 1.0]), [0.0]);
    }

    #[test]
    fn largest_and_smallest_numbers_have_directions() {
        for size in [f32::MAX, f32::from_bits(1)] {
            let directions = directions(&[&[[size, size]]]);
            let similarity = directions.similarities(&[size, size])[0];
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

    /// Each song with a gallery made without it.
    fn left_out_plainly(songs: &[Vec<Vec<f64>>]) -> Vec<f64> {
        let mut found = Vec::new();
        for (own, of_own) in songs.iter().enumerate().filter(|(_, songs)| songs.len() > 1) {
            for (number, song) in of_own.iter().enumerate() {
                let mut without = songs.to_vec();
                without[own].remove(number);
                let similarities = without.iter().map(|songs| dot(song, &unit(sum(songs))));
                found.push(similarities.fold(f64::NEG_INFINITY, f64::max));
            }
        }
        found
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn groups_give_what_artists_give_one_by_one(
            embeddings in vec(vec(vec(-1f32..1.0, 5), 1..5), 1..50),
        ) {
            let songs: Vec<Vec<Vec<f64>>> = embeddings
                .iter()
                .map(|songs| songs.iter().map(|song| direction(song)).collect())
                .collect();
            let sums: Vec<Vec<f64>> = songs.iter().map(|songs| sum(songs)).collect();
            let artists: Vec<Vec<f64>> = sums.iter().map(|sum| unit(sum.clone())).collect();
            let groups: Vec<Group> = artists.chunks(LANES).map(Group::new).collect();
            let (found, plain) = (left_out(&songs, &sums, &groups), left_out_plainly(&songs));
            prop_assert_eq!(found.len(), plain.len());
            for (found, plain) in found.iter().zip(&plain) {
                prop_assert!((found - plain).abs() < 1e-9, "{} and {}", found, plain);
            }
            let directions = Directions::new(
                embeddings.iter().map(|songs| songs.iter().map(Vec::as_slice).collect()),
            );
            let one_by_one: Vec<f64> =
                artists.iter().map(|artist| dot(artist, &songs[0][0]).clamp(-1.0, 1.0)).collect();
            prop_assert_eq!(directions.similarities(&embeddings[0][0]), one_by_one);
        }
    }
}
