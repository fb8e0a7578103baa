//! The tables of measurements in the documents, written from the newest results.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use leitmotif_models::{GraphKind, Network, SampleRate};

use crate::cases::{self, COMPILED, HEADS, Length, SERVED, THREADS, TRAINED};
use crate::compatibility::{COMPATIBILITY, Compatibility};
use crate::fresh;
use crate::gpu;
use crate::markdown::wrap;
use crate::music;
use crate::pairs::Pairs;
use crate::paper::{self, ANSWERS};
use crate::results::{OWN, Own, newest, newest_first};

/// The documents with tables, by their path in the repository, and the names of their blocks. A block stands between
/// `<!-- bench:NAME -->` and `<!-- /bench -->`.
pub const DOCUMENTS: [(&str, &[&str]); 3] = [
    ("benches/README.md", &["own", "peers", "compatibility", "gpu"]),
    ("runtime/README.md", &["decode"]),
    ("train/README.md", &["prepare", "large", "paper"]),
];

/// Clips that `benches/peers/run` prepares.
const MINIATURE_CLIPS: f64 = 300.0;

/// Samples of a clip of MagnaTagATune.
const CLIP_SAMPLES: u64 = 465_984;

/// Data sets that are too large to be measured, and their clips.
const LARGE: [(&str, f64); 2] = [("MagnaTagATune", cases::PAPERS_CLIPS), ("a million clips", 1e6)];

/// Results of `benches/peers/run`: decoding, preparing, serving, training.
const DECODE: &str = "decode.jsonl";
const PREPARE: &str = "prepare.jsonl";
const SERVE: &str = "serve.jsonl";
const STEP: &str = "step.jsonl";

/// The text of every document below `root`, with its tables from the newest files below `results`.
///
/// # Errors
///
/// A document or result that is missing or unreadable, and a block that is not in its document, or not once.
pub fn documents(root: &Path, results: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let tables = tables(results)?;
    let updated = DOCUMENTS.iter().map(|(document, blocks)| {
        let path = root.join(document);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let of_document = tables.iter().filter(|(name, _)| blocks.contains(name));
        let text = of_document.into_iter().try_fold(text, |text, (name, table)| {
            replace_block(&text, name, table).with_context(|| path.display().to_string())
        })?;
        Ok((path, text))
    });
    updated.collect()
}

/// Every table, by the name of its block.
fn tables(results: &Path) -> anyhow::Result<Vec<(&'static str, String)>> {
    let own = newest(results, OWN)?.map(|path| Own::read(&path)).transpose()?;
    let pairs = |name| -> anyhow::Result<Vec<Pairs>> {
        newest(results, name)?.map_or(Ok(Vec::new()), |path| Pairs::read(&path))
    };
    let (prepared, steps) = (pairs(PREPARE)?, pairs(STEP)?);
    let compatibility = newest(results, COMPATIBILITY)?;
    let answers = newest(results, ANSWERS)?;
    let on_gpu = newest_first(results, gpu::RUN)?;
    Ok(vec![
        ("own", own.map_or_else(|| Ok(unmeasured("make bench")), |own| own_table(&own))?),
        ("decode", decode_table(&pairs(DECODE)?)?),
        ("peers", peers_table(&[pairs(SERVE)?, steps.clone()].concat())?),
        ("prepare", prepare_table(&prepared)?),
        ("large", large_table(&prepared, &steps)?),
        (
            "compatibility",
            match compatibility {
                Some(path) => Compatibility::read(&path)?.table(),
                None => unmeasured("make check-all"),
            },
        ),
        (
            "paper",
            match answers {
                Some(path) => paper::table(&path)?,
                None => unmeasured("leitmotif-train experiment all --scale small"),
            },
        ),
        (
            "gpu",
            match on_gpu.is_empty() {
                false => gpu::table(&on_gpu)?,
                true => unmeasured("make gpu-bundle"),
            },
        ),
    ])
}

/// Stands in the place of a table that has no results yet.
fn unmeasured(target: &str) -> String {
    format!("Not measured yet: `{target}`.\n")
}

/// `text` with `table` between `<!-- bench:NAME -->` and `<!-- /bench -->`.
fn replace_block(text: &str, name: &str, table: &str) -> anyhow::Result<String> {
    let (begin, end) = (format!("<!-- bench:{name} -->\n"), "<!-- /bench -->");
    let count = text.matches(&begin).count();
    ensure!(count == 1, "`<!-- bench:{name} -->` must stand in it once, and does {count} times");
    let (before, rest) = text.split_once(&begin).unwrap_or_default();
    let (_, after) =
        rest.split_once(end).with_context(|| format!("no `{end}` after bench:{name}"))?;
    Ok(format!("{before}{begin}{table}{end}{after}"))
}

