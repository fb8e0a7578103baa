//! A number with its interval as a small drawing, as wide as the place it is in.

use leitmotif_models::text::escape_html;

/// A value with the ends of its interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    /// The value.
    pub(super) value: f64,
    /// Lower end.
    pub(super) low: f64,
    /// Upper end.
    pub(super) high: f64,
}

impl Interval {
    /// The drawing on an axis from `from` to `to`, with a line at `zero`; `label` is its text alternative.
    pub(super) fn svg(&self, from: f64, to: f64, zero: f64, label: &str) -> String {
        let place = |x: f64| 100.0 * ((x - from) / (to - from).max(1e-9)).clamp(0.0, 1.0);
        let [zero, low, high, value] = [zero, self.low, self.high, self.value].map(place);
        format!(
            "<svg class=\"interval\" role=\"img\" aria-label=\"{}\" width=\"100%\" height=\"18\">\
             <line class=\"axis\" x1=\"0%\" y1=\"9\" x2=\"100%\" y2=\"9\"/>\
             <line class=\"zero\" x1=\"{zero:.2}%\" y1=\"0\" x2=\"{zero:.2}%\" y2=\"18\"/>\
             <line class=\"range\" x1=\"{low:.2}%\" y1=\"9\" x2=\"{high:.2}%\" y2=\"9\"/>\
             <circle cx=\"{value:.2}%\" cy=\"9\" r=\"4.5\"/></svg>",
            escape_html(label)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_lies_where_its_numbers_are_and_never_outside() {
        let interval = Interval { value: 5.0, low: -5.0, high: 30.0 };
        let svg = interval.svg(-20.0, 20.0, 0.0, "a < b");
        for part in [
            "aria-label=\"a &lt; b\"",
            "class=\"zero\" x1=\"50.00%\"",
            "class=\"range\" x1=\"37.50%\" y1=\"9\" x2=\"100.00%\"",
            "circle cx=\"62.50%\"",
        ] {
            assert!(svg.contains(part), "{part}: {svg}");
        }
    }
}
