//! Training batches: clips chosen, cut into segments, augmented and stacked.
//!
//! A batch is a function of (seed, epoch, number in the epoch) only. Threads of their own read them ahead of the
//! training loop.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use leitmotif_models::text::first_names;
use leitmotif_models::{HeadKind, Network, Random, segment_count};
use serde::{Deserialize, Serialize};

use crate::error::{DataError, TrainError};
use crate::learn::augment::Augmentation;
use crate::learn::clips::{Clips, Example};
use crate::learn::selection::Selection;
use crate::ranks::world::Share;

/// Where segments are cut from a clip.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Crop {
    /// One hop apart from the clip's first sample on, as in evaluation.
    Grid,
    /// Anywhere: of a dense head each segment at its own random place, of an LSTM in a row from one random start.
    Random,
}

/// How clips are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Balance {
    /// Every clip once, then all again in another order: an epoch of the default number of steps has every clip, and
    /// where the batch does not divide them, its last batch is filled up with clips of the next order.
    Clips,
    /// Every artist equally often, and every song of an artist equally often.
    Artists,
}

/// Settings of [`Batches`].
#[derive(Clone, Debug, PartialEq)]
pub struct BatchConfig {
    /// Clips in a batch.
    pub batch: usize,
    /// Batches in a step.
    pub accumulate: usize,
    /// Segments from each clip; `None` takes the network's window.
    pub segments: Option<usize>,
    /// Where they are cut.
    pub crop: Crop,
    /// How clips are chosen.
    pub balance: Balance,
    /// Steps in an epoch; `None` makes as many as it takes to see as many clips as there are.
    pub steps_per_epoch: Option<usize>,
    /// Random changes to waveforms and targets.
    pub augmentation: Augmentation,
    /// Share of each target spread over all classes.
    pub label_smoothing: f64,
    /// Seed of the run.
    pub seed: u64,
}

/// The input and targets of one forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Waveforms, ±1 at full scale, row-major `[clips, segments, samples of a segment]`.
    pub segments: Vec<f32>,
    /// Shape of `segments`.
    pub shape: [usize; 3],
    /// Probability of each class, row-major `[clips, classes]`.
    pub targets: Vec<f32>,
}

/// A batch whose samples are elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchPlan {
    /// Clip of each segment and the segment's first sample in it, in the order of [`Batch::segments`].
    pub segments: Vec<(usize, usize)>,
    /// As [`Batch::shape`].
    pub shape: [usize; 3],
    /// As [`Batch::targets`].
    pub targets: Vec<f32>,
}

/// A stretch of a clip.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    start: usize,
    /// Samples of the clip per sample of the segment.
    ratio: f64,
}

/// All batches of a run.
#[derive(Debug)]
pub struct Batches {
    clips: Clips,
    config: BatchConfig,
    own: Selection,
    auxiliary: Option<AuxiliaryClips>,
    /// The rows of each batch that this process computes.
    share: Share,
    /// Auxiliary ones included.
    classes: usize,
    segment: usize,
    hop: usize,
    count: usize,
    sequence: bool,
}

#[derive(Debug)]
struct AuxiliaryClips {
    selection: Selection,
    /// As many in each batch.
    count: usize,
}

impl Batches {
    /// Batches of `examples` for `network`.
    ///
    /// # Errors
    ///
    /// No examples, or a clip too short for one segment or, for an LSTM, for the configured segments.
    pub fn new(
        clips: impl Into<Clips>,
        examples: Vec<Example>,
        classes: usize,
        network: &Network,
        config: BatchConfig,
    ) -> Result<Self, TrainError> {
        let batches = Batches {
            clips: clips.into(),
            own: Selection::new(examples),
            auxiliary: None,
            share: Share::WHOLE,
            classes,
            segment: network.segment,
            hop: network.hop,
            count: config.segments.unwrap_or(network.window).max(1),
            sequence: network.head.kind == HeadKind::Lstm,
            config,
        };
        batches.check_lengths(batches.own.examples())?;
        Ok(batches)
    }

    /// With auxiliary clips of `classes` further classes as `share` of each batch, rounded, but at least one clip of
    /// either kind. Every artist of theirs occurs equally often.
    ///
    /// # Errors
    ///
    /// As [`Batches::new`].
    pub fn with_auxiliary(
        self,
        examples: Vec<Example>,
        classes: usize,
        share: f64,
    ) -> Result<Self, TrainError> {
        self.check_lengths(&examples)?;
        let batch = self.config.batch.max(1);
        let count = (share * batch as f64).round() as usize;
        // A batch of one clip has none.
        let count = count.clamp(1, batch.saturating_sub(1).max(1)) % batch;
        let auxiliary = Some(AuxiliaryClips { selection: Selection::new(examples), count });
        Ok(Batches { auxiliary, classes: self.classes + classes, ..self })
    }

