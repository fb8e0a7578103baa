//! `leitmotif recognize`: takes files and folders, gives a ranking of artists for each file.

mod inputs;
mod jobs;
mod kept;
mod part;
mod plot;
mod report;
mod row;
mod strip;
mod table;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueEnum;
use leitmotif::{Answer, Recognizer};
use leitmotif_models::text::{count, printable};

use self::inputs::Inputs;
use self::part::Part;
use self::plot::Plot;
use self::report::Report;
use self::strip::spans;
use crate::Usage;
use crate::console::{INTERRUPTED, STOP, log, progress, stop_on_ctrl_c, wait_if_ending};
use crate::model::{RunOptions, check_compiled};

#[derive(clap::Args)]
pub(crate) struct Recognize {
    /// Audio files, folders to search for them, or - for a file from standard input
    #[arg(required_unless_present = "files_from", value_name = "FILE|FOLDER|-")]
    paths: Vec<PathBuf>,
    /// Also the files and folders that LIST names, one a line; - reads the list from standard input
    #[arg(long, value_name = "LIST")]
    files_from: Option<PathBuf>,
    /// Only the K-th of N parts of the sorted files
    #[arg(long, value_name = "K/N")]
    part: Option<Part>,
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
    /// How answers are written [default: table; with --out by the ending of its name]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The same as --format ndjson
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// Append the answers to FILE, of ndjson or csv; files that have a row in it are skipped
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Begin the file of --out anew
    #[arg(long, requires = "out")]
    force: bool,
    /// Also show the most probable artist over time, with uncalibrated probabilities
    #[arg(long)]
    timeline: bool,
    /// Draw the most probable artist over time to this picture
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
    /// How many files are recognised at once, each with a model of its own
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    #[command(flatten)]
    options: RunOptions,
}

/// How answers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text for people
    Table,
    /// One JSON object with all answers
    Json,
    /// One JSON object a line for each file, `{"file", "error", …}` if there is no answer
    Ndjson,
    /// One row for each file
    Csv,
}

/// Whether an answer is none of the artists.
#[derive(Clone, Copy, Debug)]
struct Threshold(Option<f64>);

impl Threshold {
    /// By the user's threshold or the model's; `None` where there is neither.
    fn unknown(self, answer: &Answer) -> Option<bool> {
        let Some(least) = self.0 else { return answer.unknown() };
        let best = answer.best().map_or(0.0, |best| f64::from(best.probability));
        Some(answer.is_silent() || best < least)
    }
}

impl Recognize {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let format = self.format()?;
        check_compiled(&self.model)?;
        stop_on_ctrl_c("the files in work")?;
        let Inputs { mut files, problems } = Inputs::find(&self.paths, self.files_from.as_deref())?;
        if let Some(part) = self.part {
            files = part.of(files);
        }
        let jobs = usize::from(self.jobs).min(files.len()).max(1);
        let (first, others) = self.options.open_several(&self.model, jobs)?;
        let (card, device) = (first.card().clone(), first.device().clone());
        let mut report = Report::begin(self, format, &card, &device)?;
        for (path, problem) in &problems {
            log(problem);
            report.failure(&path.to_string_lossy(), problem)?;
        }
        let named = files.len();
        files.retain(|file| !report.has(file));
        if files.len() < named {
            log(&format!("{} skipped: they have a row", count(named - files.len(), "file")));
        }

        let bar = progress(files.len());
        let mut plot = self.plot.as_ref().map(|_| Plot::new(&card));
        let mut failed = 0;
        let mut recognizers: Vec<Recognizer> = [first].into_iter().chain(others).collect();
        let work = |recognizer: &mut Recognizer, index: usize| -> Result<Answer, String> {
            let Some(file) = files.get(index) else { return Err(String::new()) };
            let answer = file.recognize(recognizer);
            wait_if_ending();
            let mut answer = answer?;
            if !self.timeline && self.plot.is_none() {
                answer.timeline.clear();
            }
            Ok(answer)
        };
        let each = |index: usize, result: Result<Answer, String>| -> anyhow::Result<()> {
            let Some(file) = files.get(index) else { return Ok(()) };
            let name = file.name();
            match result {
                Ok(answer) => {
                    if let Some(plot) = &mut plot {
                        plot.add(&name, answer.seconds, &spans(&answer, card.graph.head()));
                    }
                    bar.suspend(|| report.answer(&name, answer))?;
                }
                Err(error) => {
                    failed += 1;
                    bar.suspend(|| {
                        log(&error);
                        report.failure(&name, &error)
                    })?;
                }
            }
            bar.set_message(printable(&name));
            bar.inc(1);
            Ok(())
        };
        let done = jobs::in_order(&mut recognizers, files.len(), &STOP, work, each)?;
        bar.finish_and_clear();
        report.end(done < files.len())?;
        if let (Some(file), Some(plot)) = (&self.plot, &plot) {
            crate::files::replace(file, plot.svg().as_bytes())?;
        }
        if done < files.len() {
            log(&format!("stopped after {done} of {} files", files.len()));
            return Ok(ExitCode::from(INTERRUPTED));
        }
        if failed > 0 && files.len() > 1 {
            log(&format!("{failed} of {} files gave no answer", files.len()));
        }
        Ok(if failed + problems.len() > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    fn format(&self) -> Result<Format, Usage> {
        let named = if self.json { Some(Format::Ndjson) } else { self.format };
        let format = match &self.out {
            None => named.unwrap_or(Format::Table),
            Some(out) => {
                let ending = out.extension().unwrap_or_default().to_string_lossy().to_lowercase();
                let by_name = match ending.as_str() {
                    "ndjson" | "jsonl" => Some(Format::Ndjson),
                    "csv" => Some(Format::Csv),
                    _ => None,
                };
                match named.or(by_name) {
                    Some(format @ (Format::Ndjson | Format::Csv)) => format,
                    _ => {
                        return Err(Usage(
                            "--out appends rows of ndjson or csv: name it FILE.ndjson or FILE.csv, or give one of these \
                             as --format",
                        ));
                    }
                }
            }
        };
        if self.timeline && format == Format::Csv {
            return Err(Usage("csv has no place for --timeline: use --format ndjson or json"));
        }
        Ok(format)
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("it must be a number from 0 to 1".to_owned()),
    }
}
