//! The recognition of one recording: takes its samples piece by piece and keeps sums.

use std::sync::Arc;
use std::time::{Duration, Instant};

use leitmotif_models::{Card, HeadKind, segment_count};

use super::answer::{Answer, Moment, Timing, ranked};
use super::call::{Average, RecognizeOptions};
use super::cancel::Stop;
use super::error::Error;
use super::graph::BlockOutputs;
use super::model::OpenModel;
use crate::audio::{Level, Segmenter};
use crate::pooling::{Mean, largest, window_counts};

/// From the first sample to the answer.
#[derive(Debug)]
pub(super) struct Recognition {
    shared: Arc<OpenModel>,
    /// Cuts the stream into the blocks that the graph takes in one call.
    blocks: Segmenter,
    /// Segments of a block, and samples from one segment to the next.
    block: usize,
    hop: usize,
    peak: f32,
    stop: Stop,
    sums: Sums,
}

impl Recognition {
    pub(super) fn new(
        shared: &Arc<OpenModel>,
        options: &RecognizeOptions,
        stop: Stop,
    ) -> Result<Self, Error> {
        let (card, graph) = (&shared.card, &shared.graph);
        let hop = shared.hop(options)?;
        // A graph that cuts by itself is given one segment at a time where it would cut elsewhere.
        let block = if hop == card.hop_samples { graph.block() } else { 1 };
        let length = (block - 1).saturating_mul(hop).saturating_add(card.segment_samples);
        Ok(Self {
            shared: Arc::clone(shared),
            blocks: Segmenter::new(length, block.saturating_mul(hop)),
            block,
            hop,
            peak: 0.0,
            stop,
            sums: Sums::new(card, options, hop),
        })
    }

    pub(super) fn push(&mut self, samples: &[f32]) -> Result<(), Error> {
        self.stop.check()?;
        self.peak = self.peak.max(Level::peak(samples));
        let Self { shared, sums, stop, block: segments, hop, .. } = self;
        self.blocks.push(samples, &mut |block| sums.run(shared, stop, block, *segments, *hop))
    }

    pub(super) fn finish(mut self) -> Result<Answer, Error> {
        let card = &self.shared.card;
        let (segment, hop) = (card.segment_samples, self.hop);
        let rest = self.blocks.rest();
        let segments = segment_count(rest.len(), segment, hop);
        let counts = match card.graph.head() {
            HeadKind::Dense => segments > 0,
            HeadKind::Lstm => {
                window_counts(segments, card.window_segments, self.blocks.segments() > 0)
            }
        };
        if counts {
            let length = (segments - 1) * hop + segment;
            let block = rest.get(..length).unwrap_or(rest);
            self.sums.run(&self.shared, &self.stop, block, segments, hop)?;
        }
        let found = Found { samples: self.blocks.samples(), peak: self.peak };
        self.sums.answer(card, found)
    }
}

/// What is known of a recording beside its segments.
pub(super) struct Found {
    /// Samples in all.
    pub(super) samples: u64,
    pub(super) peak: f32,
}

/// Sums over the segments and windows of a recording.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    average: Average,
    keep_timeline: bool,
    top: Option<usize>,
    hop: usize,
    probabilities: Mean,
    certainty: Mean,
    embedding: Mean,
    timeline: Vec<Moment>,
    segments: usize,
    network: Duration,
    began: Instant,
}

impl Sums {
    pub(super) fn new(card: &Card, options: &RecognizeOptions, hop: usize) -> Self {
        Self {
            average: options.average,
            keep_timeline: options.timeline,
            top: options.top,
            hop,
            probabilities: Mean::new(card.classes.len()),
            certainty: Mean::new(1),
            embedding: Mean::new(card.embedding_units),
            timeline: Vec::new(),
            segments: 0,
            network: Duration::ZERO,
            began: Instant::now(),
        }
    }

    /// Segments added so far.
    pub(super) fn segments(&self) -> usize {
        self.segments
    }

    /// Adds time in the network.
    pub(super) fn took(&mut self, time: Duration) {
        self.network += time;
    }

    /// Without the last segments, of a window that does not count.
    pub(super) fn leave_out(&mut self, segments: usize) {
        self.segments = self.segments.saturating_sub(segments);
    }

