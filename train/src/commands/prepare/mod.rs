//! `leitmotif-train prepare`: turns music into a data set.

pub(super) mod display;
mod mtat;
mod part;

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use clap::{Args, Subcommand};
use leitmotif_dataset::prepare::{self, MIN_SONGS, Options, PartOf, Report};
use leitmotif_dataset::sources::game_music::{self, Debian, FetchEvent, LIST, MusicSet};
use leitmotif_dataset::sources::tagged::{self, TagsPolicy};
use leitmotif_dataset::sources::{Found, SourceError, manifest};
use leitmotif_models::CLIP_SAMPLES;

use self::display::ProgressDisplay;
use crate::console::log;
use crate::error::TrainError;

/// Arguments of `prepare`.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// A folder of tagged music; missing tags are taken from the path ARTIST/ALBUM/TITLE
    Folder {
        /// Folder of the music
        music: PathBuf,
        /// Songs with tags that cannot be read: `read` leaves them out, `folder` takes the names of their folders
        #[arg(long, value_enum, default_value = "read")]
        tags: TagsPolicy,
        #[command(flatten)]
        options: PrepareOptions,
    },
    /// A CSV file with your own labels: columns path, artist, and optionally album, title, song_group, genre,
    /// start_seconds, end_seconds; paths are relative to it
    Manifest {
        /// The CSV file
        file: PathBuf,
        #[command(flatten)]
        options: PrepareOptions,
    },
    /// MagnaTagATune: the clips in its folders `0` to `f`, listed by their file names or by its own list
    Mtat {
        #[command(flatten)]
        mtat: mtat::MtatArgs,
    },
    /// Real recordings under free licences from Debian packages (fetched by apt-get, not installed, without root
    /// rights)
    GameMusic {
        /// `small`: 9 artists, 4.3 hours, 267 MB; `others`: 6 others, 5.4 hours, 411 MB, e.g. for `fit --auxiliary`; `full`: all
        #[arg(long, value_enum, default_value = "small")]
        set: MusicSet,
        /// Folder for the music [default: leitmotif/open-game-music in your cache folder]; packages in its folder
        /// `debs` are not downloaded
        #[arg(long)]
        cache: Option<PathBuf>,
        #[command(flatten)]
        options: PrepareOptions,
    },
}

/// Unusable files are no failure: the data set is made without them, and they are listed.
const EXIT_STATUS: &str = "Exit status:
  0    the data set, or its part, is finished; files may be left out: left-out.csv lists them with reasons, the summary counts them
  1    there is no finished data set; what is done is kept, and the same command resumes from there
  2    wrong usage
  130  stopped by Ctrl-C; what is done is kept";

#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
struct PrepareOptions {
    /// Folder of the data set, or with --part of its parts; an interrupted run resumes there
    #[arg(long)]
    out: PathBuf,
    /// Samples of a clip at 16 kHz; the rest of a song after its last whole clip is dropped
    #[arg(long, default_value_t = CLIP_SAMPLES)]
    clip_samples: usize,
    /// Leave out artists with fewer songs (variants of a song count once)
    #[arg(long, default_value_t = MIN_SONGS)]
    min_songs: usize,
    /// Maximum minutes of music of each artist
    #[arg(long)]
    max_minutes_per_artist: Option<f64>,
    /// Number of decoding threads [default: one per core]
    #[arg(long)]
    threads: Option<usize>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    part: PartOption,
}

/// The option of a share of the work.
#[derive(Debug, Args)]
struct PartOption {
    /// Prepare one part only, such as 3/16, into a folder of its own below --out: on as many machines as there are
    /// parts, or one after the other; `leitmotif-train dataset merge` joins them
    #[arg(long, value_name = "K/N")]
    part: Option<PartOf>,
}

impl PartOption {
    /// The folder that is written: that of the part, or all of `out`.
    fn folder(&self, out: &Path) -> PathBuf {
        self.part.map_or_else(|| out.to_owned(), |part| part.folder(out))
    }
}

