//! A model that identifies artists: from an audio file or samples to an [`Answer`].

use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Arc;

use leitmotif_models::{Card, SampleRate};
use serde::Serialize;

use super::answer::{Answer, ranked};
use super::call::RecognizeOptions;
use super::cancel::Stop;
use super::device::DeviceTaken;
use super::error::Error;
use super::graph::Graph;
use super::listener::Listener;
use super::model::OpenModel;
use super::options::SessionOptions;
use super::placement::Placement;
use super::pool::Pool;
use super::recognition::Recognition;
use super::session::{Port, Session, read_model};
use crate::audio::{AudioReader, Level, Mixer, Resampler};

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
/// Recognising takes `&self`, and clones share one model: use one recognizer on as many threads as there are. Each call
/// has a session to itself, of up to [`SessionOptions::sessions`]; further callers wait for their turn.
#[derive(Debug, Clone)]
pub struct Recognizer {
    shared: Arc<OpenModel>,
}

/// Samples that are looked through at once, before it is looked whether the recognition was cancelled.
const SCANNED: usize = 1 << 20;
/// Frames of which it is decided at once whether two channels cancel each other: as many as a packet of most files has.
const MIXED: usize = 1152;

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
    /// card that this version can read, [`Error::SelfTest`] if one was asked for, [`Error::EmbeddingOnly`],
    /// [`Error::HuggingFace`] and [`Error::FixedSizes`] if it cannot be used for whole recordings, and
    /// [`Error::WrongShape`] if its graph does not match its card.
    pub fn open_with(path: impl AsRef<Path>, options: &SessionOptions) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::new(&read_model(path)?, path, options)
    }

    /// Opens a model from the bytes of an `.onnx` file, e.g. of `include_bytes!`.
    ///
    /// # Errors
    ///
    /// Those of [`open_with`](Self::open_with).
    pub fn from_bytes(model: &[u8], options: &SessionOptions) -> Result<Self, Error> {
        Self::new(model, Path::new("(in memory)"), options)
    }

    fn new(model: &[u8], path: &Path, options: &SessionOptions) -> Result<Self, Error> {
        let session = Session::load(model, path, options)?;
        let path = path.to_owned();
        let card = session.card()?;
        if card.embedding_only {
            return Err(Error::EmbeddingOnly { path });
        }
        if card.huggingface {
            return Err(Error::HuggingFace { path });
        }
        if card.fixed.segments.is_some() || card.fixed.batch.is_some_and(|batch| batch != 1) {
            return Err(Error::FixedSizes { path });
        }
        let graph = Graph::new(&session, &card, options.memory_limit)?;
        let (device, placement) = (session.device().clone(), session.placement().clone());
        let asked = (options.device, options.policy, options.engine);
        let (inputs, outputs) = (session.inputs().to_vec(), session.outputs().to_vec());
        let sessions = Pool::new(session, model, options);
        let shared = Arc::new(OpenModel {
            card,
            graph,
            sessions,
            device,
            placement,
            asked,
            path,
            inputs,
            outputs,
        });
        let recognizer = Self { shared };
        if options.warm_up {
            recognizer.warm_up()?;
        }
        if options.self_test {
            let test = recognizer.self_test()?;
            if !test.passed() {
                let path = recognizer.path().to_owned();
                let SelfTest { largest_difference, artist, tolerance, .. } = test;
                return Err(Error::SelfTest { path, largest_difference, artist, tolerance });
            }
        }
        Ok(recognizer)
    }

    /// Runs a block of silence.
    fn warm_up(&self) -> Result<(), Error> {
        let OpenModel { card, graph, sessions, .. } = &*self.shared;
        let samples = (graph.block() - 1) * card.hop_samples + card.segment_samples;
        let silence = vec![0.0; samples];
        sessions.run(&Stop::default(), |session| {
            graph.run(session, &silence, graph.block(), card.hop_samples).map(drop)
        })
    }

    /// The model's description of itself: artists, network, data set, scores.
    pub fn card(&self) -> &Card {
        &self.shared.card
    }

    /// The device taken, and why.
    pub fn device(&self) -> &DeviceTaken {
        &self.shared.device
    }

    /// How many of the graph's nodes run by which of ONNX Runtime's execution providers, or in tract.
    pub fn placement(&self) -> &Placement {
        &self.shared.placement
    }

    /// What differs from the request, in one sentence: the CPU was taken beside an NVIDIA driver, tract for want of ONNX
    /// Runtime, or a part of the graph runs on the CPU beside the GPU. `None` where all is as asked for, and with
    /// [`DevicePolicy::Allow`](crate::DevicePolicy::Allow).
    pub fn warning(&self) -> Option<String> {
        self.shared.warning()
    }

    /// The model's file; `(in memory)` if it was opened from bytes.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// The graph's inputs, in its order.
    pub fn inputs(&self) -> &[Port] {
        &self.shared.inputs
    }

    /// The graph's outputs, in its order.
    pub fn outputs(&self) -> &[Port] {
        &self.shared.outputs
    }

    /// Sessions that are opened at most: so many callers are served at once.
    pub fn most_sessions(&self) -> usize {
        self.shared.sessions.most()
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
    pub fn recognize_file(&self, path: impl AsRef<Path>) -> Result<Answer, Error> {
        self.recognize_file_with(path, &RecognizeOptions::default())
    }

    /// [`recognize_file`](Self::recognize_file) with options.
    ///
    /// # Errors
    ///
    /// Those of [`recognize_file`](Self::recognize_file), [`Error::Hop`], [`Error::Cancelled`] and [`Error::TimeLimit`].
    pub fn recognize_file_with(
        &self,
        path: impl AsRef<Path>,
        options: &RecognizeOptions,
    ) -> Result<Answer, Error> {
        let (path, stop) = (path.as_ref(), options.stop());
        let reader = AudioReader::open(path, self.shared.card.sample_rate)?;
        self.recognize_audio(reader, path, options, stop)
    }

    /// Identifies the artist of an audio file that is read from `reader`, e.g. an upload, without a copy of it. `name` is
    /// what errors call it; its ending is no hint to the format.
    ///
    /// ```
    /// use std::io::Cursor;
    ///
    /// use leitmotif::{RecognizeOptions, Recognizer};
    ///
    /// let recognizer = Recognizer::open("tests/data/tiny.clip.onnx")?;
    /// let upload = Cursor::new(std::fs::read("tests/data/audio/mtat.mp3").unwrap_or_default());
    /// let answer = recognizer.recognize_reader(upload, "upload", &RecognizeOptions::new())?;
    /// assert!(answer.best().is_some());
    /// # Ok::<(), leitmotif::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`recognize_file_with`](Self::recognize_file_with).
    pub fn recognize_reader(
        &self,
        reader: impl Read + Seek + Send + Sync + 'static,
        name: impl AsRef<Path>,
        options: &RecognizeOptions,
    ) -> Result<Answer, Error> {
        let (name, stop) = (name.as_ref(), options.stop());
        let reader = AudioReader::from_reader(reader, name, self.shared.card.sample_rate)?;
        self.recognize_audio(reader, name, options, stop)
    }

    fn recognize_audio(
        &self,
        mut reader: AudioReader,
        path: &Path,
        options: &RecognizeOptions,
        stop: Stop,
    ) -> Result<Answer, Error> {
        let mut recognition = Recognition::new(&self.shared, options, stop)?;
        let mut block = Vec::new();
        while reader.read(&mut block)? > 0 {
            recognition.push(&block)?;
            block.clear();
        }
        let mut answer = recognition.finish().map_err(|error| error.in_file(path))?;
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
    pub fn recognize_samples(&self, samples: &[f32]) -> Result<Answer, Error> {
        self.recognize_samples_with(samples, &RecognizeOptions::default())
    }

    /// [`recognize_samples`](Self::recognize_samples) with options.
    ///
    /// # Errors
    ///
    /// Those of [`recognize_samples`](Self::recognize_samples), [`Error::Hop`], [`Error::Cancelled`] and
    /// [`Error::TimeLimit`].
    pub fn recognize_samples_with(
        &self,
        samples: &[f32],
        options: &RecognizeOptions,
    ) -> Result<Answer, Error> {
        self.recognize_interleaved(samples, 1, SampleRate::NETWORK, options)
    }

    /// Identifies the artist of mono samples at any rate.
    ///
    /// # Errors
    ///
    /// As [`recognize_samples`](Self::recognize_samples), and [`Error::UnsupportedRate`].
    pub fn recognize_samples_at(&self, samples: &[f32], rate: SampleRate) -> Result<Answer, Error> {
        self.recognize_interleaved(samples, 1, rate, &RecognizeOptions::default())
    }

    /// Identifies the artist of samples at any rate with any number of channels, which are mixed to mono:
    /// `[left, right, left, right, …]`. Two that cancel each other count as a file's do, by the louder one; of more, the
    /// mean counts. Samples after the last whole frame are dropped.
    ///
    /// # Errors
    ///
    /// As [`recognize_samples_with`](Self::recognize_samples_with), [`Error::UnsupportedRate`], and [`Error::TooShort`] for
    /// no channels.
    pub fn recognize_interleaved(
        &self,
        samples: &[f32],
        channels: usize,
        rate: SampleRate,
        options: &RecognizeOptions,
    ) -> Result<Answer, Error> {
        let stop = options.stop();
        let mut peak = 0.0_f32;
        for (number, chunk) in samples.chunks(SCANNED).enumerate() {
            stop.check()?;
            if let Some((index, value)) = chunk.iter().enumerate().find(|(_, x)| !x.is_finite()) {
                return Err(Error::NotFinite { index: number * SCANNED + index, value: *value });
            }
            peak = peak.max(Level::peak(chunk));
        }
        let gain = Level::gain(peak).ok_or(Error::OutOfScale { peak })?;
        let mut resampler = Resampler::new(rate, self.shared.card.sample_rate)
            .map_err(|error| Error::UnsupportedRate { rate: error.0 })?;
        let mut recognition = Recognition::new(&self.shared, options, stop)?;
        let (mut mixer, mut mono, mut block) = (Mixer::default(), Vec::new(), Vec::new());
        let channels_or_one = channels.max(1);
        let frames = if channels == 0 { &[] } else { samples };
        for samples in
            frames.chunks((SampleRate::NETWORK.0 as usize).saturating_mul(channels_or_one))
        {
            mono.clear();
            for block in samples.chunks(MIXED.saturating_mul(channels_or_one)) {
                mixer.mix_interleaved(channels_or_one, block, &mut mono);
            }
            if gain != 1.0 {
                mono.iter_mut().for_each(|sample| *sample *= gain);
            }
            resampler.push(&mono, &mut block);
            Level::clip(&mut block);
            recognition.push(&block)?;
            block.clear();
        }
        resampler.finish(&mut block);
        Level::clip(&mut block);
        recognition.push(&block)?;
        recognition.finish()
    }

    /// Takes live audio at this rate, mono.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedRate`], [`Error::Hop`], and [`Error::NeedsStep`] for a `sequence` graph.
    pub fn listen(&self, rate: SampleRate, options: &RecognizeOptions) -> Result<Listener, Error> {
        Listener::new(&self.shared, rate, options)
    }

    /// Runs the golden input that the card describes and compares with the card's golden probabilities, uncalibrated as
    /// these are.
    ///
    /// # Errors
    ///
    /// Those of [`recognize_samples`](Self::recognize_samples). A difference is not an error: see [`SelfTest::passed`].
    pub fn self_test(&self) -> Result<SelfTest, Error> {
        let answer = self.recognize_samples(&self.card().golden.input.samples())?;
        let golden = &self.card().golden;
        let expected = ranked(&self.card().classes, &golden.probabilities);
        let mut test = SelfTest {
            largest_difference: 0.0,
            artist: expected.first().map(|score| score.artist.clone()).unwrap_or_default(),
            tolerance: golden.tolerance,
            same_best: answer.best().map(|s| s.class) == expected.first().map(|s| s.class),
        };
        let pairs = answer.uncalibrated.iter().zip(&golden.probabilities);
        for ((found, expected), artist) in pairs.zip(&self.card().classes) {
            let difference = (found - expected).abs();
            if difference > test.largest_difference {
                test.largest_difference = difference;
                test.artist.clone_from(artist);
            }
        }
        Ok(test)
    }
}
