//! Decodes a file, mixes it to mono and resamples it to 16 kHz, as `ffmpeg -i FILE -ac 1 -ar 16000 -f f32le -` does.
//!
//! `decode FILE` writes the samples to standard output; `decode --time FILE` prints the seconds of a second pass (the first
//! warms caches), for comparison with interpreters whose start should not count. `decode --make FOLDER` makes the files to
//! measure with.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use leitmotif::audio::AudioReader;
use leitmotif_models::SampleRate;

#[derive(Parser)]
struct Arguments {
    /// The audio file
    #[arg(required_unless_present = "make")]
    file: Option<PathBuf>,
    /// Print the seconds of a second pass instead of the samples
    #[arg(long)]
    time: bool,
    /// Make the files to measure with in this folder
    #[arg(long, conflicts_with_all = ["file", "time"])]
    make: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(folder) = arguments.make {
        leitmotif_benches::music::make(&folder)?;
    }
    let Some(file) = arguments.file else { return Ok(()) };
    if arguments.time {
        decode(&file, &mut io::sink())?;
        let began = Instant::now();
        decode(&file, &mut io::sink())?;
        return Ok(writeln!(io::stdout(), "{}", began.elapsed().as_secs_f64())?);
    }
    decode(&file, &mut io::stdout().lock())
}

/// Writes every sample as four little-endian bytes.
fn decode(file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    let mut reader = AudioReader::open(file, SampleRate::NETWORK)?;
    let (mut block, mut bytes) = (Vec::new(), Vec::new());
    while reader.read(&mut block)? > 0 {
        bytes.clear();
        bytes.extend(block.iter().flat_map(|sample| sample.to_le_bytes()));
        out.write_all(&bytes)?;
        block.clear();
    }
    Ok(out.flush()?)
}
