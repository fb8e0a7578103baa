//! `leitmotif-export compile` in int8 and fp16: what it calibrates on, what it measures, what it refuses.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test may panic")]

#[path = "support/command.rs"]
mod command;
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use leitmotif::Device;
use leitmotif::session::{Session, SessionOptions};
use leitmotif_dataset::store::{
    ClipRow, Clips, DatasetInfo, DatasetWriter, Part, split_digest, write_split,
};
use leitmotif_export::Summary;
use leitmotif_models::{Card, HeadKind, Precision, Target};
use tempfile::TempDir;

use command::{complaint, run, str, text};
use support::{CLASSES, TINY, Tiny, fixture_checkpoint, noise, pooled};

/// Units of the committed checkpoints' heads.
const TINY_UNITS: usize = 5;

/// A folder of so many files of noise at 16 kHz, of the loudness given.
fn folder(files: u64, loudness: f32) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..files {
        let samples = noise(3 * 729, 900 + seed);
        let data: Vec<u8> = samples
            .iter()
            .flat_map(|sample| ((sample * loudness * 32_767.0) as i16).to_le_bytes())
            .collect();
        let mut wav = b"RIFF".to_vec();
        wav.extend((36 + data.len() as u32).to_le_bytes());
        wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
        wav.extend([16_000u32, 32_000].map(u32::to_le_bytes).concat());
        wav.extend(b"\x02\0\x10\0data");
        wav.extend((data.len() as u32).to_le_bytes());
        wav.extend(data);
        fs::write(folder.path().join(format!("{seed:02}.wav")), wav).unwrap();
    }
    folder
}

/// A prepared data set of noise by two of the artists, with its split `song-seed1`, and a checkpoint that was trained on it.
struct Prepared {
    folder: TempDir,
}

impl Prepared {
    fn new() -> Self {
        Self::of(2)
    }

