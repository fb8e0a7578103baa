//! How a recording is recognised.

use std::time::Duration;

use super::cancel::{CancelToken, Stop};

/// How one recording is recognised; [`Default`] is what the paper does.
///
/// ```
/// use std::time::Duration;
///
/// use leitmotif::{Average, RecognizeOptions};
///
/// let options = RecognizeOptions::new()
///     .with_top(5)
///     .with_average(Average::Logits)
///     .with_time_limit(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RecognizeOptions {
    /// Most artists in [`Answer::artists`](crate::Answer::artists); all where it is `None`.
    pub top: Option<usize>,
    /// What of the segments or windows is averaged.
    pub average: Average,
    /// Samples at the network's rate from one segment's start to the next: less than a segment for segments that overlap.
    /// `None` takes the card's. Only for a dense head; other than the card's, a `clip` graph is called for each segment.
    pub hop: Option<usize>,
    /// Whether [`Answer::timeline`](crate::Answer::timeline) is kept, the only part that grows with the recording.
    pub timeline: bool,
    /// What cancels it from another thread.
    pub cancel: Option<CancelToken>,
    /// Longest time that it may take, decoding and waiting for a session included; looked at between blocks of segments.
    pub time_limit: Option<Duration>,
}

/// What of the segments, or of the windows of an LSTM, is averaged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Average {
    /// The probabilities (Nibbeling 2018, section 3.2).
    #[default]
    Probabilities,
    /// The logits, the logarithms of the probabilities: a geometric mean, in which one segment that rules an artist out
    /// weighs more.
    Logits,
}

impl Default for RecognizeOptions {
    fn default() -> Self {
        Self {
            top: None,
            average: Average::default(),
            hop: None,
            timeline: true,
            cancel: None,
            time_limit: None,
        }
    }
}

impl RecognizeOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this number of artists at most; see [`top`](Self::top).
    pub fn with_top(self, top: usize) -> Self {
        Self { top: Some(top), ..self }
    }

    /// With this [`average`](Self::average).
    pub fn with_average(self, average: Average) -> Self {
        Self { average, ..self }
    }

    /// With this [`hop`](Self::hop) in samples.
    pub fn with_hop(self, hop: usize) -> Self {
        Self { hop: Some(hop), ..self }
    }

    /// With or without a [`timeline`](Self::timeline).
    pub fn with_timeline(self, timeline: bool) -> Self {
        Self { timeline, ..self }
    }

    /// Cancelled by a clone of this token; see [`cancel`](Self::cancel).
    pub fn with_cancel(self, token: &CancelToken) -> Self {
        Self { cancel: Some(token.clone()), ..self }
    }

    /// With this [`time_limit`](Self::time_limit).
    pub fn with_time_limit(self, limit: Duration) -> Self {
        Self { time_limit: Some(limit), ..self }
    }

    /// What may end a recognition that begins now.
    pub(super) fn stop(&self) -> Stop {
        Stop::new(self.cancel.as_ref(), self.time_limit)
    }
}
