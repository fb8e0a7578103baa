//! `leitmotif-export compile`: from a checkpoint to files that have been run.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use leitmotif_export::{Artifact, Checkpoint, Recipe, Staged, compile_as};
use leitmotif_models::{GraphKind, Precision, RangeRule, Target};

use crate::music::Music;
use crate::verify::{Report, verify};
use crate::{print_reports, rounding};

/// What to compile and how.
#[derive(Args)]
pub(crate) struct Options {
    /// Folder that the trainer saved.
    checkpoint: PathBuf,
    /// Folder for the files.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Name of the model; the network's own where it is left out.
    #[arg(long)]
    name: Option<String>,
    /// For whom: portable (any reader of ONNX), cpu or cuda (whatever ONNX Runtime runs fastest there).
    #[arg(long, default_value_t)]
    target: Target,
    /// In which numbers: fp32, fp16 (half the size) or int8 (a quarter, and faster on a CPU).
    #[arg(long, default_value_t)]
    precision: Precision,
    /// A prepared data set, whose training clips calibrate int8 and whose other clips tell what a precision costs; or a
    /// folder of audio files.
    #[arg(long, value_name = "FOLDER")]
    calibrate: Option<PathBuf>,
    /// Split of the data set; that of the training where it is left out.
    #[arg(long, requires = "calibrate")]
    split: Option<String>,
    /// How int8 chooses ranges: minmax, percentile or mse.
    #[arg(long, default_value_t)]
    ranges: RangeRule,
    /// Compile though more than one clip in a hundred is lost.
    #[arg(long)]
    allow_loss: bool,
    /// Replace files of the same names.
    #[arg(long)]
    force: bool,
    /// Print the comparison as JSON.
    #[arg(long)]
    json: bool,
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
    // Before minutes of listening.
    target.check(precision)?;
    ensure!(
        precision != Precision::Fp32 || options.calibrate.is_none(),
        "fp32 rounds nothing, so there is nothing to calibrate; leave --calibrate out, or choose --precision int8"
    );
    let mut recipe = Recipe { target, precision, ..Recipe::named(&name) };
    let files = planned(&options.out, network.head.kind, &name);
    let mut staged = Staged::new(options.force);
    files.iter().try_for_each(|file| staged.check(file))?;
    let music = match &options.calibrate {
        Some(folder) => Some(Music::open(folder, options.split.as_deref(), &checkpoint)?),
        None => None,
    };
    rounding::complete(
        &mut recipe,
        &checkpoint,
        music.as_ref(),
        options.ranges,
        options.allow_loss,
    )?;

    let artifacts = GraphKind::of_head(network.head.kind)
        .into_iter()
        .map(|kind| artifact(&checkpoint, kind, &recipe))
        .collect::<Result<Vec<_>>>()?;
    fs::create_dir_all(&options.out)
        .with_context(|| format!("cannot make the folder {}", options.out.display()))?;
    let mut reports = Vec::new();
    for (artifact, path) in artifacts.iter().zip(&files) {
        reports.push(stage(&mut staged, artifact, path, &checkpoint)?);
    }
    staged.publish()?;
    print_reports(&reports, &files, options.json, out)?;
    if let (Some(artifact), false) = (artifacts.first(), options.json) {
        for line in rounding::told(artifact.card()) {
            writeln!(out, "{}", leitmotif_models::table::printable(&line))?;
        }
    }
    Ok(())
}

/// Where the graphs of a head will lie.
fn planned(folder: &Path, head: leitmotif_models::HeadKind, name: &str) -> Vec<PathBuf> {
    let file = |kind: GraphKind| folder.join(format!("{name}.{}.onnx", kind.name()));
    GraphKind::of_head(head).map(file).to_vec()
}

fn artifact(checkpoint: &Checkpoint, kind: GraphKind, recipe: &Recipe) -> Result<Artifact> {
    let golden = match recipe.precision {
        Precision::Int8 => Some(rounding::golden_answer(checkpoint, kind, recipe)?),
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
    verify(&temporary, checkpoint)
        .with_context(|| format!("verify: {} was not written", path.display()))
}
