//! Cuts a stream of samples into the segments that a network takes.

/// Cuts a stream into segments of equal length whose starts lie one hop apart.
///
/// However the stream is cut into pieces, the segments are those of slicing all of it at once: `[0, segment)`,
/// `[hop, hop + segment)`, and so on. The remainder after the last whole segment is dropped. At most one segment of
/// samples is held in memory.
///
/// ```
/// use leitmotif::audio::Segmenter;
///
/// let mut starts = Vec::new();
/// let mut segmenter = Segmenter::new(3, 2);
/// for piece in [&[0.0, 1.0][..], &[2.0, 3.0, 4.0, 5.0]] {
///     segmenter.push(piece, &mut |segment| {
///         starts.push(segment[0]);
///         Ok::<(), std::convert::Infallible>(())
///     })?;
/// }
/// assert_eq!(starts, [0.0, 2.0]);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Debug, Clone)]
pub struct Segmenter {
    segment: usize,
    hop: usize,
    /// The beginning of the current segment; shorter than a segment between calls.
    held: Vec<f32>,
    /// Samples still to be skipped, if the hop is longer than a segment.
    gap: usize,
    segments: usize,
    samples: u64,
}

impl Segmenter {
    /// A cutter of segments of `segment` samples, `hop` samples apart.
    ///
    /// Lengths come from a validated network description; a zero counts as one.
    pub fn new(segment: usize, hop: usize) -> Self {
        Self {
            segment: segment.max(1),
            hop: hop.max(1),
            held: Vec::new(),
            gap: 0,
            segments: 0,
            samples: 0,
        }
    }

    /// Takes the next piece of the stream and calls `each` with every segment it completes, in order.
    ///
    /// # Errors
    ///
    /// The first error of `each`. Its segment counts as delivered and the rest of `samples` is not taken, so a stream
    /// should not be continued after an error.
    pub fn push<E>(
        &mut self,
        samples: &[f32],
        each: &mut dyn FnMut(&[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.samples += samples.len() as u64;
        let mut rest = samples;
        loop {
            let skipped = self.gap.min(rest.len());
            self.gap -= skipped;
            rest = rest.get(skipped..).unwrap_or_default();
            if self.gap > 0 {
                return Ok(());
            }
            if self.held.is_empty() {
                // The whole segment lies in the piece: no copy is needed.
                if let Some(segment) = rest.get(..self.segment) {
                    self.segments += 1;
                    each(segment)?;
                    self.gap = self.hop;
                    continue;
                }
            }
            let missing = self.segment - self.held.len();
            let Some((head, tail)) = rest.split_at_checked(missing) else {
                self.held.extend_from_slice(rest);
                return Ok(());
            };
            self.held.extend_from_slice(head);
            rest = tail;
            self.segments += 1;
            each(&self.held)?;
            self.held.drain(..self.hop.min(self.segment));
            self.gap = self.hop.saturating_sub(self.segment);
        }
    }

    /// The samples of the next segment that have been taken so far.
    ///
    /// At the end of a stream this is the remainder, including the overlap with the last segment.
    pub fn rest(&self) -> &[f32] {
        &self.held
    }

    /// Segments delivered so far.
    pub fn segments(&self) -> usize {
        self.segments
    }

    /// Samples taken so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn cut(samples: &[f32], pieces: &[usize], segment: usize, hop: usize) -> Vec<Vec<f32>> {
        let mut segmenter = Segmenter::new(segment, hop);
        let mut found = Vec::new();
        let mut each = |segment: &[f32]| {
            found.push(segment.to_vec());
            Ok::<(), Infallible>(())
        };
        let mut rest = samples;
        for piece in pieces.iter().cycle() {
            let Some((head, tail)) = rest.split_at_checked(*piece) else {
                segmenter.push(rest, &mut each).unwrap();
                break;
            };
            segmenter.push(head, &mut each).unwrap();
            rest = tail;
        }
        assert_eq!(segmenter.segments(), found.len());
        assert_eq!(segmenter.samples(), samples.len() as u64);
        found
    }

    #[test]
    fn any_pieces_give_the_segments_of_slicing_at_once() {
        let samples: Vec<f32> = (0..200).map(|i| i as f32).collect();
        for length in [0, 1, 6, 7, 8, 50, 199, 200] {
            let samples = &samples[..length];
            for segment in [1, 2, 7, 50] {
                for hop in [1, 3, 7, 8, 60] {
                    let at_once: Vec<Vec<f32>> = (0..length)
                        .step_by(hop)
                        .filter_map(|start| samples.get(start..start + segment))
                        .map(<[f32]>::to_vec)
                        .collect();
                    for pieces in [&[1][..], &[2, 5], &[3, 0, 1], &[64], &[7, 13], &[1000]] {
                        assert_eq!(
                            cut(samples, pieces, segment, hop),
                            at_once,
                            "{length} samples, segment {segment}, hop {hop}, pieces {pieces:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_stream_shorter_than_a_segment_has_none() {
        assert!(cut(&[0.5; 9], &[4], 10, 10).is_empty());
    }

    #[test]
    fn an_error_of_the_callback_is_returned() {
        let mut segmenter = Segmenter::new(2, 2);
        let result = segmenter.push(&[0.0; 8], &mut |_| Err("stop"));
        assert_eq!(result, Err("stop"));
        assert_eq!(segmenter.segments(), 1);
    }
}