/// Serving, training and compiling compared with the machine's limits. What `peers` answers (a song, a step of the served network)
/// and what `prepare` answers is not here again.
fn own_table(own: &Own) -> anyhow::Result<String> {
    let mut text = String::new();
    let served = Network::preset(SERVED)?;
    writeln!(
        text,
        "| `{SERVED}`: seconds of music recognised a second | a segment at a time | a clip at a time | of the limit |\n|---|---|---|---|"
    )?;
    for kind in HEADS.into_iter().flat_map(GraphKind::of_head) {
        for threads in THREADS {
            write!(text, "| `{}`, {}", kind.name(), format_threads(threads))?;
            for length in [Length::Segment, Length::Clip] {
                let timed = own.of(&cases::serve(&served, kind, length, threads))?;
                write!(text, " | {:.0}", timed.speed())?;
            }
            let clip = own.of(&cases::serve(&served, kind, Length::Clip, threads))?;
            writeln!(text, " | {} |", format_percent(own.share(clip)?))?;
        }
    }
    writeln!(
        text,
        "\n| training steps of {} clips, {}: GFLOP/s | dense | of the limit | LSTM | of the limit |\n|---|---|---|---|---|",
        cases::BATCH,
        format_threads(cases::STEP_THREADS)
    )?;
    for preset in TRAINED.into_iter().filter(|preset| *preset != SERVED) {
        write!(text, "| `{preset}`")?;
        for head in HEADS {
            let timed = own.of(&cases::step(&Network::preset(preset)?.with_head(head)))?;
            let share = format_percent(own.share(timed)?);
            write!(text, " | {:.0} | {share}", timed.gflops())?;
        }
        writeln!(text, " |")?;
    }
    text.push('\n');
    let mut compiling = "Compiling a checkpoint for files takes ".to_owned();
    let compiled = COMPILED.iter().map(|(preset, head)| {
        let network = Network::preset(preset)?.with_head(*head);
        let timed = own.of(&cases::compile(&network))?;
        let megabytes = 4e-6 * network.costs(fresh::classes(&network)).trainable() as f64;
        let (took, share) = (format_seconds(timed.median), format_percent(own.share(timed)?));
        Ok(format!("{took} s (`{preset}`, {head}: {megabytes:.0} MB at {share} of memory's speed)"))
    });
    compiling += &format_list(compiled.collect::<anyhow::Result<_>>()?);
    text += &wrap(&format!("{compiling}."));
    text.push('\n');
    let mut limits = "The limits: libtorch's product of large matrices ".to_owned();
    let product = |threads| {
        Ok(format!(
            "{:.0} GFLOP/s on {}",
            own.of(&cases::product(threads))?.gflops(),
            format_threads(threads)
        ))
    };
    limits += &format_list(THREADS.into_iter().map(product).collect::<anyhow::Result<_>>()?);
    limits += "; memory, by a triad, ";
    let triad = |threads| {
        let speed = own.of(&cases::triad(threads))?.gigabytes();
        Ok(format!("{speed:.0} GB/s on {}", format_threads(threads)))
    };
    limits += &format_list(THREADS.into_iter().map(triad).collect::<anyhow::Result<_>>()?);
    text += &wrap(&format!("{limits}."));
    text.push('\n');
    text += &wrap(&format!("Medians; shares are of the fastest passes. {}.", own.machine));
    Ok(text)
}

/// Decoding compared with ffmpeg and Python.
fn decode_table(pairs: &[Pairs]) -> anyhow::Result<String> {
    if pairs.is_empty() {
        return Ok(unmeasured("make bench-peers"));
    }
    let mut text = "| decode, mix, resample three minutes | ours, one core | to ffmpeg | to Python (soundfile, soxr) |\n|---|---|---|---|\n".to_owned();
    for (name, what) in music::formats() {
        let ffmpeg = find(pairs, &format!("{name}, ffmpeg"))
            .with_context(|| format!("no result of {name}: `make bench-peers` measures it"))?;
        // soundfile's libsndfile has no AAC decoder.
        let python = find(pairs, &format!("{name}, Python"))
            .map_or("libsndfile has none".to_owned(), |pair| format!("{:.2}×", pair.ratio));
        writeln!(
            text,
            "| {what} | {:.2} s | {:.2}× | {python} |",
            ffmpeg.our_median, ffmpeg.ratio
        )?;
    }
    text += &format_caption(pairs);
    Ok(text)
}

