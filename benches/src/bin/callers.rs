//! What callers on several threads get out of one recognizer: `callers MODEL SONG`, a JSON object a line.
//!
//! Rounds of 1, 2, 4 and 8 callers alternate; each caller recognises the song's samples, so that nothing is decoded. A
//! session has one thread. The medians are of seconds a song, and of the speed relative to one caller.

use std::io::{self, Write};
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use leitmotif::{Device, RecognizeOptions, Recognizer, SampleRate, SessionOptions};
use leitmotif_benches::machine::Machine;
use leitmotif_benches::pairs::median;
use serde_json::json;

#[derive(Parser)]
struct Arguments {
    /// The model, an .onnx file
    model: std::path::PathBuf,
    /// A song in any format
    song: std::path::PathBuf,
    /// Rounds that count, after one for warm-up
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

const CALLERS: [usize; 4] = [1, 2, 4, 8];

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let options = SessionOptions::on(Device::Cpu).with_threads(1);
    let recognizer = Recognizer::open_with(&arguments.model, &options)?;
    let (samples, _) = leitmotif::audio::read_all(&arguments.song, SampleRate::NETWORK)?;
    let mut speeds = vec![Vec::new(); CALLERS.len()];
    for round in 0..=arguments.rounds {
        for (callers, speeds) in CALLERS.iter().zip(&mut speeds) {
            let began = Instant::now();
            recognise(&recognizer, &samples, *callers)?;
            if round > 0 {
                speeds.push(*callers as f64 / began.elapsed().as_secs_f64());
            }
        }
    }
    let one = speeds.first().cloned().unwrap_or_default();
    for (callers, speeds) in CALLERS.iter().zip(speeds) {
        let ratios: Vec<f64> = speeds.iter().zip(&one).map(|(speed, one)| speed / one).collect();
        let result = json!({
            "callers": callers, "sessions": recognizer.most_sessions(), "songs_per_second": median(&speeds),
            "to_one_caller": median(&ratios), "song_seconds": samples.len() as f64 / 16_000.0,
            "machine": Machine::here(),
        });
        writeln!(io::stdout(), "{result}")?;
    }
    Ok(())
}

fn recognise(recognizer: &Recognizer, samples: &[f32], callers: usize) -> anyhow::Result<()> {
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..callers)
            .map(|_| {
                scope.spawn(|| {
                    let options = RecognizeOptions::new().with_timeline(false);
                    recognizer.recognize_samples_with(samples, &options)
                })
            })
            .collect();
        for caller in callers {
            caller.join().ok().context("a caller panicked")??;
        }
        Ok(())
    })
}
