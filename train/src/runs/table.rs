//! Tables and curves as text.

/// Rows under a header, in columns two spaces apart; what is right of `texts` columns is aligned to the right.
pub(crate) fn columns(header: &[&str], rows: &[Vec<String>], texts: usize) -> String {
    let header: Vec<String> = header.iter().map(|cell| (*cell).to_owned()).collect();
    let lines = || std::iter::once(&header).chain(rows);
    let mut widths = vec![0; header.len()];
    for line in lines() {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in lines() {
        let cells = line.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            let space = " ".repeat(width - cell.chars().count());
            if column < texts { format!("{cell}{space}") } else { format!("{space}{cell}") }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// Values as a line of blocks, from `low` to `high`; longer curves than `width` are averaged.
pub(crate) fn sparkline(values: &[f64], (low, high): (f64, f64), width: usize) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let each = values.len().div_ceil(width.max(1)).max(1);
    let means = values.chunks(each).map(|some| some.iter().sum::<f64>() / some.len() as f64);
    let block = |value: f64| {
        let share = (value - low) / (high - low).max(1e-12);
        // A float beyond either end becomes that end, and NaN becomes 0.
        let number = (share * BLOCKS.len() as f64) as usize;
        BLOCKS.get(number.min(BLOCKS.len() - 1)).copied().unwrap_or(' ')
    };
    means.map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_left_and_numbers_right() {
        let rows =
            [vec!["Ö".to_owned(), "1.5".to_owned()], vec!["long".to_owned(), "10".to_owned()]];
        assert_eq!(columns(&["name", "n"], &rows, 1), "name    n\nÖ     1.5\nlong   10\n");
    }

    #[test]
    fn a_curve_rises_and_keeps_to_its_width() {
        assert_eq!(sparkline(&[0.0, 0.5, 1.0], (0.0, 1.0), 10), "▁▅█");
        assert_eq!(sparkline(&[-1.0, f64::NAN, 9.0], (0.0, 1.0), 10), "▁▁█");
        let long: Vec<f64> = (0..1_000).map(f64::from).collect();
        assert!(sparkline(&long, (0.0, 1_000.0), 40).chars().count() <= 40);
    }
}
