//! `leitmotif-train inspect`: the layers of a network as a table, in the form of the paper's.

use std::path::Path;

use clap::Args;
use leitmotif_models::{HeadKind, Network, layer_table};

use crate::learn::checkpoint::{is_checkpoint, read_record};
use crate::learn::start::format_progress;
use crate::learn::task::format_split;

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A preset, a TOML file, or the folder of a checkpoint
    network: String,
    /// Number of classes, if it is not a checkpoint [default: as described, otherwise 222]
    #[arg(long)]
    classes: Option<usize>,
    /// Head, if not the one described: `dense` or `lstm`
    #[arg(long)]
    head: Option<HeadKind>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Classes of the paper's experiments, for descriptions without a number.
const PAPERS_CLASSES: usize = 222;

/// Runs `inspect`.
pub fn run(args: InspectArgs) -> anyhow::Result<()> {
    let folder = Path::new(&args.network);
    if folder.extension().is_some_and(|ending| ending == "onnx") {
        anyhow::bail!("{}: `leitmotif-export inspect` reads .onnx files", folder.display());
    }
    let mut heading = None;
    // The name of a preset wins over a folder of that name.
    let is_checkpoint = Network::preset(&args.network).is_err() && is_checkpoint(folder);
    let (mut network, classes) = if is_checkpoint {
        let record = read_record(folder)?;
        heading = Some(format!(
            "{}, step {}, seed {}; {} with split {}",
            format_progress(&record),
            record.step,
            record.seed,
            record.dataset.name,
            format_split(&record.split)
        ));
        let classes = record.classes.len();
        (record.network, classes)
    } else {
        let network = super::network(&args.network)?;
        let classes = args.classes.or(network.classes).unwrap_or(PAPERS_CLASSES);
        (network, classes)
    };
    if let Some(head) = args.head {
        network = network.with_head(head);
    }
    let json = serde_json::to_string_pretty(&layer_table::rows(&network, classes))?;
    super::print(|out| {
        if args.json {
            return writeln!(out, "{json}");
        }
        if let Some(heading) = heading {
            writeln!(out, "{heading}")?;
        }
        write!(out, "{}", layer_table::text(&network, classes))
    })
}
