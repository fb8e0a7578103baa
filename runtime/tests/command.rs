//! The command `leitmotif`, run from another folder without environment variables.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::{SEGMENT, data, edited, noise, tiny, wav, with_wrong_golden};

/// The command without this process's environment: ONNX Runtime is found from the program's own folder.
fn leitmotif() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif"));
    command.env_clear().current_dir(std::env::temp_dir());
    command
}

fn recognize(arguments: &[&Path]) -> Output {
    let mut command = leitmotif();
    command.arg("recognize").args(arguments).arg("--model").arg(tiny("clip"));
    command.output().unwrap()
}

/// The artist of `mtat.mp3` by the library.
fn best() -> String {
    let recognizer = leitmotif::Recognizer::open(tiny("clip")).unwrap();
    let answer = recognizer.recognize_file(data("audio/mtat.mp3")).unwrap();
    answer.best().unwrap().artist.clone()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_song_is_recognised_from_any_folder_without_a_variable() {
    let output = recognize(&[&data("audio/mtat.mp3"), "--top=2".as_ref()]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let lines: Vec<_> = out(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[1].starts_with("   1.") && lines[1].ends_with(&format!("%  {}", best())),
        "{lines:?}"
    );
}

#[test]
fn the_device_is_said_where_it_was_asked_for() {
    // Without an NVIDIA driver nothing is to be expected of `auto` but the CPU.
    let driver = ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"];
    let driver = driver.iter().any(|sign| Path::new(sign).exists());
    let song = data("audio/mtat.mp3");
    assert_eq!(err(&recognize(&[&song])).is_empty(), !driver);
    assert_eq!(err(&recognize(&[&song, "--device=cpu".as_ref()])), "");
    let verbose = err(&recognize(&[&song, "--device=cpu".as_ref(), "--verbose".as_ref()]));
    assert!(verbose.starts_with("leitmotif: runs on cpu ("), "{verbose}");
}

#[test]
fn a_checkpoint_is_no_model_and_says_what_makes_one_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let best = folder.path().join("best");
    fs::create_dir(&best).unwrap();
    fs::write(best.join("run.json"), "{}").unwrap();
    fs::write(best.join("weights.safetensors"), "").unwrap();
    let song = data("audio/mtat.mp3");
    for model in [folder.path(), &best, &best.join("weights.safetensors")] {
        for command in ["recognize", "info", "check"] {
            let mut run = leitmotif();
            match command {
                "recognize" => {
                    run.args([command.as_ref(), song.as_path(), "--model".as_ref(), model])
                }
                command => run.args([command.as_ref(), model]),
            };
            let output = run.output().unwrap();
            assert_eq!(output.status.code(), Some(1));
            let expected = format!(
                "leitmotif: {} is a checkpoint and no model yet; compile it first: leitmotif-export compile {} --name NAME\n",
                model.display(),
                best.display()
            );
            assert_eq!(err(&output), expected);
        }
    }
}

#[test]
fn completions_and_manual_pages_name_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = leitmotif().args(["completions", shell]).output().unwrap();
        assert_eq!(script.status.code(), Some(0));
        assert!(
            out(&script).contains("recognize") && out(&script).contains("files-from"),
            "{shell}"
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    let output = leitmotif().arg("manual").arg(&pages).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let page = fs::read_to_string(pages.join("leitmotif.1")).unwrap();
    for command in ["recognize", "evaluate", "info", "check", "providers", "completions", "manual"]
    {
        assert!(page.contains(command), "{command}");
        let page = fs::read_to_string(pages.join(format!("leitmotif-{command}.1"))).unwrap();
        assert!(page.starts_with(".ie") || page.contains(".TH"), "{command}: {page}");
    }
    assert!(fs::read_to_string(pages.join("leitmotif-recognize.1")).unwrap().contains("130"));
}

#[test]
fn silence_is_reported_and_too_many_threads_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("silence.wav");
    wav(&path, 16_000, &[0.0; 20 * SEGMENT]);
    assert!(out(&recognize(&[&path])).contains("silent: "));
    let output = recognize(&[&path, "--json".as_ref()]);
    assert_eq!(serde_json::from_str::<Value>(&out(&output)).unwrap()["peak"], 0.0);
    assert!(!out(&recognize(&[&data("audio/mtat.mp3")])).contains("silent"));
    assert_eq!(recognize(&[&path, "--threads=100000".as_ref()]).status.code(), Some(2));
}

