//! README's tables, written from the newest results: nobody types a figure.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use leitmotif_models::{GraphKind, HeadKind, Network, SampleRate};

use crate::cases::{self, COMPILED, HEADS, Length, SERVED, THREADS, TRAINED};
use crate::pairs::Pairs;
use crate::paper::{self, ANSWERS};
use crate::reach::{REACH, Reach};
use crate::results::{OWN, Own, newest};
use crate::{fresh, music};

/// Clips that `benches/peers/run` prepares.
const MINIATURE_CLIPS: f64 = 300.0;

/// Samples of a clip of MagnaTagATune.
const CLIP_SAMPLES: u64 = 465_984;

/// The paper's network.
const PAPERS: &str = "model1";

/// Data sets that are too large to be measured, and their clips.
const LARGE: [(&str, f64); 2] = [("MagnaTagATune", 24_847.0), ("a million clips", 1e6)];

/// Files of `pairs` with other programs' recognising and training.
const PEERS: [&str; 2] = ["serve.jsonl", "step.jsonl"];

/// `readme` with every table as the newest files below `results` give it.
///
/// # Errors
///
/// A result that is missing or unreadable, and a table's place that is not marked.
pub fn readme(readme: &str, results: &Path) -> anyhow::Result<String> {
    let measured = newest(results, OWN)?.map(|path| Own::read(&path)).transpose()?;
    let own = match &measured {
        Some(measured) => own(measured)?,
        None => unmeasured("make bench"),
    };
    let pairs = |names: &[&str]| -> anyhow::Result<Vec<Pairs>> {
        let files =
            names.iter().map(|name| newest(results, name)).collect::<anyhow::Result<Vec<_>>>()?;
        let pairs = files
            .iter()
            .flatten()
            .map(|path| Pairs::read(path))
            .collect::<anyhow::Result<Vec<_>>>()?;
        Ok(pairs.concat())
    };
    let (heard, prepared) = (pairs(&["ears.jsonl"])?, pairs(&["prepare.jsonl"])?);
    let reach = match newest(results, REACH)? {
        Some(path) => Reach::read(&path)?.table(),
        None => unmeasured("make check-all"),
    };
    let answers = match newest(results, ANSWERS)? {
        Some(path) => paper::table(&path)?,
        None => unmeasured("leitmotif-train experiment all --scale small"),
    };
    let tables = [
        ("own", own),
        ("ears", ears(&heard)?),
        ("peers", peers(&pairs(&PEERS)?)?),
        ("prepare", prepare(&prepared)?),
        ("large", large(&heard, &prepared, measured.as_ref())?),
        ("reach", reach),
        ("paper", answers),
    ];
    tables.iter().try_fold(readme.to_owned(), |text, (name, table)| placed(&text, name, table))
}

/// What stands in the place of a table before anyone has measured.
fn unmeasured(target: &str) -> String {
    format!("Not measured yet: `{target}`.\n")
}

/// `text` with `table` between `<!-- bench:NAME -->` and `<!-- /bench -->`.
fn placed(text: &str, name: &str, table: &str) -> anyhow::Result<String> {
    let mark = format!("<!-- bench:{name} -->\n");
    let unmarked = || format!("README.md has no {mark}with <!-- /bench --> after it");
    let (before, rest) = text.split_once(&mark).with_context(unmarked)?;
    let (_, after) = rest.split_once("<!-- /bench -->").with_context(unmarked)?;
    Ok(format!("{before}{mark}{table}<!-- /bench -->{after}"))
}