/// Recognising and training compared with Python.
fn peers_table(pairs: &[Pairs]) -> anyhow::Result<String> {
    if pairs.is_empty() {
        return Ok(unmeasured("make bench-peers"));
    }
    let mut text = "| `model1` | ours | theirs | ratio |\n|---|---|---|---|\n".to_owned();
    for Pairs { name, our_median, their_median, ratio, .. } in pairs {
        writeln!(
            text,
            "| {name} | {} s | {} s | {ratio:.2}× |",
            format_seconds(*our_median),
            format_seconds(*their_median)
        )?;
    }
    text += &format_caption(pairs);
    Ok(text)
}

/// Preparing MagnaTagATune compared with ffmpeg.
fn prepare_table(pairs: &[Pairs]) -> anyhow::Result<String> {
    let (Some(first), Some(one)) = (find(pairs, PREPARE_EACH), find(pairs, PREPARE_ONE)) else {
        return Ok(unmeasured("make bench-peers"));
    };
    let peak = first.our_peak_bytes.context("prepare.jsonl has no peak of memory")?;
    let mut text = wrap(&format!(
        "`prepare mtat` decodes and stores {:.0} clips a second on one core: {:.2}× as fast as one ffmpeg process a file decodes them, \
         {:.2}× as fast as one ffmpeg process for all of them, in {:.0} MB of memory at the most ({MINIATURE_CLIPS} clips).",
        MINIATURE_CLIPS / first.our_median,
        first.ratio,
        one.ratio,
        peak as f64 / 1e6
    ));
    text += &format_caption(pairs);
    Ok(text)
}

/// Names of the comparisons of `prepare` and of training steps.
const PREPARE_EACH: &str = "prepare, an ffmpeg process a file";
const PREPARE_ONE: &str = "prepare, one ffmpeg process";
const STEP_DENSE: &str = "a training step, dense, 2 threads; PyTorch, Conv1d";
const STEP_LSTM: &str = "a training step, lstm, 2 threads; PyTorch, Conv1d";

fn find<'a>(pairs: &'a [Pairs], name: &str) -> Option<&'a Pairs> {
    pairs.iter().find(|pair| pair.name == name)
}

/// How long large data sets take, computed from the measured speed.
fn large_table(prepared: &[Pairs], steps: &[Pairs]) -> anyhow::Result<String> {
    let (Some(prepare), Some(dense), Some(lstm)) =
        (find(prepared, PREPARE_EACH), find(steps, STEP_DENSE), find(steps, STEP_LSTM))
    else {
        return Ok(unmeasured("make bench-peers"));
    };
    let clip_seconds = SampleRate::NETWORK.seconds(CLIP_SAMPLES);
    let mut text = "| | clips | music | store, 16 bits | preparing, one core | an epoch of model 1, 2 cores: dense | LSTM |\n|---|---|---|---|---|---|---|\n".to_owned();
    for (name, clips) in LARGE {
        let epoch =
            |step: &Pairs| format_duration(0.8 * clips / cases::BATCH as f64 * step.our_median);
        writeln!(
            text,
            "| {name} | {clips} | {:.0} h | {:.0} GB | {} | {} | {} |",
            clips * clip_seconds / 3600.0,
            clips * 2.0 * CLIP_SAMPLES as f64 / 1e9,
            format_duration(clips * prepare.our_median / MINIATURE_CLIPS),
            epoch(dense),
            epoch(lstm)
        )?;
    }
    text.push('\n');
    text += &wrap(&format!(
        "Computed, not measured: from the seconds a clip in `{PREPARE}` and a step in `{STEP}` (batches of {}, {}); \
         an epoch has four fifths of the clips. {}.",
        cases::BATCH,
        format_threads(cases::STEP_THREADS),
        format_machines(&[prepare, dense, lstm])
    ));
    Ok(text)
}

/// How and where pairs were measured.
fn format_caption(pairs: &[Pairs]) -> String {
    let fewest = pairs.iter().map(|pair| pair.our_seconds.len()).min().unwrap_or(0);
    let machines = format_machines(&pairs.iter().collect::<Vec<_>>());
    let caption = format!(
        "Ratios above 1: we are faster. Medians of at least {fewest} alternating pairs. {machines}."
    );
    format!("\n{}", wrap(&caption))
}