#[test]
fn the_model_may_come_from_a_variable() {
    let mut command = leitmotif();
    command.arg("recognize").arg(data("audio/mtat.mp3")).env("LEITMOTIF_MODEL", tiny("step"));
    assert_eq!(command.output().unwrap().status.code(), Some(0));
}

#[test]
fn json_is_one_object_a_line_with_an_optional_timeline() {
    let (song, other) = (data("audio/mtat.mp3"), data("audio/s16.flac"));
    let output = recognize(&[&song, &other, "--json".as_ref()]);
    let rows: Vec<Value> =
        out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["file"], song.to_str().unwrap());
    assert_eq!(rows[0]["artists"][0]["artist"], best());
    assert!(out(&output).contains("Bo, \\\"the\\\" 🎷"));
    assert_eq!(rows[0]["artists"].as_array().unwrap().len(), 3);
    assert_eq!(rows[1]["audio"]["codec"], "flac");
    assert_eq!(rows[0]["timeline"], Value::Null);

    let output = recognize(&[&song, "--json".as_ref(), "--timeline".as_ref()]);
    let row: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(row["timeline"].as_array().unwrap().len() as u64, row["segments"].as_u64().unwrap());
}

#[test]
fn a_best_artist_below_the_least_probability_is_none_of_them() {
    let song = data("audio/mtat.mp3");
    let unknown = |least: &[&str]| {
        let options = least.iter().map(|option| Path::new(*option));
        let json = recognize(
            &[&[song.as_path(), "--json".as_ref()], &options.collect::<Vec<_>>()[..]].concat(),
        );
        serde_json::from_str::<Value>(&out(&json)).unwrap()["unknown"].clone()
    };
    // This card has no threshold.
    assert_eq!(unknown(&[]), Value::Null);
    assert_eq!(unknown(&["--min-probability=1"]), true);
    assert_eq!(unknown(&["--min-probability=0"]), false);
    let lines = out(&recognize(&[&song, "--min-probability=1".as_ref()]));
    let lines: Vec<&str> = lines.lines().collect();
    assert!(lines[1].contains("none of these artists") && lines[2].ends_with(&best()), "{lines:?}");
    assert!(!out(&recognize(&[&song])).contains("none of these artists"));
    let refused = recognize(&[&song, "--min-probability=80".as_ref()]);
    assert!(refused.status.code() == Some(2) && err(&refused).contains("from 0 to 1"));
}

#[test]
fn the_timeline_has_one_line_a_window() {
    let output = recognize(&[&data("audio/mtat.mp3"), "--timeline".as_ref()]);
    assert_eq!(out(&output).lines().filter(|line| line.contains(" – ")).count(), 7);
}

#[test]
fn broken_files_are_reported_and_do_not_stop_a_batch() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
    wav(&folder.path().join("b-fine.wav"), 16_000, &noise(1, 9 * SEGMENT));
    wav(&folder.path().join("d-short.wav"), 16_000, &noise(1, 100));
    write("a-empty.mp3", b"");
    write("c-text.mp3", "words ".repeat(2_000).as_bytes());
    write("notes.txt", b"not audio by its extension, so skipped");
    fs::create_dir(folder.path().join("album")).unwrap();
    wav(&folder.path().join("album/song.WAV"), 44_100, &noise(2, 44_100));

    let missing = folder.path().join("missing.ogg");
    let output = recognize(&[folder.path(), &missing]);
    assert_eq!(output.status.code(), Some(1));
    let answered: Vec<_> =
        out(&output).lines().filter(|line| line.ends_with(" s)")).map(str::to_owned).collect();
    assert_eq!(answered.len(), 2, "{answered:?}");
    assert!(answered[0].contains("album/song.WAV") && answered[1].contains("b-fine.wav"));
    let messages: Vec<_> = err(&output).lines().map(str::to_owned).collect();
    assert_eq!(messages.len(), 5, "{messages:?}");
    for (message, name) in messages.iter().zip(["a-empty", "c-text", "d-short", "missing"]) {
        assert!(message.starts_with("leitmotif: ") && message.contains(name), "{message}");
    }
    assert_eq!(messages[4], "leitmotif: 4 of 6 files gave no answer");

    let output = recognize(&[folder.path(), "--json".as_ref()]);
    let rows: Vec<Value> =
        out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let failed: Vec<_> = rows.iter().filter(|row| row["error"].is_string()).collect();
    assert_eq!((rows.len(), failed.len()), (5, 3));
    assert!(failed[0]["error"].as_str().unwrap().contains("is empty"), "{failed:?}");
    assert!(rows.iter().all(|row| row["error"].is_string() || row["artists"].is_array()));
}