    /// Of every batch only the rows of a share; each row is the same whoever makes it.
    pub fn with_share(self, share: Share) -> Self {
        Batches { share, ..self }
    }

    fn check_lengths(&self, examples: &[Example]) -> Result<(), TrainError> {
        let (needed, why) = if self.sequence {
            (self.sequence_samples(), "the sequence of segments of an LSTM")
        } else {
            (self.segment, "one segment")
        };
        match examples.iter().find(|example| example.samples < needed as u64) {
            None => Ok(()),
            Some(short) => {
                let (clip, samples) = (self.clips.name(short.clip), short.samples);
                Err(DataError::ClipTooShort { clip, samples, needed, why }.into())
            }
        }
    }

    /// Samples from the first segment of an LSTM to its last.
    fn sequence_samples(&self) -> usize {
        (self.count - 1) * self.hop + self.segment
    }

    /// Steps in an epoch.
    pub fn steps_per_epoch(&self) -> usize {
        let whole = self.own.examples().len().div_ceil(self.own_count() * self.per_step());
        self.config.steps_per_epoch.unwrap_or(whole).max(1)
    }

    /// Batches in a step: the batches of step `s` of an epoch, both from 0, have the numbers from `s * per_step` on.
    pub fn per_step(&self) -> usize {
        self.config.accumulate.max(1)
    }

    /// Clips in a step.
    pub fn clips_per_step(&self) -> usize {
        self.config.batch.max(1) * self.per_step()
    }

    /// The batch of this number (from 0) of an epoch (from 0), or this process' rows of it.
    ///
    /// # Errors
    ///
    /// A clip that cannot be read.
    pub fn batch(&self, epoch: usize, number: usize) -> Result<Batch, TrainError> {
        let (chosen, rows) = self.own_examples(epoch, number);
        let count = rows.len();
        let mut items: Vec<usize> = rows.collect();
        // The last row is mixed with the one behind it, which another process computes.
        if self.config.augmentation.mixup > 0.0 && count < chosen.len() {
            items.extend(items.last().map(|last| (last + 1) % chosen.len()));
        }
        let chosen: Vec<Example> = items.iter().filter_map(|i| chosen.get(*i).copied()).collect();
        let row = self.count * self.segment;
        let mut segments = self.room(chosen.len().saturating_mul(row))?;
        let outputs = segments.chunks_exact_mut(row.max(1));
        for ((item, example), out) in items.iter().zip(&chosen).zip(outputs) {
            self.cut(example, &[epoch as u64, number as u64, *item as u64], out)?;
        }
        let mut targets = self.one_hot(&chosen);
        let place = [epoch as u64, number as u64];
        let changed = (segments.as_mut_slice(), self.segment);
        let seed = self.config.seed;
        self.config.augmentation.apply(changed, &mut targets, &items, seed, place);
        segments.truncate(count * row);
        targets.truncate(count * self.classes);
        self.smooth(&mut targets);
        Ok(Batch { segments, shape: [count, self.count, self.segment], targets })
    }

    /// The same batch without its samples, or `None` where augmentation changes them.
    pub fn plan(&self, epoch: usize, number: usize) -> Option<BatchPlan> {
        if self.config.augmentation != Augmentation::default() {
            return None;
        }
        let (chosen, rows) = self.own_examples(epoch, number);
        let chosen = chosen.get(rows.clone()).unwrap_or_default();
        let segments = rows.zip(chosen).flat_map(|(item, example)| {
            let place = [epoch as u64, number as u64, item as u64];
            let cuts = self.cuts(example, &place);
            let in_a_row = if self.sequence { self.count } else { 1 };
            let starts = cuts.into_iter().flat_map(move |cut| {
                (0..in_a_row).map(move |k| (example.clip, cut.start + k * self.hop))
            });
            starts.collect::<Vec<_>>()
        });
        let segments = segments.collect();
        let mut targets = self.one_hot(chosen);
        self.smooth(&mut targets);
        Some(BatchPlan { segments, shape: [chosen.len(), self.count, self.segment], targets })
    }

    /// Where the clips are.
    pub fn clips(&self) -> &Clips {
        &self.clips
    }

