//! A model that identifies artists: from an audio file or samples to an [`Answer`].

use std::path::Path;

use leitmotif_models::{Card, HeadKind, SampleRate, segment_count};
use serde::Serialize;

use super::answer::{Answer, Moment, ranked};
use super::device::DeviceTaken;
use super::error::Error;
use super::graph::Graph;
use super::options::SessionOptions;
use super::session::Session;
use crate::audio::{AudioReader, Level, Resampler, Segmenter};
use crate::pooling::{Mean, largest, window_counts};

/// Identifies artists with a model from one `.onnx` file.
///
/// The file's graph changes nothing but the speed: a dense head's `clip` and `segment` graphs give the same answer, and
/// so do an LSTM's `sequence` and `step`.
///
/// A dense head's answer is the mean over all segments of the recording. An LSTM's is the mean over consecutive
/// windows of the length it was trained on, the last one counted if at least half full. Samples after the last whole
/// segment are dropped.
///
/// Where the card has a [`Confidence`](leitmotif_models::Confidence), its temperature is applied to that mean, and
/// [`Answer::unknown`] says by its threshold whether the recording is of none of the artists.
///
/// Recordings are streamed: memory does not grow with their length, except for [`Answer::timeline`], which has one row
/// of probabilities for each segment.
///
/// Recognising takes `&mut self`, because ONNX Runtime cannot run one session from two threads. A recognizer is
/// [`Send`]: open one for each thread, or share one behind a [`Mutex`](std::sync::Mutex).
#[derive(Debug)]
pub struct Recognizer {
    card: Card,
    graph: Graph,
}

/// The result of running a model on its golden input and comparing with its golden probabilities.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SelfTest {
    /// Largest difference between a probability here and the trainer's.
    pub largest_difference: f32,
    /// The artist whose probability differs most.
    pub artist: String,
    /// Largest difference that the model's precision allows, from its card.
    pub tolerance: f32,
    /// Whether the most probable artist is the same.
    pub same_best: bool,
}

impl SelfTest {
    /// Whether this machine computes what the trainer computed.
    pub fn passed(&self) -> bool {
        self.largest_difference <= self.tolerance && self.same_best
    }
}

