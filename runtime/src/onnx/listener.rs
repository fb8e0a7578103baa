//! Live audio: an answer that is renewed with every segment.

use std::sync::Arc;
use std::time::Instant;

use leitmotif_models::{GraphKind, HeadKind, SampleRate};

use super::answer::Answer;
use super::call::RecognizeOptions;
use super::cancel::Stop;
use super::error::Error;
use super::graph::State;
use super::model::OpenModel;
use super::recognition::{Found, Sums};
use crate::audio::{Level, Resampler, Segmenter};
use crate::pooling::window_counts;

/// Identifies the artist of live audio, e.g. of a microphone or a radio station, in chunks of any size.
///
/// After each chunk that completes a segment there is an answer for everything since the beginning or
/// [`reset`](Self::reset): the same as [`Recognizer::recognize_samples_at`](crate::Recognizer::recognize_samples_at) gives
/// for these samples at once, but that samples beyond full scale are clipped, since nothing is known of the music to come.
/// Memory does not grow: [`Answer::timeline`] has the segments of this chunk alone.
///
/// [`Answer::timing`] counts from the beginning, silence between chunks included; a time limit is that of one chunk.
///
/// An LSTM needs its `step` graph, whose state is carried from segment to segment.
///
/// ```
/// use leitmotif::{RecognizeOptions, Recognizer, SampleRate};
///
/// let recognizer = Recognizer::open("tests/data/tiny.clip.onnx")?;
/// let mut listener = recognizer.listen(SampleRate(48_000), &RecognizeOptions::new())?;
/// let chunk = vec![0.1; 4_800];
/// while listener.seconds() < 2.0 {
///     if let Some(answer) = listener.push(&chunk)? {
///         println!("{:.1} s: {:?}", answer.seconds, answer.best());
///     }
/// }
/// let last = listener.finish()?;
/// assert!(last.segments > 0);
/// # Ok::<(), leitmotif::Error>(())
/// ```
#[derive(Debug)]
pub struct Listener {
    shared: Arc<OpenModel>,
    options: RecognizeOptions,
    rate: SampleRate,
    resampler: Resampler,
    segments: Segmenter,
    peak: f32,
    /// Samples taken, at the rate of the audio.
    taken: u64,
    /// Segments of a dense head, whole windows of an LSTM; every segment's moment.
    sums: Sums,
    window: Option<Window>,
    /// Samples at the network's rate that wait to be cut.
    block: Vec<f32>,
}

/// An LSTM's window that is not full.
#[derive(Debug)]
struct Window {
    state: State,
    filled: usize,
    row: Vec<f32>,
    embedding: Vec<f32>,
}

impl Listener {
    pub(super) fn new(
        shared: &Arc<OpenModel>,
        rate: SampleRate,
        options: &RecognizeOptions,
    ) -> Result<Self, Error> {
        let card = &shared.card;
        if shared.graph.kind() == GraphKind::Sequence {
            return Err(shared.needs_step());
        }
        let hop = shared.hop(options)?;
        Ok(Self {
            shared: Arc::clone(shared),
            options: options.clone(),
            rate,
            resampler: resampler(rate, card.sample_rate)?,
            segments: Segmenter::new(card.segment_samples, hop),
            peak: 0.0,
            taken: 0,
            sums: Sums::new(card, options, hop),
            window: None,
            block: Vec::new(),
        })
    }

    /// Takes the next samples; the answer so far if they complete a segment.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] and [`Error::OutOfScale`] for samples that are none; then nothing of them is taken.
    /// [`Error::Run`], [`Error::BadOutput`], [`Error::Cancelled`], [`Error::TimeLimit`]: then [`reset`](Self::reset).
    pub fn push(&mut self, samples: &[f32]) -> Result<Option<Answer>, Error> {
        if let Some(index) = samples.iter().position(|sample| !sample.is_finite()) {
            let value = samples.get(index).copied().unwrap_or(f32::NAN);
            return Err(Error::NotFinite { index, value });
        }
        let peak = Level::peak(samples);
        if Level::gain(peak).is_none() {
            return Err(Error::OutOfScale { peak });
        }
        self.taken += samples.len() as u64;
        // Where rates are equal this copies.
        self.resampler.push(samples, &mut self.block);
        let before = self.sums.segments();
        self.cut()?;
        if self.sums.segments() == before {
            return Ok(None);
        }
        self.answer().map(Some)
    }

