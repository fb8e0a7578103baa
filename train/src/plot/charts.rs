//! Charts of lines and areas as SVG and as pixels: the only file that knows plotters, but for its backend of pixels. In
//! SVG colours are roles, which a style turns into what light, dark and paper need.

use leitmotif_models::text::escape_html;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::RGBColor;

use super::pixels::{Pixels, png};

/// The plotting library refuses a chart.
#[derive(Debug, thiserror::Error)]
#[error("a chart cannot be drawn")]
pub struct ChartError(#[source] pub(crate) Box<dyn std::error::Error + Send + Sync>);

const INK: RGBColor = RGBColor(0x10, 0x10, 0x10);
const GRID: RGBColor = RGBColor(0xD0, 0xD0, 0xD1);

/// Colours of lines in light and in dark mode, distinct for colour-blind readers, too (after Okabe and Ito).
const LINES: [(RGBColor, &str); 8] = [
    (RGBColor(0x00, 0x5F, 0xA3), "#5cb3ff"),
    (RGBColor(0xC2, 0x4E, 0x00), "#ff9a52"),
    (RGBColor(0x00, 0x7A, 0x59), "#3fd0a5"),
    (RGBColor(0xA8, 0x3E, 0x82), "#f093cc"),
    (RGBColor(0x7A, 0x5C, 0x00), "#e0bf4d"),
    (RGBColor(0x4B, 0x4B, 0xA8), "#a3a3ff"),
    (RGBColor(0x8A, 0x2B, 0x2B), "#ff8f8f"),
    (RGBColor(0x4F, 0x63, 0x6B), "#a9bcc4"),
];

/// Width for a page on a screen or on paper, and for one on a phone, where the same labels need more of the width.
const WIDE: u32 = 1120;
const NARROW: u32 = 560;

/// A chart.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// Width and height in pixels, before it is scaled.
    pub(crate) size: (u32, u32),
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) areas: Vec<ChartArea>,
    pub(crate) lines: Vec<ChartLine>,
    /// Numbers of the paper's: where, and the colour.
    pub(crate) marks: Vec<(f64, f64, usize)>,
    /// Measured points: where, and the colour.
    pub(crate) dots: Vec<(f64, f64, usize)>,
}

impl Default for Chart {
    /// An empty chart of a phone's shape.
    fn default() -> Self {
        Chart {
            size: (NARROW, 400),
            x: Axis::default(),
            y: Axis::default(),
            areas: Vec::new(),
            lines: Vec::new(),
            marks: Vec::new(),
            dots: Vec::new(),
        }
    }
}

/// An axis.
#[derive(Clone, Debug, Default)]
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) labels: AxisLabels,
}

/// How an axis writes its numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AxisLabels {
    /// With decimals where there are any: losses.
    Decimal,
    /// Whole numbers: epochs, k, percent.
    #[default]
    Whole,
    /// Minutes as `m:ss`: the axis is divided at whole or half minutes.
    Clock,
}

/// A filled area between two lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChartArea {
    pub(crate) colour: usize,
    /// x, lowest and highest y, by rising x.
    pub(crate) outline: Vec<(f64, f64, f64)>,
}

/// A line, with an optional band.
#[derive(Clone, Debug, Default)]
pub(crate) struct ChartLine {
    pub(crate) colour: usize,
    pub(crate) dashed: bool,
    pub(crate) points: Vec<(f64, f64)>,
    /// x, lowest and highest y.
    pub(crate) band: Vec<(f64, f64, f64)>,
}

/// The chart as SVG without a fixed size; `label` is its text alternative.
pub(crate) fn svg(chart: &Chart, label: &str) -> Result<String, ChartError> {
    sized(chart, chart.size, "chart", label)
}

/// The chart twice, in a width for screens and in one for phones, both of its height: [`style`] shows one of them.
pub(crate) fn responsive(chart: &Chart, label: &str) -> Result<String, ChartError> {
    let (_, height) = chart.size;
    let wide = sized(chart, (WIDE, height), "chart wide", label)?;
    Ok(wide + &sized(chart, (NARROW, height), "chart narrow", label)?)
}

fn sized(chart: &Chart, size: (u32, u32), class: &str, label: &str) -> Result<String, ChartError> {
    let mut text = String::new();
    let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
    draw(chart, &root).and_then(|()| Ok(root.present()?)).map_err(ChartError)?;
    drop(root);
    let start = text.find("viewBox").unwrap_or(0);
    let label = escape_html(label);
    Ok(format!(
        "<svg class=\"{class}\" role=\"img\" aria-label=\"{label}\" {}",
        &text.get(start..).unwrap_or_default()
    ))
}

