//! `leitmotif-train inspect`: a network as the paper prints it.

use std::path::Path;

use clap::Args;
use leitmotif_models::{HeadKind, table};

use crate::checkpoint::read_record;

/// Arguments of `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// A preset, a TOML file, or the folder of a checkpoint
    network: String,
    /// Number of classes, where it is no checkpoint [default: as described, else 222]
    #[arg(long)]
    classes: Option<usize>,
    /// Another head than described: `dense` or `lstm`
    #[arg(long)]
    head: Option<HeadKind>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Classes of the paper's experiments, for descriptions that do not say.
const PAPERS_CLASSES: usize = 222;

/// Runs `inspect`.
pub fn run(args: InspectArgs) -> anyhow::Result<()> {
    let (mut network, classes) = if Path::new(&args.network).join("run.json").exists() {
        let record = read_record(Path::new(&args.network))?;
        if !args.json {
            println!(
                "epoch {}, step {}, seed {}; {} with split {} (seed {})",
                record.epoch,
                record.step,
                record.seed,
                record.dataset.name,
                record.split.protocol,
                record.split.seed
            );
        }
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
    if args.json {
        println!("{}", serde_json::to_string_pretty(&table::rows(&network, classes))?);
    } else {
        print!("{}", table::text(&network, classes));
    }
    Ok(())
}
