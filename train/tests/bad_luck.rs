//! `prepare` with concurrent processes, with unusual and broken files, and with files that change.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

#[path = "../dataset/tests/music/mod.rs"]
mod music;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use leitmotif_dataset::prepare::{Options, PrepareError, Report, plan, prepare};
use leitmotif_dataset::sources::{Found, manifest, tagged};
use leitmotif_dataset::store::Dataset;
use leitmotif_models::CLIP_SAMPLES;
use music::{Wave, bytes, four_songs, header, wav, wave, write_wave};

/// The command `prepare folder`, not yet started.
fn program(music: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif-train"));
    command.args(["prepare", "folder"]).arg(music).arg("--out").arg(out);
    command.args(["--min-songs=2"]).args(more);
    if !more.iter().any(|option| option.starts_with("--clip")) {
        command.arg("--clip-samples=2000");
    }
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Exit code, standard output and standard error.
fn ends(mut command: Command) -> (Option<i32>, String, String) {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn options() -> Options {
    Options { clip_samples: 4000, min_songs: 2, max_minutes_per_artist: None, threads: 2 }
}

fn folder(music: &Path) -> Found {
    tagged::find(music, tagged::TagsPolicy::Read, &mut |_| {}, &|| false).unwrap()
}

fn run(found: Found, out: &Path, options: &Options) -> Result<Report, PrepareError> {
    prepare(&plan(found, out, options)?, out, &mut |_| {}, &|| false)
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
}

/// A process that is killed on drop, even while it is stopped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A `prepare` that was suspended by SIGSTOP before it finished.
fn stopped(music: &Path, out: &Path) -> Running {
    for _ in 0..10 {
        let mut command = program(music, out, &["--threads=1"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = Running(command.spawn().unwrap());
        let journal = out.join("prepare.journal");
        let lines = || fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
        while lines() < 3 && child.0.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        signal(&child.0, "-STOP");
        if !out.join("dataset.toml").exists() && child.0.try_wait().unwrap().is_none() {
            return child;
        }
        drop(child);
        fs::remove_dir_all(out).unwrap();
    }
    panic!("it finished ten times before it could be suspended");
}

#[test]
fn a_second_process_is_refused_and_a_killed_one_leaves_no_lock() {
    let music = tempfile::tempdir().unwrap();
    for artist in ["Ann", "Bob"] {
        fs::create_dir(music.path().join(artist)).unwrap();
        for song in 0..100 {
            // Resampling makes each song take longer.
            let samples = Wave(song + 1000 * u32::from(artist.as_bytes()[0])).samples(5000);
            let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
            let path = music.path().join(artist).join(format!("song {song}.wav"));
            fs::write(path, wav(1, 11_025, 16, &data)).unwrap();
        }
    }
    let alone = tempfile::tempdir().unwrap();
    let (code, _, error) = ends(program(music.path(), alone.path(), &[]));
    assert_eq!(code, Some(0), "{error}");
    let alone = bytes(alone.path());

    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("data");
    let mut first = stopped(music.path(), &out);
    let before = bytes(&out);
    let other = four_songs();
    fs::remove_dir_all(other.path().join("Ann")).unwrap();
    fs::write(other.path().join("lost.wav"), "of no artist").unwrap();
    for (music, more, message) in [
        (
            music.path(),
            &[][..],
            "is being written by another process; wait for it or choose another",
        ),
        (music.path(), &["--clip-samples=1000"], "other music or other settings; choose another"),
        (other.path(), &[], "at least two artists with"),
    ] {
        let (code, output, error) = ends(program(music, &out, more));
        assert_eq!((code, output.as_str()), (Some(1), ""), "{error}");
        assert!(error.lines().last().unwrap().starts_with("error: "), "{error}");
        assert!(error.contains(message), "{error}");
        assert!(bytes(&out) == before, "files changed: {error}");
    }
    signal(&first.0, "-CONT");
    assert_eq!(first.0.wait().unwrap().code(), Some(0));
    assert!(bytes(&out) == alone, "the first process was disturbed");

    fs::remove_dir_all(&out).unwrap();
    // Dropping sends SIGKILL.
    drop(stopped(music.path(), &out));
    assert!(Dataset::open(&out).is_err());
    let (code, output, error) = ends(program(music.path(), &out, &["--json"]));
    assert_eq!(code, Some(0), "{error}");
    let report: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert!(report["resumed"].as_u64().unwrap() > 0, "{output}");
    assert!(bytes(&out) == alone, "the resumed data set differs");
}

#[test]
fn each_of_a_thousand_good_and_broken_files_is_stored_or_listed() {
    let music = tempfile::tempdir().unwrap();
    let at = |name: &str| music.path().join(name);
    let noise = |n: u32| Wave(n).samples(4500);
    let random: Vec<u8> = Wave(7).samples(2000).into_iter().flat_map(i16::to_le_bytes).collect();
    let mut good = BTreeSet::new();
    let mut out_by = BTreeMap::new();
    let (mut damaged, mut others) = (0, 0);
    for artist in 0..10 {
        fs::create_dir_all(at(&format!("Artist {artist}/Album"))).unwrap();
    }
    for n in 0..1000 {
        let sound = wave(&noise(n));
        // The rule that leaves it out; empty for a usable file.
        let (name, content, rule): (_, Vec<u8>, _) = match n % 14 {
            0..4 => ("fine.wav", sound, ""),
            4 => ("wrong ending.flac", sound, ""),
            5 => ("cut.wav", sound[..sound.len() - 99].to_vec(), ""),
            6 => ("empty.ogg", Vec::new(), "unreadable"),
            7 => ("one sample.wav", wave(&[7]), "too-short"),
            8 => ("header.wav", sound[..30].to_vec(), "unreadable"),
            9 => ("random.mp3", random.clone(), "unreadable"),
            10 => ("text.mp3", "text instead of music ".repeat(40).into(), "unreadable"),
            11 => (
                "claims 4 GB.wav",
                [&header(1, 16_000, 16, u32::MAX - 40), &random[..500]].concat(),
                "too-short",
            ),
            12 => (
                "tag of 256 MB.mp3",
                [b"ID3\x04\0\0\x7f\x7f\x7f\x7f", &random[..]].concat(),
                "unreadable-tags",
            ),
            _ => ("notes.txt", sound, "other"),
        };
        let id = format!("Artist {}/Album/{n:03} {name}", n % 10);
        fs::write(at(&id), content).unwrap();
        match rule {
            "" => _ = good.insert(id),
            "other" => others += 1,
            rule => _ = out_by.insert(id, rule),
        }
        damaged += usize::from(n % 14 == 5);
    }
    // Entries that are not files, and links that are broken or cyclic.
    let folder = at("Artist 0");
    symlink(music.path(), folder.join("circle")).unwrap();
    symlink("me", folder.join("me")).unwrap();
    symlink("gone", folder.join("to nowhere.mp3")).unwrap();
    symlink("Album/000 fine.wav", folder.join("again.wav")).unwrap();
    fs::create_dir(folder.join("folder.mp3")).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("pipe.wav")).status().unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket.wav")).unwrap();
    for (name, rule) in [
        ("me", "unreadable"),
        ("to nowhere.mp3", "unreadable"),
        ("again.wav", "same-file"),
        ("pipe.wav", "unreadable"),
        ("socket.wav", "unreadable"),
    ] {
        out_by.insert(format!("Artist 0/{name}"), rule);
    }
    if cfg!(target_os = "linux") {
        // It exists, but reading it is an I/O error, as on a failing disk.
        symlink("/proc/self/mem", folder.join("dying.wav")).unwrap();
        out_by.insert("Artist 0/dying.wav".to_owned(), "unreadable");
    }
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe.wav");
    fs::write(folder.join(odd), wave(&noise(6000))).unwrap();
    good.insert("Artist 0/\u{fffd}\u{fffd}.wav".to_owned());

    let out = tempfile::tempdir().unwrap();
    // The data set is made of the good files, so this is a success; broken files are counted and listed.
    let (code, summary, error) = ends(program(music.path(), out.path(), &[]));
    assert_eq!(code, Some(0), "{error}");
    let clips = Dataset::open(out.path()).unwrap();
    let songs: BTreeSet<String> = clips.clips().iter().map(|clip| clip.song.to_owned()).collect();
    assert_eq!(songs, good);
    assert_eq!(clips.clips().len(), 2 * good.len());

    let mut list = csv::Reader::from_path(out.path().join("left-out.csv")).unwrap();
    let rows: Vec<[String; 3]> = list.deserialize().map(Result::unwrap).collect();
    let found: BTreeMap<_, _> =
        rows.iter().map(|[path, rule, _]| (path.clone(), rule.as_str())).collect();
    assert_eq!(found, out_by);
    assert_eq!(rows.len(), out_by.len(), "a file is listed twice");
    let without_reason: Vec<_> = rows.iter().filter(|[_, _, reason]| reason.is_empty()).collect();
    assert!(without_reason.is_empty(), "no reason for {without_reason:?}");
    if cfg!(target_os = "linux") {
        let is_dying = |row: &&[String; 3]| row[0] == "Artist 0/dying.wav";
        let [_, _, reason] = rows.iter().find(is_dying).unwrap();
        assert!(reason.contains("os error"), "the cause is missing: {reason}");
    }

    let count = |rule| out_by.values().filter(|of| **of == rule).count();
    for line in [
        format!("{} files left out", out_by.len()),
        format!("{:>6}  unreadable or damaged, for example ", count("unreadable")),
        format!("{:>6}  shorter than one clip, for example ", count("too-short")),
        format!("damaged or truncated, kept as far as they can be decoded: {damaged} song"),
        format!("{others} files of other kinds ignored"),
    ] {
        assert!(summary.contains(&line), "{line}: {summary}");
    }
    let (code, report, error) = ends(program(music.path(), out.path(), &["--json"]));
    assert_eq!(code, Some(0), "{error}");
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    for (rule, files) in report["left_out_by_rule"].as_object().unwrap() {
        assert_eq!(files.as_u64(), Some(count(rule) as u64), "{rule}");
    }

    let (_, help, _) = ends({
        let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif-train"));
        command.args(["prepare", "folder", "--help"]);
        command
    });
    assert!(
        help.contains("0    the data set, or its part, is finished; files may be left out"),
        "{help}"
    );
}

#[test]
fn a_file_that_is_deleted_after_it_was_found_is_listed() {
    let music = four_songs();
    let gone = music.path().join("Ann/Album/00 - Gone.wav");
    write_wave(&gone, &Wave(80).samples(10_000));
    let found = folder(music.path());
    fs::remove_file(gone).unwrap();
    let out = tempfile::tempdir().unwrap();
    let report = run(found, out.path(), &options()).unwrap();
    assert_eq!(report.songs, 4);
    let [left_out] = &report.left_out[..] else { panic!("{:?}", report.left_out) };
    assert_eq!(
        (left_out.path.as_str(), left_out.reason.rule()),
        ("Ann/Album/00 - Gone.wav", "unreadable")
    );
    assert!(left_out.reason.to_string().contains("there is no file"), "{}", left_out.reason);
}

#[test]
fn a_file_that_grows_while_it_is_read_gives_only_its_own_samples() {
    let music = four_songs();
    let path = music.path().join("Ann/Album/00 - Recording.wav");
    // As recorders write it: the length in the header is unknown until the end.
    let samples = Wave(81).samples(400_000);
    let mut file = fs::File::create(&path).unwrap();
    file.write_all(&header(1, 16_000, 16, u32::MAX - 40)).unwrap();
    let mut pieces = samples
        .chunks(50)
        .map(|piece| -> Vec<u8> { piece.iter().flat_map(|sample| sample.to_le_bytes()).collect() });
    for piece in pieces.by_ref().take(100) {
        file.write_all(&piece).unwrap();
    }
    let (started, done) = (AtomicBool::new(false), AtomicBool::new(false));
    let out = tempfile::tempdir().unwrap();
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            for piece in pieces {
                if done.load(Ordering::SeqCst) {
                    return;
                }
                file.write_all(&piece).unwrap();
                started.store(true, Ordering::SeqCst);
            }
        });
        while !started.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let report = run(folder(music.path()), out.path(), &options());
        done.store(true, Ordering::SeqCst);
        report.unwrap()
    });
    assert_eq!((report.songs, report.left_out.len()), (5, 0));
    let dataset = Dataset::open(out.path()).unwrap();
    let clips = dataset.clips().iter().enumerate().filter(|(_, clip)| clip.title == "Recording");
    let mut compared = 0;
    for (clip, row) in clips {
        let mut stored = vec![0.0; 4000];
        dataset.read(clip, 0, &mut stored).unwrap();
        let start = row.start as usize;
        let written =
            samples[start..start + 4000].iter().map(|sample| f32::from(*sample) / 32_768.0);
        assert!(stored.into_iter().eq(written), "clip {clip}");
        compared += 1;
    }
    assert!(compared > 0);
}