    /// The timeline so far, which then is empty.
    pub(super) fn take_timeline(&mut self) -> Vec<Moment> {
        std::mem::take(&mut self.timeline)
    }

    /// Runs one block and adds its outputs.
    fn run(
        &mut self,
        shared: &OpenModel,
        stop: &Stop,
        block: &[f32],
        segments: usize,
        hop: usize,
    ) -> Result<(), Error> {
        let outputs = shared.sessions.run(stop, |session| {
            let began = Instant::now();
            let outputs = shared.graph.run(session, block, segments, hop)?;
            self.took(began.elapsed());
            Ok(outputs)
        })?;
        stop.check()?;
        self.add(&shared.card, &outputs);
        Ok(())
    }

    /// Adds the outputs of a block: of a dense head any number of segments, of an LSTM a window.
    pub(super) fn add(&mut self, card: &Card, outputs: &BlockOutputs) {
        let rows = outputs.probabilities.chunks(card.classes.len());
        match card.graph.head() {
            HeadKind::Dense => {
                let segments = rows.len();
                rows.clone().for_each(|row| self.add_row(row));
                self.embedding.add(&outputs.embedding, segments as f64);
            }
            HeadKind::Lstm => {
                rows.clone().last().into_iter().for_each(|row| self.add_row(row));
                self.embedding.add(&outputs.embedding, 1.0);
            }
        }
        rows.for_each(|row| self.add_moment(card, row));
    }

    /// Adds the last row of a window, whose moments were added before.
    pub(super) fn add_window(&mut self, row: &[f32], embedding: &[f32]) {
        self.add_row(row);
        self.embedding.add(embedding, 1.0);
    }

    fn add_row(&mut self, row: &[f32]) {
        match self.average {
            Average::Probabilities => self.probabilities.add(row, 1.0),
            Average::Logits => {
                let logs: Vec<f32> =
                    row.iter().map(|probability| probability.max(f32::MIN_POSITIVE).ln()).collect();
                self.probabilities.add(&logs, 1.0);
            }
        }
        self.certainty.add(&[largest(row)], 1.0);
    }

    /// Adds a segment to the timeline.
    pub(super) fn add_moment(&mut self, card: &Card, row: &[f32]) {
        let segment = self.segments;
        self.segments += 1;
        if !self.keep_timeline {
            return;
        }
        let start = segment as u64 * self.hop as u64;
        self.timeline.push(Moment {
            start_seconds: card.sample_rate.seconds(start),
            end_seconds: card.sample_rate.seconds(start + card.segment_samples as u64),
            window: segment / card.window_segments,
            probabilities: row.to_vec(),
        });
    }

    /// # Errors
    ///
    /// [`Error::TooShort`] without a segment.
    pub(super) fn answer(self, card: &Card, found: Found) -> Result<Answer, Error> {
        let seconds = card.sample_rate.seconds(found.samples);
        if self.segments == 0 {
            let needed_seconds = card.sample_rate.seconds(card.segment_samples as u64);
            return Err(Error::TooShort { path: None, needed_seconds, found_seconds: seconds });
        }
        let mut uncalibrated = self.probabilities.values();
        if self.average == Average::Logits {
            softmax(&mut uncalibrated);
        }
        let mut artists = match &card.confidence {
            Some(confidence) => ranked(&card.classes, &confidence.calibrated(&uncalibrated)),
            None => ranked(&card.classes, &uncalibrated),
        };
        artists.truncate(self.top.unwrap_or(usize::MAX));
        let used = (self.segments - 1) as u64 * self.hop as u64 + card.segment_samples as u64;
        Ok(Answer {
            artists,
            uncalibrated,
            certainty: self.certainty.values().first().copied().unwrap_or(0.0),
            min_certainty: card.confidence.as_ref().map(|confidence| confidence.threshold),
            seconds,
            used_seconds: card.sample_rate.seconds(used.min(found.samples)),
            peak: found.peak,
            segments: self.segments,
            windows: self.segments.div_ceil(card.window_segments),
            embedding: self.embedding.values(),
            audio: None,
            timing: Timing { network: self.network, total: self.began.elapsed() },
            timeline: self.timeline,
        })
    }
}

/// From logarithms of probabilities to probabilities that sum to 1.
fn softmax(values: &mut [f32]) {
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    values.iter_mut().for_each(|value| *value = (*value - largest).exp());
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= sum);
}
