//! The end of a process while other threads open, run and drop models: it must not crash.
//!
//! A program of its own rather than a test of the harness, because it starts itself as a child and ends in each way that
//! a program can. `LEITMOTIF_EXITS` sets how many children end in each; `make check-all` asks for 500. Only then do some
//! end while the first model is opened: `exit` may have destroyed what ONNX Runtime made a moment before, ahead of our
//! handler, so that about one in five hundred crashes where one in fourteen did without it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

#[path = "support/mod.rs"]
mod support;

use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use leitmotif::{Device, Error, Recognizer, SessionOptions};
use support::{SEGMENT, noise, tiny};

/// How the child's main thread ends it, and with which code.
const ENDS: [(&str, i32); 3] = [("return", 7), ("exit", 8), ("panic", 101)];
/// What the child's other threads do meanwhile.
const WORK: [&str; 3] = ["run", "drop", "idle"];
/// The same while the first model is opened, and the share of children that may crash then.
const FIRST: (&str, f64) = ("open", 0.01);
/// Names the variable that says how often each pair is tried.
const EXITS: &str = "LEITMOTIF_EXITS";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["child", work, end, delay] => child(work, end, delay.parse().unwrap()),
        _ => parent(),
    }
}

fn parent() -> ExitCode {
    let many = std::env::var(EXITS).ok();
    let exits = many.as_ref().map_or(24, |exits| exits.parse().unwrap());
    let mut wrong = 0;
    if cfg!(unix) {
        wrong += usize::from(
            crash("fork", "return", 7, 0, 1).inspect(|why| println!("{why}")).is_some(),
        );
    }
    for work in WORK.into_iter().chain(many.map(|_| FIRST.0)) {
        let crashes = |end, code| {
            (0..exits).filter_map(|n| crash(work, end, code, n, exits)).collect::<Vec<String>>()
        };
        let found = thread::scope(|scope| {
            let ends = ENDS.map(|(end, code)| (end, scope.spawn(move || crashes(end, code))));
            ends.map(|(end, crashes)| (end, crashes.join().unwrap()))
        });
        for (end, crashes) in found {
            println!("{work:<5} {end:<7} {} of {exits} ended wrongly", crashes.len());
            crashes.iter().take(3).for_each(|crash| println!("    {crash}"));
            let allowed = if work == FIRST.0 { FIRST.1 * f64::from(exits) } else { 0.0 };
            if crashes.len() as f64 > allowed {
                wrong += crashes.len();
            }
        }
    }
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Starts child `number` of `children`; what went wrong with it, if anything.
fn crash(work: &str, end: &str, code: i32, number: u32, children: u32) -> Option<String> {
    // From before the library is open to after several models were.
    let delay = 200_000 * number / children;
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["child", work, end, &delay.to_string()])
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    (child.status.code() != Some(code))
        .then(|| format!("after {delay} µs: {}: {}", child.status, said.trim()))
}

fn child(work: &str, end: &str, delay: u64) -> ExitCode {
    let options = SessionOptions::on(Device::Cpu).with_threads(2);
    let open = move || Recognizer::open_with(tiny("clip"), &options);
    match work {
        "open" => {
            for _ in 0..2 {
                let open = open.clone();
                thread::spawn(move || while open().is_ok() {});
            }
        }
        "run" => {
            let recognizer = open().unwrap();
            let samples = noise(1, 200 * SEGMENT);
            thread::spawn(move || while recognizer.recognize_samples(&samples).is_ok() {});
        }
        "drop" => {
            let mut opened: Vec<_> = (0..20).map(|_| open().unwrap()).collect();
            thread::spawn(move || {
                while opened.pop().is_some() {
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
        #[cfg(unix)]
        "fork" => {
            let recognizer = open().unwrap();
            assert_eq!(
                in_a_fork(|| {
                    // Freeing it would wait for threads that are not here.
                    drop(recognizer);
                    matches!(open(), Err(Error::Forked))
                }),
                0
            );
        }
        // Its threads still spin when the process ends.
        _ => {
            let recognizer = open().unwrap();
            recognizer.recognize_samples(&noise(1, 20 * SEGMENT)).unwrap();
            std::mem::forget(recognizer);
        }
    }
    thread::sleep(Duration::from_micros(delay));
    match end {
        "exit" => std::process::exit(8),
        "panic" => panic!("as a service may"),
        _ => ExitCode::from(7),
    }
}

/// The status of a fork of this process that ends at once, 0 if `check` is true there.
#[cfg(unix)]
#[expect(unsafe_code, reason = "std does not fork")]
fn in_a_fork(check: impl FnOnce() -> bool) -> i32 {
    unsafe extern "C" {
        fn fork() -> i32;
        fn _exit(code: i32) -> !;
        fn waitpid(process: i32, status: *mut i32, options: i32) -> i32;
    }
    // SAFETY: functions of the C library that std links. The fork opens no lock of other threads: this program's main
    // thread is the only one that does anything.
    unsafe {
        let process = fork();
        if process == 0 {
            _exit(i32::from(!check()));
        }
        let mut status = -1;
        assert_eq!(waitpid(process, &raw mut status, 0), process);
        status
    }
}
