//! `leitmotif-export compile`: from a checkpoint to files that have been run.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use clap::builder::RangedU64ValueParser;
use leitmotif_export::{
    About, Artifact, Checkpoint, LowerError, Recipe, Staged, compile_as, essentia_sidecar,
    hub_folder,
};
use leitmotif_models::{Fixed, GraphKind, HeadKind, Precision, RangeRule, Target};

use crate::about::AboutOptions;
use crate::music::Music;
use crate::speed::{self, Speed};
use crate::verify::{Report, verify_written};
use crate::{print_reports, quantization};

/// What to compile and how.
#[derive(Args)]
pub(crate) struct Options {
    /// Folder that the trainer saved, or a .toml file that maps tensors of another program.
    checkpoint: PathBuf,
    /// Folder for the files.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Name of the model [default: the network's name].
    #[arg(long)]
    name: Option<String>,
    /// Where it will run: portable (any reader of ONNX), cpu or cuda (fastest in ONNX Runtime there).
    #[arg(long, default_value_t)]
    target: Target,
    /// Precision: fp32, fp16 (half the size) or int8 (a quarter of it; how fast here is measured and printed).
    #[arg(long, default_value_t)]
    precision: Precision,
    /// A prepared data set: int8 is calibrated on its training clips, and the precision evaluated on its other clips. Or a
    /// folder of audio files, half of which is for each.
    #[arg(long, value_name = "FOLDER")]
    calibrate: Option<PathBuf>,
    /// Split of the data set [default: the one of the training].
    #[arg(long, requires = "calibrate")]
    split: Option<String>,
    /// How int8 chooses ranges: minmax, percentile or mse.
    #[arg(long, default_value_t)]
    ranges: RangeRule,
    /// Fix the batch size, for devices that need it.
    #[arg(long, value_parser = RangedU64ValueParser::<usize>::new().range(1..=Fixed::MOST_BATCH as u64))]
    batch: Option<usize>,
    /// Fix the number of segments of a recording, at most a window.
    #[arg(long)]
    segments: Option<usize>,
    /// Compile NAME.embedding.onnx alone, which ends with the embedding and names no artists.
    #[arg(long)]
    embedding_only: bool,
    /// Also write what another project expects: essentia, a description of each file beside it; huggingface, a folder NAME that
    /// the Hub and its libraries understand. Both may be given.
    #[arg(long, value_enum)]
    sidecar: Vec<Sidecar>,
    #[command(flatten)]
    about: AboutOptions,
    /// Compile even if more than one clip in a hundred is lost.
    #[arg(long)]
    allow_loss: bool,
    /// Replace files of the same names.
    #[arg(long)]
    force: bool,
    /// Print the comparison as JSON.
    #[arg(long)]
    json: bool,
}

/// What is written beside a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Sidecar {
    /// The metadata of essentia's models, NAME.GRAPH.json.
    Essentia,
    /// A folder for the Hub: model card, configuration, and the file in the form of its libraries.
    Huggingface,
}

