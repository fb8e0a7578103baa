//! Trains a preset on noise and prints the seconds of one step: `train_step PRESET HEAD --threads N`.
//!
//! The median over some steps, after one warm-up step.

#[path = "../trainer.rs"]
mod trainer;

use std::io::{self, Write};
use std::time::Instant;

use anyhow::ensure;
use clap::Parser;
use leitmotif_benches::pairs::median;
use leitmotif_models::{HeadKind, Network};
use leitmotif_train::model::process;
use trainer::Trainer;

#[derive(Parser)]
struct Arguments {
    /// The preset
    preset: String,
    /// `dense` or `lstm`
    head: HeadKind,
    /// CPU threads
    #[arg(long, default_value_t = 2)]
    threads: i32,
    /// Steps that count
    #[arg(long, default_value_t = 3)]
    steps: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    // As `leitmotif-train` does.
    process::start_again()?;
    tch::set_num_threads(arguments.threads);
    let network = Network::preset(&arguments.preset)?.with_head(arguments.head);
    let mut trainer = Trainer::new(&network)?;
    let mut seconds = Vec::new();
    for step in 0..arguments.steps + 1 {
        let began = Instant::now();
        let loss = trainer.step()?;
        ensure!(loss.is_finite(), "the loss is {loss}");
        if step >= 1 {
            seconds.push(began.elapsed().as_secs_f64());
        }
    }
    Ok(writeln!(io::stdout(), "{}", median(&seconds))?)
}