/// Serving, training, compiling and preparing beside the machine's limits.
fn own(own: &Own) -> anyhow::Result<String> {
    let mut text = String::new();
    let served = Network::preset(SERVED)?;
    writeln!(
        text,
        "| `{SERVED}`: music heard, times as fast as it plays | segment | clip | song | a song's GFLOP/s | of the limit |\n|---|---|---|---|---|---|"
    )?;
    for kind in HEADS.into_iter().flat_map(GraphKind::of_head) {
        for threads in THREADS {
            write!(text, "| `{}`, {}", kind.name(), said(threads))?;
            for length in Length::ALL {
                let timed = own.of(&cases::serve(&served, kind, length, threads))?;
                write!(text, " | {:.0}×", timed.speed())?;
            }
            let song = own.of(&cases::serve(&served, kind, Length::Song, threads))?;
            writeln!(text, " | {:.0} | {} |", song.gflops(), percent(own.share(song)?))?;
        }
    }
    writeln!(
        text,
        "\n| one training step of {} clips, {} | dense: s | GFLOP/s | of the limit | LSTM: s | GFLOP/s | of the limit |\n|---|---|---|---|---|---|---|",
        cases::BATCH,
        said(cases::STEP_THREADS)
    )?;
    for preset in TRAINED {
        write!(text, "| `{preset}`")?;
        for head in HEADS {
            let timed = own.of(&cases::step(&Network::preset(preset)?.with_head(head)))?;
            let share = percent(own.share(timed)?);
            write!(text, " | {} | {:.0} | {share}", seconds(timed.median), timed.gflops())?;
        }
        writeln!(text, " |")?;
    }
    text += "\nCompiling a checkpoint for files takes ";
    let compiled = COMPILED.iter().map(|(preset, head)| {
        let network = Network::preset(preset)?.with_head(*head);
        let timed = own.of(&cases::compile(&network))?;
        let megabytes = 4e-6 * network.costs(fresh::classes(&network)).trainable() as f64;
        let (took, share) = (seconds(timed.median), percent(own.share(timed)?));
        Ok(format!("{took} s (`{preset}`, {head}: {megabytes:.0} MB at {share} of memory's speed)"))
    });
    text += &listed(compiled.collect::<anyhow::Result<_>>()?);
    text += ". `prepare` makes ";
    let prepared = THREADS.into_iter().map(|threads| {
        let timed = own.of(&cases::prepare(threads))?;
        let rate = music::LIBRARY_CLIPS as f64 / timed.median / threads as f64;
        let ffmpeg = own.of(&cases::ffmpeg(music::LIBRARY_FORMAT))?;
        let ratio = timed.speed() / ffmpeg.speed() / threads as f64;
        let threads = said(threads);
        Ok(format!(
            "{rate:.0} clips a second and core on {threads}, {ratio:.2}× what ffmpeg decodes on one"
        ))
    });
    text += &listed(prepared.collect::<anyhow::Result<_>>()?);
    text += ".\n\nThe limits: libtorch's product of large matrices ";
    let product = |threads| {
        Ok(format!(
            "{:.0} GFLOP/s on {}",
            own.of(&cases::product(threads))?.gflops(),
            said(threads)
        ))
    };
    text += &listed(THREADS.into_iter().map(product).collect::<anyhow::Result<_>>()?);
    text += "; memory, by a triad, ";
    let triad = |threads| {
        Ok(format!("{:.0} GB/s on {}", own.of(&cases::triad(threads))?.gigabytes(), said(threads)))
    };
    text += &listed(THREADS.into_iter().map(triad).collect::<anyhow::Result<_>>()?);
    writeln!(text, ".\nMedians; shares are of the fastest passes. {}.", own.machine)?;
    Ok(text)
}

/// Decoding beside ffmpeg and Python.
fn ears(pairs: &[Pairs]) -> anyhow::Result<String> {
    if pairs.is_empty() {
        return Ok(unmeasured("make bench-peers"));
    }
    let mut text = "| decode, mix, resample three minutes | ours, one core | to ffmpeg | to Python (soundfile, soxr) |\n|---|---|---|---|\n".to_owned();
    for (name, what) in music::formats() {
        let of = |peer: &str| pairs.iter().find(|pair| pair.name == format!("{name}, {peer}"));
        let ffmpeg = of("ffmpeg")
            .with_context(|| format!("no result of {name}: `make bench-peers` brings it"))?;
        // soundfile's libsndfile knows no AAC.
        let python = of("Python")
            .map_or("libsndfile has none".to_owned(), |pair| format!("{:.2}×", pair.ratio));
        writeln!(
            text,
            "| {what} | {:.2} s | {:.2}× | {python} |",
            ffmpeg.our_median, ffmpeg.ratio
        )?;
    }
    text += &caption(pairs);
    Ok(text)
}

/// Recognising and training beside Python.
fn peers(pairs: &[Pairs]) -> anyhow::Result<String> {
    if pairs.is_empty() {
        return Ok(unmeasured("make bench-peers"));
    }
    let mut text = "| `model1` | ours | theirs | ratio |\n|---|---|---|---|\n".to_owned();
    for Pairs { name, our_median, their_median, ratio, .. } in pairs {
        writeln!(
            text,
            "| {name} | {} s | {} s | {ratio:.2}× |",
            seconds(*our_median),
            seconds(*their_median)
        )?;
    }
    text += &caption(pairs);
    Ok(text)
}

/// Preparing MagnaTagATune beside ffmpeg.
fn prepare(pairs: &[Pairs]) -> anyhow::Result<String> {
    let (Some(first), Some(one)) = (of(pairs, EACH), of(pairs, ONE)) else {
        return Ok(unmeasured("make bench-peers"));
    };
    let peak = first.our_peak_bytes.context("prepare.jsonl tells no peak of memory")?;
    let mut text = format!(
        "`prepare mtat` decodes and stores {:.0} clips a second on one core: {:.2}× as fast as one ffmpeg process a file decodes them, {:.2}× as fast as\n\
         one ffmpeg process for all of them, in {:.0} MB of memory at the most ({MINIATURE_CLIPS} clips).\n",
        MINIATURE_CLIPS / first.our_median,
        first.ratio,
        one.ratio,
        peak as f64 / 1e6
    );
    text += &caption(pairs);
    Ok(text)
}

