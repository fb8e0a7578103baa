//! Recognises a file of samples and prints the seconds it takes: `answer MODEL SAMPLES --threads N`.
//!
//! The median over some passes, after one warm-up pass; opening the model does not count. `answer --make FOLDER` makes models
//! with noise for weights, and a song, `song.f32`.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use leitmotif::audio::read_all;
use leitmotif::{Device, Recognizer, SessionOptions};
use leitmotif_benches::cases::{HEADS, SERVED};
use leitmotif_benches::pairs::median;
use leitmotif_benches::{fresh, music};
use leitmotif_models::{Network, SampleRate};

#[derive(Parser)]
struct Arguments {
    /// The `.onnx` file
    #[arg(required_unless_present = "make")]
    model: Option<PathBuf>,
    /// Samples: 16 kHz, mono, little-endian f32
    #[arg(required_unless_present = "make")]
    samples: Option<PathBuf>,
    /// CPU threads
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Passes that count
    #[arg(long, default_value_t = 3)]
    passes: usize,
    /// Make models and a song to measure with in this folder
    #[arg(long, conflicts_with_all = ["model", "samples"])]
    make: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    if let Some(folder) = arguments.make {
        for head in HEADS {
            fresh::graphs(&folder, &Network::preset(SERVED)?.with_head(head))?;
        }
        let files = music::make(&folder.with_file_name("music"))?;
        let song = files.iter().find(|file| file.ends_with("flac.flac")).context("no song")?;
        let (song, _) = read_all(song, SampleRate::NETWORK)?;
        let bytes: Vec<u8> = song.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let path = folder.join("song.f32");
        return fs::write(&path, bytes).with_context(|| path.display().to_string());
    }
    let (Some(model), Some(path)) = (arguments.model, arguments.samples) else { return Ok(()) };
    let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
    let samples: Vec<f32> = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
    let options = SessionOptions::on(Device::Cpu).with_threads(arguments.threads);
    let recognizer = Recognizer::open_with(model, &options)?;
    recognizer.recognize_samples(&samples)?;
    let mut seconds = Vec::new();
    for _ in 0..arguments.passes {
        let began = Instant::now();
        recognizer.recognize_samples(&samples)?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    Ok(writeln!(io::stdout(), "{}", median(&seconds))?)
}
