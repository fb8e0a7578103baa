//! A million clips of 50,000 artists without audio: the memory that listing, preparing, splitting and sampling them
//! takes.
//!
//! The shards are sparse files; everything except decoding runs normally, in separate processes.
//! `scripts/check-all.d/{32-million-clips,33-million-clips-merged}` run the ignored tests.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use leitmotif_dataset::prepare::{Options, PartOf, PartRun, Plan, plan, prepare, prepare_part};
use leitmotif_dataset::sources::magnatagatune::{Aliases, Listing, Request, find};
use leitmotif_dataset::split::{Protocol, SplitRequest, split};
use leitmotif_dataset::store::{Dataset, write_split};
use leitmotif_models::CLIP_SAMPLES;
use leitmotif_models::Network;
use leitmotif_train::learn::augment::Augmentation;
use leitmotif_train::learn::batches::{Balance, BatchConfig, Batches, Crop};
use leitmotif_train::learn::task::Task;

const CLIPS_PER_SONG: usize = 4;
const SONGS_PER_ARTIST: usize = 5;

/// Clips in a shard of 512 MiB.
const CLIPS_PER_SHARD: usize = (256 << 20) / CLIP_SAMPLES;

/// Environment variable with the folder of a data set of another process, whose epochs are then checked.
const FOLDER: &str = "LEITMOTIF_MILLION";

/// Maximum memory of each process, including 115 MB of libtorch.
const MAX_BYTES: u64 = 500_000_000;

#[test]
#[ignore = "minutes, and 600 MB of lists on disk; scripts/check-all.d/32-million-clips"]
fn a_million_clips_take_less_than_500_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let data = folder.join("data");
    let _plan = prepare_unfinished(folder, 1_000_000);
    let data = data.to_str().unwrap();
    let list = folder.join("paths.tsv");
    let prepare = ["prepare", "mtat", "--audio", data, "--out", data, "--paths"];
    let prepare = prepare.into_iter().chain([list.to_str().unwrap(), "--allow-missing"]);
    let program = env!("CARGO_BIN_EXE_leitmotif-train");
    let output = run_measured("prepare, all decoded", Command::new(program).args(prepare));
    assert!(output.contains("1000000 clips of 29.1 s from 250000 songs"), "{output}");
    for by in ["song", "recording", "clip", "album"] {
        let output = run_measured(
            &format!("split --by {by}, with its leak report"),
            Command::new(program).args(["split", data, "--by", by]),
        );
        assert!(output.contains("test shares with training: "), "{output}");
    }
    let this_program = std::env::current_exe().unwrap();
    let output = run_measured(
        "the order of two epochs",
        Command::new(this_program)
            .args(["--exact", "each_epoch_has_every_clip_once_in_another_order", "--nocapture"])
            .env(FOLDER, data),
    );
    assert!(output.contains("1 passed") && output.contains("steps per epoch"), "{output}");
}

/// Parts of the merged data set, and samples of its clips: as many names as usual, but little to copy.
const PARTS: u32 = 16;
const SHORT_CLIP: usize = 16;

#[test]
#[ignore = "minutes, and 1 GB of lists on disk; scripts/check-all.d/33-million-clips-merged"]
fn sixteen_parts_of_a_million_clips_merge_in_500_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let plan = plan_clips(folder, 1_000_000, SHORT_CLIP);
    let parts = folder.join("parts");
    for part in 1..=PARTS {
        store_part(&plan, &parts, format!("{part}/{PARTS}").parse().unwrap());
    }
    drop(plan);
    let merged = folder.join("merged");
    let output = run_measured(
        "dataset merge, 16 parts",
        Command::new(env!("CARGO_BIN_EXE_leitmotif-train"))
            .args(["dataset", "merge"])
            .arg(&parts)
            .arg("--out")
            .arg(&merged),
    );
    assert!(output.contains("1000000 clips of 0.0 s from 250000 songs"), "{output}");
    let dataset = Dataset::open(&merged).unwrap();
    assert_eq!(dataset.clips().len(), 1_000_000);
    // Each clip has the samples of its song, which only its own part holds.
    for clip in (0..1_000_000).step_by(9_973) {
        let mut samples = [0; SHORT_CLIP];
        dataset.read_pcm(clip, 0, &mut samples).unwrap();
        assert_eq!(samples, song_samples(clip / CLIPS_PER_SONG)[..SHORT_CLIP], "clip {clip}");
    }
}

/// Samples of a song that tell it from its neighbours.
fn song_samples(song: usize) -> Vec<i16> {
    vec![(song % 30_011) as i16; CLIPS_PER_SONG * SHORT_CLIP]
}

