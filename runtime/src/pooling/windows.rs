//! The windows of a song over which an LSTM runs.
//!
//! An LSTM answers after the number of segments it was trained on. A song is therefore split into consecutive windows of
//! that many segments, each starting from zero states; the output after the last segment of a window is the window's
//! answer, and all windows have the same weight. The last window is rarely full: it counts if at least half of its
//! segments are there, or if it is the only one.

use std::ops::Range;

/// The windows that count among `segments` segments, as ranges of segments.
///
/// ```
/// use leitmotif::pooling::windows;
///
/// assert_eq!(windows(10, 4), [0..4, 4..8, 8..10]);
/// assert_eq!(windows(9, 4), [0..4, 4..8]);
/// assert_eq!(windows(1, 4), [0..1]);
/// ```
pub fn windows(segments: usize, window: usize) -> Vec<Range<usize>> {
    let window = window.max(1);
    (0..segments)
        .step_by(window)
        .map(|start| start..(start + window).min(segments))
        .filter(|range| window_counts(range.len(), window, range.start > 0))
        .collect()
}

/// Whether a window with `filled` of `window` segments counts; `earlier` is whether another window precedes it.
pub fn window_counts(filled: usize, window: usize, earlier: bool) -> bool {
    filled > 0 && (!earlier || 2 * filled >= window)
}

#[cfg(test)]
mod tests {
    use super::windows;

    fn ends(segments: usize, window: usize) -> Vec<usize> {
        windows(segments, window).iter().map(|range| range.end).collect()
    }

    #[test]
    fn the_last_window_counts_from_half_full() {
        assert_eq!(ends(7, 4), [4, 7]);
        assert_eq!(ends(6, 4), [4, 6]);
        assert_eq!(ends(5, 4), [4]);
        assert_eq!(ends(4, 4), [4]);
    }

    #[test]
    fn half_of_an_odd_window_is_more_than_its_smaller_half() {
        assert_eq!(ends(10, 7), [7]);
        assert_eq!(ends(11, 7), [7, 11]);
    }

    #[test]
    fn a_song_shorter_than_a_window_is_one_window() {
        assert_eq!(ends(1, 7), [1]);
        assert!(ends(0, 7).is_empty());
    }
}
