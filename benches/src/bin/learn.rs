//! Trains a preset on noise and prints the seconds of one step: `learn PRESET HEAD --threads N`.
//!
//! The median of some steps after one that warms up.

#[path = "../learner.rs"]
mod learner;

use std::io::{self, Write};
use std::time::Instant;

use anyhow::ensure;
use clap::Parser;
use learner::Learner;
use leitmotif_benches::pairs::median;
use leitmotif_models::{HeadKind, Network};

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
    tch::set_num_threads(arguments.threads);
    let network = Network::preset(&arguments.preset)?.with_head(arguments.head);
    let mut learner = Learner::new(&network)?;
    let mut seconds = Vec::new();
    for step in 0..arguments.steps + 1 {
        let began = Instant::now();
        let loss = learner.step()?;
        ensure!(loss.is_finite(), "the loss is {loss}");
        if step >= 1 {
            seconds.push(began.elapsed().as_secs_f64());
        }
    }
    Ok(writeln!(io::stdout(), "{}", median(&seconds))?)
}
