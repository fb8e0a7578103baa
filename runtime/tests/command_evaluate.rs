//! The command `leitmotif evaluate`, on a data set that the test writes by its documented format.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use leitmotif::Recognizer;
use leitmotif_models::{Predictions, Scores, argmax};
use support::{SEGMENT, WINDOW, edited, noise, tiny};

/// Segments of each clip: of an LSTM's windows of seven, the last one counts in the third and not in the second.
const SEGMENTS: [usize; 5] = [WINDOW, WINDOW + 3, WINDOW + 4, 1, 2];

fn evaluate(model: &Path, dataset: &Path, options: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif"));
    command.env_clear().current_dir(std::env::temp_dir()).arg("evaluate").arg(model).arg(dataset);
    command.args(["--threads=1", "--split=song-seed1"]).args(options).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The samples of clip `i`, with a little that no segment takes.
fn pcm(i: usize) -> Vec<i16> {
    let samples = noise(i as u32, SEGMENTS[i] * SEGMENT + 17);
    samples.iter().map(|sample| (sample * 32_768.0) as i16).collect()
}

/// Writes a data set of five clips: two of one song; of an artist whom the model does not know one in each part.
fn write_dataset(folder: &Path, artists: &[String]) {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut clips =
        "clip,song,artist,album,title,song_group,genre,start,samples,shard,offset,source\n"
            .to_owned();
    let (mut split, mut offset, mut shard) = ("clip,part\n".to_owned(), 3, vec![7i16; 3]);
    let songs = ["a", "b", "b", "c", "d"];
    let nobody = "Nobody".to_owned();
    let artists = [&artists[0], &artists[1], &artists[1], &nobody, &nobody];
    let parts = ["test", "test", "test", "train", "test"];
    for i in 0..5 {
        let samples = pcm(i);
        let (song, artist) = (songs[i], quoted(artists[i]));
        clips += &format!("clip {i},{song},{artist},,,,,0,{},0,{offset},{song}\n", samples.len());
        split += &format!("clip {i},{}\n", parts[i]);
        offset += samples.len();
        shard.extend(samples);
    }
    for name in ["shards", "splits"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    let bytes: Vec<u8> = shard.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    fs::write(folder.join("shards/00000.pcm"), bytes).unwrap();
    fs::write(folder.join("clips.csv"), clips).unwrap();
    fs::write(folder.join("splits/song-seed1.csv"), split).unwrap();
    let info = "version = 1\nname = \"n\"\nlicence = \"l\"\nnotes = \"\"\nsource = \"s\"\nsample_rate = 16000\nclip_samples = 100000\nclips = 5\nsongs = 4\nartists = 3\n";
    fs::write(folder.join("dataset.toml"), info).unwrap();
}

#[test]
fn predictions_are_those_of_the_library_and_scores_those_of_the_predictions() {
    let folder = tempfile::tempdir().unwrap();
    for graph in ["clip", "segment", "sequence", "step"] {
        let recognizer = Recognizer::open(tiny(graph)).unwrap();
        let classes = recognizer.card().classes.clone();
        write_dataset(folder.path(), &classes);
        let file = folder.path().join("predictions.jsonl");
        let to_file = ["--other-split", "--json", "--predictions", file.to_str().unwrap()];
        let output = evaluate(&tiny(graph), folder.path(), &to_file);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(
            text(&output.stderr).contains("1 clip left out: the model has no class for `Nobody`")
        );
        let predictions = Predictions::from_lines(&fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(predictions.classes(), classes);
        assert_eq!(predictions.clips().len(), 3);
        let is_lstm = ["sequence", "step"].contains(&graph);
        for (i, clip) in predictions.clips().iter().enumerate() {
            let samples: Vec<f32> = pcm(i).iter().map(|s| f32::from(*s) / 32_768.0).collect();
            let answer = recognizer.recognize_samples(&samples).unwrap();
            assert_eq!(
                (clip.clip.as_str(), clip.truth.0),
                (["clip 0", "clip 1", "clip 2"][i], i.min(1))
            );
            assert_eq!(
                (&clip.probabilities, clip.certainty),
                (&answer.uncalibrated, answer.certainty)
            );
            // As the trainer counts: of an LSTM's windows the last from half full on.
            let segments = if is_lstm { [7, 7, 11][i] } else { SEGMENTS[i] };
            let weight = if is_lstm { [1, 1, 2][i] } else { segments };
            assert_eq!((clip.segments, clip.weight), (segments, weight), "{graph}, {i}");
            let right = answer.timeline.iter().filter(|m| argmax(&m.probabilities) == i.min(1));
            assert_eq!(clip.segments_right, right.count());
        }
        let scores = Scores::of(&predictions).unwrap();
        assert_eq!(serde_json::from_slice::<Scores>(&output.stdout).unwrap(), scores);
        let lines = evaluate(&tiny(graph), folder.path(), &["--other-split"]);
        assert_eq!(text(&lines.stdout), format!("test part of song-seed1 on cpu\n{scores}"));
    }
}

#[test]
fn another_split_is_refused_unless_it_is_insisted_on() {
    let folder = tempfile::tempdir().unwrap();
    let card = Recognizer::open(tiny("clip")).unwrap().card().clone();
    write_dataset(folder.path(), &card.classes);
    let model = folder.path().join("m.onnx");
    for (of_model, code) in [("0123456789abcdef", 1), (DIGEST, 0)] {
        fs::write(&model, with_digest(of_model)).unwrap();
        let output = evaluate(&model, folder.path(), &[]);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{message}");
        let refused = message.contains(of_model) && message.contains("--other-split");
        assert_eq!(refused, code == 1, "{message}");
    }
    // The card of the committed model has no digest: the split's name decides.
    let splits = folder.path().join("splits");
    fs::rename(splits.join("song-seed1.csv"), splits.join("song-seed2.csv")).unwrap();
    let other = Command::new(env!("CARGO_BIN_EXE_leitmotif"))
        .args(["evaluate", "--split=song-seed2"])
        .args([tiny("clip").as_path(), folder.path()])
        .output()
        .unwrap();
    assert_eq!(other.status.code(), Some(1));
    assert!(text(&other.stderr).contains("another split (song-seed1, digest unknown"));
}

/// The tiny model with a digest of its split; the end of its list of tools makes room for it.
fn with_digest(digest: &str) -> Vec<u8> {
    let model = fs::read(tiny("clip")).unwrap();
    let text = String::from_utf8_lossy(&model);
    let tools = r#""leitmotif-export":"0.1.0","leitmotif-export's tests":"1"}"#;
    let (start, end) = (text.find("\"split\":{").unwrap(), text.find(tools).unwrap() + tools.len());
    let from = &text[start..end];
    let to = from.replacen('}', &format!(",\"digest\":\"{digest}\"}}"), 1).replace(tools, "}");
    let padding = " ".repeat(from.len() - to.len());
    edited("clip", &[(from, &(to + &padding))])
}

/// By Python: `sha256` over each clip's length (8 bytes, little-endian), name and part, sorted by name.
const DIGEST: &str = "30363cbf9823aa1e";

#[test]
fn what_is_no_data_set_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let card = Recognizer::open(tiny("clip")).unwrap().card().clone();
    let path = |name: &str| folder.path().join(name);
    let spoil = |name: &str, change: &dyn Fn(&str) -> String| {
        write_dataset(folder.path(), &card.classes);
        let content = fs::read_to_string(path(name)).unwrap();
        fs::write(path(name), change(&content)).unwrap();
    };
    let refused = |options: &[&str], expected: &str| {
        let options = [&["--other-split"], options].concat();
        let output = evaluate(&tiny("clip"), folder.path(), &options);
        let message = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{expected}");
        assert!(message.lines().last().unwrap().contains(expected), "{message}");
        assert_eq!(output.stdout, b"");
    };
    refused(&[], "is not a data set: it has no dataset.toml");
    fs::write(path("journal.csv"), "").unwrap();
    refused(&[], "is not finished; run the same prepare again");
    spoil("dataset.toml", &|text| text.replace("version = 1", "version = 2"));
    refused(&[], "has version 2, this program reads version 1");
    spoil("dataset.toml", &|text| text.replace("16000", "8000"));
    refused(&[], "the data set is at 8000 Hz and the model takes 16000 Hz");
    spoil("dataset.toml", &|text| text.replace("clips = 5", "clips = 6"));
    refused(&[], "it has 5 clips, and dataset.toml says 6");
    spoil("dataset.toml", &|_| "version = 1\nname = 3".to_owned());
    refused(&[], "dataset.toml");
    spoil("clips.csv", &|text| text.replace(",0,3,", ",0,18446744073709551615,"));
    refused(&[], "cannot have this length");
    spoil("clips.csv", &|text| text.replace("clip 0", "clip 9"));
    refused(&[], "it has 4 of the split's 5 clips");
    spoil("clips.csv", &|text| text.replace("clip,song", "name,song"));
    refused(&[], "missing field `clip`");
    spoil("splits/song-seed1.csv", &|text| text.replace("clip 0,test", "clip 0,tset"));
    refused(&[], "`tset` is no part");
    spoil("splits/song-seed1.csv", &|text| text.replace("clip 1", "clip 0"));
    refused(&[], "clip `clip 0` is there twice");
    write_dataset(folder.path(), &card.classes);
    fs::write(path("shards/00000.pcm"), [0; 10]).unwrap();
    refused(&[], "it ends before clip `clip 0` does");
    fs::remove_file(path("shards/00000.pcm")).unwrap();
    refused(&[], "00000.pcm cannot be read");
    refused(&["--part=validation"], "the validation part of the split has no clip");
    write_dataset(folder.path(), &card.classes);
    for name in ["gone", "../splits/song-seed1"] {
        let output = Command::new(env!("CARGO_BIN_EXE_leitmotif"))
            .args(["evaluate", "--split", name, "--other-split"])
            .args([tiny("clip").as_path(), folder.path()])
            .output()
            .unwrap();
        let message = text(&output.stderr);
        assert!(message.contains("it has `song-seed1`"), "{message}");
    }
}
