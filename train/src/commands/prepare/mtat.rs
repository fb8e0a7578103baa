//! `leitmotif-train prepare mtat`: turns MagnaTagATune into a data set.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use clap::Args;
use leitmotif::audio::read_all;
use leitmotif_dataset::prepare::{self, Options, Plan};
use leitmotif_dataset::sources::magnatagatune::{self, Aliases, Listing, Request, Summary};
use leitmotif_models::{CLIP_SAMPLES, SampleRate};

use crate::console::log;

/// Arguments of `prepare mtat`.
#[derive(Debug, Args)]
pub(super) struct MtatArgs {
    /// Folder of the unpacked audio, with the folders `0` to `f`
    #[arg(long, required_unless_present = "list_only")]
    audio: Option<PathBuf>,
    /// Folder of the data set, or with --part of its parts; an interrupted run resumes there
    #[arg(long, required_unless_present = "list_only")]
    out: Option<PathBuf>,
    /// The collection's clip_info_final.csv (tab-separated), for readable names [default: names as in the paths]
    #[arg(long, conflicts_with = "paths")]
    clip_info: Option<PathBuf>,
    /// A list of lines `clip_id TAB mp3_path` [default: the files in the folder]
    #[arg(long)]
    paths: Option<PathBuf>,
    /// Names that denote one artist: `none`, `likely` (five probable pairs), or a file of lines `alias TAB artist`
    #[arg(long, default_value = "none")]
    aliases: Aliases,
    /// A file of lines `artist TAB album TAB genre[;genre…]`, with artist and album as in the paths
    #[arg(long)]
    genres: Option<PathBuf>,
    /// Print the counts of the list and stop; needs no audio
    #[arg(long)]
    list_only: bool,
    /// Leave out clips whose files are missing, instead of failing; a later run adds those that exist then
    #[arg(long)]
    allow_missing: bool,
    /// Samples of a clip at 16 kHz; longer files are cut, shorter ones padded with silence, those below nine tenths
    /// left out
    #[arg(long, default_value_t = CLIP_SAMPLES)]
    clip_samples: usize,
    /// Number of decoding threads [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
    /// Print the counts of the list, then the summary, as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    part: super::PartOption,
}

pub(super) fn run(args: MtatArgs, stopped: &(dyn Fn() -> bool + Sync)) -> anyhow::Result<()> {
    let listing = match (&args.clip_info, &args.paths, &args.audio) {
        (Some(file), ..) => Listing::ClipInfo(file.clone()),
        (_, Some(file), _) => Listing::Paths(file.clone()),
        (_, _, Some(folder)) => Listing::Folder(folder.clone()),
        _ => bail!("--list-only needs a list: --clip-info FILE, --paths FILE, or --audio FOLDER"),
    };
    let request = Request {
        audio: args.audio.clone().unwrap_or_default(),
        listing,
        aliases: args.aliases.clone(),
        genres: args.genres.clone(),
    };
    let (found, summary) = magnatagatune::find(&request)?;
    for message in &found.merged_artists {
        log!("{message}");
    }
    print_summary(&summary, args.json)?;
    let Some(out) = args.out.as_deref().filter(|_| !args.list_only) else { return Ok(()) };
    let mut options =
        Options { clip_samples: args.clip_samples, min_songs: 1, ..Options::default() };
    if let Some(threads) = args.threads {
        options.threads = threads;
    }
    let plan = prepare::plan(found, &args.part.folder(out), &options)?;
    if let Some(part) = args.part.part {
        check_files(&plan, args.allow_missing)?;
        return super::part::run(&plan, part, out, args.json, stopped);
    }
    prepare::check_room(&plan, out)?;
    check_files(&plan, args.allow_missing)?;
    log_estimate(&plan, out, options.threads);
    super::store(&plan, out, args.json, stopped)
}

fn print_summary(summary: &Summary, json: bool) -> anyhow::Result<()> {
    let text =
        if json { format!("{}\n", serde_json::to_string(summary)?) } else { summary.to_string() };
    super::super::print(|out| write!(out, "{text}"))
}

/// Fails where files are missing: probably the archive is incompletely unpacked.
fn check_files(plan: &Plan, allow_missing: bool) -> anyhow::Result<()> {
    let files = || files(plan);
    let mut missing = files().filter(|path| !path.exists());
    if let Some(first) = missing.next().filter(|_| !allow_missing) {
        bail!(
            "{} of {} clips are missing, for example {}: unpack the whole archive, or leave them out with \
             --allow-missing",
            1 + missing.count(),
            files().count(),
            first.display()
        );
    }
    Ok(())
}

/// The files of all clips.
fn files(plan: &Plan) -> impl Iterator<Item = PathBuf> {
    plan.tracks().iter().flat_map(|track| track.clips.iter().map(|clip| track.path.join(&clip.id)))
}

/// Clips that are decoded to estimate the total time.
const SAMPLE_CLIPS: usize = 8;

/// Logs the size of the data set and the time to prepare it, measured on a few of its clips.
fn log_estimate(plan: &Plan, out: &Path, threads: usize) {
    let clips = plan.tracks().iter().map(|track| track.clips.len()).sum::<usize>();
    let started = Instant::now();
    let sample = files(plan).step_by((clips / SAMPLE_CLIPS).max(1)).take(SAMPLE_CLIPS);
    let decoded = sample.filter(|path| read_all(path, SampleRate::NETWORK).is_ok()).count();
    let minutes = started.elapsed().as_secs_f64() / decoded.max(1) as f64 * clips as f64
        / 60.0
        / threads.max(1) as f64;
    log!(
        "{clips} clips of {} artists: {:.2} GB in {}, about {} with {threads} threads",
        plan.artists(),
        plan.bytes() as f64 / 1e9,
        out.display(),
        if minutes < 2.0 {
            format!("{:.0} s", 60.0 * minutes)
        } else {
            format!("{minutes:.0} minutes")
        },
    );
}
