//! What the filters have learnt.

use crate::paper::experiment::error::ExperimentError;
use crate::paper::experiment::filters::{BANDS, Learned};
use crate::paper::report::document::{Figure, Key, Section, Stroke};
use crate::paper::report::picture::data_address;
use crate::paper::report::results::{Results, Run};
use crate::paper::report::table::{Cell, Shown, Table};
use crate::plot::charts::{Axis, Chart, ChartLine, svg};
use leitmotif_models::text::escape_html;

pub(in crate::paper::report) fn section(results: &Results) -> Result<Section, ExperimentError> {
    let mut section = Section {
        id: "learned".to_owned(),
        title: "What the filters have learnt".to_owned(),
        text: Vec::new(),
        figures: Vec::new(),
        tables: Vec::new(),
    };
    let mut centres = Table::new(
        "filters",
        "Every filter with the centre (mean by power) of its frequency response, sorted as in the figures",
        &["run", "layer", "place", "filter", "centre, Hz"],
    )
    .shown(Shown::File);
    let mut responses = Table::new(
        "responses",
        "Every filter’s response by band, as a share of its largest",
        &["run", "layer", "filter"],
    )
    .shown(Shown::File);
    let width = 8000 / BANDS;
    responses.columns.extend((0..BANDS).map(|band| format!("from {} Hz", band * width)));
    for run in results.runs.values() {
        let Some(learned) = &run.learned else { continue };
        section.figures.push(curves(run, learned)?);
        section.figures.push(spectra(run, learned)?);
        for layer in &learned.layers {
            for (place, filter) in layer.filters.iter().enumerate() {
                let named = [Cell::text(&run.key), Cell::text(&layer.layer)];
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
            "Of the first layer the frequency response of each filter; of every deeper one the spectrum of the input that excites \
             the filter most, found from faint noise by gradient ascent. Each column is a filter, sorted by its centre frequency; \
             up is 8 kHz, and bright is strong."
                .to_owned(),
        ];
        section.tables = vec![centres, responses];
    }
    Ok(section)
}

/// Centre frequencies of each layer, sorted.
fn curves(run: &Run, learned: &Learned) -> Result<Figure, ExperimentError> {
    let line = |(colour, layer): (usize, &crate::paper::experiment::filters::LearnedLayer)| {
        let last = layer.filters.len().saturating_sub(1).max(1) as f64;
        let points = layer.filters.iter().enumerate();
        ChartLine {
            colour,
            // As many layers as colours are told apart by their stroke.
            dashed: colour >= 8,
            points: points.map(|(i, f)| (100.0 * i as f64 / last, f.centre_hz / 1000.0)).collect(),
            band: Vec::new(),
        }
    };
    let lines: Vec<ChartLine> = learned.layers.iter().enumerate().map(line).collect();
    let highest = lines.iter().flat_map(|l| &l.points).map(|p| p.1).fold(1.0, f64::max);
    let chart = Chart {
        x: Axis { label: "% of the layer’s filters", from: 0.0, to: 100.0, ..Axis::default() },
        y: Axis { label: "centre, kHz", from: 0.0, to: highest.ceil(), ..Axis::default() },
        lines,
        ..Chart::default()
    };
    let legend = learned.layers.iter().enumerate().map(|(colour, layer)| Key {
        colour,
        stroke: if colour >= 8 { Stroke::Dashed } else { Stroke::Solid },
        label: layer.layer.replace("block", "layer "),
    });
    let caption = format!("Centre frequencies by layer, {}", run.key);
    Ok(Figure { drawing: svg(&chart, &caption)?, caption, legend: legend.collect() })
}

/// The spectra of each layer side by side.
fn spectra(run: &Run, learned: &Learned) -> Result<Figure, ExperimentError> {
    let mut drawing = String::from("<div class=\"spectra\">");
    for layer in &learned.layers {
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
    let caption = format!("Spectra of the filters, 0 to 8 kHz, {}", run.key);
    Ok(Figure { caption, drawing, legend: Vec::new() })
}