impl Recognizer {
    /// Opens a model on the best device there is; [`device`](Self::device) returns which was taken.
    ///
    /// # Errors
    ///
    /// Those of [`open_with`](Self::open_with).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(path, &SessionOptions::default())
    }

    /// Opens a model with these options.
    ///
    /// # Errors
    ///
    /// Those of [`Session::open`]; [`Error::NoCard`], [`Error::CardVersion`] and [`Error::BadCard`] if the model has no
    /// card that this version can read, [`Error::EmbeddingOnly`] and [`Error::FixedSizes`] if it cannot be used for whole
    /// recordings, and [`Error::WrongShape`] if its graph does not match its card.
    pub fn open_with(path: impl AsRef<Path>, options: &SessionOptions) -> Result<Self, Error> {
        Self::new(Session::open(path.as_ref(), options)?)
    }

    /// Opens a model from the bytes of an `.onnx` file.
    ///
    /// # Errors
    ///
    /// Those of [`open_with`](Self::open_with).
    pub fn from_bytes(model: &[u8], options: &SessionOptions) -> Result<Self, Error> {
        Self::new(Session::from_bytes(model, options)?)
    }

    fn new(session: Session) -> Result<Self, Error> {
        let path = session.path().to_owned();
        let card = session.card()?;
        if card.embedding_only {
            return Err(Error::EmbeddingOnly { path });
        }
        if card.fixed.segments.is_some() || card.fixed.batch.is_some_and(|batch| batch != 1) {
            return Err(Error::FixedSizes { path });
        }
        let graph = Graph::new(session, &card)?;
        Ok(Self { card, graph })
    }

    /// The model's description of itself: artists, network, data set, scores.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// The device taken, and why.
    pub fn device(&self) -> &DeviceTaken {
        self.graph.session().device()
    }

    /// The underlying session: the model's inputs, outputs and metadata.
    pub fn session(&self) -> &Session {
        self.graph.session()
    }

    /// Identifies the artist of an audio file of any [supported format](crate::audio), rate and number of channels.
    ///
    /// The answer for a damaged or truncated file is that for the part that can be decoded; [`Answer::audio`] reports the
    /// damage.
    ///
    /// # Errors
    ///
    /// [`Error::Audio`] if it cannot be decoded, [`Error::TooShort`] if it is shorter than one segment, [`Error::Run`],
    /// [`Error::WrongShape`] or [`Error::BadOutput`] if the model fails.
    pub fn recognize_file(&mut self, path: impl AsRef<Path>) -> Result<Answer, Error> {
        let mut reader = AudioReader::open(path.as_ref(), self.card.sample_rate)?;
        let mut recognition = Recognition::new(&mut self.graph, &self.card);
        let mut block = Vec::new();
        while reader.read(&mut block)? > 0 {
            recognition.push(&block)?;
            block.clear();
        }
        let mut answer = recognition.finish().map_err(|error| error.in_file(path.as_ref()))?;
        answer.audio = Some(reader.info().clone());
        Ok(answer)
    }

    /// Identifies the artist of mono samples at 16 kHz, in `[-1, 1]`; beyond, they are scaled as a file's are
    /// ([`Level`]).
    ///
    /// # Errors
    ///
    /// As [`recognize_file`](Self::recognize_file), [`Error::NotFinite`], and [`Error::OutOfScale`] for samples that are
    /// integers rather than shares of full scale.
    pub fn recognize_samples(&mut self, samples: &[f32]) -> Result<Answer, Error> {
        self.recognize_samples_at(samples, SampleRate::NETWORK)
    }

    /// Identifies the artist of mono samples at any rate.
    ///
    /// # Errors
    ///
    /// As [`recognize_samples`](Self::recognize_samples), and [`Error::UnsupportedRate`].
    pub fn recognize_samples_at(
        &mut self,
        samples: &[f32],
        rate: SampleRate,
    ) -> Result<Answer, Error> {
        if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
            let value = samples.get(index).copied().unwrap_or(f32::NAN);
            return Err(Error::NotFinite { index, value });
        }
        let peak = Level::peak(samples);
        let gain = Level::gain(peak).ok_or(Error::OutOfScale { peak })?;
        let mut resampler = Resampler::new(rate, self.card.sample_rate)
            .map_err(|error| Error::UnsupportedRate { rate: error.0 })?;
        let mut recognition = Recognition::new(&mut self.graph, &self.card);
        let (mut scaled, mut block) = (Vec::new(), Vec::new());
        for samples in samples.chunks(SampleRate::NETWORK.0 as usize) {
            scaled.clear();
            scaled.extend(samples.iter().map(|sample| sample * gain));
            resampler.push(&scaled, &mut block);
            Level::clip(&mut block);
            recognition.push(&block)?;
            block.clear();
        }
        resampler.finish(&mut block);
        Level::clip(&mut block);
        recognition.push(&block)?;
        recognition.finish()
    }

    /// Runs the golden input that the card describes and compares with the card's golden probabilities, uncalibrated as
    /// these are.
    ///
    /// # Errors
    ///
    /// Those of [`recognize_samples`](Self::recognize_samples). A difference is not an error: see [`SelfTest::passed`].
    pub fn self_test(&mut self) -> Result<SelfTest, Error> {
        let answer = self.recognize_samples(&self.card.golden.input.samples())?;
        let golden = &self.card.golden;
        let expected = ranked(&self.card.classes, &golden.probabilities);
        let mut test = SelfTest {
            largest_difference: 0.0,
            artist: expected.first().map(|score| score.artist.clone()).unwrap_or_default(),
            tolerance: golden.tolerance,
            same_best: answer.best().map(|s| s.class) == expected.first().map(|s| s.class),
        };
        let pairs = answer.uncalibrated.iter().zip(&golden.probabilities);
        for ((found, expected), artist) in pairs.zip(&self.card.classes) {
            let difference = (found - expected).abs();
            if difference > test.largest_difference {
                test.largest_difference = difference;
                test.artist.clone_from(artist);
            }
        }
        Ok(test)
    }
}

