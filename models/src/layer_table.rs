//! A network printed the way the paper prints it: layer, configuration, output size.

use serde::Serialize;

use crate::cost::saturating_sum;
use crate::text::{printable, thousands};
use crate::{Conv, HeadKind, Layer, Network, Shape, SqueezeExcite, TimePool};

/// One row of the table: a convolution or pooling with what belongs to it.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// `conv`, `conv2d`, `energy`, `squeeze`, `add`, `pool`, `mean`, `statistics`, `attention`, `dense`, `lstm`, `output`.
    pub layer: &'static str,
    /// Filter length, stride, filters; or units; or the pool's size.
    pub configuration: String,
    /// Size of the output for one example, with the leading number of segments under an LSTM, e.g. `7×243×64`.
    pub output: String,
    /// Trainable values, scale and shift of its batch norm included.
    pub parameters: u64,
    /// Multiply-adds for one segment.
    pub multiply_adds: u64,
    /// Bytes of the output in f32 for one segment.
    pub activation_bytes: u64,
}

/// The rows of a network with `classes` classes; batch norm and activation belong to the row before them.
pub fn rows(network: &Network, classes: usize) -> Vec<Row> {
    let lead = match network.head.kind {
        HeadKind::Dense => None,
        HeadKind::Lstm => Some(network.window),
    };
    let costs = network.costs(classes);
    let mut rows: Vec<Row> = Vec::new();
    let steps = network.steps(classes);
    for (i, (step, cost)) in steps.iter().zip(&costs.layers).enumerate() {
        let (layer, configuration) = match step.layer {
            Layer::Conv(c) => {
                let mut text =
                    format!("{} filters of {}, stride {}", c.filters, c.kernel, c.stride);
                if c.padding > 0 {
                    text += &format!(", padding {}", c.padding);
                }
                let has_relu = steps.get(i + 2).is_some_and(|after| after.layer == Layer::Relu);
                ("conv", text + if has_relu { "; batch norm, ReLU" } else { "; batch norm" })
            }
            Layer::Conv2d(c) => {
                let text =
                    format!("{} filters of {} × {}, bands and time", c.filters, c.kernel, c.kernel);
                ("conv2d", text + "; batch norm, ReLU")
            }
            Layer::MaxPool2d { size } => ("pool", format!("maximum of {size} × {size}")),
            Layer::Energy(energy) => {
                let (pairs, Conv { kernel, stride, padding, .. }) = (energy.pairs(), energy.conv);
                let text = format!("{pairs} pairs of filters of {kernel}, stride {stride}");
                let padding =
                    if padding > 0 { format!(", padding {padding}") } else { String::new() };
                let mean = match energy.pool {
                    1 => String::new(),
                    pool => format!(", means of {pool}"),
                };
                let fixed = if energy.trainable { "" } else { ", not trained" };
                ("energy", format!("{text}{padding}{fixed}; squares{mean}, log, batch norm"))
            }
            Layer::SqueezeExcite(SqueezeExcite { squeezed, .. }) => {
                ("squeeze", format!("mean over time, {squeezed} units, ReLU; excitation, sigmoid"))
            }
            Layer::Add { kept, channels } if kept != channels => {
                ("add", format!("the block's input through {channels} filters of 1; ReLU"))
            }
            Layer::Add { .. } => ("add", "the block's input; ReLU".to_owned()),
            Layer::TimePool { pool, .. } => {
                let positions = step.input.length();
                match pool {
                    TimePool::Mean => ("mean", format!("over {positions} positions")),
                    TimePool::Statistics => {
                        ("statistics", format!("mean and deviation over {positions} positions"))
                    }
                    TimePool::Attention => (
                        "attention",
                        format!("weighted mean and deviation of {positions} positions"),
                    ),
                }
            }
            Layer::MaxPool { size } => ("pool", format!("maximum of {size}")),
            Layer::Dense { units, .. } => ("dense", format!("{units} units; batch norm, tanh")),
            Layer::Lstm { units, .. } => ("lstm", format!("{units} units; tanh")),
            Layer::Output { classes, .. } => ("output", format!("{classes} classes; softmax")),
            Layer::BatchNorm(_) => {
                if let Some(row) = rows.last_mut() {
                    row.parameters = row.parameters.saturating_add(cost.trainable);
                }
                continue;
            }
            Layer::Dropout { share } => ("dropout", format!("{share} of the values, in training")),
            Layer::Relu
            | Layer::Bands
            | Layer::Positions
            | Layer::Fork
            | Layer::Flatten
            | Layer::Tanh
            | Layer::Softmax => continue,
        };
        let output = match (lead, step.output) {
            (Some(segments), shape @ (Shape::Map { .. } | Shape::Image { .. })) => {
                format!("{segments}×{shape}")
            }
            (_, shape) => shape.to_string(),
        };
        rows.push(Row {
            layer,
            configuration,
            output,
            parameters: cost.trainable,
            multiply_adds: cost.multiply_adds,
            activation_bytes: cost.activation_bytes,
        });
    }
    rows
}

