//! `leitmotif recognize`: takes files and folders, prints a ranking of artists for each file.

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use leitmotif::audio::MusicFiles;
use leitmotif::pooling::Mean;
use leitmotif::{Answer, Error, Recognizer};
use leitmotif_models::HeadKind;
use leitmotif_models::text::{printable, with_causes};
use serde::Serialize;

use crate::{RunOptions, log};

#[derive(clap::Args)]
pub(crate) struct Recognize {
    /// Audio files, or folders to search for them
    #[arg(required = true, value_name = "FILE|FOLDER")]
    paths: Vec<PathBuf>,
    /// The model, a file made by leitmotif-export
    #[arg(long, value_name = "MODEL.onnx", env = "LEITMOTIF_MODEL")]
    model: PathBuf,
    /// How many artists to list
    #[arg(long, default_value = "5", value_name = "K")]
    top: NonZeroUsize,
    /// Least probability of the best artist, 0 to 1: below, the answer is none of these artists [default: the model's own
    /// threshold of certainty, if its card has one]
    #[arg(long, value_name = "P", value_parser = share)]
    min_probability: Option<f64>,
    /// Print one JSON object a line for each file, `{"file", "error"}` if there is no answer
    #[arg(long)]
    json: bool,
    /// Also print the most probable artist over time, with uncalibrated probabilities
    #[arg(long)]
    timeline: bool,
    #[command(flatten)]
    options: RunOptions,
}

/// The line of `--json` for one file.
#[derive(Serialize)]
struct Row<'a> {
    /// With U+FFFD in place of what is not UTF-8.
    file: &'a str,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome<'a> {
    Answer {
        /// `null` where neither the card nor the user has a threshold.
        unknown: Option<bool>,
        #[serde(flatten)]
        answer: &'a Answer,
    },
    Error {
        error: &'a str,
    },
}

/// Set by Ctrl-C: no further file is started.
static STOP: AtomicBool = AtomicBool::new(false);
/// Set by Ctrl-C again: the process ends while a file is recognised.
static LEAVING: AtomicBool = AtomicBool::new(false);

