//! `fit` by several processes: `--ranks`, and the variables of other launchers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]
#![cfg(target_os = "linux")]

mod tones;

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use leitmotif_train::learn::checkpoint::{Checkpoint, read_record};
use leitmotif_train::model::tensors::Tensors;

/// The options of a run on the tones, whose parts of a batch one process computes with `--accumulate`, too.
const FIT: &str = "fit data --split song-seed1 --network tiny.toml --device cpu --threads 1 --rate 0.01 --norm-momentum 0.8";

/// A folder with the tones, as `data`, and a network without dropout, as `tiny.toml`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    tones::dataset(&folder.path().join("data"), 3, true);
    let network = tones::TOML.replace("units = 16", "units = 16, dropout = 0.0");
    assert_ne!(network, tones::TOML);
    fs::write(folder.path().join("tiny.toml"), network).unwrap();
    folder
}

/// A process that is killed on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    /// Exit code and standard error.
    fn ends(mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (self.0.wait().unwrap().code(), stderr)
    }

    fn id(&self) -> u32 {
        self.0.id()
    }

    /// The processes of its ranks, in order.
    fn ranks(&self) -> Vec<u32> {
        let id = self.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        children.split_whitespace().map(|id| id.parse().unwrap()).collect()
    }
}

fn start(folder: &Path, options: &str, variables: &[(&str, &str)]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif-train"));
    command.args(FIT.split(' ')).args(options.split(' ')).current_dir(folder);
    command.envs(variables.iter().copied()).env("OMP_WAIT_POLICY", "passive");
    Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
}

/// A run that must end well.
fn trained(folder: &Path, options: &str) -> Checkpoint {
    let (code, stderr) = start(folder, options, &[]).ends();
    assert_eq!(code, Some(0), "{options}: {stderr}");
    let out = options.split(' ').skip_while(|one| *one != "--out").nth(1).unwrap();
    Checkpoint::read(&folder.join(out).join("last")).unwrap()
}

/// The same run, resumed; `FIT`'s options of a new one are left out.
fn resumed(folder: &Path, run: &str, options: &str) -> Checkpoint {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif-train"));
    command.args(["fit", "data", "--split", "song-seed1", "--resume", run]);
    command.args(options.split(' ')).current_dir(folder).env("OMP_WAIT_POLICY", "passive");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Checkpoint::read(&folder.join(run).join("last")).unwrap()
}

/// A port that was free a moment ago.
fn free_port() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([name, &process.to_string()]).status().unwrap().success());
}