/// Compiles every graph of the head, each under a temporary name until all of them have been run and compared.
///
/// # Errors
/// Of whichever phase fails; no file is left.
pub(crate) fn compile(options: Options, out: &mut impl Write) -> Result<()> {
    let checkpoint = Checkpoint::open(&options.checkpoint)?;
    let network = &checkpoint.run().network;
    let name = options.name.unwrap_or_else(|| network.name.clone());
    ensure!(
        !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.'),
        "`{name}` cannot begin a file name; choose another with --name"
    );
    let Options { target, precision, .. } = options;
    // Before minutes of calibration.
    target.check(precision)?;
    ensure!(
        precision != Precision::Fp32 || options.calibrate.is_none(),
        "fp32 is not quantized, so there is nothing to calibrate; leave --calibrate out, or choose --precision int8"
    );
    if let Some(segments) = options.segments {
        ensure!(
            (1..=network.window).contains(&segments),
            "--segments {segments}: the checkpoint's probe covers 1 to {} segments, a window",
            network.window
        );
    }
    let fixed = Fixed { batch: options.batch, segments: options.segments };
    let embedding_only = options.embedding_only;
    let has = |sidecar| options.sidecar.contains(&sidecar);
    ensure!(
        !has(Sidecar::Huggingface) || (fixed.is_free() && !embedding_only),
        LowerError::NotWhole
    );
    let mut recipe = Recipe { target, precision, ..Recipe::named(&name) };
    let kinds = kinds(network.head.kind, embedding_only);
    let files = planned(&options.out, &kinds, &name, embedding_only);
    let mut staged = Staged::new(options.force);
    let beside = |file: &PathBuf| has(Sidecar::Essentia).then(|| file.with_extension("json"));
    let descriptions: Vec<PathBuf> = files.iter().filter_map(beside).collect();
    let hub = has(Sidecar::Huggingface).then(|| options.out.join(&name));
    let card = hub.iter().map(|folder| folder.join("README.md"));
    files.iter().chain(&descriptions).cloned().chain(card).try_for_each(|f| staged.check(&f))?;
    let music = match &options.calibrate {
        Some(folder) => Some(Music::open(folder, options.split.as_deref(), &checkpoint)?),
        None => None,
    };
    quantization::complete(
        &mut recipe,
        &checkpoint,
        music.as_ref(),
        options.ranges,
        options.allow_loss,
    )?;

    let recipe = Recipe { fixed, embedding_only, ..recipe };
    let about = options.about.into();
    let artifacts = kinds
        .iter()
        .map(|kind| artifact(&checkpoint, *kind, &recipe))
        .collect::<Result<Vec<_>>>()?;
    fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot make the folder {}", options.out.display()))?;
    let mut reports = Vec::new();
    for (artifact, path) in artifacts.iter().zip(&files) {
        reports.push(stage(&mut staged, artifact, path, &checkpoint)?);
    }
    for (artifact, path) in artifacts.iter().zip(&descriptions) {
        staged.add(path, essentia_sidecar(artifact, &about).as_bytes())?;
    }
    let mut files: Vec<PathBuf> = files.into_iter().chain(descriptions).collect();
    if let Some(folder) = &hub {
        let whole = kinds.iter().copied().find(|kind| kind.takes_any_length());
        let whole = whole.context("this head has no graph that takes recordings")?;
        let artifact =
            artifact(&checkpoint, whole, &Recipe { huggingface: true, ..recipe.clone() })?;
        let (paths, report) = stage_hub(&mut staged, &artifact, folder, &about, &checkpoint)?;
        files.extend(paths);
        reports.push(report);
    }
    staged.publish()?;
    // Not in the card: the same checkpoint gives the same bytes on every machine.
    let speed = speed::compare(&checkpoint, &recipe)?;
    print_reports(&reports, &files, speed.as_ref(), options.json, out)?;
    if let (Some(artifact), false) = (artifacts.first(), options.json) {
        let lines = quantization::format_quantization(artifact.card());
        for line in lines.into_iter().chain(speed.iter().map(Speed::describe)) {
            writeln!(out, "{}", leitmotif_models::text::printable(&line))?;
        }
    }
    Ok(())
}

/// The graphs to compile: all of the head, or the one that takes recordings.
fn kinds(head: HeadKind, embedding_only: bool) -> Vec<GraphKind> {
    let kept = |kind: &GraphKind| kind.takes_any_length() || !embedding_only;
    GraphKind::of_head(head).into_iter().filter(kept).collect()
}

/// The paths of the files, as [`Artifact::file_name`] names them.
fn planned(folder: &Path, kinds: &[GraphKind], name: &str, embedding_only: bool) -> Vec<PathBuf> {
    let graph = |kind: &GraphKind| if embedding_only { "embedding" } else { kind.name() };
    kinds.iter().map(|kind| folder.join(format!("{name}.{}.onnx", graph(kind)))).collect()
}

fn artifact(checkpoint: &Checkpoint, kind: GraphKind, recipe: &Recipe) -> Result<Artifact> {
    let golden = match recipe.precision {
        Precision::Int8 => Some(quantization::golden_answer(checkpoint, kind, recipe)?),
        Precision::Fp32 | Precision::Fp16 => None,
    };
    Ok(compile_as(checkpoint, kind, &Recipe { golden, ..recipe.clone() })?)
}

/// Writes and verifies a file under a temporary name.
fn stage(
    staged: &mut Staged,
    artifact: &Artifact,
    path: &Path,
    checkpoint: &Checkpoint,
) -> Result<Report> {
    let temporary = staged.add(path, artifact.bytes())?;
    verify_written(&temporary, artifact, checkpoint)
        .with_context(|| format!("verify: {} was not written", path.display()))
}

/// Writes the folder of Hugging Face's form, its files under temporary names, and verifies the model.
fn stage_hub(
    staged: &mut Staged,
    artifact: &Artifact,
    folder: &Path,
    about: &About,
    checkpoint: &Checkpoint,
) -> Result<(Vec<PathBuf>, Report)> {
    let mut paths = Vec::new();
    let mut report = None;
    for (name, bytes) in hub_folder(artifact, about) {
        let path = folder.join(name);
        if let Some(parent) = path.parent() {
            staged.folder(parent)?;
        }
        if path.extension().is_some_and(|ending| ending == "onnx") {
            report = Some(stage(staged, artifact, &path, checkpoint)?);
        } else {
            staged.add(&path, &bytes)?;
        }
        paths.push(path);
    }
    Ok((paths, report.context("the folder has no model")?))
}
