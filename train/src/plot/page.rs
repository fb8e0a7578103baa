//! An SVG file around charts: background, title, legend, and colours for light and dark.

use leitmotif_models::text::escape_html;

use super::charts;

/// Width of a chart in pixels, before it is scaled.
pub(crate) const WIDTH: u32 = 900;
/// Its height.
pub(crate) const HEIGHT: u32 = 300;
/// From one chart to the next.
const NEXT: usize = HEIGHT as usize + 10;
/// Height of a row of the legend.
const ROW: usize = 26;

/// A file of charts below each other; the legend has a colour and a name each.
pub(crate) fn page(title: &str, drawings: &[String], legend: &[(usize, &str)]) -> String {
    let rows = legend.len().div_ceil(2);
    let below = 42 + NEXT * drawings.len();
    let height = below + rows * ROW;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\">\n\
         <style>{}:root{{--ink:#101010;--rule:#D0D0D1;--paper:#fff}}\
         @media (prefers-color-scheme:dark){{:root{{--ink:#e6e6e6;--rule:#444;--paper:#151515}}}}\
         .ink{{fill:var(--ink)}}.paper{{fill:var(--paper)}}</style>\n\
         <rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n\
         <text class=\"ink\" x=\"20\" y=\"30\" font-size=\"19\" font-weight=\"600\">{}</text>\n",
        charts::style(),
        escape_html(title),
    );
    for (i, drawing) in drawings.iter().enumerate() {
        let y = 40 + NEXT * i;
        svg += &format!("<svg y=\"{y}\" width=\"{WIDTH}\" height=\"{HEIGHT}\">\n{drawing}</svg>\n");
    }
    for (i, (colour, label)) in legend.iter().enumerate() {
        // Down the first column, then the second.
        let (x, y) = (68 + 420 * (i / rows.max(1)), below + ROW * (i % rows.max(1)));
        svg += &format!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"14\" height=\"14\" rx=\"3\" style=\"fill:var(--l{colour})\"/>\
             <text class=\"ink\" x=\"{}\" y=\"{}\" font-size=\"15\">{}</text>\n",
            x + 22,
            y + 12,
            escape_html(label)
        );
    }
    svg + "</svg>\n"
}