    /// Of so many artists.
    fn of(artists: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let clip_samples = 7 * 729;
        let info = DatasetInfo { name: "noise".into(), clip_samples, ..DatasetInfo::default() };
        let mut writer = DatasetWriter::create_or_resume(&data, info).unwrap();
        let (mut rows, mut parts) = (Vec::new(), Vec::new());
        for number in 0..20u64 {
            let row = ClipRow {
                clip: format!("{number}#0"),
                song: number.to_string(),
                artist: CLASSES[number as usize % artists].to_owned(),
                samples: clip_samples as u64,
                ..ClipRow::default()
            };
            writer.append_song(std::slice::from_ref(&row), &noise(clip_samples, number)).unwrap();
            rows.push(row);
            let part = [Part::Train, Part::Train, Part::Validation, Part::Test];
            parts.push(Some(part[(number / 2 % 4) as usize]));
        }
        writer.finish().unwrap();
        let rows = Clips::of(rows).unwrap();
        write_split(&data, "song-seed1", &rows, &parts).unwrap();
        let mut tiny = Tiny::new(TINY, HeadKind::Dense, 21, 2);
        tiny.run.split.digest = Some(split_digest(&rows, &parts));
        tiny.save(&folder.path().join("checkpoint"));
        Prepared { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn compile(&self, options: &[&str]) -> Output {
        let (checkpoint, out, data) =
            (self.path("checkpoint"), self.path("out"), self.path("data"));
        let fixed = ["compile", str(&checkpoint), "--out", str(&out), "--calibrate", str(&data)];
        run(&[&fixed[..], options].concat())
    }
}

fn card(path: &Path) -> Card {
    let summary = Summary::of(&fs::read(path).unwrap(), path).unwrap();
    Card::from_json(&summary.metadata[Card::KEY]).unwrap()
}

#[test]
fn a_data_set_calibrates_on_its_training_clips_and_evaluates_on_the_others() {
    let prepared = Prepared::new();
    let options = ["--precision", "int8", "--target", "cpu", "--allow-loss"];
    let table = text(&prepared.compile(&options));
    assert!(table.contains("calibrated on 84 segments of 12 clips"), "{table}");
    assert!(table.contains("right in fp32") && table.contains("of 8 answers changed"), "{table}");
    let model = prepared.path("out/tiny.clip.onnx");
    let card = card(&model);
    assert_eq!((card.target, card.precision), (Target::Cpu, Precision::Int8));
    let (calibration, measured) = (card.calibration.unwrap(), card.measured.unwrap());
    assert_eq!((calibration.clips, calibration.segments, calibration.ranges.len()), (12, 84, 6));
    assert_eq!(measured.clips, 8);
    assert!(measured.right.is_some());

    // The file is verified from the checkpoint alone, and recognised as any other.
    text(&run(&["verify", str(&model), str(&prepared.path("checkpoint"))]));
    let recognizer = leitmotif::Recognizer::open(&model).unwrap();
    assert!(recognizer.self_test().unwrap().passed());
    // The same music gives the same bytes.
    let bytes = fs::read(&model).unwrap();
    text(&prepared.compile(&[&options[..], &["--force"]].concat()));
    assert!(bytes == fs::read(&model).unwrap());
}

#[test]
fn a_tampered_weight_of_a_quantized_file_is_named() {
    let prepared = Prepared::new();
    text(&prepared.compile(&["--precision", "int8", "--allow-loss"]));
    let model = prepared.path("out/tiny.segment.onnx");
    let mut bytes = fs::read(&model).unwrap();
    // Name (field 8, thirteen letters) and raw data (field 9, fifteen weights) of the stored tensor.
    let name = b"\x42\x0doutput.weight\x4a\x0f";
    let at = bytes.windows(name.len()).position(|window| window == name).unwrap();
    bytes[at + name.len()] ^= 1;
    fs::write(&model, bytes).unwrap();
    let error = complaint(&run(&["verify", str(&model), str(&prepared.path("checkpoint"))]));
    assert!(error.contains("weights are not what compiling again gives: output.weight"), "{error}");
}

#[test]
fn another_split_than_the_networks_own_is_refused() {
    let prepared = Prepared::new();
    let split = prepared.path("data/splits/song-seed1.csv");
    let swapped = fs::read_to_string(&split).unwrap().replacen("train", "test", 1);
    fs::write(&split, swapped).unwrap();
    let error = complaint(&prepared.compile(&["--precision", "int8"]));
    assert!(error.contains("is not the one that the network was trained on"), "{error}");
    let error = complaint(&prepared.compile(&["--precision", "int8", "--split", "album-seed1"]));
    assert!(error.contains("album-seed1"), "{error}");
}

#[test]
fn a_split_that_cannot_be_checked_is_named_and_taken_on_trust() {
    let prepared = Prepared::new();
    let record = prepared.path("checkpoint/run.json");
    let text_of = |protocol: &str| {
        let mut run: serde_json::Value =
            serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
        let split = run["split"].as_object_mut().unwrap();
        split.remove("digest");
        split["protocol"] = protocol.into();
        run.to_string()
    };
    fs::write(&record, text_of("song")).unwrap();
    let table = text(&prepared.compile(&["--precision", "int8", "--allow-loss"]));
    assert!(table.contains("split song-seed1 (on trust"), "{table}");
    fs::write(&record, text_of("")).unwrap();
    let error = complaint(&prepared.compile(&["--precision", "int8", "--allow-loss", "--force"]));
    assert!(error.contains("does not record its split") && error.contains("--split"), "{error}");
    let named = ["--precision", "int8", "--allow-loss", "--force", "--split", "song-seed1"];
    assert!(text(&prepared.compile(&named)).contains("on trust"));
}

#[test]
fn a_data_set_of_one_artist_is_refused() {
    let error = complaint(&Prepared::of(1).compile(&["--precision", "int8"]));
    assert!(error.contains("are of one artist"), "{error}");
}

#[test]
fn a_folder_calibrates_with_every_other_file() {
    let (music, out) = (folder(6, 0.5), tempfile::tempdir().unwrap());
    let checkpoint = fixture_checkpoint(HeadKind::Lstm);
    let arguments = [
        "compile",
        str(&checkpoint),
        "--out",
        str(out.path()),
        "--precision",
        "int8",
        "--allow-loss",
        "--ranges",
        "percentile",
        "--calibrate",
        str(music.path()),
    ];
    let table = text(&run(&arguments));
    assert!(table.contains("9 segments of 3 clips") && table.contains("by percentile"), "{table}");
    assert!(table.contains("of 3 answers changed") && !table.contains("right in"), "{table}");
    let card = card(&out.path().join("tiny.step.onnx"));
    assert!(card.measured.unwrap().right.is_none());
}

/// No file is left and the reason is named.
fn refused(options: &[&str], reason: &str) {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("out");
    let checkpoint = fixture_checkpoint(HeadKind::Dense);
    let fixed = ["compile", str(&checkpoint), "--out", str(&folder)];
    let error = complaint(&run(&[&fixed[..], options].concat()));
    assert!(error.contains(reason), "no `{reason}` in: {error}");
    assert!(!folder.exists() || fs::read_dir(&folder).unwrap().next().is_none());
}

#[test]
fn fixed_sizes_of_int8_change_no_answer() {
    let music = folder(8, 0.5);
    for (head, whole, one) in
        [(HeadKind::Dense, "clip", "segment"), (HeadKind::Lstm, "sequence", "step")]
    {
        for target in ["portable", "cpu"] {
            let out = tempfile::tempdir().unwrap();
            let compile = |folder: &str, options: &[&str]| {
                let folder = out.path().join(folder);
                let checkpoint = fixture_checkpoint(head);
                let common = ["compile", str(&checkpoint), "--name", "x", "--out", str(&folder)];
                let int8 = ["--precision", "int8", "--target", target, "--allow-loss"];
                let music = ["--calibrate", str(music.path())];
                text(&run(&[&common[..], &int8, &music, options].concat()));
                folder
            };
            let free = compile("free", &[]);
            let fixed = compile("fixed", &["--batch", "3", "--segments", "2"]);
            let embeddings = compile("embeddings", &["--embedding-only"]);
            let of = |path: PathBuf, samples: usize, with_state: bool| {
                let waveform = noise(3 * samples, 5);
                let state = noise(3 * TINY_UNITS, 6);
                let (shape, units) = ([3, samples], [3, TINY_UNITS]);
                let mut inputs = vec![("waveform", &shape[..], &waveform[..])];
                if with_state {
                    inputs.extend([("h", &units[..], &state[..]), ("c", &units[..], &state[..])]);
                }
                let options = SessionOptions::on(Device::Cpu);
                Session::open(&path, &options).unwrap().run(&inputs).unwrap()
            };
            let graph = |folder: &Path, graph: &str| folder.join(format!("x.{graph}.onnx"));
            let pairs = [
                (graph(&free, whole), graph(&fixed, whole), 2 * 729, false),
                (graph(&free, one), graph(&fixed, one), 729, one == "step"),
                (graph(&free, whole), graph(&embeddings, "embedding"), 2 * 729, false),
            ];
            for (free, other, samples, with_state) in pairs {
                let expected = of(free, samples, with_state);
                let found = of(other.clone(), samples, with_state);
                assert!(found.iter().any(|found| found.name == "embedding"));
                for found in found {
                    let Some(expected) =
                        expected.iter().find(|expected| expected.name == found.name)
                    else {
                        continue;
                    };
                    assert_eq!(found.shape, expected.shape, "{} {}", other.display(), found.name);
                    for (a, b) in found.data.iter().zip(&expected.data) {
                        assert!((a - b).abs() < 1e-5, "{} {}", other.display(), found.name);
                    }
                }
            }
        }
    }
}

/// Energies, sums and poolings in floats, convolutions in integers: every layer is near the reference in every
/// precision.
#[test]
fn each_layer_of_pooled_networks_is_near_the_reference_in_every_form() {
    // As loud as the golden input, of which layers are compared: a logarithm makes another loudness another mean.
    let music = folder(6, 0.1);
    let place = tempfile::tempdir().unwrap();
    // Five blocks, three of them with two convolutions, the pooling, and under a dense head two layers; of the last network
    // four blocks.
    let heads = [HeadKind::Dense, HeadKind::Lstm, HeadKind::Dense, HeadKind::Dense];
    for ((toml, head), count) in pooled().iter().zip(heads).zip([14, 12, 14, 7]) {
        let checkpoint = place.path().join(format!("checkpoint-{count}"));
        Tiny::new(toml, head, 21, 2).save(&checkpoint);
        for (precision, most) in [("fp32", 1e-5), ("fp16", 1e-2), ("int8", 0.06)] {
            for target in ["portable", "cpu", "cuda"] {
                if (precision, target) == ("int8", "cuda") {
                    continue;
                }
                let out = place.path().join("out");
                let fixed = ["compile", str(&checkpoint), "--out", str(&out), "--name", "x"];
                let form = ["--precision", precision, "--target", target, "--force"];
                let music = ["--allow-loss", "--calibrate", str(music.path())];
                let music = if precision == "int8" { &music[..] } else { &[] };
                text(&run(&[&fixed[..], &form, music].concat()));
                let graph = if head == HeadKind::Dense { "clip" } else { "step" };
                let model = out.join(format!("x.{graph}.onnx"));
                let verify = ["verify", str(&model), str(&checkpoint), "--layers", "--json"];
                let layers: serde_json::Value = serde_json::from_str(&text(&run(&verify))).unwrap();
                let layers = layers["layers"].as_array().unwrap();
                assert_eq!(layers.len(), count);
                for layer in layers {
                    let relative = layer["relative"].as_f64().unwrap();
                    assert!(relative < most, "{head} {precision} {target}: {layer}");

                    let energies = layer["layer"] == "block1" && precision == "int8";
                    assert!(!energies || relative < 1e-3, "{target}: {layer}");
                }
            }
        }
    }
}

#[test]
fn music_without_information_is_refused() {
    let int8 = |folder: &TempDir, reason: &str| {
        refused(&["--precision", "int8", "--calibrate", str(folder.path())], reason);
    };
    int8(&folder(0, 0.5), "has no clip for calibration");
    int8(&folder(1, 0.5), "has no clip for evaluation");
    int8(&folder(4, 0.0), "2 of its clips are silent");
    let broken = folder(4, 0.5);
    fs::write(broken.path().join("00.wav"), "no sound").unwrap();
    int8(&broken, "00.wav");
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    refused(&["--precision", "int8"], "--calibrate");
    refused(&["--precision", "int8", "--target", "cuda"], "no integer convolutions");
    let music = folder(2, 0.5);
    refused(&["--calibrate", str(music.path())], "fp32 is not quantized");
    let split = ["--precision", "fp16", "--calibrate", str(music.path()), "--split", "song-seed1"];
    refused(&split, "--split is for a prepared data set");
}

#[test]
fn a_loss_beyond_one_clip_in_a_hundred_fails_unless_allowed() {
    // Two artists nearly tie for every file, so that eight bits decide some the other way.
    let (files, loudness) = (40, 0.5);
    let music = folder(files, loudness);
    let mut tiny = Tiny::new(TINY, HeadKind::Dense, 21, 2);
    tiny.weights.get_mut("output.bias").unwrap().1 = vec![0.0, 0.0, -20.0];
    let leads: Vec<f64> = (1..files)
        .step_by(2)
        .map(|seed| {
            let samples: Vec<f32> =
                noise(3 * 729, 900 + seed).iter().map(|x| x * loudness).collect();
            let answers = tiny.reference().segments(&samples);
            answers.iter().map(|answer| answer.logits[0] - answer.logits[1]).sum::<f64>() / 3.0
        })
        .collect();
    let mean = leads.iter().sum::<f64>() / leads.len() as f64;
    tiny.weights.get_mut("output.bias").unwrap().1[1] = mean as f32;
    tiny.probe = tiny.make_probe(2);
    let place = tempfile::tempdir().unwrap();
    let (checkpoint, out) = (place.path().join("checkpoint"), place.path().join("out"));
    tiny.save(&checkpoint);
    let arguments = [
        "compile",
        str(&checkpoint),
        "--out",
        str(&out),
        "--precision",
        "int8",
        "--calibrate",
        str(music.path()),
    ];
    let error = complaint(&run(&arguments));
    assert!(error.contains("int8 costs too much") && error.contains("--allow-loss"), "{error}");
    assert!(!out.exists());
    let table = text(&run(&[&arguments[..], &["--allow-loss"]].concat()));
    assert!(table.contains("of 20 answers changed"), "{table}");
}

#[test]
fn music_for_which_the_network_answers_one_artist_is_refused() {
    let music = folder(6, 0.5);
    refused(&["--precision", "int8", "--calibrate", str(music.path())], "for every clip of folder");
}