#[test]
#[cfg(unix)]
fn a_thousand_good_and_broken_files_have_one_row_each() {
    use std::os::unix::ffi::OsStringExt;
    let folder = tempfile::tempdir().unwrap();
    let at = |name: String| folder.path().join(name);
    let song = fs::read(data("audio/mtat.mp3")).unwrap();
    wav(&at("good.wav".to_owned()), 16_000, &noise(1, 9 * SEGMENT));
    let audio = fs::read(at("good.wav".to_owned())).unwrap();
    let mut good = 1;
    for n in 0..999 {
        // Each kind of file 111 times; the first four of nine can be decoded.
        let (name, content): (_, &[u8]) = match n % 9 {
            0 => ("fine.wav", &audio),
            1 => ("wrong-ending.flac", &audio),
            2 => ("fine.mp3", &song),
            3 => ("cut.mp3", &song[..song.len() / 2]),
            4 => ("empty.ogg", &[]),
            5 => ("one-byte.wav", b"R"),
            6 => ("text.mp3", b"words and nothing but words, a poem in place of a song"),
            7 => ("short.wav", &audio[..100]),
            _ => ("zip.m4a", b"PK\x03\x04 a box of another kind, and what is in it is no music"),
        };
        good += usize::from(n % 9 < 4);
        fs::write(at(format!("{n:03}-{name}")), content).unwrap();
    }
    // A name that is not UTF-8 is accepted; a loop and a broken link do not stop the batch.
    let odd = std::ffi::OsString::from_vec(b"\xff\xfe.wav".to_vec());
    fs::write(folder.path().join(odd), &audio).unwrap();
    good += 1;
    std::os::unix::fs::symlink(folder.path(), at("loop".to_owned())).unwrap();
    std::os::unix::fs::symlink("nowhere", at("gone.mp3".to_owned())).unwrap();

    let output = recognize(&[folder.path(), "--json".as_ref()]);
    assert_eq!(output.status.code(), Some(1));
    let rows: Vec<Value> =
        out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered = rows.iter().filter(|row| row["artists"].is_array()).count();
    assert_eq!((rows.len(), answered), (1_002, good));
    for row in rows.iter().filter(|row| !row["artists"].is_array()) {
        let (file, why) = (row["file"].as_str().unwrap(), row["error"].as_str().unwrap());
        assert!(why.contains(file), "{why}");
    }
    let last = err(&output).lines().last().unwrap().to_owned();
    assert_eq!(last, format!("leitmotif: {} of 1001 files gave no answer", 1_001 - good));
}

#[test]
fn an_empty_folder_is_reported_as_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let output = recognize(&[folder.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("there is no audio file in it"), "{}", err(&output));
}

#[test]
#[cfg(unix)]
fn a_folder_that_cannot_be_read_does_not_hide_its_neighbours() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        fs::create_dir(folder.path().join(name)).unwrap();
        wav(&folder.path().join(name).join("song.wav"), 16_000, &noise(1, 9 * SEGMENT));
    }
    let locked = folder.path().join("b");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let readable = locked.read_dir().is_ok();
    let output = recognize(&[folder.path()]);
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    if readable {
        println!("skipped: this user may read everything (root)");
        return;
    }
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out(&output).lines().filter(|line| line.ends_with(" s)")).count(), 2);
    assert!(err(&output).contains("b: cannot be read"), "{}", err(&output));
}

