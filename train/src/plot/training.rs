//! Curves of runs: loss and accuracy by epoch, of training and validation.

use crate::learn::history::EpochRow;

use super::charts::{self, Axis, AxisLabels, Chart, ChartError, ChartLine};
use super::page::{HEIGHT, WIDTH, page};

/// Most runs in a picture: so many colours can be distinguished.
pub const MOST: usize = 8;

/// A run to draw: its name and its epochs.
pub type Curves<'a> = (String, &'a [EpochRow]);

/// The curves as an SVG file.
///
/// # Errors
///
/// What plotters refuses.
pub fn svg(title: &str, runs: &[Curves<'_>]) -> Result<String, ChartError> {
    let [loss, accuracy] = charts_of(runs);
    let drawings = [
        charts::svg(&loss, &format!("{title}: loss by epoch"))?,
        charts::svg(&accuracy, &format!("{title}: accuracy by epoch"))?,
    ];
    Ok(page(&heading(title, runs), &drawings, &legend(runs)))
}

/// The curves as a PNG file.
///
/// # Errors
///
/// What plotters or the encoder refuse.
pub fn png(title: &str, runs: &[Curves<'_>]) -> Result<Vec<u8>, ChartError> {
    charts::picture(&heading(title, runs), &charts_of(runs), &legend(runs))
}

fn legend<'a>(runs: &'a [Curves<'_>]) -> Vec<(usize, &'a str)> {
    runs.iter().enumerate().map(|(colour, (name, _))| (colour, name.as_str())).collect()
}

/// A title that says which line is which, where there are two kinds.
fn heading(title: &str, runs: &[Curves<'_>]) -> String {
    let kinds = if has_validation(runs) { "training dashed" } else { "training" };
    format!("{title} ({kinds})")
}

fn has_validation(runs: &[Curves<'_>]) -> bool {
    runs.iter().flat_map(|(_, rows)| *rows).any(|row| row.validation_clips.is_some())
}

/// Loss and accuracy.
fn charts_of(runs: &[Curves<'_>]) -> [Chart; 2] {
    type Of = fn(&EpochRow) -> Option<f64>;
    let two_kinds = has_validation(runs);
    let chart = |label: &'static str, training: Of, validation: Of, scale: f64, labels| {
        let mut lines = Vec::new();
        for (colour, (_, rows)) in runs.iter().enumerate() {
            for (value, dashed) in [(training, two_kinds), (validation, false)] {
                let finite = |row: &EpochRow| value(row).filter(|value| value.is_finite());
                let point = |row: &EpochRow| Some((row.epoch as f64, scale * finite(row)?));
                let points: Vec<_> = rows.iter().filter_map(point).collect();
                lines.push(ChartLine { colour, dashed, points, ..ChartLine::default() });
            }
        }
        lines.retain(|line| !line.points.is_empty());
        let epochs = runs.iter().filter_map(|(_, rows)| rows.last()).map(|row| row.epoch).max();
        let highest =
            lines.iter().flat_map(|line| &line.points).map(|(_, y)| *y).fold(0.0, f64::max);
        let to = epochs.unwrap_or(1);
        // One epoch alone would have an axis without a length.
        let from = if to > 1 { 1.0 } else { 0.0 };
        let x = Axis { label: "epoch", from, to: to as f64, ..Axis::default() };
        let to = if scale > 1.0 { scale } else { 1.05 * highest };
        let y = Axis { label, from: 0.0, to, labels };
        Chart { size: (WIDTH, HEIGHT), x, y, lines, ..Chart::default() }
    };
    [
        chart("loss", |row| Some(row.loss), |row| row.validation_loss, 1.0, AxisLabels::Decimal),
        chart(
            "clips right, %",
            |row| Some(row.accuracy),
            |row| row.validation_clips,
            100.0,
            AxisLabels::Whole,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(loss: f64) -> Vec<EpochRow> {
        let row = |epoch: usize| EpochRow {
            epoch,
            loss: loss / epoch as f64,
            accuracy: 0.5,
            validation_loss: Some(loss),
            validation_clips: Some(0.25),
            ..EpochRow::default()
        };
        (1..=4).map(row).collect()
    }

    #[test]
    fn a_picture_has_two_curves_of_each_run_in_two_charts() {
        let (first, second) = (rows(2.0), rows(1.0));
        let runs = [("a < b".to_owned(), &first[..]), ("c".to_owned(), &second[..])];
        let svg = svg("runs", &runs).unwrap();
        assert!(svg.contains("a &lt; b") && svg.contains("runs (training dashed)"), "{svg}");
        assert_eq!(svg.matches("<svg class=\"chart\"").count(), 2);
        // The solid ones; dashes are lines of their own.
        assert_eq!(svg.matches("stroke-width=\"2\"").count(), 4);
    }

    #[test]
    fn pixels_have_the_colours_of_the_curves_and_ink_of_text() {
        let (first, second) = (rows(2.0), rows(1.0));
        let runs = [("a".to_owned(), &first[..]), ("c".to_owned(), &second[..])];
        let file = png("runs", &runs).unwrap();
        let mut reader = ::png::Decoder::new(std::io::Cursor::new(&file)).read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let size = reader.next_frame(&mut rgb).unwrap();
        assert_eq!((size.width, rgb.len()), (900, 3 * 900 * size.height as usize));
        let count = |colour: [u8; 3]| rgb.chunks(3).filter(|pixel| *pixel == colour).count();
        let curves = [[0x00, 0x5F, 0xA3], [0xC2, 0x4E, 0x00]].map(count);
        assert!(curves.iter().all(|pixels| *pixels > 400), "{curves:?}");
        assert!(count([0x10, 0x10, 0x10]) > 2_000);
    }

    #[test]
    fn a_run_of_one_epoch_without_validation_is_a_point_and_one_of_none_an_empty_picture() {
        let one = [EpochRow { epoch: 1, loss: 2.0, accuracy: 0.5, ..EpochRow::default() }];
        let drawn = svg("one", &[("a".to_owned(), &one[..])]).unwrap();
        assert!(drawn.contains("one (training)"), "{drawn}");
        assert_eq!(drawn.matches("<circle").count(), 2, "{drawn}");
        png("one", &[("a".to_owned(), &one[..])]).unwrap();
        png("none", &[("a".to_owned(), &[][..])]).unwrap();
    }
}
