//! The command `leitmotif-export`, as a shell calls it.

use std::path::Path;
use std::process::{Command, Output};

pub(crate) fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif-export"));
    command.args(arguments).env("RUST_BACKTRACE", "0").output().unwrap()
}

pub(crate) fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub(crate) fn complaint(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub(crate) fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}
