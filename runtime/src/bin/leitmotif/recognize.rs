//! `leitmotif recognize`: takes files and folders, gives a ranking of artists for each file.

mod format;
mod inputs;
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

use leitmotif::{Answer, Batch, Gallery, RecognizeOptions, Recognizer};
use leitmotif_models::text::{count, printable};

use self::format::Format;
use self::inputs::{Input, Inputs};
use self::part::Part;
use self::plot::Plot;
use self::report::Report;
use crate::console::{INTERRUPTED, STOP, log, progress, stop_on_ctrl_c, wait_if_ending};
use crate::files;
use crate::gallery::{self, Similar};
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
    /// How many files are recognised at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Answer by the artists of a gallery made with `leitmotif enroll`, not by those that the model was trained on; in
    /// JSON, in the field `gallery`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["min_probability", "timeline", "plot"])]
    gallery: Option<PathBuf>,
    #[command(flatten)]
    options: RunOptions,
}

/// A file's answer, and that of the gallery where one is asked.
type Found = (Answer, Option<Similar>);

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
        let named = if self.json { Some(Format::Ndjson) } else { self.format };
        let format =
            Format::choose(named, self.out.as_deref(), self.timeline, self.gallery.is_some())?;
        check_compiled(&self.model)?;
        self.plot.iter().try_for_each(|file| files::check_writable(file))?;
        stop_on_ctrl_c("the files in work")?;
        let Inputs { mut files, problems } = Inputs::find(&self.paths, self.files_from.as_deref())?;
        if let Some(part) = self.part {
            files = part.of(files);
        }
        let jobs = usize::from(self.jobs).min(files.len()).max(1);
        let recognizer = self.options.open_for(&self.model, jobs)?;
        let (card, device) = (recognizer.card().clone(), recognizer.device().clone());
        let gallery =
            self.gallery.as_ref().map(|path| gallery::load(path, &recognizer)).transpose()?;
        let mut report = Report::begin(self, format, &card, &device)?;
        for (path, problem) in &problems {
            log(problem);
            if !report.has(&Input::File(path.clone())) {
                report.failure(&path.to_string_lossy(), problem)?;
            }
        }
        let named = files.len();
        files.retain(|file| !report.has(file));
        if files.len() < named {
            log(&format!("{} skipped: they have a row", count(named - files.len(), "file")));
        }

        let mut plot = self.plot.as_ref().map(|_| Plot::new(&card));
        let batch = Batch::new(&recognizer).with_jobs(jobs).in_order().with_stop(&STOP);
        let (done, failed) =
            self.recognize(&files, &batch, gallery.as_ref(), &mut report, plot.as_mut())?;
        report.end(done < files.len())?;
        if let (Some(file), Some(plot)) = (&self.plot, &plot) {
            files::replace(file, plot.svg().as_bytes())?;
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

    /// Recognises the files on so many threads; returns how many were done, and how many of them have no answer.
    fn recognize(
        &self,
        files: &[Input],
        batch: &Batch,
        gallery: Option<&Gallery>,
        report: &mut Report,
        mut plot: Option<&mut Plot>,
    ) -> anyhow::Result<(usize, usize)> {
        let bar = progress(files.len());
        let mut failed = 0;
        let timeline = self.timeline || self.plot.is_some();
        let options = RecognizeOptions::new().with_timeline(timeline);
        let batch = batch.clone().with_options(&options);
        let work = |recognizer: &Recognizer, options: &RecognizeOptions, file: &Input| {
            let answer = file.recognize(recognizer, options);
            wait_if_ending();
            let answer = answer?;
            let compare = |gallery| gallery::compare(gallery, &answer, self.top.get());
            match gallery.map(compare).transpose() {
                Ok(similar) => Ok((answer, similar)),
                Err(error) => Err(format!("{}: {error}", file.name())),
            }
        };
        let each = |_, file: &Input, result: Result<Found, String>| -> anyhow::Result<()> {
            let name = file.name();
            match result {
                Ok((answer, similar)) => {
                    if let Some(plot) = &mut plot {
                        plot.add(&name, &answer);
                    }
                    bar.suspend(|| report.answer(&name, answer, similar.as_ref()))?;
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
        let done = batch.run_each(files, work, each)?;
        bar.finish_and_clear();
        Ok((done, failed))
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(p) if (0.0..=1.0).contains(&p) => Ok(p),
        _ => Err("it must be a number from 0 to 1".to_owned()),
    }
}