/// Charts of one width below each other as a PNG file, under a title and above names of their colours.
pub(crate) fn picture(
    title: &str,
    charts: &[Chart],
    names: &[(usize, &str)],
) -> Result<Vec<u8>, ChartError> {
    let width = charts.iter().map(|chart| chart.size.0).max().unwrap_or(1);
    let charts_height: u32 = charts.iter().map(|chart| chart.size.1).sum();
    let size = (width, TITLE + charts_height + NAME * names.len() as u32 + MARGIN);
    let mut rgb = Pixels::white(size);
    draw_picture(title, charts, names, Pixels::on(&mut rgb, size)).map_err(ChartError)?;
    png(size, &rgb).map_err(|error| ChartError(error.into()))
}

const TITLE: u32 = 40;
const NAME: u32 = 24;
const MARGIN: u32 = 16;

fn draw_picture(
    title: &str,
    charts: &[Chart],
    names: &[(usize, &str)],
    pixels: Pixels<'_>,
) -> Result<(), DrawError> {
    let (heading, mut rest) = pixels.into_drawing_area().split_vertically(TITLE);
    let font = |size: u32| ("sans-serif", size).into_font().color(&INK);
    heading.draw(&Text::new(title, (20, 12), font(20)))?;
    for chart in charts {
        let (area, below) = rest.split_vertically(chart.size.1);
        draw(chart, &area)?;
        rest = below;
    }
    for (row, (number, name)) in names.iter().enumerate() {
        let top = (NAME as usize * row) as i32 + 6;
        let square = Rectangle::new([(68, top), (82, top + 14)], colour(*number).filled());
        rest.draw(&square)?;
        rest.draw(&Text::new(*name, (92, top), font(15)))?;
    }
    Ok(rest.present()?)
}

type DrawError = Box<dyn std::error::Error + Send + Sync>;

fn draw<B: DrawingBackend>(chart: &Chart, root: &DrawingArea<B, Shift>) -> Result<(), DrawError>
where
    B::ErrorType: 'static,
{
    let range = |axis: &Axis| axis.from..axis.to.max(axis.from + 1e-9);
    let mut area = ChartBuilder::on(root)
        .margin(10)
        // The style for phones has larger labels: they need space to each other and to the edge.
        .margin_right(20)
        .x_label_area_size(58)
        .y_label_area_size(58)
        .build_cartesian_2d(range(&chart.x), range(&chart.y))?;
    // Beside a clock's first label, larger on phones, there is no space for the zero of the other axis.
    let is_crowded = root.dim_in_pixel().0 <= NARROW && chart.x.labels == AxisLabels::Clock;
    let y_label = |value: &f64| match is_crowded && value.abs() < 1e-9 {
        true => String::new(),
        false => chart.y.labels.format(*value),
    };
    let font = |size: u32| ("sans-serif", size).into_font().color(&INK);
    area.configure_mesh()
        .disable_x_mesh()
        .x_desc(chart.x.label)
        .y_desc(chart.y.label)
        .axis_desc_style(font(15))
        .label_style(font(14))
        .axis_style(INK)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .x_labels(8.min((chart.x.to - chart.x.from) as usize + 1).max(2))
        .y_labels(6)
        .x_label_formatter(&|value| chart.x.labels.format(*value))
        .y_label_formatter(&y_label)
        .draw()?;
    let fills = chart.areas.iter().map(|area| (&area.outline, area.colour, 0.9));
    for (outline, number, opacity) in
        fills.chain(chart.lines.iter().map(|line| (&line.band, line.colour, 0.16)))
    {
        let there = outline.iter().map(|(x, low, _)| (*x, *low));
        let back = outline.iter().rev().map(|(x, _, high)| (*x, *high));
        if outline.len() > 1 {
            let polygon: Vec<(f64, f64)> = there.chain(back).collect();
            area.draw_series([Polygon::new(polygon, colour(number).mix(opacity))])?;
        }
    }
    for line in &chart.lines {
        let points = line.points.iter().copied();
        let colour = colour(line.colour);
        if line.dashed {
            area.draw_series(DashedLineSeries::new(points, 5, 4, colour.stroke_width(1)))?;
        } else {
            area.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
        }
        // A line of one point would be invisible.
        if let [point] = line.points.as_slice() {
            area.draw_series([Circle::new(*point, 3, colour.filled())])?;
        }
    }
    for (x, y, number) in &chart.dots {
        area.draw_series([Circle::new((*x, *y), 5, colour(*number).filled())])?;
    }
    for (x, y, number) in &chart.marks {
        area.draw_series([Cross::new((*x, *y), 6, colour(*number).stroke_width(2))])?;
    }
    Ok(())
}