/// Writes a part as if each of its songs had been decoded.
fn store_part(plan: &Plan, parts: &Path, part: PartOf) {
    let run = PartRun { part, parts, command: &[] };
    let folder = run.folder();
    if part.part() == 1 {
        // Stopped before its first song, it has its list and the head of its journal.
        assert!(!prepare_part(plan, &run, &mut |_| {}, &|| true).unwrap().finished);
    } else {
        // The list is the same in every part.
        let first: PartOf = format!("1/{}", part.of()).parse().unwrap();
        let first = first.folder(parts);
        fs::create_dir_all(folder.join("shards")).unwrap();
        fs::hard_link(first.join("music.jsonl"), folder.join("music.jsonl")).unwrap();
        let head = fs::read_to_string(first.join("part.journal")).unwrap();
        let head = head.lines().next().unwrap();
        let head = head.replacen(&format!("\"1/{}\"", part.of()), &format!("\"{part}\""), 1);
        fs::write(folder.join("part.journal"), head + "\n").unwrap();
    }
    let append = |name: &str| {
        let options = OpenOptions::new().append(true).create(true).open(folder.join(name));
        BufWriter::new(options.unwrap())
    };
    let (mut journal, mut shard) = (append("part.journal"), append("shards/00000.pcm"));
    let own = (part.part() as usize - 1..plan.songs()).step_by(part.of() as usize);
    for (position, song) in own.enumerate() {
        let samples = song_samples(song);
        let offset = position * samples.len();
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        shard.write_all(&bytes).unwrap();
        let pcm = &blake3::hash(&bytes).to_hex()[..32];
        writeln!(
            journal,
            r#"{{"song":{song},"result":{{"decoded":{{"hash":"{song:032x}","samples":{},"clips":{CLIPS_PER_SONG},"place":{{"shard":0,"offset":{offset}}},"pcm":"{pcm}"}}}}}}"#,
            samples.len()
        )
        .unwrap();
    }
    journal.flush().unwrap();
    shard.flush().unwrap();
}

/// Runs a command, prints its time and peak memory, and returns its standard output.
fn run_measured(what: &str, command: &mut Command) -> String {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut out = child.stdout.take().unwrap();
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        out.read_to_string(&mut text).unwrap();
        text
    });
    // Polled until the process has ended.
    let mut peak = 0;
    let ended = loop {
        if let Ok(text) = fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.map_or(0, |line| line.trim().trim_end_matches(" kB").parse().unwrap());
            peak = peak.max(1024u64 * kib);
        }
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = read.join().unwrap();
    println!("{:>6.1} s {:>5} MB  {what}", started.elapsed().as_secs_f64(), peak / 1_000_000);
    assert!(ended.success(), "{what}: {text}");
    assert!(peak > 0, "{what} ended before its memory was read");
    assert!(peak < MAX_BYTES, "{what} took {peak} bytes");
    text
}

#[test]
fn each_epoch_has_every_clip_once_in_another_order() {
    let made = tempfile::tempdir().unwrap();
    let data = match std::env::var_os(FOLDER) {
        Some(data) => PathBuf::from(data),
        None => {
            let data = made.path().join("data");
            let plan = prepare_unfinished(made.path(), 2_000);
            let report = prepare(&plan, &data, &mut |_| {}, &|| false).unwrap();
            assert!(report.finished && report.clips == 2_000 && report.left_out.is_empty());
            let dataset = Dataset::open(&data).unwrap();
            let request =
                SplitRequest { protocol: Protocol::Song, seed: 1, test: 0.2, validation: 0.1 };
            let split = split(dataset.clips(), &request).unwrap();
            write_split(&data, "song-seed1", dataset.clips(), &split.parts).unwrap();
            data
        }
    };
    check_epochs(&Task::open(&data, "song-seed1").unwrap());
}

/// Makes a data set that is complete but not finished, as if `prepare` had been killed at the end.
fn prepare_unfinished(folder: &Path, clips: usize) -> Plan {
    let plan = plan_clips(folder, clips, CLIP_SAMPLES);
    let data = folder.join("data");
    // Stopped before its first song, it has created both journals.
    assert!(!prepare(&plan, &data, &mut |_| {}, &|| true).unwrap().finished);
    store_all(&plan, &data);
    plan
}