    /// The clips that batches are made of.
    pub fn all_examples(&self) -> impl Iterator<Item = &Example> {
        let auxiliary = self.auxiliary.iter().flat_map(|of| of.selection.examples());
        self.own.examples().iter().chain(auxiliary)
    }

    /// Clips of a batch that are not auxiliary.
    fn own_count(&self) -> usize {
        self.config.batch.max(1) - self.auxiliary.as_ref().map_or(0, |of| of.count)
    }

    /// The clips of a batch, and the numbers of those of this process.
    fn own_examples(&self, epoch: usize, number: usize) -> (Vec<Example>, Range<usize>) {
        let chosen = self.examples(epoch, number);
        let rows = self.share.rows(chosen.len());
        (chosen, rows)
    }

    fn one_hot(&self, chosen: &[Example]) -> Vec<f32> {
        let mut targets = vec![0.0; chosen.len() * self.classes];
        for (item, example) in chosen.iter().enumerate() {
            if let Some(target) = targets.get_mut(item * self.classes + example.class) {
                *target = 1.0;
            }
        }
        targets
    }

    fn smooth(&self, targets: &mut [f32]) {
        let smoothing = self.config.label_smoothing as f32;
        for target in targets {
            *target = *target * (1.0 - smoothing) + smoothing / self.classes as f32;
        }
    }

    /// The clips of a batch, without reading them. All batches have one size, so libtorch sees one shape only.
    pub fn examples(&self, epoch: usize, number: usize) -> Vec<Example> {
        let (seed, own) = (self.config.seed, self.own_count());
        let place = [epoch as u64, number as u64];
        let mut chosen = match self.config.balance {
            Balance::Clips => self.own.in_turn(seed, epoch, number * own, own),
            Balance::Artists => {
                self.own.by_artist(&mut Random::derive(seed, "artists", &place), own)
            }
        };
        if let Some(AuxiliaryClips { selection, count }) = &self.auxiliary {
            let mut random = Random::derive(seed, "auxiliary", &place);
            chosen.extend(selection.by_artist(&mut random, *count));
            // Mixup mixes neighbours.
            random.shuffle(&mut chosen);
        }
        chosen
    }

    /// Zeros for so many samples.
    fn room(&self, samples: usize) -> Result<Vec<f32>, TrainError> {
        let mut room = Vec::new();
        // Where a whole batch does not fit, allocating it as usual would end the process.
        room.try_reserve_exact(samples).map_err(|_| {
            let bytes = (samples as u64).saturating_mul(size_of::<f32>() as u64);
            TrainError::too_large(Some(bytes), self.config.batch, self.per_step())
        })?;
        room.resize(samples, 0.0);
        Ok(room)
    }

    /// The first names of the clips of a step (from 0) of an epoch (from 0), and how many more there are.
    pub fn names(&self, epoch: usize, step: usize) -> String {
        let numbers = step * self.per_step()..(step + 1) * self.per_step();
        let examples = numbers.flat_map(|number| self.examples(epoch, number));
        let names: Vec<String> = examples.map(|of| self.clips.name(of.clip)).collect();
        first_names(names.iter(), NAMED_CLIPS)
    }

    /// Fills `out` with `count` segments of a clip.
    fn cut(&self, example: &Example, place: &[u64], out: &mut [f32]) -> Result<(), TrainError> {
        let cuts = self.cuts(example, place);
        if self.sequence {
            let whole = self.sequence_samples();
            let Some(cut) = cuts.first() else { return Ok(()) };
            let source = self.read_at_speed(example.clip, whole, cut)?;
            for (segment, start) in out.chunks_exact_mut(self.segment).zip((0..).step_by(self.hop))
            {
                if let Some(samples) = source.get(start..start + self.segment) {
                    segment.copy_from_slice(samples);
                }
            }
            return Ok(());
        }
        for (segment, cut) in out.chunks_exact_mut(self.segment).zip(&cuts) {
            segment.copy_from_slice(&self.read_at_speed(example.clip, self.segment, cut)?);
        }
        Ok(())
    }

