//! Times two commands alternately and prints how many times faster the first is, pair by pair.
//!
//! The speed of a shared machine changes threefold within minutes, so only alternating runs can be compared. Each pair runs
//! both commands, in an order that changes from pair to pair.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use clap::Parser;
use leitmotif_benches::machine::Machine;
use leitmotif_benches::pairs::{Pairs, median};

#[derive(Parser)]
struct Arguments {
    /// What is compared, for the result's file
    #[arg(long)]
    name: String,
    /// Our command, for `sh -c`
    #[arg(long)]
    ours: String,
    /// The command to compare with
    #[arg(long)]
    theirs: String,
    /// Pairs that count, after one for warm-up
    #[arg(long, default_value_t = 7)]
    pairs: usize,
    /// The commands print the seconds that count, on their last line
    #[arg(long)]
    printed: bool,
    /// Add the result to this file, a JSON object a line
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    ensure!(arguments.pairs >= 5, "--pairs: at least 5, or the median means little");
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..=arguments.pairs {
        let one = |command: &str, seconds: &mut Vec<f64>| -> anyhow::Result<()> {
            let taken = time(command, arguments.printed)?;
            if pair > 0 {
                seconds.push(taken);
            }
            Ok(())
        };
        if pair % 2 == 0 {
            one(&arguments.ours, &mut ours)?;
            one(&arguments.theirs, &mut theirs)?;
        } else {
            one(&arguments.theirs, &mut theirs)?;
            one(&arguments.ours, &mut ours)?;
        }
    }
    let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(our, their)| their / our).collect();
    let outcome = Pairs {
        name: arguments.name,
        ours: arguments.ours,
        theirs: arguments.theirs,
        our_median: median(&ours),
        their_median: median(&theirs),
        ratio: median(&ratios),
        least_ratio: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        largest_ratio: ratios.iter().copied().fold(0.0, f64::max),
        our_seconds: ours,
        their_seconds: theirs,
        our_peak_bytes: None,
        machine: Machine::here(),
    };
    println!(
        "{}: {:.3} s against {:.3} s, {:.2} times as fast ({:.2} to {:.2} in {} pairs)",
        outcome.name,
        outcome.our_median,
        outcome.their_median,
        outcome.ratio,
        outcome.least_ratio,
        outcome.largest_ratio,
        arguments.pairs,
    );
    if let Some(path) = &arguments.out {
        let mut text = fs::read_to_string(path).unwrap_or_default();
        text += &serde_json::to_string(&outcome)?;
        text.push('\n');
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// Seconds that a command took, or that it printed.
fn time(command: &str, printed: bool) -> anyhow::Result<f64> {
    let mut child = Command::new("sh");
    child.args(["-c", command]).stdin(Stdio::null());
    let began = Instant::now();
    if !printed {
        let status = child.stdout(Stdio::null()).status()?;
        ensure!(status.success(), "`{command}` failed ({status})");
        return Ok(began.elapsed().as_secs_f64());
    }
    let output = child.stderr(Stdio::inherit()).output()?;
    ensure!(output.status.success(), "`{command}` failed ({})", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().last().and_then(|line| line.trim().parse().ok()) {
        Some(seconds) => Ok(seconds),
        None => bail!("`{command}` does not end with a line of seconds"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_timed_by_the_clock_or_by_its_output() {
        assert!(time("sleep 0.05", false).unwrap() >= 0.05);
        assert_eq!(time("echo words; echo 2.5", true).unwrap(), 2.5);
        assert!(time("echo words", true).unwrap_err().to_string().contains("line of seconds"));
        assert!(time("false", false).unwrap_err().to_string().contains("failed"));
    }
}
