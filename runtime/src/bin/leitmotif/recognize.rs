//! `leitmotif recognize`: files and folders in, a ranking of artists for each.

use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use leitmotif::average::Mean;
use leitmotif::{Answer, Error, Recognizer};
use leitmotif_models::HeadKind;
use serde::Serialize;

use crate::{Running, complain, printable};

#[derive(clap::Args)]
pub(crate) struct Recognize {
    /// Audio files; a folder stands for the audio files in it and below
    #[arg(required = true, value_name = "FILE|FOLDER")]
    paths: Vec<PathBuf>,
    /// The model, a file made by leitmotif-export
    #[arg(long, value_name = "MODEL.onnx", env = "LEITMOTIF_MODEL")]
    model: PathBuf,
    /// How many artists to name
    #[arg(long, default_value = "5", value_name = "K")]
    top: NonZeroUsize,
    /// One JSON object a line for each file
    #[arg(long)]
    json: bool,
    /// Also tell who plays when
    #[arg(long)]
    timeline: bool,
    #[command(flatten)]
    running: Running,
}

/// The line of `--json` for one file.
#[derive(Serialize)]
struct Row<'a> {
    file: &'a str,
    #[serde(flatten)]
    answer: &'a Answer,
}

/// Set by Ctrl-C: no further file is begun.
static STOP: AtomicBool = AtomicBool::new(false);

impl Recognize {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let mut recognizer = Recognizer::open_with(&self.model, &self.running.options())?;
        complain(&format!("runs on {}", recognizer.device()));
        ctrlc::set_handler(|| {
            if STOP.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            complain("stops after this file; Ctrl-C again stops at once");
        })?;
        let (files, mut failed) = self.files();
        let bar = progress(files.len());
        let mut done = 0;
        for file in &files {
            if STOP.load(Ordering::SeqCst) {
                break;
            }
            bar.set_message(printable(&file.to_string_lossy()));
            match recognizer.recognize_file(file) {
                Ok(answer) => bar.suspend(|| self.print(file, answer, &recognizer))?,
                Err(error) => {
                    failed += 1;
                    bar.suspend(|| complain(&told(file, &error)));
                }
            }
            done += 1;
            bar.inc(1);
        }
        bar.finish_and_clear();
        if done < files.len() {
            complain(&format!("stopped after {done} of {} files", files.len()));
            return Ok(ExitCode::from(130));
        }
        if files.len() + failed > 1 && failed > 0 {
            complain(&format!("{failed} of {} files gave no answer", files.len().max(failed)));
        }
        Ok(if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// The files to hear, and how many paths gave none.
    fn files(&self) -> (Vec<PathBuf>, usize) {
        let (mut files, mut failed) = (Vec::new(), 0);
        for path in &self.paths {
            if !path.is_dir() {
                files.push(path.clone());
                continue;
            }
            let before = files.len();
            let problem = match collect(path, &mut files) {
                Ok(()) if files.len() > before => continue,
                Ok(()) => "there is no audio file in it: name the files".to_owned(),
                Err(error) => format!("cannot be read ({error}): check its permissions"),
            };
            complain(&format!("{}: {problem}", path.display()));
            failed += 1;
        }
        (files, failed)
    }

    fn print(&self, file: &Path, mut answer: Answer, recognizer: &Recognizer) -> io::Result<()> {
        answer.artists.truncate(self.top.get());
        let file = file.to_string_lossy();
        let mut out = io::stdout().lock();
        if self.json {
            if !self.timeline {
                answer.timeline.clear();
            }
            serde_json::to_writer(&mut out, &Row { file: &file, answer: &answer })?;
            writeln!(out)?;
            return out.flush();
        }
        writeln!(out, "{} ({:.1} s)", printable(&file), answer.seconds)?;
        if let Some(audio) = &answer.audio
            && (audio.truncated || audio.skipped_packets > 0)
        {
            let cut = if audio.truncated { ", and it ends too early" } else { "" };
            writeln!(out, "  damaged: {} packets passed over{cut}", audio.skipped_packets)?;
        }
        for (rank, score) in answer.artists.iter().enumerate() {
            let percent = 100.0 * score.probability;
            writeln!(out, "{:>4}. {percent:5.1} %  {}", rank + 1, printable(&score.artist))?;
        }
        if self.timeline {
            print_windows(&mut out, &answer, recognizer)?;
        }
        out.flush()
    }
}

/// One line a window: its mean for a dense head, its last word for an LSTM.
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

fn clock(seconds: f64) -> String {
    format!("{:>3}:{:04.1}", (seconds / 60.0) as u64, seconds % 60.0)
}

/// The error with the file it belongs to, which errors of the ears name themselves.
fn told(file: &Path, error: &Error) -> String {
    match error {
        Error::Audio(error) => error.to_string(),
        error => format!("{}: {error}", file.display()),
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

/// What the ears may know by its name; a file that is named itself is heard whatever its name.
const AUDIO: [&str; 14] = [
    "aac", "aif", "aiff", "ape", "flac", "m4a", "m4b", "mp2", "mp3", "mp4", "oga", "ogg", "opus",
    "wav",
];

/// Audio files in `folder` and below, by name. Links to folders are not followed: they may lead in circles.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = folder.read_dir()?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let extension = path.extension().and_then(|e| e.to_str()).map(str::to_lowercase);
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if extension.is_some_and(|e| AUDIO.contains(&e.as_str())) {
            files.push(path);
        }
    }
    Ok(())
}