/// The recognition of one recording: takes it block by block and keeps sums.
struct Recognition<'a> {
    /// Cuts the stream into the blocks that the graph takes in one call.
    blocks: Segmenter,
    peak: f32,
    sums: Sums<'a>,
}

struct Sums<'a> {
    graph: &'a mut Graph,
    card: &'a Card,
    probabilities: Mean,
    certainty: Mean,
    embedding: Mean,
    timeline: Vec<Moment>,
}

impl<'a> Recognition<'a> {
    fn new(graph: &'a mut Graph, card: &'a Card) -> Self {
        let block = graph.block();
        let hop = card.hop_samples;
        let length = (block - 1).saturating_mul(hop).saturating_add(card.segment_samples);
        let sums = Sums {
            graph,
            card,
            probabilities: Mean::new(card.classes.len()),
            certainty: Mean::new(1),
            embedding: Mean::new(card.embedding_units),
            timeline: Vec::new(),
        };
        Self { blocks: Segmenter::new(length, block.saturating_mul(hop)), peak: 0.0, sums }
    }

    fn push(&mut self, samples: &[f32]) -> Result<(), Error> {
        self.peak = self.peak.max(Level::peak(samples));
        let sums = &mut self.sums;
        let segments = sums.graph.block();
        self.blocks.push(samples, &mut |block| sums.add(block, segments))
    }

    fn finish(mut self) -> Result<Answer, Error> {
        let card = self.sums.card;
        let (segment, hop) = (card.segment_samples, card.hop_samples);
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
            self.sums.add(rest.get(..length).unwrap_or(rest), segments)?;
        }
        let seconds = card.sample_rate.seconds(self.blocks.samples());
        if self.sums.timeline.is_empty() {
            let needed_seconds = card.sample_rate.seconds(segment as u64);
            return Err(Error::TooShort { path: None, needed_seconds, found_seconds: seconds });
        }
        let Sums { probabilities, certainty, embedding, timeline, .. } = self.sums;
        let uncalibrated = probabilities.values();
        let artists = match &card.confidence {
            Some(confidence) => ranked(&card.classes, &confidence.calibrated(&uncalibrated)),
            None => ranked(&card.classes, &uncalibrated),
        };
        Ok(Answer {
            artists,
            uncalibrated,
            certainty: certainty.values().first().copied().unwrap_or(0.0),
            min_certainty: card.confidence.as_ref().map(|confidence| confidence.threshold),
            seconds,
            peak: self.peak,
            segments: timeline.len(),
            windows: timeline.last().map_or(0, |moment| moment.window + 1),
            embedding: embedding.values(),
            audio: None,
            timeline,
        })
    }
}

impl Sums<'_> {
    fn add_row(&mut self, row: &[f32]) {
        self.probabilities.add(row, 1.0);
        self.certainty.add(&[largest(row)], 1.0);
    }

    /// Runs one block and adds its outputs.
    fn add(&mut self, block: &[f32], segments: usize) -> Result<(), Error> {
        let card = self.card;
        let outputs = self.graph.run(block, segments)?;
        let rows = outputs.probabilities.chunks(card.classes.len());
        match card.graph.head() {
            HeadKind::Dense => {
                rows.clone().for_each(|row| self.add_row(row));
                self.embedding.add(&outputs.embedding, segments as f64);
            }
            HeadKind::Lstm => {
                rows.clone().last().into_iter().for_each(|row| self.add_row(row));
                self.embedding.add(&outputs.embedding, 1.0);
            }
        }
        for row in rows {
            let segment = self.timeline.len();
            let start = segment as u64 * card.hop_samples as u64;
            self.timeline.push(Moment {
                start_seconds: card.sample_rate.seconds(start),
                end_seconds: card.sample_rate.seconds(start + card.segment_samples as u64),
                window: segment / card.window_segments,
                probabilities: row.to_vec(),
            });
        }
        Ok(())
    }
}