/// Waits for a run's first checkpoint.
fn wait_for(run: &Path) {
    let began = Instant::now();
    while read_record(&run.join("last")).is_err() {
        assert!(began.elapsed() < Duration::from_secs(120), "no checkpoint");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The largest difference between two networks' trained values.
fn largest_difference(a: &Tensors, b: &Tensors) -> f32 {
    let trained = a.iter().filter(|(name, _)| !name.contains(".running_"));
    let differences = trained.flat_map(|(name, values)| {
        values.data.iter().zip(&b[name].data).map(|(a, b)| (a - b).abs())
    });
    differences.fold(0.0, f32::max)
}

/// The epochs' losses and accuracies in training.
fn losses(run: &Path) -> Vec<Vec<String>> {
    let history = fs::read_to_string(run.join("history.csv")).unwrap();
    let columns = |line: &str| line.split(',').skip(3).take(2).map(str::to_owned).collect();
    history.lines().map(columns).collect()
}

#[test]
fn ranks_take_the_steps_of_one_process_that_computes_the_same_parts() {
    let folder = folder();
    let folder = folder.path();
    let ranks = |ranks: usize, batch: usize, steps: usize, out: &str| {
        let run = format!("--epochs 2 --steps {steps} --batch {batch} --ranks {ranks} --out {out}");
        trained(folder, &run)
    };
    let alone = |parts: usize, batch: usize, steps: usize, out: &str| {
        let run =
            format!("--epochs 2 --steps {steps} --batch {batch} --accumulate {parts} --out {out}");
        trained(folder, &run)
    };
    // The sum of two is the same in either order: to the bit.
    let (two, one) = (ranks(2, 6, 5, "two"), alone(2, 3, 5, "one"));
    assert_eq!(largest_difference(&two.weights, &one.weights), 0.0);
    assert_eq!(losses(&folder.join("two")), losses(&folder.join("one")));
    assert_eq!(two.record.config["ranks"], 2);
    assert_eq!(two.record.config["backend"], "gloo");
    assert!(one.record.config.get("ranks").is_none());
    // Three are added in another order. Adam divides by the root of the square: the smallest gradients differ most.
    let (three, one) = (ranks(3, 6, 1, "three"), alone(3, 2, 1, "one-of-three"));
    let difference = largest_difference(&three.weights, &one.weights);
    assert!(difference < 1e-4, "{difference}");
    // The mean of the parts' means is the mean of the whole batch, for the first layer of the first step.
    let once = |options: &str, out: &str| {
        let options = format!("--epochs 1 --steps 1 --batch 6 {options} --out {out}");
        trained(folder, &options).weights["block1.norm.running_mean"].data.clone()
    };
    // Of five rows one rank has two and the other three.
    for batch in ["--batch 6", "--batch 5"] {
        let name = batch.replace(' ', "");
        let (shared, whole) = (
            once(&format!("{batch} --ranks 2"), &format!("s{name}")),
            once(batch, &format!("w{name}")),
        );
        for (shared, whole) in shared.iter().zip(&whole) {
            assert!((shared - whole).abs() < 1e-6, "{shared} {whole}");
        }
    }
}

#[test]
fn a_run_is_resumed_to_the_bit_and_by_another_number_of_ranks() {
    let folder = folder();
    let folder = folder.path();
    let more =
        "--steps 4 --batch 6 --weight-average 0.9 --crop random --gain 3 --mixup 0.4 --head lstm";
    let whole = trained(folder, &format!("{more} --ranks 2 --epochs 2 --out whole"));
    trained(folder, &format!("{more} --ranks 2 --epochs 1 --out run"));
    let again = resumed(folder, "run", "--ranks 2 --epochs 2");
    assert_eq!((&again.weights, &again.optimizer), (&whole.weights, &whole.optimizer));
    let three = resumed(folder, "run", "--ranks 3 --epochs 3 --threads 1");
    assert_eq!(three.record.config["ranks"], 3);
    let alone = resumed(folder, "run", "--epochs 4 --threads 1");
    assert_eq!((alone.record.epoch, alone.record.step), (4, 16));
    let changes = alone.record.config["changes"].to_string();
    for change in ["ranks 2 to 3 after epoch 2", "ranks 3 to 1 after epoch 3"] {
        assert!(changes.contains(change), "{changes}");
    }
    assert!(alone.record.scores.is_some());
}

#[test]
fn a_killed_rank_ends_the_others_which_name_it_and_nothing_else_is_lost() {
    let folder = folder();
    let folder = folder.path();
    let run = start(folder, "--epochs 100000 --steps 4 --batch 6 --ranks 3 --out run", &[]);
    wait_for(&folder.join("run"));
    let ranks = run.ranks();
    signal(ranks[1], "-KILL");
    let (code, stderr) = run.ends();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("error: rank 1 was killed by signal 9"), "{stderr}");
    assert!(stderr.contains("error: rank 1 no longer answers"), "{stderr}");
    assert!(stderr.contains("rank 2: error: rank 1 no longer answers"), "{stderr}");
    for rank in ranks {
        assert!(!Path::new(&format!("/proc/{rank}")).exists(), "a rank is left");
    }
    let epochs = Checkpoint::read(&folder.join("run/last")).unwrap().record.epoch + 1;
    let ended = resumed(folder, "run", &format!("--ranks 2 --epochs {epochs}"));
    assert_eq!(ended.record.epoch, epochs);
}

#[test]
fn ctrl_c_stops_all_ranks_at_one_step_which_is_saved_once() {
    let folder = folder();
    let folder = folder.path();
    let more = "--epochs 1 --steps 100000 --batch 6 --checkpoint-minutes 0.001 --ranks 2 --out run";
    let run = start(folder, more, &[]);
    wait_for(&folder.join("run"));
    signal(run.id(), "-INT");
    let (code, stderr) = run.ends();
    assert_eq!(code, Some(130), "{stderr}");
    assert_eq!(stderr.matches("stopped; run holds epoch 0 and").count(), 1, "{stderr}");
    assert!(!stderr.contains("rank 1"), "{stderr}");
    let steps = read_record(&folder.join("run/last")).unwrap().unfinished.unwrap().steps;
    assert!(stderr.contains(&format!("{steps} step")), "{stderr}");
}

#[test]
fn ranks_that_do_not_belong_together_are_refused_with_what_differs() {
    let folder = folder();
    let folder = folder.path();
    tones::dataset_of(&folder.join("more"), 3, true, 3);
    fs::rename(folder.join("data"), folder.join("same")).unwrap();
    fs::create_dir(folder.join("here")).unwrap();
    fs::create_dir(folder.join("there")).unwrap();
    for (at, data) in [("here", "../same"), ("there", "../more")] {
        std::os::unix::fs::symlink(data, folder.join(at).join("data")).unwrap();
        fs::copy(folder.join("tiny.toml"), folder.join(at).join("tiny.toml")).unwrap();
    }
    let options = "--epochs 1 --steps 1 --batch 6 --rank-timeout 20 --out run";
    let cases: [(&str, &str, &str, &str); 3] = [
        ("here", "--seed 7", "2", "has seed 1, and rank 1 has 7"),
        ("there", "", "2", "has split song-seed1 ("),
        ("here", "", "3", "has ranks 2, and rank 1 has 3"),
    ];
    for (at, more, size, message) in cases {
        let port = free_port();
        let variables = |rank, size| {
            [
                ("RANK", rank),
                ("WORLD_SIZE", size),
                ("MASTER_ADDR", "127.0.0.1"),
                ("MASTER_PORT", port.as_str()),
            ]
        };
        let other = format!("{options} {more}");
        let first = start(&folder.join("here"), options, &variables("0", "2"));
        let other = start(&folder.join(at), other.trim_end(), &variables("1", size));
        let ((code, stderr), (other_code, other_stderr)) = (first.ends(), other.ends());
        assert_eq!((code, other_code), (Some(1), Some(1)), "{stderr}{other_stderr}");
        let both = format!("{stderr}{other_stderr}");
        assert!(both.contains(message) && both.contains("the same options"), "{both}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    assert!(!folder.join("here/run/last").exists());
}

#[test]
fn what_a_rank_lacks_is_one_clear_error() {
    let folder = folder();
    let folder = folder.path();
    let options = "--epochs 1 --steps 1 --batch 6 --rank-timeout 1 --out run";
    let port = free_port();
    let alone = [
        ("RANK", "0"),
        ("WORLD_SIZE", "3"),
        ("MASTER_ADDR", "127.0.0.1"),
        ("MASTER_PORT", port.as_str()),
    ];
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let taken_port = taken.local_addr().unwrap().port().to_string();
    let mut at_taken = alone;
    at_taken[3].1 = taken_port.as_str();
    for (options, variables, message) in [
        (options.to_owned(), &alone[..], "ranks 1, 2 of 3 did not come to 127.0.0.1"),
        (options.to_owned(), &at_taken, "has this port: set MASTER_PORT to a free one"),
        (
            options.to_owned(),
            &alone[..2],
            "RANK=0 says that this process is one of several, but MASTER_ADDR",
        ),
        (
            options.to_owned(),
            &[("RANK", "3"), ("WORLD_SIZE", "3")],
            "RANK is `3`, but it must be a number from 0 to 2",
        ),
        (format!("{options} --ranks 2"), &alone, "--ranks is 2, but torchrun"),
        (
            format!("{options} --ranks 7"),
            &[],
            "--batch is 6, but 7 ranks share its clips: take at least 7",
        ),
        (format!("{options} --ranks 2 --dry-run"), &[], "--dry-run measures one process"),
    ] {
        let (code, stderr) = start(folder, &options, variables).ends();
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.starts_with("error: ") && stderr.contains(message), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    assert!(!folder.join("run/last").exists());
}

#[test]
fn two_runs_on_one_machine_do_not_meet() {
    let folder = folder();
    let folder = folder.path();
    let options = "--epochs 2 --steps 5 --batch 6 --ranks 2 --out";
    let both = ["a", "b"].map(|out| start(folder, &format!("{options} {out}"), &[]));
    for run in both {
        let (code, stderr) = run.ends();
        assert_eq!(code, Some(0), "{stderr}");
    }
    let [a, b] = ["a", "b"].map(|out| Checkpoint::read(&folder.join(out).join("last")).unwrap());
    assert_eq!(a.weights, b.weights);
    // In one folder the second is refused.
    let (code, stderr) = start(folder, &format!("{options} a"), &[]).ends();
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.starts_with("error: a already holds a run"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}