impl Recognize {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut recognizer = Recognizer::open_with(&self.model, &self.options.options())?;
        log(&format!("runs on {}", recognizer.device()));
        ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::SeqCst) {
                LEAVING.store(true, Ordering::SeqCst);
                std::process::exit(130);
            }
            log("stopping after this file; Ctrl-C again stops at once");
        })?;
        let (files, unread) = self.files()?;
        let bar = progress(files.len());
        let (mut done, mut failed) = (0, 0);
        for file in &files {
            if STOP.load(Ordering::SeqCst) {
                break;
            }
            bar.set_message(printable(&file.to_string_lossy()));
            match recognizer.recognize_file(file) {
                Ok(answer) => bar.suspend(|| self.print(file, answer, &recognizer))?,
                // Ctrl-C again ended the process: whatever the error says, it is not of the file.
                Err(_) if LEAVING.load(Ordering::SeqCst) => break,
                Err(error) => {
                    failed += 1;
                    bar.suspend(|| self.report_failure(file, &format_error(file, &error)))?;
                }
            }
            done += 1;
            bar.inc(1);
        }
        bar.finish_and_clear();
        if done < files.len() {
            log(&format!("stopped after {done} of {} files", files.len()));
            return Ok(ExitCode::from(130));
        }
        if failed > 0 && files.len() > 1 {
            log(&format!("{failed} of {} files gave no answer", files.len()));
        }
        Ok(if failed + unread > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// The files to recognise, and the number of folders and links that could not be read or hold no audio file.
    fn files(&self) -> io::Result<(Vec<PathBuf>, usize)> {
        let (mut files, mut unread) = (Vec::new(), 0);
        for path in &self.paths {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            let unreadable =
                |error: &io::Error| format!("cannot be read ({error}): check its permissions");
            let mut problems = Vec::new();
            match MusicFiles::below(path) {
                Ok(found) => {
                    let empty = found.music.is_empty() && found.unreadable.is_empty();
                    files.extend(found.music);
                    problems.extend(
                        found.unreadable.iter().map(|(path, e)| (path.clone(), unreadable(e))),
                    );
                    if empty {
                        let none = "there is no audio file in it: name the files".to_owned();
                        problems.push((path.clone(), none));
                    }
                }
                Err(error) => problems.push((path.clone(), unreadable(&error))),
            }
            unread += problems.len();
            for (path, problem) in problems {
                self.report_failure(&path, &format!("{}: {problem}", path.display()))?;
            }
        }
        Ok((files, unread))
    }

    /// Reports why a path has no answer: on standard error and, with `--json`, as a row.
    fn report_failure(&self, path: &Path, error: &str) -> io::Result<()> {
        log(error);
        if self.json { self.print_row(path, Outcome::Error { error }) } else { Ok(()) }
    }

    fn print_row(&self, path: &Path, outcome: Outcome<'_>) -> io::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &Row { file: &path.to_string_lossy(), outcome })?;
        writeln!(out)?;
        out.flush()
    }

    /// Whether the answer is none of the artists, by the user's threshold or the model's.
    fn unknown(&self, answer: &Answer) -> Option<bool> {
        let Some(least) = self.min_probability else { return answer.unknown() };
        let best = answer.best().map_or(0.0, |best| f64::from(best.probability));
        Some(answer.is_silent() || best < least)
    }

    fn print(&self, file: &Path, mut answer: Answer, recognizer: &Recognizer) -> io::Result<()> {
        answer.artists.truncate(self.top.get());
        let unknown = self.unknown(&answer);
        if self.json {
            if !self.timeline {
                answer.timeline.clear();
            }
            return self.print_row(file, Outcome::Answer { unknown, answer: &answer });
        }
        let mut out = io::stdout().lock();
        writeln!(out, "{} ({:.1} s)", printable(&file.to_string_lossy()), answer.seconds)?;
        if let Some(audio) = &answer.audio
            && (audio.truncated || audio.skipped_packets > 0)
        {
            let lost = (audio.skipped_packets > 0).then(|| {
                let (packets, seconds) = (audio.skipped_packets, audio.lost_seconds);
                format!("{packets} packets skipped, {seconds:.1} s")
            });
            let cut = audio.truncated.then(|| "it is truncated".to_owned());
            let damage: Vec<String> = lost.into_iter().chain(cut).collect();
            writeln!(out, "  damaged: {}", damage.join(", and "))?;
        }
        for note in answer.audio.iter().flat_map(|audio| &audio.notes) {
            writeln!(out, "  note: {note}")?;
        }
        if answer.is_silent() {
            writeln!(
                out,
                "  silent: there is nothing to recognise, and these probabilities mean nothing"
            )?;
        }
        if unknown == Some(true) && !answer.is_silent() {
            let why = match (self.min_probability, answer.min_certainty) {
                (Some(least), _) => format!("no probability reaches {:.1} %", 100.0 * least),
                (None, least) => format!(
                    "a certainty of {:.1} %, where the model asks for {:.1} %",
                    100.0 * answer.certainty,
                    100.0 * least.unwrap_or(0.0)
                ),
            };
            writeln!(out, "  none of these artists: {why}; the best guesses")?;
        }
        for (rank, artist) in answer.artists.iter().enumerate() {
            let percent = 100.0 * artist.probability;
            writeln!(out, "{:>4}. {percent:5.1} %  {}", rank + 1, printable(&artist.artist))?;
        }
        if self.timeline {
            print_windows(&mut out, &answer, recognizer)?;
        }
        out.flush()
    }
}

/// Prints one line for each window: its mean for a dense head, its last output for an LSTM.
fn print_windows(out: &mut impl Write, answer: &Answer, recognizer: &Recognizer) -> io::Result<()> {
    let card = recognizer.card();
    for moments in answer.timeline.chunk_by(|a, b| a.window == b.window) {
        let (Some(first), Some(last)) = (moments.first(), moments.last()) else { continue };
        let probabilities = match card.graph.head() {
            HeadKind::Lstm => last.probabilities.clone(),
            HeadKind::Dense => {
                let mut mean = Mean::new(card.classes.len());
                moments.iter().for_each(|moment| mean.add(&moment.probabilities, 1.0));
                mean.values()
            }
        };
        let best = leitmotif_models::argmax(&probabilities);
        let (Some(artist), Some(p)) = (card.classes.get(best), probabilities.get(best)) else {
            continue;
        };
        let (start, end) = (clock(first.start_seconds), clock(last.end_seconds));
        writeln!(out, "      {start} – {end}  {:5.1} %  {}", 100.0 * p, printable(artist))?;
    }
    Ok(())
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("it must be a number from 0 to 1".to_owned()),
    }
}

fn clock(seconds: f64) -> String {
    format!("{:>3}:{:04.1}", (seconds / 60.0) as u64, seconds % 60.0)
}

/// The error with its file, which errors of the recording name already.
fn format_error(file: &Path, error: &Error) -> String {
    match error {
        Error::Audio(_) | Error::TooShort { .. } => with_causes(error),
        error => format!("{}: {}", file.display(), with_causes(error)),
    }
}

fn progress(files: usize) -> ProgressBar {
    if files < 2 || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(files as u64);
    if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {wide_bar} {eta} {msg}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
