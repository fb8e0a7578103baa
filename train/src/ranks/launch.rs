//! `fit --ranks N`: starts the ranks of a training on this machine, as `torchrun` does elsewhere.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::ranks::error::RanksError;
use crate::ranks::meeting::LaunchersStore;
use crate::ranks::world::World;

/// Tells a rank that [`launch`] started it: that its standard input ends with the launcher, and that an error of another
/// rank is already on the terminal.
const LAUNCHED: &str = "LEITMOTIF_LAUNCHED";
/// How long the other ranks have to end by themselves after one has ended with an error.
const GRACE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// How all ranks ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Without an error.
    Well,
    /// After Ctrl-C.
    Interrupted,
    /// With an error, which is on standard error already.
    Failed,
}

/// Starts this program again with the same arguments, once for each rank, and waits for all of them. Each of `signals`,
/// which counts Ctrl-C, is handed on to every rank. Rank 0 has this process' standard output and error; what the others
/// write to standard error appears behind their number.
///
/// # Errors
///
/// No store can be opened, or a process cannot be started or waited for; then no process is left.
pub fn launch(ranks: usize, signals: &AtomicUsize) -> Result<Ended, RanksError> {
    let store = LaunchersStore::open()?;
    let mut running = Running { processes: Vec::new(), readers: Vec::new() };
    for rank in 0..ranks {
        running.start(&World::on_this_machine(rank, ranks, store.port))?;
    }
    running.wait(signals)
}

/// Whether [`launch`] started this process.
pub fn is_launched() -> bool {
    std::env::var_os(LAUNCHED).is_some()
}

/// Sets `stop` once the launcher has ended, however it did: nobody would be left to stop this rank.
pub fn stop_with_launcher(stop: Arc<AtomicBool>) {
    thread::spawn(move || {
        let mut rest = Vec::new();
        // The launcher writes nothing: this returns when its end of the pipe is closed.
        let _ = std::io::stdin().read_to_end(&mut rest);
        stop.store(true, Ordering::Relaxed);
    });
}

/// Processes that are killed on drop.
struct Running {
    /// By rank; `None` once it has ended.
    processes: Vec<Option<Child>>,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    fn start(&mut self, world: &World) -> Result<(), RanksError> {
        let rank = world.rank;
        let failed =
            |error: std::io::Error| RanksError::Process { rank, reason: error.to_string() };
        let mut arguments = std::env::args_os();
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        // A group of its own: the terminal's Ctrl-C reaches the launcher alone, which hands it on once.
        command.args(arguments).envs(world.variables()).env(LAUNCHED, "1").process_group(0);
        command.stdin(Stdio::piped());
        if !world.is_first() {
            command.stdout(Stdio::null()).stderr(Stdio::piped());
        }
        let mut child = command.spawn().map_err(failed)?;
        if let Some(stderr) = child.stderr.take() {
            self.readers.push(thread::spawn(move || {
                for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                    // Standard error may be closed.
                    let line = String::from_utf8_lossy(&line);
                    let _ = writeln!(std::io::stderr(), "rank {rank}: {line}");
                }
            }));
        }
        self.processes.push(Some(child));
        Ok(())
    }

    fn wait(mut self, signals: &AtomicUsize) -> Result<Ended, RanksError> {
        let (mut handed_on, mut ended, mut first_error) = (0, Ended::Well, None);
        loop {
            let received = signals.load(Ordering::SeqCst);
            for _ in handed_on..received {
                self.signal(Signal::SIGINT);
            }
            handed_on = received;
            for (rank, slot) in self.processes.iter_mut().enumerate() {
                let Some(child) = slot else { continue };
                let status = child.try_wait();
                let status = status
                    .map_err(|error| RanksError::Process { rank, reason: error.to_string() })?;
                let Some(status) = status else { continue };
                *slot = None;
                let how = how(rank, status, first_error.is_some());
                if how == Ended::Failed {
                    first_error.get_or_insert_with(Instant::now);
                }
                ended = worse(ended, how);
            }
            if self.processes.iter().all(Option::is_none) {
                for reader in self.readers.drain(..) {
                    // It cannot fail.
                    let _ = reader.join();
                }
                return Ok(ended);
            }
            if first_error.is_some_and(|since| since.elapsed() > GRACE) {
                self.signal(Signal::SIGKILL);
            }
            thread::sleep(POLL);
        }
    }

    fn signal(&self, signal: Signal) {
        for child in self.processes.iter().flatten() {
            if let Ok(id) = i32::try_from(child.id()) {
                // One that has just ended needs none.
                let _ = kill(Pid::from_raw(id), signal);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How a rank ended; of the first that is killed, standard error says so.
fn how(rank: usize, status: ExitStatus, is_known: bool) -> Ended {
    /// As shells report Ctrl-C.
    const INTERRUPTED: i32 = 130;
    match (status.code(), status.signal()) {
        (Some(0), _) => Ended::Well,
        (Some(INTERRUPTED), _) => Ended::Interrupted,
        (None, Some(signal)) if !is_known => {
            let error = RanksError::Killed { rank, signal };
            let _ = writeln!(std::io::stderr(), "error: {error}; the other ranks end");
            Ended::Failed
        }
        _ => Ended::Failed,
    }
}

fn worse(a: Ended, b: Ended) -> Ended {
    match (a, b) {
        (Ended::Failed, _) | (_, Ended::Failed) => Ended::Failed,
        (Ended::Interrupted, _) | (_, Ended::Interrupted) => Ended::Interrupted,
        _ => Ended::Well,
    }
}