/// Plans a list of clips without audio.
fn plan_clips(folder: &Path, clips: usize, clip_samples: usize) -> Plan {
    let list = folder.join("paths.tsv");
    write_paths(&list, clips);
    let request = Request {
        audio: folder.join("data"),
        listing: Listing::Paths(list),
        aliases: Aliases::None,
        genres: None,
    };
    let (found, summary) = find(&request).unwrap();
    assert_eq!((summary.kept.clips, summary.kept.tracks), (clips, clips / CLIPS_PER_SONG));
    let options = Options { clip_samples, min_songs: 1, ..Options::default() };
    plan(found, &folder.join("data"), &options).unwrap()
}

fn check_epochs(task: &Task) {
    let network = Network::preset("example").unwrap();
    let config = BatchConfig {
        batch: 16,
        accumulate: 1,
        segments: None,
        crop: Crop::Grid,
        balance: Balance::Clips,
        steps_per_epoch: None,
        augmentation: Augmentation::default(),
        label_smoothing: 0.0,
        seed: 1,
    };
    let classes = task.classes.len();
    let batches =
        Batches::new(task.dataset.clone(), task.train.clone(), classes, &network, config).unwrap();
    let mut firsts = Vec::new();
    println!("{} steps per epoch", batches.steps_per_epoch());
    for epoch in 0..2 {
        let mut counts = vec![0u8; task.dataset.clips().len()];
        for step in 0..batches.steps_per_epoch() {
            let examples = batches.examples(epoch, step);
            if step == 0 {
                firsts.push(examples.clone());
            }
            examples.iter().for_each(|example| counts[example.clip] += 1);
        }
        // The last batch is filled up with clips of the same epoch.
        assert!(task.train.iter().all(|example| (1..=2).contains(&counts[example.clip])));
        let surplus = batches.steps_per_epoch() * 16 - task.train.len();
        assert_eq!(counts.iter().filter(|count| **count == 2).count(), surplus);
        assert_eq!(counts.iter().filter(|count| **count > 0).count(), task.train.len());
    }
    assert_ne!(firsts[0], firsts[1]);
}

/// Writes paths as in MagnaTagATune, each about 85 characters long; the first two songs of an artist share album and
/// title.
fn write_paths(list: &Path, clips: usize) {
    let mut out = BufWriter::new(File::create(list).unwrap());
    for clip in 0..clips {
        let (song, part) = (clip / CLIPS_PER_SONG, clip % CLIPS_PER_SONG);
        let (artist, number) = (song / SONGS_PER_ARTIST, song % SONGS_PER_ARTIST);
        let (start, title) = (29 * part, number.max(1));
        writeln!(
            out,
            "{clip}\t{:x}/the_quartet_of_{artist}-live_at_the_hall_volume_{}-{:02}\
             -song_without_words_{artist}_{title}-{start}-{}.mp3",
            artist % 16,
            number / 2,
            number + 1,
            start + 29
        )
        .unwrap();
    }
    out.flush().unwrap();
}

/// Records each clip of a plan as stored, in sparse shards.
fn store_all(plan: &Plan, data: &Path) {
    let append =
        |name: &str| BufWriter::new(OpenOptions::new().append(true).open(data.join(name)).unwrap());
    let (mut store, mut decisions) = (append("journal.csv"), append("prepare.journal"));
    let mut clips = 0;
    for track in plan.tracks() {
        let mut rows = String::new();
        for file in &track.clips {
            writeln!(
                rows,
                "clip,{},{},{},{},{},{},,{},{CLIP_SAMPLES},{},{},{}",
                file.id,
                track.id,
                track.artist,
                track.album,
                track.title,
                track.song_group,
                16_000 * file.start_seconds as u64,
                clips / CLIPS_PER_SHARD,
                clips % CLIPS_PER_SHARD * CLIP_SAMPLES,
                file.id
            )
            .unwrap();
            clips += 1;
        }
        writeln!(store, "{rows}song,{},{}", track.id, track.clips.len()).unwrap();
        writeln!(
            decisions,
            r#"{{"song":"{}","decision":{{"kept":{{"hash":"{:032x}","clips":{},"dropped":0}}}}}}"#,
            track.id,
            clips,
            track.clips.len()
        )
        .unwrap();
    }
    store.flush().unwrap();
    decisions.flush().unwrap();
    for (shard, first) in (0..clips).step_by(CLIPS_PER_SHARD).enumerate() {
        let samples = (clips - first).min(CLIPS_PER_SHARD) * CLIP_SAMPLES;
        let file = File::create(data.join("shards").join(format!("{shard:05}.pcm"))).unwrap();
        file.set_len(2 * samples as u64).unwrap();
    }
}
