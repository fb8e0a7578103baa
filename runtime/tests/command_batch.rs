//! The command `leitmotif recognize` on many files: formats, rows that are kept, parts, jobs, lists, standard input,
//! strips and pictures.
#![cfg(feature = "cli")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::{SEGMENT, data, edited, noise, tiny, wav};

fn recognize<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif"));
    command.env_clear().current_dir(std::env::temp_dir()).arg("recognize").args(arguments);
    command.arg("--threads=1").env("LEITMOTIF_MODEL", tiny("clip"));
    command
}

fn run<A: AsRef<OsStr>>(arguments: &[A]) -> Output {
    recognize(arguments).output().unwrap()
}

/// Runs with these bytes on standard input.
fn run_with(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    running.stdin.take().unwrap().write_all(input).unwrap();
    running.wait_with_output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn names(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["file"].as_str().unwrap().to_owned()).collect()
}

/// A folder of `n` songs, and their paths.
fn songs(n: usize) -> (tempfile::TempDir, Vec<PathBuf>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |i: usize| folder.path().join(format!("{i:02}.wav"));
    let paths: Vec<PathBuf> = (0..n).map(path).collect();
    for (i, path) in paths.iter().enumerate() {
        // The first is much longer: with several jobs it ends last.
        wav(path, 16_000, &noise(i as u32, if i == 0 { 4_000 } else { 9 } * SEGMENT));
    }
    (folder, paths)
}

/// The problems of a value by a JSON schema of the few words that ours uses.
fn violations(schema: &Value, root: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(name) = schema["$ref"].as_str() {
        let target = root.pointer(name.trim_start_matches('#')).unwrap();
        return violations(target, root, value, at);
    }
    let mut found = Vec::new();
    if let Some(choices) = schema["oneOf"].as_array() {
        let of: Vec<_> = choices.iter().map(|choice| violations(choice, root, value, at)).collect();
        if of.iter().filter(|violations| violations.is_empty()).count() != 1 {
            found.push(format!("{at}: not exactly one of {of:?}"));
        }
    }
    if schema.get("const").is_some_and(|only| only != value) {
        found.push(format!("{at}: {value}"));
    }
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("{other}"),
    };
    let fits = match &schema["type"] {
        Value::String(name) => is(name),
        Value::Array(names) => names.iter().any(|name| is(name.as_str().unwrap())),
        _ => true,
    };
    if !fits {
        found.push(format!("{at}: {value} is not {}", schema["type"]));
    }
    if let Some(fields) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(name.as_str().unwrap()) {
                found.push(format!("{at}: no {name}"));
            }
        }
        for (name, field) in fields {
            match schema["properties"].get(name) {
                Some(schema) => {
                    found.extend(violations(schema, root, field, &format!("{at}/{name}")))
                }
                // Stricter than the schema itself: what is printed must be documented.
                None if schema["properties"].is_object() && !at.contains("/notes") => {
                    found.push(format!("{at}: {name} is undocumented"));
                }
                None => {}
            }
        }
    }
    if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
        found.extend(
            items.iter().flat_map(|item| violations(schema, root, item, &format!("{at}/-"))),
        );
    }
    found
}