/// Runs `prepare`.
pub fn run(args: PrepareArgs) -> anyhow::Result<()> {
    let stop = super::stop_flag()?;
    let stopped = || stop.load(Ordering::SeqCst);
    let (found, options) = match args.source {
        Source::Folder { music, tags, options } => {
            (with_tag_progress(|progress| tagged::find(&music, tags, progress, &stopped)), options)
        }
        Source::Manifest { file, options } => {
            (with_tag_progress(|progress| manifest::find(&file, progress, &stopped)), options)
        }
        Source::Mtat { mtat } => return mtat::run(mtat, &stopped),
        Source::GameMusic { set, cache, options } => (fetch(set, cache, &stopped), options),
    };
    match found {
        Ok(found) => decode(found, &options, &stopped),
        Err(error @ SourceError::Stopped) => {
            log!("{error}");
            Err(TrainError::Interrupted.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Runs `find` and displays how many files it has read.
fn with_tag_progress(
    find: impl FnOnce(&mut dyn FnMut(usize)) -> Result<Found, SourceError>,
) -> Result<Found, SourceError> {
    let display = ProgressDisplay::new("reading tags");
    let found = find(&mut |files| display.update(&format!("{files} files")));
    display.bar.finish_and_clear();
    found
}

fn fetch(
    set: MusicSet,
    cache: Option<PathBuf>,
    stopped: &dyn Fn() -> bool,
) -> Result<Found, SourceError> {
    let cache = cache.unwrap_or_else(game_music::default_cache);
    log!("open game music: packages are fetched once into {}", cache.display());
    let mut log_event = |event: FetchEvent<'_>| match event {
        FetchEvent::Package { package, number, of } => {
            log!("{number:>3} of {of}  {package}: fetching")
        }
        FetchEvent::Verified { package, files, of, cached: false } => {
            log!("           {package}: {files} of {of} files verified")
        }
        FetchEvent::Verified { package, files, of, .. } if files < of => {
            log!("           {package}: {files} of {of} files verified, from the cache")
        }
        FetchEvent::Verified { .. } => {}
        FetchEvent::Failed { package, reason } => log!("           {package}: {reason}"),
    };
    let mut debian = || Debian::find(&cache);
    let found = game_music::find(LIST, set, &cache, &mut debian, &mut log_event, stopped)?;
    for file in &found.left_out {
        log!("left out: {}: {}", file.path, file.reason);
    }
    Ok(found)
}

fn decode(
    found: Found,
    args: &PrepareOptions,
    stopped: &(dyn Fn() -> bool + Sync),
) -> anyhow::Result<()> {
    let mut options = Options {
        clip_samples: args.clip_samples,
        min_songs: args.min_songs,
        max_minutes_per_artist: args.max_minutes_per_artist,
        ..Options::default()
    };
    if let Some(threads) = args.threads {
        options.threads = threads;
    }
    for message in &found.merged_artists {
        log!("{message}");
    }
    let plan = prepare::plan(found, &args.part.folder(&args.out), &options)?;
    if let Some(part) = args.part.part {
        return part::run(&plan, part, &args.out, args.json, stopped);
    }
    prepare::check_room(&plan, &args.out)?;
    let (hours, unknown) = plan.hours();
    let unknown = if unknown > 0 {
        format!(" without {unknown} songs of unknown length")
    } else {
        String::new()
    };
    log!(
        "{} songs of {} artists, {hours:.1} hours{unknown}: about {:.2} GB in {}",
        plan.songs(),
        plan.artists(),
        plan.bytes() as f64 / 1e9,
        args.out.display()
    );
    store(&plan, &args.out, args.json, stopped)
}

/// Decodes and stores the planned songs, and prints the summary.
fn store(
    plan: &prepare::Plan,
    out: &Path,
    json: bool,
    stopped: &(dyn Fn() -> bool + Sync),
) -> anyhow::Result<()> {
    let display = ProgressDisplay::for_songs("decoding", plan.songs());
    let mut update = |progress| display.update_songs(&progress);
    let report = prepare::prepare(plan, out, &mut update, stopped);
    display.bar.finish_and_clear();
    let report = report?;
    print(&report, out, json)?;
    if !report.finished {
        log!(
            "stopped; what is done is kept in {}, and the same command resumes from there",
            out.display()
        );
        return Err(TrainError::Interrupted.into());
    }
    Ok(())
}

fn print(report: &Report, folder: &Path, as_json: bool) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    super::print(|out| {
        if as_json {
            return writeln!(out, "{json}");
        }
        write!(out, "{report}")?;
        let list = folder.join("left-out.csv");
        writeln!(out, "files left out, with reasons: {}", list.display())?;
        if report.decoded_seconds == 0.0 {
            return writeln!(out, "nothing was left to decode; data set: {}", folder.display());
        }
        writeln!(
            out,
            "{:.1} hours decoded in {:.0} s, {:.0} times real time; data set: {}",
            report.decoded_seconds / 3600.0,
            report.wall_seconds,
            report.decoded_seconds / report.wall_seconds.max(1e-3),
            folder.display()
        )
    })
}