fn format_machines(pairs: &[&Pairs]) -> String {
    let machines: BTreeSet<String> = pairs.iter().map(|pair| pair.machine.to_string()).collect();
    machines.into_iter().collect::<Vec<_>>().join("; ")
}

fn format_threads(threads: usize) -> String {
    format!("{threads} thread{}", if threads == 1 { "" } else { "s" })
}

fn format_percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// At most three significant digits.
fn format_seconds(seconds: f64) -> String {
    let digits = if seconds < 0.1 { 3 } else { 2 };
    format!("{seconds:.digits$}")
}

/// In hours, or days from two days on.
fn format_duration(seconds: f64) -> String {
    match seconds / 3600.0 {
        hours if hours < 48.0 => format!("{hours:.1} h"),
        hours => format!("{:.0} days", hours / 24.0),
    }
}

/// `a, b and c`.
fn format_list(parts: Vec<String>) -> String {
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => parts.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn every_figure_of_the_documents_comes_from_the_committed_results() {
        for (path, made) in documents(&root(), &results::folder()).unwrap() {
            assert!(
                made == fs::read_to_string(&path).unwrap(),
                "the tables of {} are not those of benches/results: `cargo run -p leitmotif-benches --bin table` writes them",
                path.display()
            );
        }
    }

    #[test]
    fn a_block_is_in_its_document_and_in_no_other() {
        for folder in ["", "benches", "export", "models", "runtime", "train"] {
            for entry in fs::read_dir(root().join(folder)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_none_or(|ending| ending != "md") {
                    continue;
                }
                let name = Path::new(folder).join(path.file_name().unwrap());
                let blocks = DOCUMENTS.iter().find(|(document, _)| Path::new(document) == name);
                let blocks = blocks.map_or(&[][..], |(_, blocks)| blocks);
                let text = fs::read_to_string(&path).unwrap();
                let marks = text.lines().filter_map(|line| line.strip_prefix("<!-- bench:"));
                let mut found: Vec<&str> =
                    marks.filter_map(|mark| mark.strip_suffix(" -->")).collect();
                let mut expected = blocks.to_vec();
                found.sort_unstable();
                expected.sort_unstable();
                assert_eq!(found, expected, "the blocks of {}", name.display());
            }
        }
    }

    #[test]
    fn every_table_has_one_document_and_names_processor_and_commit() {
        let tables = tables(&results::folder()).unwrap();
        for (name, table) in &tables {
            let homes = DOCUMENTS.iter().filter(|(_, blocks)| blocks.contains(name)).count();
            assert_eq!(homes, 1, "{name}");
            let table = table.replace('\n', " ");
            let machine = if *name == "gpu" { ", driver " } else { " cores of " };
            // A GPU box is not always there.
            let unmeasured = *name == "gpu" && table.starts_with("Not measured yet");
            let named = table.contains(machine) && table.contains(", commit ");
            assert!(named || unmeasured, "{name}");
        }
        let blocks: usize = DOCUMENTS.iter().map(|(_, blocks)| blocks.len()).sum();
        assert_eq!(blocks, tables.len());
    }

    #[test]
    fn a_table_replaces_the_text_of_its_block() {
        let text =
            "a\n<!-- bench:x -->\nold\n<!-- /bench -->\nb\n<!-- bench:y -->\n<!-- /bench -->\n";
        let made = replace_block(text, "x", "new\n").unwrap();
        assert_eq!(made, text.replace("old", "new"));
        assert!(replace_block(text, "z", "new\n").is_err());
        assert!(replace_block(&text.repeat(2), "x", "new\n").is_err());
        assert!(replace_block("<!-- bench:x -->\nno end", "x", "new\n").is_err());
    }

    #[test]
    fn text_is_wrapped_between_words() {
        let text = "word ".repeat(40) + "end";
        let wrapped = wrap(&text);
        assert!(wrapped.lines().all(|line| line.len() <= 118) && wrapped.lines().count() == 2);
        assert_eq!(wrapped.replace('\n', " ").trim_end(), text);
    }

    #[test]
    fn lists_have_commas_and_a_last_and() {
        let of =
            |parts: &[&str]| format_list(parts.iter().map(|part| (*part).to_owned()).collect());
        assert_eq!([of(&[]), of(&["a"]), of(&["a", "b", "c"])], ["", "a", "a, b and c"]);
    }
}
