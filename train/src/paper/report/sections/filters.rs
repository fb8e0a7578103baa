//! Filter analysis: what the filters of each layer respond to.

use leitmotif_models::text::escape_html;

use crate::paper::experiment::error::ReportError;
use crate::paper::experiment::filters::{BANDS, FilterAnalysis, LayerAnalysis};
use crate::paper::report::document::{Figure, Key, Section, Stroke};
use crate::paper::report::picture::data_address;
use crate::paper::report::results::Results;
use crate::paper::report::table::{Cell, Table, Visibility};
use crate::plot::charts::{Axis, Chart, ChartLine, responsive};

/// Figures for each run that was analysed, and the tables of all filters.
pub(in crate::paper::report) fn section(results: &Results) -> Result<Section, ReportError> {
    let runs = results.runs.iter();
    of(runs.filter_map(|(key, run)| Some((key.as_str(), run.filters.as_ref()?))))
}

/// The same of runs by their names.
pub(in crate::paper::report) fn of<'a>(
    runs: impl IntoIterator<Item = (&'a str, &'a FilterAnalysis)>,
) -> Result<Section, ReportError> {
    let mut section = Section {
        id: "learned".to_owned(),
        title: "Filter analysis".to_owned(),
        text: Vec::new(),
        figures: Vec::new(),
        tables: Vec::new(),
    };
    let mut centres = Table::new(
        "filters",
        "Spectral centroid of every filter’s frequency response, in the order of the figures",
        &["run", "layer", "place", "filter", "centre, Hz"],
    )
    .with_visibility(Visibility::File);
    let mut responses = Table::new(
        "responses",
        "Every filter’s response by band, as a share of its maximum",
        &["run", "layer", "filter"],
    )
    .with_visibility(Visibility::File);
    let width = 8000 / BANDS;
    responses.columns.extend((0..BANDS).map(|band| format!("from {} Hz", band * width)));
    for (run, analysis) in runs {
        section.figures.push(curves(run, analysis)?);
        section.figures.push(spectra(run, analysis)?);
        for layer in &analysis.layers {
            for (place, filter) in layer.filters.iter().enumerate() {
                let named = [Cell::text(run), Cell::text(&layer.layer)];
                let mut row = named.to_vec();
                row.extend([
                    Cell::count(place + 1),
                    Cell::count(filter.filter),
                    Cell::number(filter.centre_hz, 1),
                ]);
                centres.rows.push(row);
                let mut row = named.to_vec();
                row.push(Cell::count(filter.filter));
                row.extend(filter.response.iter().map(|share| Cell::number(*share, 3)));
                responses.rows.push(row);
            }
        }
    }
    if !section.figures.is_empty() {
        section.text = vec![
            "For the first layer, the frequency response of each filter; for deeper layers, the spectrum of the input that maximises \
             the filter’s activation, found by gradient ascent from faint noise. Each column is a filter, and filters are sorted by \
             spectral centroid; frequency rises from 0 to 8 kHz, and brighter is stronger."
                .to_owned(),
        ];
        section.tables = vec![centres, responses];
    }
    Ok(section)
}

/// Spectral centroids of each layer, sorted.
fn curves(run: &str, analysis: &FilterAnalysis) -> Result<Figure, ReportError> {
    let line = |(colour, layer): (usize, &LayerAnalysis)| {
        let last = layer.filters.len().saturating_sub(1).max(1) as f64;
        let points = layer.filters.iter().enumerate();
        ChartLine {
            colour,
            // There are eight colours: further layers differ by their stroke.
            dashed: colour >= 8,
            points: points.map(|(i, f)| (100.0 * i as f64 / last, f.centre_hz / 1000.0)).collect(),
            band: Vec::new(),
        }
    };
    let lines: Vec<ChartLine> = analysis.layers.iter().enumerate().map(line).collect();
    let highest = lines.iter().flat_map(|l| &l.points).map(|p| p.1).fold(1.0, f64::max);
    let chart = Chart {
        x: Axis { label: "% of the layer’s filters", from: 0.0, to: 100.0, ..Axis::default() },
        y: Axis { label: "centroid, kHz", from: 0.0, to: highest.ceil(), ..Axis::default() },
        lines,
        ..Chart::default()
    };
    let legend = analysis.layers.iter().enumerate().map(|(colour, layer)| Key {
        colour,
        stroke: if colour >= 8 { Stroke::Dashed } else { Stroke::Solid },
        label: layer.layer.replace("block", "layer "),
    });
    let caption = format!("Spectral centroids by layer, {run}");
    Ok(Figure { drawing: responsive(&chart, &caption)?, caption, legend: legend.collect() })
}

/// The spectra of each layer side by side.
fn spectra(run: &str, analysis: &FilterAnalysis) -> Result<Figure, ReportError> {
    let mut drawing = String::from("<div class=\"spectra\">");
    for layer in &analysis.layers {
        let columns: Vec<&[f64]> = layer.filters.iter().map(|f| f.response.as_slice()).collect();
        let name = layer.layer.replace("block", "layer ");
        drawing += &format!(
            "<div><img alt=\"{}\" src=\"{}\"><span>{} ({} filters, {} samples)</span></div>",
            escape_html(&format!("spectra of {name}")),
            data_address(&columns)?,
            escape_html(&name),
            layer.filters.len(),
            layer.samples
        );
    }
    drawing += "</div>";
    let caption = format!("Filter spectra by layer, 0 to 8 kHz, {run}");
    Ok(Figure { caption, drawing, legend: Vec::new() })
}
