//! A recognizer over its life: `lifecycle MODEL SONG`, a JSON object a line.
//!
//! - `cold_start`: opening the model, the first answer for the song's first seconds, and the second;
//! - `whole`: the song from its file to the answer, and to that the sum of its decoding alone and its network alone, in one
//!   call of the bare session;
//! - `listener`: the time that each chunk of live audio takes;
//! - `cancel`: from the call of `CancelToken::cancel` to the end of a long recognition;
//! - `growth`: resident memory before and after recognitions of a thousand lengths.
//!
//! Without spinning threads, on the CPU. But for `whole`, the song is decoded before.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use leitmotif::session::Session;
use leitmotif::{
    CancelToken, Device, Error, RecognizeOptions, Recognizer, SampleRate, SessionOptions,
};
use leitmotif_benches::machine::Machine;
use leitmotif_benches::pairs::median;
use leitmotif_models::{GraphKind, Random};
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// The model, an .onnx file
    model: PathBuf,
    /// A song in any format, of 30 seconds at least
    song: PathBuf,
    /// CPU threads of a session
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How often each time is taken
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Recognitions for the growth of memory
    #[arg(long, default_value_t = 10_000)]
    recognitions: usize,
}

/// Seconds of music of a cold start: a clip of MagnaTagATune.
const CLIP: usize = 29 * 16_000;
/// A chunk of live audio: a tenth of a second.
const CHUNK: usize = 1_600;
/// Lengths of recordings for the growth of memory.
const LENGTHS: usize = 1_000;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let (song, _) = leitmotif::audio::read_all(&arguments.song, SampleRate::NETWORK)?;
    let clip = song.get(..CLIP).context("the song is shorter than 30 seconds")?;
    let options = SessionOptions::on(Device::Cpu).with_threads(arguments.threads).with_sessions(1);
    let open = || Recognizer::open_with(&arguments.model, &options);
    // First of all, because the first model of a process opens ONNX Runtime, too.
    let cold_start = cold_start(open, clip, arguments.rounds)?;
    let kind = open()?.card().graph;
    let mut results = vec![
        ("cold_start", cold_start),
        ("cancel", cancel(&open()?, &song, arguments.rounds)?),
        ("growth", growth(&open()?, clip, arguments.recognitions)?),
    ];
    // The song in one call needs a graph that takes any length, live audio an LSTM's `step`.
    if matches!(kind, GraphKind::Clip | GraphKind::Sequence) {
        results.push(("whole", whole(&arguments, &open()?, &options)?));
    }
    if kind != GraphKind::Sequence {
        results.push(("listener", listener(&open()?, &song)?));
    }
    for (what, mut result) in results {
        if let Some(result) = result.as_object_mut() {
            let name = arguments.model.file_name().unwrap_or_default().to_string_lossy();
            result.insert("what".to_owned(), json!(what));
            result.insert("model".to_owned(), json!(name));
            result.insert("threads".to_owned(), json!(arguments.threads));
            result.insert("machine".to_owned(), json!(Machine::here()));
        }
        writeln!(io::stdout(), "{result}")?;
    }
    Ok(())
}

/// The first of all opens ONNX Runtime itself, so it is said apart.
fn cold_start(
    open: impl Fn() -> Result<Recognizer, Error>,
    clip: &[f32],
    rounds: usize,
) -> anyhow::Result<Value> {
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..=rounds {
        let began = Instant::now();
        let recognizer = open()?;
        let opened = began.elapsed();
        recognizer.recognize_samples(clip)?;
        let first = began.elapsed();
        recognizer.recognize_samples(clip)?;
        let second = began.elapsed() - first;
        for (times, time) in times.iter_mut().zip([opened, first, second]) {
            times.push(milliseconds(time));
        }
    }
    let [opened, first, second] = &times;
    let rest = |times: &[f64]| median(times.get(1..).unwrap_or_default());
    Ok(json!({
        "process_opened_ms": opened.first(), "process_first_answer_ms": first.first(),
        "opened_ms": rest(opened), "first_answer_ms": rest(first), "second_answer_ms": rest(second),
        "clip_seconds": clip.len() as f64 / 16_000.0,
    }))
}