#[test]
fn json_is_as_its_schema_documents() {
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join("answers.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let song = data("audio/mtat.mp3");
    let arguments = [song.to_str().unwrap(), "/nowhere.mp3", "--timeline", "--top=2"];
    let output = run(&[&arguments[..], &["--format=json"]].concat());
    assert_eq!(output.status.code(), Some(1));
    let object: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(violations(&schema, &schema, &object, ""), Vec::<String>::new());
    let answers = object["answers"].as_array().unwrap();
    assert_eq!((answers.len(), &object["stopped"]), (2, &Value::Bool(false)));
    assert!(!answers[0]["timeline"].as_array().unwrap().is_empty());

    // Both spellings of JSON lines print these rows.
    for option in ["--json", "--format=ndjson"] {
        assert_eq!(&rows(&out(&run(&[&arguments[..], &[option]].concat()))), answers);
    }
    // The schema is no formality: it finds what is missing and what is wrong.
    let mut broken = object.clone();
    broken["answers"][0]["peak"] = Value::Null;
    assert_eq!(violations(&schema, &schema, &broken, "").len(), 1);
    // No file at all is an object, too.
    let empty = tempfile::tempdir().unwrap();
    let output = run(&[empty.path().to_str().unwrap(), "--format=json"]);
    let object: Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(violations(&schema, &schema, &object, ""), Vec::<String>::new());
}

#[test]
fn csv_has_a_row_for_each_file_and_columns_for_each_rank() {
    let song = data("audio/mtat.mp3");
    let output = run(&[song.to_str().unwrap(), "/no,where.mp3", "--format=csv", "--top=2"]);
    let text = out(&output);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        "file,model,weights,seconds,silent,unknown,certainty,error,artist_1,probability_1,artist_2,probability_2"
    );
    let fields: Vec<&str> = lines[1].split(',').collect();
    assert_eq!((fields[0], fields[1], fields[4]), (song.to_str().unwrap(), "tiny", "false"));
    assert!(
        lines[2].starts_with("\"/no,where.mp3\",tiny,") && lines[2].ends_with(",,,,"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 3);
}

#[test]
fn rows_are_kept_and_their_files_are_skipped() {
    let (folder, paths) = songs(4);
    for name in ["answers.ndjson", "answers.csv"] {
        let kept = folder.path().join(name);
        let first = run(&[&paths[0], &paths[1], &PathBuf::from("--out"), &kept]);
        assert_eq!((first.status.code(), out(&first)), (Some(0), String::new()), "{}", err(&first));
        let two = fs::read(&kept).unwrap();
        // What a kill leaves of a row is cut off, wherever it fell.
        let row = two.split_inclusive(|byte| *byte == b'\n').next_back().unwrap();
        for cut in [0, 1, 9, row.len() / 2, row.len() - 1] {
            fs::write(&kept, [&two[..], &row[..cut]].concat()).unwrap();
            let again = run(&[&paths[0], &paths[1], &PathBuf::from("--out"), &kept]);
            assert_eq!(again.status.code(), Some(0), "{}", err(&again));
            assert!(err(&again).contains("2 files skipped"), "{}", err(&again));
            assert_eq!(fs::read(&kept).unwrap(), two, "{name}, {cut} bytes");
        }
        let all = run(&[folder.path(), "--out".as_ref(), &kept]);
        assert_eq!(all.status.code(), Some(0), "{}", err(&all));
        let four = fs::read_to_string(&kept).unwrap();
        assert!(four.as_bytes().starts_with(&two));
        assert_eq!(
            paths.iter().filter(|path| four.matches(path.to_str().unwrap()).count() == 1).count(),
            4
        );
        let forced = run(&[&paths[2], &PathBuf::from("--out"), &kept, &PathBuf::from("--force")]);
        assert_eq!(forced.status.code(), Some(0));
        let one = fs::read_to_string(&kept).unwrap();
        assert!(one.contains("02.wav") && !one.contains("01.wav"));
    }
}

#[test]
fn what_is_no_file_of_these_rows_is_left_as_it_is() {
    let (folder, paths) = songs(1);
    let other = folder.path().join("other.onnx");
    let weights =
        serde_json::from_str::<Value>(&out(&run(&[paths[0].to_str().unwrap(), "--json"]))).unwrap();
    let weights = weights["weights"].as_str().unwrap().to_owned();
    assert_eq!(weights.len(), 16);
    fs::write(&other, edited("clip", &[(&weights, "0123456789abcdef")])).unwrap();
    for name in ["answers.jsonl", "answers.csv"] {
        let kept = folder.path().join(name);
        let run = |model: &Path| {
            let mut command = recognize(&[&paths[0], &PathBuf::from("--out"), &kept]);
            command.env("LEITMOTIF_MODEL", model).output().unwrap()
        };
        for content in ["a line without an end", "a line\n", "{\"version\":1}\n", "a,b\n1,2\n"] {
            fs::write(&kept, content).unwrap();
            let output = run(&tiny("clip"));
            assert_eq!(output.status.code(), Some(1));
            assert!(err(&output).contains("cannot be continued"), "{}", err(&output));
            assert_eq!(fs::read_to_string(&kept).unwrap(), content);
        }
        fs::remove_file(&kept).unwrap();
        assert_eq!(run(&tiny("clip")).status.code(), Some(0));
        let before = fs::read(&kept).unwrap();
        let output = run(&other);
        assert!(err(&output).contains("answers of another model"), "{}", err(&output));
        assert_eq!(fs::read(&kept).unwrap(), before);

        let held = fs::File::open(&kept).unwrap();
        held.lock().unwrap();
        assert!(err(&run(&tiny("clip"))).contains("another process writes"));
    }
}

#[test]
fn parts_divide_the_files_whatever_their_order() {
    let (folder, paths) = songs(7);
    let mut found = Vec::new();
    for part in 1..=3 {
        let option = format!("--part={part}/3");
        let rows = rows(&out(&run(&[folder.path().to_str().unwrap(), "--json", &option])));
        let backwards: Vec<&str> = paths.iter().rev().map(|path| path.to_str().unwrap()).collect();
        let of_list = run(&[&backwards[..], &["--json", &option]].concat());
        assert_eq!(names(&self::rows(&out(&of_list))), names(&rows));
        found.push(names(&rows));
    }
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [3, 2, 2]);
    let mut all = found.concat();
    all.sort();
    assert!(all.iter().map(String::as_str).eq(paths.iter().map(|path| path.to_str().unwrap())));
}

