//! `leitmotif-train prepare`: music to data set.

mod mtat;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};

use leitmotif_models::CLIP_SAMPLES;

use crate::console::log;
use crate::error::TrainError;
use leitmotif_dataset::prepare::{self, MIN_SONGS, Options, Progress, Report};
use leitmotif_dataset::sources::debian::Debian;
use leitmotif_dataset::sources::game_music::{self, Fetching, LIST, Set};
use leitmotif_dataset::sources::{Found, SourceError, manifest, tagged};

/// Arguments of `prepare`.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    #[command(subcommand)]
    source: Source,
}

#[derive(Debug, Subcommand)]
enum Source {
    /// A folder of tagged music; folders ARTIST/ALBUM/TITLE tell what tags do not
    Folder {
        /// Folder of the music
        music: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// A CSV file with the columns path, artist and, if you like, album, title, song_group, genre; paths are relative to it
    Manifest {
        /// The CSV file
        file: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// MagnaTagATune: the clips of its folders `0` to `f`; what it holds is read from their names or from its own list
    Mtat {
        #[command(flatten)]
        mtat: mtat::MtatArgs,
    },
    /// Real recordings under free licences from Debian packages (fetched with apt-get, without installing them or being root)
    GameMusic {
        /// How much: `small` is 9 artists, 4.3 hours, 267 MB; `full` 15 artists, 9.7 hours, 678 MB
        #[arg(long, value_enum, default_value = "small")]
        set: Set,
        /// Folder that keeps the music [default: leitmotif/open-game-music in your cache folder]; packages in its `debs` are not downloaded
        #[arg(long)]
        cache: Option<PathBuf>,
        #[command(flatten)]
        how: How,
    },
}

/// One broken file among thousands is no failure: the data set is made, and what it lacks is told.
const EXIT_STATUS: &str = "Exit status:
  0    the data set is finished, files left out or not: left-out.csv names each with its reason, the summary counts them
  1    there is no finished data set; what is done is kept, and the same command goes on from there
  2    wrong usage
  130  stopped by Ctrl-C; what is done is kept";

#[derive(Debug, Args)]
#[command(after_help = EXIT_STATUS)]
struct How {
    /// Folder of the data set; a run that was interrupted goes on there
    #[arg(long)]
    out: PathBuf,
    /// Samples of a clip at 16 kHz; what remains of a song after its last whole clip is dropped
    #[arg(long, default_value_t = CLIP_SAMPLES)]
    clip_samples: usize,
    /// Leave out artists with fewer songs (variants of a song count once)
    #[arg(long, default_value_t = MIN_SONGS)]
    min_songs: usize,
    /// Take at most so many minutes of each artist
    #[arg(long)]
    max_minutes_per_artist: Option<f64>,
    /// Threads that decode [default: one a core]
    #[arg(long)]
    threads: Option<usize>,
    /// Print the summary as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `prepare`.
pub fn run(args: PrepareArgs) -> anyhow::Result<()> {
    let stop = super::stop_flag()?;
    let stopped = || stop.load(Ordering::SeqCst);
    let (found, how) = match args.source {
        Source::Folder { music, how } => {
            (reading_tags(|tell| tagged::find(&music, tell, &stopped)), how)
        }
        Source::Manifest { file, how } => {
            (reading_tags(|tell| manifest::find(&file, tell, &stopped)), how)
        }
        Source::Mtat { mtat } => return mtat::run(mtat, &stopped),
        Source::GameMusic { set, cache, how } => (fetch(set, cache, &stopped), how),
    };
    match found {
        Ok(found) => decode(found, &how, &stopped),
        Err(error @ SourceError::Stopped) => {
            log!("{error}");
            Err(TrainError::Interrupted.into())
        }
        Err(error) => Err(error.into()),
    }
}

/// Shows how many files a source has read.
fn reading_tags(
    find: impl FnOnce(&mut dyn FnMut(usize)) -> Result<Found, SourceError>,
) -> Result<Found, SourceError> {
    let line = Line::new("reading tags");
    let found = find(&mut |files| line.say(&format!("{files} files")));
    line.bar.finish_and_clear();
    found
}

fn fetch(
    set: Set,
    cache: Option<PathBuf>,
    stopped: &dyn Fn() -> bool,
) -> Result<Found, SourceError> {
    let cache = cache.unwrap_or_else(game_music::default_cache);
    log!("open game music: packages are fetched once into {}", cache.display());
    let tell = |news: Fetching<'_>| match news {
        Fetching::Package { package, number, of } => {
            log!("{number:>3} of {of}  {package}: fetching")
        }
        Fetching::Verified { package, files, of, cached: false } => {
            log!("           {package}: {files} of {of} files verified")
        }
        Fetching::Verified { package, files, of, .. } if files < of => {
            log!("           {package}: {files} of {of} files verified, kept from before")
        }
        Fetching::Verified { .. } => {}
        Fetching::Failed { package, reason } => log!("           {package}: {reason}"),
    };
    let found =
        game_music::find(LIST, set, &cache, &mut || Debian::find(&cache), &mut { tell }, stopped)?;
    for file in &found.left_out {
        log!("left out: {}: {}", file.path, file.reason);
    }
    Ok(found)
}

fn decode(found: Found, how: &How, stopped: &(dyn Fn() -> bool + Sync)) -> anyhow::Result<()> {
    let mut options = Options {
        clip_samples: how.clip_samples,
        min_songs: how.min_songs,
        max_minutes_per_artist: how.max_minutes_per_artist,
        ..Options::default()
    };
    if let Some(threads) = how.threads {
        options.threads = threads;
    }
    for spelling in &found.united {
        log!("{spelling}");
    }
    let plan = prepare::plan(found, &how.out, &options)?;
    prepare::check_room(&plan, &how.out)?;
    let (hours, unknown) = plan.hours();
    let unknown = if unknown > 0 {
        format!(", {unknown} songs of unknown length not counted")
    } else {
        String::new()
    };
    log!(
        "{} songs of {} artists, {hours:.1} hours{unknown}: about {:.2} GB in {}",
        plan.songs(),
        plan.artists(),
        plan.bytes() as f64 / 1e9,
        how.out.display()
    );
    store(&plan, &how.out, how.json, stopped)
}

/// Decodes and stores what is planned, and prints what it made.
fn store(
    plan: &prepare::Plan,
    out: &Path,
    json: bool,
    stopped: &(dyn Fn() -> bool + Sync),
) -> anyhow::Result<()> {
    let line = Line::songs(plan.songs());
    let report = prepare::prepare(plan, out, &mut |progress| line.song(&progress), stopped);
    line.bar.finish_and_clear();
    let report = report?;
    print(&report, out, json)?;
    if !report.finished {
        log!(
            "stopped; what is done is kept in {}, and the same command goes on from there",
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
        writeln!(out, "every file left out and why: {}", folder.join("left-out.csv").display())?;
        if report.decoded_seconds == 0.0 {
            return writeln!(out, "nothing was left to decode; data set: {}", folder.display());
        }
        writeln!(
            out,
            "{:.1} hours decoded in {:.0} s, {:.0} times as fast as they play; data set: {}",
            report.decoded_seconds / 3600.0,
            report.wall_seconds,
            report.decoded_seconds / report.wall_seconds.max(1e-3),
            folder.display()
        )
    })
}

/// How often plain lines are printed where standard error is no terminal.
const QUIET: Duration = Duration::from_secs(10);

/// A progress bar on a terminal, a line now and then elsewhere.
struct Line {
    bar: ProgressBar,
    begun: Instant,
    said: std::cell::Cell<Option<Instant>>,
    what: &'static str,
}

impl Line {
    fn new(what: &'static str) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        Line { bar, begun: Instant::now(), said: std::cell::Cell::new(None), what }
    }

    fn songs(songs: usize) -> Self {
        let line = Line::new("decoding");
        if std::io::stderr().is_terminal() {
            line.bar.set_length(songs as u64);
            if let Ok(style) = ProgressStyle::with_template(
                "decoding {wide_bar} {pos}/{len} songs  {msg}  ETA {eta}",
            ) {
                line.bar.set_style(style);
            }
        }
        line
    }

    fn say(&self, text: &str) {
        self.bar.set_message(format!("{}: {text}", self.what));
        self.bar.tick();
        if self.bar.is_hidden() && self.said.get().is_none_or(|said| said.elapsed() > QUIET) {
            // The first line would come before anything is known.
            if self.said.replace(Some(Instant::now())).is_some() {
                log!("{}: {text}", self.what);
            }
        }
    }

    fn song(&self, progress: &Progress) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = progress.seconds / seconds.max(1e-3);
        self.bar.set_position(progress.done as u64);
        let left = seconds * (progress.songs - progress.done) as f64 / progress.done.max(1) as f64;
        let text = format!("{} clips  {rate:.0}x real time", progress.clips);
        if self.bar.is_hidden() {
            self.say(&format!(
                "{} of {} songs, {text}, {left:.0} s left",
                progress.done, progress.songs
            ));
        } else {
            self.bar.set_message(text);
        }
    }
}
