//! `leitmotif-train plot`: a picture of what a network found in a song.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use leitmotif_dataset::fs::replace;

use crate::plot::timeline::Timeline;

/// Arguments of `plot`.
#[derive(Debug, Args)]
pub struct PlotArgs {
    /// Answers of `leitmotif recognize --json --timeline --top 1000`, a line for each song; - for standard input
    answers: PathBuf,
    /// The song to draw, by the end of its path; by default the first
    #[arg(long, value_name = "FILE")]
    song: Option<String>,
    /// Title of the picture; by default the file's name
    #[arg(long)]
    title: Option<String>,
    /// SVG file to write; one that is there is replaced
    #[arg(long, value_name = "FILE.svg")]
    out: PathBuf,
}

/// Runs `plot`.
pub fn run(args: PlotArgs) -> anyhow::Result<()> {
    let from = args.answers.display();
    let text = read(&args.answers).with_context(|| format!("cannot read {from}"))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let is_song = |line: &&str| match &args.song {
        Some(song) => file(line).is_some_and(|file| Path::new(&file).ends_with(song)),
        None => true,
    };
    let line = lines.into_iter().find(is_song);
    ensure!(
        line.is_some(),
        "{from} has no answer for {}",
        args.song.as_deref().unwrap_or("any song")
    );
    let timeline =
        Timeline::from_json(line.unwrap_or_default()).with_context(|| from.to_string())?;
    let name =
        Path::new(&timeline.file).file_name().map(|name| name.to_string_lossy().into_owned());
    let title = args.title.or(name).unwrap_or_default();
    let svg = timeline.svg(&title)?;
    replace(&args.out, svg.as_bytes())
        .with_context(|| format!("cannot write {}", args.out.display()))
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
