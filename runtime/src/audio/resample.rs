//! Band-limited resampling by a fixed ratio of whole numbers. The only file that knows rubato.
//!
//! Overlap-add with one FFT per block: the spectrum is cut off below the lower of the two Nyquist
//! frequencies by a windowed-sinc filter as long as a block. The block is chosen so that, at an output rate of 16 kHz, the
//! pass-band is flat within 0.1 dB to 7 kHz and the stop-band from 8.5 kHz is below −60 dB (`tests/resample.rs`).

use std::fmt;

use rubato::{
    Fft, FixedSync, Resampler as _, WindowFunction, audioadapter_buffers::direct::SequentialSlice,
};

use leitmotif_models::SampleRate;

/// Shortest filter, in samples of the lower of the two rates: it sets the width of the transition band.
const FILTER: usize = 640;
/// Supported rates; others come from broken headers.
const RATES: std::ops::RangeInclusive<u32> = 1_000..=768_000;
/// Samples of the longest block, so that no pair of rates costs more than 32 MiB: rates without a common divisor are
/// resampled in blocks of two seconds. Whole up to 192,000 Hz.
const BLOCK: usize = 2 * 192_000;

/// A rate outside 1,000 to 768,000 Hz, or one above 192,000 Hz that is not in a simple ratio to the other rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a rate of {0} Hz is not supported; it must lie between 1,000 and 192,000 Hz, or be a round number up to 768,000 Hz"
)]
pub struct UnsupportedRate(pub u32);

/// Resamples a mono stream from one rate to another, piece by piece, with flat memory.
///
/// - Output sample `k` is at the time `k / to`: the filter's delay is removed.
/// - `n` samples in, `n · to / from` out, rounded half up, over the whole stream.
/// - The output does not depend on how the input was cut into pieces, bit for bit.
/// - If the rates are equal, samples are unchanged.
pub struct Resampler {
    from: u32,
    to: u32,
    /// `None` if the rates are equal.
    filter: Option<Filter>,
    taken: u64,
    given: u64,
}

struct Filter {
    fft: Fft<f32>,
    block_in: usize,
    /// The beginning of the next block; shorter than a block between calls.
    held: Vec<f32>,
    output: Vec<f32>,
    /// Samples of the filter's delay still to be dropped.
    delay: usize,
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, taken, given, filter: _ } = self;
        write!(f, "Resampler({from} Hz to {to} Hz, {taken} samples taken, {given} given)")
    }
}

impl Resampler {
    /// A resampler between two rates.
    ///
    /// # Errors
    ///
    /// [`UnsupportedRate`] with the first rate outside 1,000 to 768,000 Hz, else with the higher one if it lies above
    /// 192,000 Hz and the ratio of the two would need more than 32 MiB.
    pub fn new(from: SampleRate, to: SampleRate) -> Result<Self, UnsupportedRate> {
        for rate in [from.0, to.0] {
            if !RATES.contains(&rate) {
                return Err(UnsupportedRate(rate));
            }
        }
        let filter = if from == to { None } else { Some(Filter::new(from.0, to.0)?) };
        Ok(Self { from: from.0, to: to.0, filter, taken: 0, given: 0 })
    }

    /// Takes the next piece of the stream and appends the samples that are ready to `out`.
    pub fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        self.taken += samples.len() as u64;
        let before = out.len();
        match &mut self.filter {
            None => out.extend_from_slice(samples),
            Some(filter) => filter.push(samples, out),
        }
        self.given += (out.len() - before) as u64;
    }

    /// Appends the end of the stream to `out` and begins a new stream.
    pub fn finish(&mut self, out: &mut Vec<f32>) {
        let total = (2 * u128::from(self.taken) * u128::from(self.to) + u128::from(self.from))
            / (2 * u128::from(self.from));
        if let Some(filter) = &mut self.filter {
            let start = out.len();
            let missing = usize::try_from(total - u128::from(self.given)).unwrap_or(usize::MAX);
            // The missing samples are in the filter: less than a block held back and half a block of delay.
            let silence = vec![0.0; filter.block_in];
            while out.len() - start < missing {
                filter.push(&silence, out);
            }
            out.truncate(start + missing);
            filter.reset();
        }
        self.taken = 0;
        self.given = 0;
    }
}

impl Filter {
    fn new(from: u32, to: u32) -> Result<Self, UnsupportedRate> {
        let divisor = gcd(from, to);
        let (unit_in, unit_out) = ((from / divisor) as usize, (to / divisor) as usize);
        // Even blocks on both sides make the delay, half of a block, a whole number of samples on both.
        let units = FILTER.div_ceil(unit_in.min(unit_out)).next_multiple_of(2);
        let block_in = unit_in * units;
        if block_in.max(unit_out * units) > BLOCK {
            return Err(UnsupportedRate(from.max(to)));
        }
        let fft = Fft::new_custom(
            from as usize,
            to as usize,
            block_in,
            1,
            1,
            WindowFunction::BlackmanHarris2,
            FixedSync::Both,
        )
        .map_err(|_| UnsupportedRate(from))?;
        let block_out = fft.output_frames_next();
        let delay = fft.output_delay();
        Ok(Self {
            fft,
            block_in,
            held: Vec::with_capacity(block_in),
            output: vec![0.0; block_out],
            delay,
        })
    }

    fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) {
        let mut rest = samples;
        if !self.held.is_empty() {
            let missing = self.block_in - self.held.len();
            let Some((head, tail)) = rest.split_at_checked(missing) else {
                self.held.extend_from_slice(rest);
                return;
            };
            self.held.extend_from_slice(head);
            rest = tail;
            let block = std::mem::take(&mut self.held);
            self.block(&block, out);
            self.held = block;
            self.held.clear();
        }
        let mut blocks = rest.chunks_exact(self.block_in);
        for block in &mut blocks {
            self.block(block, out);
        }
        self.held.extend_from_slice(blocks.remainder());
    }

    /// One whole block.
    fn block(&mut self, block: &[f32], out: &mut Vec<f32>) {
        let length = self.output.len();
        let done = match (
            SequentialSlice::new(block, 1, block.len()),
            SequentialSlice::new_mut(&mut self.output, 1, length),
        ) {
            (Ok(input), Ok(mut output)) => {
                self.fft.process_into_buffer(&input, &mut output, None).is_ok()
            }
            _ => false,
        };
        // The buffers have the sizes that the FFT asks for, so it cannot fail.
        debug_assert!(done);
        let dropped = self.delay.min(length);
        self.delay -= dropped;
        out.extend_from_slice(self.output.get(dropped..).unwrap_or_default());
    }

    fn reset(&mut self) {
        self.fft.reset();
        self.held.clear();
        self.delay = self.fft.output_delay();
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