#[test]
fn a_model_that_is_not_a_regular_file_is_refused_at_once() {
    for model in ["/dev/null", "/"] {
        let output = leitmotif().args(["info", model]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(err(&output).matches("not a regular file").count(), 1, "{}", err(&output));
    }
}

#[test]
fn wrong_usage_is_exit_code_two() {
    for arguments in [
        &["recognize"][..],
        &["recognize", "song.mp3"],
        &["recognize", "song.mp3", "--model", "m.onnx", "--device", "gpu"],
        &["recognize", "song.mp3", "--model", "m.onnx", "--top", "0"],
        &["recognize", "song.mp3", "--model", "m.onnx", "--part", "0/2"],
        &["recognize", "song.mp3", "--model", "m.onnx", "--part", "3/2"],
        &["recognize", "song.mp3", "--model", "m.onnx", "--jobs", "0"],
        &["recognize", "song.mp3", "--model", "m.onnx", "--force"],
        &["recognize", "song.mp3", "--model", "m.onnx", "--json", "--format", "csv"],
        &["recognize", "song.mp3", "--model", "m.onnx", "--format", "csv", "--timeline"],
        &["recognize", "song.mp3", "--model", "m.onnx", "--out", "answers.txt"],
        &["recognize", "song.mp3", "--model", "m.onnx", "--out", "answers.csv", "--format", "json"],
        &["completions", "tcsh"],
        &["dance"],
    ] {
        let output = leitmotif().args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn control_characters_in_names_are_escaped() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.onnx");
    fs::write(&model, edited("clip", &[("[\"Ada\",", "[\"a\\t\",")])).unwrap();
    let song = folder.path().join("so\u{1b}ng.wav");
    wav(&song, 16_000, &noise(1, 9 * SEGMENT));
    let output =
        leitmotif().arg("recognize").arg(&song).arg("--model").arg(&model).output().unwrap();
    let shown = out(&output);
    assert!(shown.contains("%  a\\t\n") && shown.contains("so\\u{1b}ng.wav"), "{shown}");
    assert!(!shown.contains('\t') && !shown.contains('\u{1b}'));
}

#[test]
fn cuda_where_it_cannot_run_is_an_error_with_the_reason() {
    if out(&leitmotif().arg("providers").output().unwrap()).contains("cuda     yes") {
        println!("skipped: CUDA runs on this machine");
        return;
    }
    let output = recognize(&[&data("audio/mtat.mp3"), "--device=cuda:1".as_ref()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).starts_with("leitmotif: CUDA cannot run here ("), "{}", err(&output));
    assert_eq!(out(&output), "");
}

#[test]
fn a_missing_or_wrong_library_is_an_error_without_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so");
    fs::write(&text, "no library").unwrap();
    // A shared library other than ONNX Runtime: this test's own C library.
    let libc = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let libc = libc.lines().filter_map(|line| line.split_whitespace().nth(5));
    let libc = libc.filter(|path| path.contains("libc.so")).map(str::to_owned).next();
    let mut cases = vec![
        ("/nonexistent".to_owned(), "ONNX Runtime's library was not found"),
        (text.to_str().unwrap().to_owned(), "cannot be used as ONNX Runtime"),
    ];
    cases.extend(libc.map(|libc| (libc, "it is not ONNX Runtime")));
    for (library, message) in cases {
        for command in [&["providers"][..], &["check", tiny("clip").to_str().unwrap()]] {
            let output =
                leitmotif().args(command).env("ORT_DYLIB_PATH", &library).output().unwrap();
            assert_eq!(output.status.code(), Some(1), "{library}");
            let stderr = err(&output);
            assert!(stderr.contains(message) && stderr.contains("ORT_DYLIB_PATH"), "{stderr}");
            assert!(!stderr.contains("panicked") && stderr.lines().count() == 1, "{stderr}");
        }
    }
}

#[test]
fn info_describes_a_model_by_its_card() {
    let output = leitmotif().arg("info").arg(tiny("sequence")).output().unwrap();
    let shown = out(&output);
    for part in ["model      tiny", "lstm head", "by song, seed 1", "waveform [any, any]"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(shown.contains("artist 1   Bo, \"the\" 🎷\n"), "{shown}");
    let output = leitmotif().arg("info").arg(tiny("step")).arg("--json").output().unwrap();
    let report: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(report["card"]["graph"], "step");
    assert_eq!(report["inputs"][1]["name"], "h");
}

#[test]
fn info_describes_a_file_that_cannot_recognise() {
    // The end of the list of tools makes room for the additional fields of such a card.
    let from = r#""leitmotif-export":"0.1.0","leitmotif-export's tests":"1"}"#;
    let to = r#"},"fixed":{"batch":2,"segments":7},"embedding_only":true"#;
    let to = format!("{to:width$}", width = from.len());
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.onnx");
    fs::write(&model, edited("clip", &[(from, &to)])).unwrap();
    let shown = out(&leitmotif().arg("info").arg(&model).output().unwrap());
    for part in ["fixed      batch 2, segments 7\n", "ends with the embedding", "artist 0   Ada\n"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let refused = leitmotif().arg("check").arg(&model).output().unwrap();
    assert!(err(&refused).contains("embedding"), "{}", err(&refused));
}

#[test]
fn check_passes_an_intact_model_and_fails_another() {
    let folder = tempfile::tempdir().unwrap();
    let moved = folder.path().join("moved.onnx");
    fs::write(&moved, with_wrong_golden("clip")).unwrap();
    for (model, code, verdict) in [(tiny("clip"), 0, "passed: "), (moved, 1, "failed: ")] {
        let output = leitmotif().arg("check").arg(model).output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        assert!(out(&output).starts_with(verdict), "{}", out(&output));
    }
    let output =
        leitmotif().args(["check", "--device", "cpu", "--json"]).arg(tiny("step")).output();
    let report: Value = serde_json::from_str(&out(&output.unwrap())).unwrap();
    assert_eq!(report["passed"], true);
    assert_eq!(report["device"]["device"], "cpu");
    assert!(report["test"]["largest_difference"].as_f64().unwrap() < 1e-5);
}

#[test]
#[cfg(unix)]
fn ctrl_c_stops_after_the_current_file_and_keeps_the_rows_so_far() {
    let folder = tempfile::tempdir().unwrap();
    let songs = 400;
    let samples = noise(1, 20 * 16_000);
    for song in 0..songs {
        wav(&folder.path().join(format!("{song:03}.wav")), 48_000, &samples);
    }
    let mut command = leitmotif();
    command.arg("recognize").arg(folder.path()).arg("--json").arg("--model").arg(tiny("clip"));
    let mut running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let id = running.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    let output = running.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130));
    assert!(rest.len() < songs - 1, "it did not stop");
    for line in [first].iter().chain(&rest) {
        serde_json::from_str::<Value>(line).unwrap();
    }
    let stderr = err(&output);
    let expected = format!("stopped after {} of {songs} files", rest.len() + 1);
    assert!(stderr.contains(&expected), "{stderr}");
}

#[test]
#[cfg(unix)]
fn ctrl_c_twice_gives_no_row_for_the_file_that_it_interrupts() {
    let folder = tempfile::tempdir().unwrap();
    let samples = noise(1, 60 * 16_000);
    for song in 0..4 {
        wav(&folder.path().join(format!("{song}.wav")), 16_000, &samples);
    }
    for _ in 0..10 {
        let mut command = leitmotif();
        command.arg("recognize").args(["--json", "--model"]).arg(tiny("step"));
        command.args((0..400).map(|n| folder.path().join(format!("{}.wav", n % 4))));
        let mut running = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
        lines.next().unwrap().unwrap();
        let id = running.id().to_string();
        for _ in 0..2 {
            assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
        }
        assert!(lines.map(Result::unwrap).all(|line| !line.contains("\"error\"")));
        assert_eq!(running.wait().unwrap().code(), Some(130));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn where_no_thread_can_be_started_the_error_says_so_and_one_thread_suffices() {
    // Limits of processes do not hold for root: as nobody, if this user may become that.
    let nobody = |limit: &str, threads: &str| {
        let mut command = Command::new("timeout");
        command.args(["60", "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
            .args(["prlimit", limit, env!("CARGO_BIN_EXE_leitmotif"), "check"])
            .arg(tiny("clip"));
        command.args(["--device", "cpu", "--threads", threads]).env_clear();
        command.env("PATH", "/usr/bin:/bin").current_dir("/").output()
    };
    if !nobody("--nproc=1000", "4").is_ok_and(|output| output.status.success()) {
        println!("skipped: this user cannot run the program as nobody");
        return;
    }
    let refused = nobody("--nproc=1", "4").unwrap();
    assert_eq!(refused.status.code(), Some(1), "{}", err(&refused));
    assert!(err(&refused).contains("refuses the 4 threads"), "{}", err(&refused));
    assert!(!err(&refused).contains("export it again"), "{}", err(&refused));
    let one = nobody("--nproc=1", "1").unwrap();
    assert_eq!(one.status.code(), Some(0), "{}", err(&one));
}
