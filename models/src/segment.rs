//! How a stretch of samples is cut into segments: one arithmetic for training, exporting and serving.

/// Number of whole segments of `segment` samples, one every `hop` samples, in `samples` samples.
///
/// What is left after the last whole segment is dropped. A hop or segment of zero gives no segments.
pub fn segment_count(samples: usize, segment: usize, hop: usize) -> usize {
    if segment == 0 || hop == 0 || samples < segment { 0 } else { (samples - segment) / hop + 1 }
}

/// First sample of each segment that [`segment_count`] counts.
pub fn segment_starts(samples: usize, segment: usize, hop: usize) -> impl Iterator<Item = usize> {
    (0..segment_count(samples, segment, hop)).map(move |k| k * hop)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paper, section 3.5: a clip of MagnaTagATune is 465,984 samples.
    #[test]
    fn a_clip_holds_the_papers_numbers_of_segments() {
        assert_eq!(segment_count(465_984, 59_049, 59_049), 7);
        assert_eq!(segment_count(465_984, 19_683, 19_683), 23);
        assert_eq!(segment_count(465_984, 19_683, 9_841), 46);
    }

    #[test]
    fn no_segment_reaches_past_the_end() {
        for samples in 0..60 {
            for segment in 1..9 {
                for hop in 1..9 {
                    let starts: Vec<_> = segment_starts(samples, segment, hop).collect();
                    assert!(starts.iter().all(|s| s + segment <= samples));
                    let next = starts.last().map_or(0, |s| s + hop);
                    assert!(next + segment > samples, "a whole segment was dropped");
                }
            }
        }
    }

    #[test]
    fn zero_lengths_cut_nothing() {
        assert_eq!(segment_count(10, 0, 1), 0);
        assert_eq!(segment_count(10, 1, 0), 0);
    }
}