/// The three alternate.
fn whole(
    arguments: &Arguments,
    recognizer: &Recognizer,
    options: &SessionOptions,
) -> anyhow::Result<Value> {
    let mut session = Session::open(&arguments.model, options)?;
    let mut times = [const { Vec::new() }; 3];
    let mut ratios = Vec::new();
    for round in 0..=arguments.rounds.min(9) {
        let began = Instant::now();
        recognizer.recognize_file(&arguments.song)?;
        let whole = milliseconds(began.elapsed());
        let began = Instant::now();
        let (song, _) = leitmotif::audio::read_all(&arguments.song, SampleRate::NETWORK)?;
        let decoded = milliseconds(began.elapsed());
        let began = Instant::now();
        session.run(&[("waveform", &[1, song.len()], &song)])?;
        let network = milliseconds(began.elapsed());
        if round > 0 {
            times
                .iter_mut()
                .zip([whole, decoded, network])
                .for_each(|(times, time)| times.push(time));
            ratios.push(whole / (decoded + network));
        }
    }
    let [whole, decoded, network] = times.each_ref().map(|times| median(times));
    let ratio = median(&ratios);
    Ok(
        json!({ "file_to_answer_ms": whole, "decode_ms": decoded, "network_ms": network, "to_their_sum": ratio }),
    )
}

fn listener(recognizer: &Recognizer, song: &[f32]) -> anyhow::Result<Value> {
    let mut listener = recognizer.listen(SampleRate::NETWORK, &RecognizeOptions::new())?;
    let (mut silent, mut answering) = (Vec::new(), Vec::new());
    for chunk in song.chunks(CHUNK) {
        let began = Instant::now();
        let answer = listener.push(chunk)?;
        let time = milliseconds(began.elapsed());
        if answer.is_some() { answering.push(time) } else { silent.push(time) }
    }
    answering.sort_by(f64::total_cmp);
    let at =
        |share: f64| answering.get((answering.len().saturating_sub(1) as f64 * share) as usize);
    Ok(json!({
        "chunk_seconds": CHUNK as f64 / 16_000.0, "chunks_with_an_answer": answering.len(),
        "answer_ms": {"median": at(0.5), "p99": at(0.99), "most": at(1.0)},
        "no_answer_ms": {"median": median(&silent)},
    }))
}

fn cancel(recognizer: &Recognizer, song: &[f32], rounds: usize) -> anyhow::Result<Value> {
    // Long enough to be cut off anywhere.
    let long: Vec<f32> = song.iter().copied().cycle().take(60 * 60 * 16_000).collect();
    let mut random = Random::derive(1, "lifecycle", &[]);
    let mut times = Vec::new();
    for _ in 0..rounds {
        let token = CancelToken::new();
        let options = RecognizeOptions::new().with_cancel(&token).with_timeline(false);
        let ended = std::thread::scope(|scope| {
            let caller = scope.spawn(|| recognizer.recognize_samples_with(&long, &options));
            std::thread::sleep(Duration::from_millis(300 + random.below(200) as u64));
            let began = Instant::now();
            token.cancel();
            let ended = caller.join().ok().context("the caller panicked")?;
            anyhow::ensure!(matches!(ended, Err(Error::Cancelled)), "it was not cancelled");
            Ok(milliseconds(began.elapsed()))
        })?;
        times.push(ended);
    }
    let most = times.iter().copied().fold(0.0, f64::max);
    Ok(json!({ "median_ms": median(&times), "most_ms": most, "seed": 1 }))
}

fn growth(recognizer: &Recognizer, clip: &[f32], recognitions: usize) -> anyhow::Result<Value> {
    let segment = recognizer.card().segment_samples;
    let step = (clip.len() - segment) / LENGTHS;
    let run = |number: usize| {
        // Every length once, in an order in which neighbours differ.
        let length = segment + (number * 389 % LENGTHS) * step;
        recognizer.recognize_samples(clip.get(..length).unwrap_or(clip)).map(drop)
    };
    (0..LENGTHS).try_for_each(run)?;
    let before = resident()?;
    (0..recognitions).try_for_each(run)?;
    let after = resident()?;
    Ok(json!({
        "recognitions": recognitions, "lengths": LENGTHS,
        "before_kib": before, "after_kib": after,
    }))
}

/// Resident memory of this process, in KiB.
fn resident() -> anyhow::Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status").context("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()).context("no VmRSS")?;
    Ok(number.parse()?)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