/// The table as text, with a line of totals.
pub fn text(network: &Network, classes: usize) -> String {
    let rows = rows(network, classes);
    let mut cells = vec![
        ["layer", "configuration", "output", "parameters", "multiply-adds", "activations (B)"]
            .map(str::to_owned),
        [
            "input".to_owned(),
            format!(
                "{} samples, hop {}, {} segments a clip",
                network.segment, network.hop, network.window
            ),
            match network.head.kind {
                HeadKind::Dense => network.segment.to_string(),
                HeadKind::Lstm => format!("{}×{}", network.window, network.segment),
            },
            String::new(),
            String::new(),
            thousands(4u64.saturating_mul(network.segment as u64)),
        ],
    ];
    cells.extend(rows.iter().map(|row| {
        [
            row.layer.to_owned(),
            row.configuration.clone(),
            row.output.clone(),
            thousands(row.parameters),
            thousands(row.multiply_adds),
            thousands(row.activation_bytes),
        ]
    }));
    cells.push([
        "total".to_owned(),
        "per segment".to_owned(),
        String::new(),
        thousands(saturating_sum(rows.iter().map(|r| r.parameters))),
        thousands(saturating_sum(rows.iter().map(|r| r.multiply_adds))),
        thousands(saturating_sum(rows.iter().map(|r| r.activation_bytes))),
    ]);
    let mut widths = [0; 6];
    for line in &cells {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let (name, description) = (printable(&network.name), printable(&network.description));
    let mut text = format!("{name} ({} head): {description}\n", network.head.kind);
    for line in &cells {
        let mut out = String::new();
        for (column, (width, cell)) in widths.iter().zip(line).enumerate() {
            let width = *width;
            // Words to the left, numbers to the right.
            out +=
                &if column < 2 { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") };
        }
        text += out.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(kind: HeadKind) -> Vec<String> {
        let network = Network::preset("example").unwrap().with_head(kind);
        rows(&network, 64).into_iter().filter(|r| r.layer != "pool").map(|r| r.output).collect()
    }

    /// Output sizes of the blocks: after the pooling where there is one.
    fn block_outputs(kind: HeadKind) -> Vec<String> {
        let network = Network::preset("example").unwrap().with_head(kind);
        let rows = rows(&network, 64);
        let mut outputs = Vec::new();
        for (i, row) in rows.iter().enumerate() {
            if rows.get(i + 1).is_none_or(|next| next.layer != "pool") {
                outputs.push(row.output.clone());
            }
        }
        outputs
    }

    #[test]
    fn the_worked_example_prints_table_2() {
        assert_eq!(
            block_outputs(HeadKind::Dense),
            ["243×64", "81×64", "27×64", "9×128", "3×128", "1×128", "128", "64"]
        );
    }

    #[test]
    fn the_worked_example_prints_table_4() {
        assert_eq!(
            block_outputs(HeadKind::Lstm),
            ["7×243×64", "7×81×64", "7×27×64", "7×9×128", "7×3×128", "7×1×128", "128", "64"]
        );
    }

    #[test]
    fn convolutions_keep_the_length_and_pools_divide_it() {
        assert_eq!(outputs(HeadKind::Dense)[..3], ["243×64", "243×64", "81×64"]);
    }

    #[test]
    fn the_text_has_a_line_per_row_and_equal_columns() {
        let network = Network::preset("model1").unwrap();
        let text = text(&network, 222);
        let lines: Vec<Vec<char>> = text.lines().map(|line| line.chars().collect()).collect();
        let (_, table) = lines.split_first().unwrap();
        assert_eq!(table.len(), 1 + 1 + rows(&network, 222).len() + 1);

        let heading: String = table[0].iter().collect();
        let at = |word: &str| heading.find(word).unwrap();
        let (configuration, parameters) = (at("configuration"), at("parameters"));
        let multiply_adds = at("multiply-adds") + "multiply-adds".len();
        for line in table {
            // Words begin where their heading does, numbers end where theirs does.
            assert_eq!((line[configuration - 1], line[configuration] == ' '), (' ', false));
            assert_eq!(line.len(), heading.len(), "{text}");
            assert_eq!(line[multiply_adds], ' ', "{text}");
        }
        let total: String = table[table.len() - 1].iter().collect();
        assert!(
            total[parameters..multiply_adds]
                .ends_with(&thousands(network.costs(222).multiply_adds()))
        );
    }

    #[test]
    fn a_description_cannot_steer_the_terminal() {
        let mut network = Network::preset("model1").unwrap();
        network.description = "two\nlines".to_owned();
        assert!(text(&network, 2).starts_with("model1 (dense head): two\\nlines\n"));
    }
}