impl AxisLabels {
    fn format(self, value: f64) -> String {
        match self {
            // What lies between whole epochs or ks needs no label.
            AxisLabels::Whole if (value - value.round()).abs() > 1e-6 => String::new(),
            AxisLabels::Whole => format!("{value:.0}"),
            AxisLabels::Decimal => {
                let text = format!("{value:.2}");
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            AxisLabels::Clock => {
                let seconds = (60.0 * value).round() as u64;
                format!("{}:{:02}", seconds / 60, seconds % 60)
            }
        }
    }
}

fn colour(number: usize) -> RGBColor {
    LINES.get(number % LINES.len()).map_or(INK, |(colour, _)| *colour)
}

/// The style that gives roles their colours: custom properties, and what takes them.
pub(crate) fn style() -> String {
    let css = |c: RGBColor| format!("#{:02X}{:02X}{:02X}", c.0, c.1, c.2);
    let role = |colour: RGBColor, property: &str| {
        let hex = css(colour);
        format!(
            ".chart [fill=\"{hex}\"]{{fill:var({property})}}.chart [stroke=\"{hex}\"]{{stroke:var({property})}}\n"
        )
    };
    let numbered = || LINES.iter().enumerate();
    let light: String = numbered().map(|(i, (c, _))| format!("--l{i}:{};", css(*c))).collect();
    let dark: String = numbered().map(|(i, (_, c))| format!("--l{i}:{c};")).collect();
    let roles: String = numbered().map(|(i, (c, _))| role(*c, &format!("--l{i}"))).collect();
    format!(
        ":root{{{light}}}\n@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}\n\
         .chart.narrow{{display:none}}\n\
         @media (max-width:40rem){{.chart.wide{{display:none}}.chart.narrow{{display:block}}}}\n{}{}{roles}",
        role(INK, "--ink"),
        role(GRID, "--rule")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minutes_are_written_as_clocks_and_fractions_of_epochs_not_at_all() {
        assert_eq!(AxisLabels::Clock.format(185.0 / 60.0), "3:05");
        assert_eq!(AxisLabels::Whole.format(4.0), "4");
        assert_eq!(AxisLabels::Whole.format(4.5), "");
        let losses = [0.0, 0.5, 1.25, 10.0].map(|loss| AxisLabels::Decimal.format(loss));
        assert_eq!(losses, ["0", "0.5", "1.25", "10"]);
    }

    #[test]
    fn a_chart_is_svg_whose_colours_are_all_roles() {
        let line = ChartLine {
            colour: 1,
            points: vec![(1.0, 10.0), (2.0, 30.0)],
            band: vec![(1.0, 5.0, 15.0), (2.0, 20.0, 40.0)],
            ..ChartLine::default()
        };
        let dashed = ChartLine { dashed: true, colour: 2, band: Vec::new(), ..line.clone() };
        let axis = |label| Axis { label, from: 0.0, to: 50.0, ..Axis::default() };
        let (x, y) = (axis("epoch"), axis("%"));
        let filled = ChartArea { colour: 3, outline: vec![(0.0, 0.0, 10.0), (9.0, 5.0, 20.0)] };
        let (lines, marks) = (vec![line, dashed], vec![(50.0, 42.0, 1)]);
        let dots = vec![(20.0, 20.0, 4)];
        let chart = Chart { x, y, areas: vec![filled], lines, marks, dots, ..Chart::default() };
        let both = responsive(&chart, "a < b").unwrap();
        for class in ["chart wide", "chart narrow"] {
            assert_eq!(both.matches(&format!("<svg class=\"{class}\" role")).count(), 1);
        }
        let svg = svg(&chart, "a < b").unwrap();
        assert!(
            svg.starts_with("<svg class=\"chart\" role=\"img\" aria-label=\"a &lt; b\" viewBox")
        );
        assert!(svg.trim_end().ends_with("</svg>") && svg.contains("epoch"));
        let style = style();
        for attribute in ["fill=\"#", "stroke=\"#"] {
            for (at, _) in svg.match_indices(attribute) {
                let end = at + attribute.len() + 7;
                let role = &svg[at..end];
                assert!(style.contains(role), "{role} has no role");
            }
        }
    }
}