#[test]
fn several_jobs_give_the_rows_of_one_in_its_order() {
    let (folder, _) = songs(40);
    fs::write(folder.path().join("07-broken.wav"), "text").unwrap();
    let one = run(&[folder.path().to_str().unwrap(), "--json"]);
    let three = run(&[folder.path().to_str().unwrap(), "--json", "--jobs=3"]);
    assert_eq!((one.status.code(), three.status.code()), (Some(1), Some(1)));
    assert_eq!(rows(&out(&one)).len(), 41);
    assert_eq!(out(&one), out(&three));
    assert_eq!(err(&one), err(&three));
}

#[test]
fn a_list_names_files_and_folders() {
    let (folder, paths) = songs(3);
    let list = format!("{}\r\n\n{}\n", paths[2].display(), folder.path().display());
    let expected: Vec<&PathBuf> = [&paths[2]].into_iter().chain(&paths).collect();
    let file = folder.path().join("list.txt");
    fs::write(&file, &list).unwrap();
    let from_file = run(&["--json", "--files-from", file.to_str().unwrap()]);
    let from_stdin = run_with(recognize(&["--json", "--files-from", "-"]), list.as_bytes());
    for output in [from_file, from_stdin] {
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        let found = names(&rows(&out(&output)));
        assert!(
            found.iter().map(Path::new).eq(expected.iter().map(|path| path.as_path())),
            "{found:?}"
        );
    }
    assert_eq!(run(&["-", "--files-from", "-"]).status.code(), Some(2));
    let gone = run(&["--files-from", "/nowhere.txt"]);
    assert!(err(&gone).contains("/nowhere.txt cannot be read"), "{}", err(&gone));
}

#[test]
fn standard_input_is_a_file() {
    let song = data("audio/mtat.mp3");
    let expected = rows(&out(&run(&[song.to_str().unwrap(), "--json"])));
    let output = run_with(recognize(&["-", "--json"]), &fs::read(&song).unwrap());
    let mut found = rows(&out(&output));
    assert_eq!(found[0]["file"], "-");
    found[0]["file"] = expected[0]["file"].clone();
    assert_eq!(found, expected);
    let broken =
        run_with(recognize(&["-"]), b"words and nothing but words, a poem in place of a song");
    assert_eq!(broken.status.code(), Some(1));
    assert!(
        err(&broken).starts_with("leitmotif: standard input: it has no supported"),
        "{}",
        err(&broken)
    );
}