    /// Where segments are cut from a clip: for an LSTM where the first of a row begins, else where each begins.
    fn cuts(&self, example: &Example, place: &[u64]) -> Vec<Cut> {
        let mut random = Random::derive(self.config.seed, "crop", place);
        let samples = usize::try_from(example.samples).unwrap_or(usize::MAX);
        let anywhere = |random: &mut Random, length: usize| match self.config.crop {
            Crop::Grid => 0,
            Crop::Random => random.below(samples.saturating_sub(length) + 1),
        };
        if self.sequence {
            let whole = self.sequence_samples();
            let ratio = self.ratio(&mut random, whole, samples);
            return vec![Cut { start: anywhere(&mut random, stretched(whole, ratio)), ratio }];
        }
        // Fewer segments than the grid has are a random selection from it, without repetition.
        let on_grid = segment_count(samples, self.segment, self.hop).max(1);
        let mut grid: Vec<usize> = (0..on_grid).collect();
        if self.count < on_grid {
            random.shuffle(&mut grid);
        }
        let cuts = (0..self.count).map(|k| {
            let ratio = self.ratio(&mut random, self.segment, samples);
            let length = stretched(self.segment, ratio);
            let start = match self.config.crop {
                Crop::Random => anywhere(&mut random, length),
                Crop::Grid => {
                    let start = grid.get(k % on_grid).copied().unwrap_or(0) * self.hop;
                    start.min(samples.saturating_sub(length))
                }
            };
            Cut { start, ratio }
        });
        cuts.collect()
    }

    /// Samples of the clip per sample of the segment: speed and pitch together; 1 where the clip is too short for more.
    fn ratio(&self, random: &mut Random, length: usize, samples: usize) -> f64 {
        let semitones = self.config.augmentation.speed;
        if semitones <= 0.0 {
            return 1.0;
        }
        let ratio = (random.uniform(-semitones, semitones) / 12.0).exp2();
        if stretched(length, ratio) > samples { 1.0 } else { ratio }
    }

    /// `length` samples from the cut's start on, each `ratio` samples after the one before, interpolated linearly.
    ///
    /// Linear interpolation damps the highest octave; that is part of the augmentation.
    fn read_at_speed(
        &self,
        clip: usize,
        length: usize,
        &Cut { start, ratio }: &Cut,
    ) -> Result<Vec<f32>, TrainError> {
        let mut source = vec![0.0; stretched(length, ratio)];
        self.clips.read(clip, start as u64, &mut source)?;
        if ratio == 1.0 {
            return Ok(source);
        }
        let at = |i: usize| source.get(i).copied().unwrap_or(0.0);
        let resampled = (0..length).map(|k| {
            let place = k as f64 * ratio;
            let share = place.fract() as f32;
            (1.0 - share) * at(place as usize) + share * at(place as usize + 1)
        });
        Ok(resampled.collect())
    }

    /// Reads the batches of `epochs` ahead in `readers` threads, from number `first` on, until the result is dropped or
    /// a batch fails.
    pub fn prefetch(
        self: &Arc<Self>,
        epochs: Range<usize>,
        first: usize,
        readers: usize,
    ) -> Prefetched {
        let receivers = (0..readers.max(1)).map(|reader| {
            // Two batches ready and one being read keep a device busy without much memory.
            let (sender, receiver) = sync_channel(if readers > 1 { 1 } else { 2 });
            let (batches, epochs) = (Arc::clone(self), epochs.clone());
            std::thread::spawn(move || {
                let count = batches.steps_per_epoch() * batches.per_step();
                let all = epochs.flat_map(|epoch| (0..count).map(move |number| (epoch, number)));
                for (epoch, number) in all.skip(first + reader).step_by(readers.max(1)) {
                    let batch = batches.batch(epoch, number);
                    let failed = batch.is_err();
                    if sender.send(batch).is_err() || failed {
                        return;
                    }
                }
            });
            receiver
        });
        Prefetched { receivers: receivers.collect(), next: 0 }
    }
}

/// Batches in order, read ahead in threads of their own.
#[derive(Debug)]
pub struct Prefetched {
    /// One of each reader; with `n` readers, each has every `n`-th batch.
    receivers: Vec<Receiver<Result<Batch, TrainError>>>,
    next: usize,
}

impl Prefetched {
    /// The next batch; waits for it.
    ///
    /// # Errors
    ///
    /// A clip that cannot be read; `ReaderEnded` after the last batch.
    pub fn take(&mut self) -> Result<Batch, TrainError> {
        let receiver = self.receivers.get(self.next).ok_or(TrainError::ReaderEnded)?;
        self.next = (self.next + 1) % self.receivers.len();
        receiver.recv().map_err(|_| TrainError::ReaderEnded)?
    }
}

/// Clips of a batch that are named.
const NAMED_CLIPS: usize = 4;

/// Samples to read for `length` samples of a segment.
fn stretched(length: usize, ratio: f64) -> usize {
    if ratio == 1.0 { length } else { (length as f64 * ratio) as usize + 2 }
}