    /// Seconds of audio taken since the beginning or the last [`reset`](Self::reset).
    pub fn seconds(&self) -> f64 {
        self.rate.seconds(self.taken)
    }

    /// Ends the audio: the answer for all of it, with what the resampler still held. The listener begins anew.
    ///
    /// # Errors
    ///
    /// [`Error::TooShort`] without a whole segment, and those of [`push`](Self::push).
    pub fn finish(&mut self) -> Result<Answer, Error> {
        self.resampler.finish(&mut self.block);
        let answer = self.cut().and_then(|()| self.answer());
        self.reset()?;
        answer
    }

    /// Forgets everything taken: another recording begins.
    ///
    /// # Errors
    ///
    /// None that [`Recognizer::listen`](crate::Recognizer::listen) did not give.
    pub fn reset(&mut self) -> Result<(), Error> {
        *self = Self::new(&self.shared, self.rate, &self.options)?;
        Ok(())
    }

    /// Cuts and runs what waits.
    fn cut(&mut self) -> Result<(), Error> {
        Level::clip(&mut self.block);
        self.peak = self.peak.max(Level::peak(&self.block));
        let Self { shared, segments, sums, window, block, options, .. } = self;
        let stop = options.stop();
        let cut = segments.push(block, &mut |segment| run(shared, &stop, sums, window, segment));
        block.clear();
        cut
    }

    /// The answer so far; its timeline is that since the last.
    fn answer(&mut self) -> Result<Answer, Error> {
        let card = &self.shared.card;
        let timeline = self.sums.take_timeline();
        let mut sums = self.sums.clone();
        if let Some(window) = &self.window {
            let earlier = self.sums.segments() > window.filled;
            if window_counts(window.filled, card.window_segments, earlier) {
                sums.add_window(&window.row, &window.embedding);
            } else {
                sums.leave_out(window.filled);
            }
        }
        let found = Found { samples: self.segments.samples(), peak: self.peak };
        let mut answer = sums.answer(card, found)?;
        answer.timeline = timeline;
        Ok(answer)
    }
}

/// Runs a segment and adds its outputs.
fn run(
    shared: &OpenModel,
    stop: &Stop,
    sums: &mut Sums,
    window: &mut Option<Window>,
    segment: &[f32],
) -> Result<(), Error> {
    let (card, graph) = (&shared.card, &shared.graph);
    stop.check()?;
    if card.graph.head() == HeadKind::Dense {
        let outputs = shared.sessions.run(stop, |session| {
            let began = Instant::now();
            let outputs = graph.run(session, segment, 1, card.hop_samples)?;
            sums.took(began.elapsed());
            Ok(outputs)
        })?;
        sums.add(card, &outputs);
        return Ok(());
    }
    let now = window.get_or_insert_with(|| Window {
        state: graph.first_state(),
        filled: 0,
        row: Vec::new(),
        embedding: Vec::new(),
    });
    let outputs = shared.sessions.run(stop, |session| {
        let began = Instant::now();
        let outputs = graph.step(session, segment, &mut now.state)?;
        sums.took(began.elapsed());
        Ok(outputs)
    })?;
    sums.add_moment(card, &outputs.probabilities);
    (now.row, now.embedding) = (outputs.probabilities, outputs.embedding);
    now.filled += 1;
    if now.filled == card.window_segments {
        sums.add_window(&now.row, &now.embedding);
        *window = None;
    }
    Ok(())
}

fn resampler(from: SampleRate, to: SampleRate) -> Result<Resampler, Error> {
    Resampler::new(from, to).map_err(|error| Error::UnsupportedRate { rate: error.0 })
}