#[test]
fn a_pipe_has_no_colours_and_a_strip_of_letters() {
    let song = data("audio/mtat.mp3");
    let arguments = [song.to_str().unwrap(), "--timeline", "--top=1"];
    let plain = run(&arguments);
    let colored = recognize(&arguments).env("CLICOLOR_FORCE", "1").output().unwrap();
    let mut refused = recognize(&arguments);
    let refused = refused.env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1").output().unwrap();
    assert!(!out(&plain).contains('\u{1b}'));
    assert_eq!(out(&plain), out(&refused));
    assert!(out(&colored).contains("\u{1b}[1;32m   1."), "{}", out(&colored));
    // Nothing but the colours differs.
    let colored = out(&colored);
    let mut pieces = colored.split('\u{1b}');
    let mut without = pieces.next().unwrap().to_owned();
    pieces.for_each(|piece| without += piece.split_once('m').unwrap().1);
    assert_eq!(without, out(&plain));
    let text = out(&plain);
    let strip = text.lines().nth(2).unwrap().trim();
    assert!(strip.len() >= 60 && strip.starts_with('A'), "{text}");
    assert!(text.lines().nth(3).unwrap().starts_with("      A "), "{text}");
}

#[test]
#[cfg(unix)]
fn a_picture_shows_every_artist_of_the_recordings_and_escapes_names() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("m.onnx");
    fs::write(&model, edited("clip", &[("[\"Ada\",", "[\"<&>\",")])).unwrap();
    let song = folder.path().join("<script>&\u{1}\u{ffff}.wav");
    wav(&song, 16_000, &noise(1, 40 * SEGMENT));
    let picture = folder.path().join("plot.svg");
    let mut command =
        recognize(&[&song, &data("audio/mtat.mp3"), &PathBuf::from("--plot"), &picture]);
    let output = command.env("LEITMOTIF_MODEL", &model).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    // The table is printed all the same, without a timeline.
    assert!(out(&output).lines().count() == 8, "{}", out(&output));
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
    assert!(
        svg.contains("&lt;script&gt;&amp;\\u{1}\u{fffd}.wav") && !svg.contains("<script>"),
        "{svg}"
    );
    assert!(!svg.contains("<&>") && !svg.contains('\u{ffff}'));
    // Tags are closed, and there is nothing between them that would open one.
    for piece in svg.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap();
        assert!(
            ["svg", "rect", "text", "title"]
                .iter()
                .any(|name| tag.trim_start_matches('/').starts_with(name)),
            "{tag}"
        );
        assert!(!text.contains('>'), "{text}");
    }
    // What cannot be written is said before the work.
    let refused = run(&[song.to_str().unwrap(), "--plot=/nowhere/plot.svg"]);
    assert_eq!((refused.status.code(), out(&refused)), (Some(1), String::new()));
    assert!(err(&refused).contains("/nowhere/plot.svg cannot be written"), "{}", err(&refused));
}

#[test]
#[cfg(unix)]
fn what_a_signal_interrupts_is_continued_without_a_row_twice_or_false() {
    let (folder, _) = songs(60);
    let long = noise(1, 60 * 16_000);
    for song in 0..60 {
        wav(&folder.path().join(format!("long-{song}.wav")), 16_000, &long);
    }
    let kept = folder.path().join("answers.ndjson");
    let arguments = [folder.path(), "--jobs=2".as_ref(), "--out".as_ref(), &kept];
    // Once or twice: the first finishes what is in work, the second does not.
    for signals in [1, 2, 2] {
        let before = fs::read(&kept).unwrap_or_default().len();
        let running = recognize(&arguments).stderr(Stdio::piped()).spawn().unwrap();
        while fs::read(&kept).unwrap_or_default().len() == before {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        for _ in 0..signals {
            let kill = Command::new("kill").args(["-INT", &running.id().to_string()]).status();
            assert!(kill.unwrap().success());
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let output = running.wait_with_output().unwrap();
        assert!(!err(&output).contains("long-0.wav"), "{}", err(&output));
    }
    let rest = run(&arguments);
    assert_eq!(rest.status.code(), Some(0), "{}", err(&rest));
    let rows = rows(&fs::read_to_string(&kept).unwrap());
    assert!(rows.iter().all(|row| row["artists"].is_array()));
    let mut names = names(&rows);
    names.sort();
    names.dedup();
    assert_eq!((rows.len(), names.len()), (120, 120));
}
