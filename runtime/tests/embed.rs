//! The project `examples/embed` stands for a third party's: outside of the workspace, with this crate as only dependency.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Runs Cargo on the project, with the workspace's versions so that its compiled dependencies are reused.
fn cargo(arguments: &[&str]) -> Output {
    let project = checkout().join("runtime/examples/embed");
    fs::copy(checkout().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).arg("--offline").arg("--manifest-path").arg(project.join("Cargo.toml"));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The target folder of this test.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

#[test]
fn a_third_partys_project_needs_no_libtorch_and_no_python() {
    let tree = cargo(&["tree", "--edges", "normal,build", "--prefix", "none"]);
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.lines().any(|line| line.starts_with("ort v")), "{tree}");
    for absent in ["tch ", "torch-sys ", "pyo3", "clap ", "prost "] {
        assert!(!tree.lines().any(|line| line.starts_with(absent)), "{absent}: {tree}");
    }
}

#[test]
#[ignore = "builds another project, which takes minutes; `make check-all` runs it"]
fn a_third_partys_project_recognises_a_song() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = fs::read_to_string(checkout().join("Cargo.toml")).unwrap();
    let profiles = folder.path().join("profiles.toml");
    fs::write(&profiles, manifest.get(manifest.find("[profile.").unwrap()..).unwrap()).unwrap();
    let target = target();
    let (profiles, target_dir) = (profiles.to_str().unwrap(), target.to_str().unwrap());
    cargo(&["build", "--config", profiles, "--target-dir", target_dir]);

    let program = target.join("debug").join(format!("embed{}", std::env::consts::EXE_SUFFIX));
    let model = support::tiny("clip");
    let song = support::data("audio/mtat.mp3");
    let output = Command::new(program).arg(model).arg(song).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ranking = String::from_utf8(output.stdout).unwrap();
    assert_eq!(ranking.lines().count(), 3);
    assert!(ranking.lines().any(|line| line.ends_with(" Bo, \"the\" 🎷")), "{ranking}");
}

/// The web service of the guide, over the network as its users meet it.
#[test]
#[ignore = "builds another project with packages of its own; `make check-all` runs it"]
fn the_web_service_answers_uploads() {
    let project = checkout().join("runtime/examples/service");
    let target = target().join("service");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--manifest-path"])
        .arg(project.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let mut service = Command::new(target.join("debug/service"))
        .arg(support::tiny("clip"))
        .arg("127.0.0.1:0")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(service.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
    let post = |body: &[u8]| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let length = body.len();
        let head = format!(
            "POST /recognize HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let song = fs::read(support::data("audio/mtat.mp3")).unwrap();
    let (right, wrong) = (post(&song), post(b"no music"));
    service.kill().unwrap();
    service.wait().unwrap();
    assert!(right.starts_with("HTTP/1.1 200 ") && right.contains("\"artists\""), "{right}");
    assert!(wrong.starts_with("HTTP/1.1 422 ") && wrong.contains("the upload"), "{wrong}");
}
