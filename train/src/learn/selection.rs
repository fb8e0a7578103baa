//! Which clips a batch is made of.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use leitmotif_models::Random;

use crate::learn::clips::Example;

/// Clips to choose from.
#[derive(Debug)]
pub(crate) struct Selection {
    examples: Vec<Example>,
    /// Indices into `examples`: by class, then by song.
    songs: Vec<Vec<Vec<usize>>>,
    /// The last order, kept so that a million clips are not shuffled for each batch.
    order: Mutex<Order>,
}

/// A shuffled order of all clips, for one round of an epoch.
#[derive(Debug, Default)]
struct Order {
    /// Epoch and round.
    place: Option<[u64; 2]>,
    indices: Vec<usize>,
}

impl Selection {
    pub(crate) fn new(examples: Vec<Example>) -> Self {
        let mut songs: BTreeMap<usize, BTreeMap<usize, Vec<usize>>> = BTreeMap::new();
        for (i, example) in examples.iter().enumerate() {
            let of_class = songs.entry(example.class).or_default();
            of_class.entry(example.song).or_default().push(i);
        }
        let songs = songs.into_values().map(|songs| songs.into_values().collect()).collect();
        Selection { examples, songs, order: Mutex::default() }
    }

    pub(crate) fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// `count` clips from number `first` of an epoch on: every clip once, then all again in another order.
    pub(crate) fn in_turn(
        &self,
        seed: u64,
        epoch: usize,
        first: usize,
        count: usize,
    ) -> Vec<Example> {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        (first..first + count)
            .filter_map(|i| {
                let n = self.examples.len().max(1);
                let place = [epoch as u64, (i / n) as u64];
                if order.place != Some(place) {
                    order.place = Some(place);
                    order.indices.clear();
                    order.indices.extend(0..self.examples.len());
                    Random::derive(seed, "order", &place).shuffle(&mut order.indices);
                }
                self.examples.get(*order.indices.get(i % n)?).copied()
            })
            .collect()
    }

    /// `count` clips, every artist equally often and every song of an artist equally often.
    pub(crate) fn by_artist(&self, random: &mut Random, count: usize) -> Vec<Example> {
        // Which artists occur once more in this batch is random.
        let mut turns: Vec<usize> = (0..self.songs.len()).collect();
        random.shuffle(&mut turns);
        turns
            .iter()
            .cycle()
            .take(count)
            .filter_map(|artist| {
                let songs = self.songs.get(*artist)?;
                let song = songs.get(random.below(songs.len()))?;
                self.examples.get(*song.get(random.below(song.len()))?).copied()
            })
            .collect()
    }
}
