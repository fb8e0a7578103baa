//! `leitmotif listen`: raw samples from standard input, an answer whenever a segment is complete.

use std::io::{self, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::ValueEnum;
use leitmotif::{Answer, RecognizeOptions, SampleRate};
use leitmotif_models::text::printable;
use serde_json::json;

use crate::console::{INTERRUPTED, STOP, stop_on_ctrl_c};
use crate::model::RunOptions;

/// Bytes read at once, at most: a fifth of a second of stereo in 16 bits.
const CHUNK: usize = 1 << 15;
/// Chunks that may wait for the network.
const WAITING: usize = 4;
/// How often the stop is looked at where no samples come.
const LOOK: Duration = Duration::from_millis(50);

#[derive(clap::Args)]
pub(crate) struct Listen {
    /// The model, a file made by leitmotif-export; of an LSTM the step graph
    #[arg(long, value_name = "MODEL.onnx", env = "LEITMOTIF_MODEL")]
    model: PathBuf,
    /// Samples a second of what comes in
    #[arg(long, default_value_t = SampleRate::NETWORK.0, value_name = "HERTZ")]
    rate: u32,
    /// Channels, interleaved; they are mixed
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    channels: u16,
    /// How a sample is written
    #[arg(long, value_enum, default_value = "s16le")]
    samples: Samples,
    /// Forget what was taken after so many seconds, e.g. for a radio station [default: never]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    restart: Option<f64>,
    /// Print a JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: RunOptions,
}

/// How a sample is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Samples {
    /// 16-bit integers, little-endian
    S16le,
    /// 32-bit floats from -1 to 1, little-endian
    F32le,
}

impl Listen {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let recognizer = self.options.open(&self.model)?;
        let options = RecognizeOptions::new().with_top(5);
        let card = recognizer.card();
        let segment = card.sample_rate.seconds(card.segment_samples as u64);
        if self.restart.is_some_and(|limit| limit < segment) {
            bail!(
                "--restart: there is no answer before {segment:.2} seconds, the segment of {}",
                self.model.display()
            );
        }
        let mut listener = recognizer.listen(SampleRate(self.rate), &options)?;
        stop_on_ctrl_c("the answer so far")?;
        let chunks = chunks().context("standard input")?;
        let (mut bytes, mut mono) = (Vec::new(), Vec::new());
        let (mut before, mut answered) = (0.0, false);
        while !STOP.is_cancelled() {
            match chunks.recv_timeout(LOOK) {
                Ok(chunk) => bytes.extend(chunk.context("standard input")?),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.mix(&mut bytes, &mut mono);
            if let Some(answer) = listener.push(&mono)? {
                self.print(before, &answer)?;
                answered = true;
            }
            // Not before an answer: what the resampler holds back may be the rest of the first segment.
            if answered && self.restart.is_some_and(|limit| listener.seconds() >= limit) {
                before += listener.seconds();
                listener.reset()?;
                answered = false;
            }
        }
        let stopped = STOP.is_cancelled();
        if !bytes.is_empty() && !stopped {
            bail!(
                "standard input ends within a sample: is it {:?} with {} channels?",
                self.samples,
                self.channels
            );
        }
        // What the resampler still held may complete a segment; after a restart there may be less than one.
        match listener.finish() {
            Ok(answer) => self.print(before, &answer)?,
            Err(leitmotif::Error::TooShort { .. }) if stopped || before > 0.0 => {}
            Err(error) => return Err(error).context("standard input"),
        }
        Ok(if stopped { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
    }

    /// Takes whole frames out of `bytes`, as one mean of channels each.
    fn mix(&self, bytes: &mut Vec<u8>, mono: &mut Vec<f32>) {
        let width = match self.samples {
            Samples::S16le => 2,
            Samples::F32le => 4,
        };
        let channels = usize::from(self.channels);
        let frame = width * channels;
        let whole = bytes.len() / frame * frame;
        mono.clear();
        mono.extend(bytes.chunks_exact(frame).map(|frame| {
            let sum: f32 = match self.samples {
                Samples::S16le => {
                    let (samples, _) = frame.as_chunks();
                    samples.iter().map(|s| f32::from(i16::from_le_bytes(*s)) / 32_768.0).sum()
                }
                Samples::F32le => {
                    let (samples, _) = frame.as_chunks();
                    samples.iter().map(|s| f32::from_le_bytes(*s)).sum()
                }
            };
            sum / channels as f32
        }));
        bytes.drain(..whole);
    }

    fn print(&self, before: f64, answer: &Answer) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let at = before + answer.seconds;
        if self.json {
            let timeline: Vec<_> = answer
                .timeline
                .iter()
                .map(|moment| {
                    json!({
                        "start_seconds": before + moment.start_seconds, "end_seconds": before + moment.end_seconds,
                        "window": moment.window, "probabilities": moment.probabilities,
                    })
                })
                .collect();
            let row = json!({
                "seconds": at, "unknown": answer.unknown(), "silent": answer.is_silent(), "artists": answer.artists,
                "certainty": answer.certainty, "segments": answer.segments, "timeline": timeline,
            });
            writeln!(out, "{row}")?;
        } else if let Some(best) = answer.best() {
            let percent = 100.0 * best.probability;
            let remark = match answer.unknown() {
                _ if answer.is_silent() => "  silent",
                Some(true) => "  none of these artists",
                _ => "",
            };
            writeln!(out, "{at:8.1} s  {percent:5.1} %  {}{remark}", printable(&best.artist))?;
        }
        out.flush()
    }
}

/// What comes from standard input, read on a thread of its own: a read waits for samples whatever happens.
fn chunks() -> io::Result<Receiver<io::Result<Vec<u8>>>> {
    let (sender, chunks) = mpsc::sync_channel(WAITING);
    thread::Builder::new().spawn(move || {
        let mut input = io::stdin().lock();
        loop {
            let chunk = read(&mut input);
            let ends = chunk.as_ref().map_or(true, Vec::is_empty);
            if sender.send(chunk).is_err() || ends {
                return;
            }
        }
    })?;
    Ok(chunks)
}

/// What there is; nothing at the end.
fn read(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; CHUNK];
    let read = loop {
        match input.read(&mut bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    bytes.truncate(read);
    Ok(bytes)
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if seconds > 0.0 && f64::is_finite(seconds) => Ok(seconds),
        _ => Err("it must be a number of seconds above 0".to_owned()),
    }
}