/// What preparing is compared with, by name.
const EACH: &str = "prepare, an ffmpeg process a file";
const ONE: &str = "prepare, one ffmpeg process";

fn of<'a>(pairs: &'a [Pairs], name: &str) -> Option<&'a Pairs> {
    pairs.iter().find(|pair| pair.name == name)
}

/// What large data sets take, by the rates that were measured.
fn large(heard: &[Pairs], prepared: &[Pairs], own: Option<&Own>) -> anyhow::Result<String> {
    const DECODED: &str = "mtat.mp3, ffmpeg";
    let seconds = SampleRate::NETWORK.seconds(CLIP_SAMPLES);
    // Preparing by itself, once it is measured, and decoding alone before that.
    let (clip, rate) = match (of(prepared, EACH), of(heard, DECODED)) {
        (Some(pairs), _) => (pairs.our_median / MINIATURE_CLIPS, "prepare.jsonl"),
        (_, Some(pairs)) => (pairs.our_median * seconds / music::SECONDS as f64, "ears.jsonl"),
        _ => return Ok(unmeasured("make bench-peers")),
    };
    let Some(own) = own else { return Ok(unmeasured("make bench")) };
    let step = |head| -> anyhow::Result<f64> {
        let network = Network::preset(PAPERS)?.with_head(head);
        Ok(own.of(&cases::step(&network))?.median)
    };
    let [dense, lstm] = [step(HeadKind::Dense)?, step(HeadKind::Lstm)?];
    let mut text = "| | clips | music | store, 16 bits | preparing, one core | an epoch of model 1, 2 cores: dense | LSTM |\n|---|---|---|---|---|---|---|\n".to_owned();
    for (name, clips) in LARGE {
        let hours = |seconds: f64| match seconds / 3600.0 {
            hours if hours < 48.0 => format!("{hours:.1} h"),
            hours => format!("{:.0} days", hours / 24.0),
        };
        let epoch = |step: f64| hours(0.8 * clips / cases::BATCH as f64 * step);
        writeln!(
            text,
            "| {name} | {clips} | {:.0} h | {:.0} GB | {} | {} | {} |",
            clips * seconds / 3600.0,
            clips * 2.0 * CLIP_SAMPLES as f64 / 1e9,
            hours(clips * clip),
            epoch(dense),
            epoch(lstm)
        )?;
    }
    writeln!(
        text,
        "\nComputed, not measured: by the seconds a clip of `{rate}` and a step of `{OWN}` (batches of {}, {}) in `benches/results`; an epoch hears four fifths of the clips.",
        cases::BATCH,
        said(cases::STEP_THREADS)
    )?;
    Ok(text)
}

/// How and where pairs were measured.
fn caption(pairs: &[Pairs]) -> String {
    let machines: BTreeSet<String> = pairs.iter().map(|pair| pair.machine.to_string()).collect();
    let fewest = pairs.iter().map(|pair| pair.our_seconds.len()).min().unwrap_or(0);
    let machines = machines.into_iter().collect::<Vec<_>>().join("; ");
    format!(
        "\nRatios above 1: we are faster. Medians of at least {fewest} alternating pairs. {machines}.\n"
    )
}

fn said(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// Three digits at most.
fn seconds(seconds: f64) -> String {
    let digits = if seconds < 0.1 { 3 } else { 2 };
    format!("{seconds:.digits$}")
}

fn listed(parts: Vec<String>) -> String {
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => parts.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results;

    #[test]
    fn every_figure_of_the_readme_comes_from_the_committed_results() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
        let text = std::fs::read_to_string(path).unwrap();
        let made = readme(&text, &results::folder()).unwrap();
        assert!(
            made == text,
            "README's tables are not those of benches/results: `cargo run -p leitmotif-benches --bin table` writes them"
        );
    }

    #[test]
    fn a_table_replaces_what_stands_in_its_place() {
        let text =
            "a\n<!-- bench:x -->\nold\n<!-- /bench -->\nb\n<!-- bench:y -->\n<!-- /bench -->\n";
        let made = placed(text, "x", "new\n").unwrap();
        assert_eq!(made, text.replace("old", "new"));
        assert!(placed(text, "z", "new\n").is_err());
    }

    #[test]
    fn lists_are_read_aloud() {
        let of = |parts: &[&str]| listed(parts.iter().map(|part| (*part).to_owned()).collect());
        assert_eq!([of(&[]), of(&["a"]), of(&["a", "b", "c"])], ["", "a", "a, b and c"]);
    }
}