#[test]
fn a_mix_of_three_hours_is_prepared() {
    let music = tempfile::tempdir().unwrap();
    for artist in ["Ann", "Bob"] {
        fs::create_dir(music.path().join(artist)).unwrap();
    }
    let length = 3 * 3600 * 8000;
    let mut file = fs::File::create(music.path().join("Ann/mix.wav")).unwrap();
    file.write_all(&header(1, 8000, 8, length)).unwrap();
    // A sparse file of zeros, which are not silence: 8-bit WAV is unsigned.
    file.set_len(44 + u64::from(length)).unwrap();
    write_wave(&music.path().join("Bob/song.wav"), &Wave(83).samples(CLIP_SAMPLES));
    let out = tempfile::tempdir().unwrap();
    let options = Options { clip_samples: CLIP_SAMPLES, min_songs: 1, ..options() };
    let report = run(folder(music.path()), out.path(), &options).unwrap();
    let whole = 3 * 3600 * 16_000 / CLIP_SAMPLES;
    let clips: Vec<_> = report.artists.iter().map(|artist| artist.clips).collect();
    assert_eq!((clips, report.damaged.len()), (vec![whole, 1], 0));
    assert_eq!(Dataset::open(out.path()).unwrap().clips().len(), whole + 1);
}

#[test]
fn an_empty_folder_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let (music, out) = (place.path().join("music"), place.path().join("data"));
    fs::create_dir(&music).unwrap();
    let (code, _, error) = ends(program(&music, &out, &[]));
    assert_eq!(code, Some(1));
    assert_eq!(error, "error: found no audio; name the folder or the list that holds the music\n");
    assert!(!out.exists());
}

#[test]
fn an_error_about_a_manifest_with_missing_files_names_the_first() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("songs.csv");
    fs::write(&file, "path,artist\nz/1.ogg,Ann\nz/2.ogg,Ann\ny/3.ogg,Bob\ny/4.ogg,Bob\n").unwrap();
    let out = place.path().join("data");
    let found = manifest::find(&file, &mut |_| {}, &|| false).unwrap();
    let error = run(found, &out, &options()).unwrap_err().to_string();
    let first = place.path().canonicalize().unwrap().join("y/3.ogg");
    let reason =
        format!("; 4 files cannot be read, the first: there is no file {}", first.display());
    assert!(error.contains(&reason), "{error}");
    assert!(error.ends_with("data/left-out.csv"), "{error}");
}
