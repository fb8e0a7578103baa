//! `leitmotif-train plot`: a picture of what a network found in a song, or of how runs learnt.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use clap::Args;
use leitmotif_dataset::fs::replace;
use leitmotif_models::text::printable;

use crate::plot::timeline::Timeline;
use crate::plot::training::{self, Curves};
use crate::runs::run::{Run, names};

/// Arguments of `plot`.
#[derive(Debug, Args)]
pub struct PlotArgs {
    /// Folders of runs, whose curves are drawn; or answers of `leitmotif recognize --json --timeline --top 1000`, a
    /// line for each song, - for standard input
    #[arg(required = true, value_name = "RUN or ANSWERS")]
    of: Vec<PathBuf>,
    /// The song to draw, by the end of its path; by default the first
    #[arg(long, value_name = "FILE")]
    song: Option<String>,
    /// Title of the picture; by default the file's name, or those of the runs
    #[arg(long)]
    title: Option<String>,
    /// File to write, replaced where it is there: SVG; of runs also PNG, by its ending .png
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Runs `plot`.
pub fn run(args: PlotArgs) -> anyhow::Result<()> {
    let ending = args.out.extension().unwrap_or_default().to_ascii_lowercase();
    ensure!(
        ending == "svg" || ending == "png",
        "{}: end the name with .svg or .png, which says what is written",
        args.out.display()
    );
    let is_png = args.out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("png"));
    let picture = match args.of.as_slice() {
        [answers] if !answers.is_dir() => {
            ensure!(
                !is_png,
                "{}: a song is drawn as SVG only: end the name with .svg",
                args.out.display()
            );
            draw_song(answers, args.song.as_deref(), args.title)?.into_bytes()
        }
        runs => {
            if args.song.is_some() {
                bail!("--song is for answers of `leitmotif recognize`, not for folders of runs");
            }
            draw_runs(runs, args.title, is_png)?
        }
    };
    replace(&args.out, &picture).with_context(|| format!("cannot write {}", args.out.display()))
}

fn draw_song(answers: &Path, song: Option<&str>, title: Option<String>) -> anyhow::Result<String> {
    let from = answers.display();
    let text = read(answers).with_context(|| format!("cannot read {from}"))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let is_song = |line: &&str| match song {
        Some(song) => file(line).is_some_and(|file| Path::new(&file).ends_with(song)),
        None => true,
    };
    let line = lines.into_iter().find(is_song);
    ensure!(line.is_some(), "{from} has no answer for {}", song.unwrap_or("any song"));
    let timeline =
        Timeline::from_json(line.unwrap_or_default()).with_context(|| from.to_string())?;
    let name =
        Path::new(&timeline.file).file_name().map(|name| name.to_string_lossy().into_owned());
    let title = title.or(name).unwrap_or_default();
    Ok(timeline.svg(&title)?)
}

fn draw_runs(folders: &[PathBuf], title: Option<String>, is_png: bool) -> anyhow::Result<Vec<u8>> {
    let most = training::MOST;
    ensure!(folders.len() <= most, "{} runs, but one picture holds {most} at most", folders.len());
    let names = names(folders)?;
    let runs: Vec<Run> = folders.iter().map(|run| Run::read(run)).collect::<Result<_, _>>()?;
    let curves: Vec<Curves<'_>> =
        names.iter().zip(&runs).map(|(name, run)| (printable(name), run.history.rows())).collect();
    let title = printable(&title.unwrap_or_else(|| names.join(", ")));
    Ok(match is_png {
        true => training::png(&title, &curves)?,
        false => training::svg(&title, &curves)?.into_bytes(),
    })
}

fn read(path: &Path) -> std::io::Result<String> {
    if path.as_os_str() != "-" {
        return std::fs::read_to_string(path);
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// The path in an answer.
fn file(line: &str) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_str(line).ok()?;
    answer.get("file")?.as_str().map(str::to_owned)
}
