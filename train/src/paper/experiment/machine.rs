//! The machine of a run, and how long it took.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::ExperimentError;
use super::results_dir;

const FILE: &str = "machine.json";

/// A part of a run: from a start, or where it was resumed, to its end or an interruption.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Name of the processor.
    pub processor: String,
    /// Its hardware threads.
    pub cores: usize,
    /// Name of the graphics card, where the run used one.
    pub card: Option<String>,
    /// System and instruction set.
    pub system: String,
    /// Seconds from start to end, with evaluation.
    pub seconds: f64,
}

impl Session {
    /// A session on this machine.
    pub fn on_this_machine(device: tch::Device, seconds: f64) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let processor =
            field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
        let card = (device != tch::Device::Cpu).then(|| card().unwrap_or_else(|| "GPU".to_owned()));
        let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        Session { processor, cores, card, system, seconds }
    }

    /// The sessions of a run; none where the file is missing.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn read(run: &Path) -> Result<Vec<Self>, ExperimentError> {
        let path = run.join(FILE);
        if path.exists() { results_dir::read_json(&path) } else { Ok(Vec::new()) }
    }

    /// Adds it to the sessions of a run.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or written.
    pub fn append(self, run: &Path) -> Result<(), ExperimentError> {
        let mut sessions = Self::read(run)?;
        sessions.push(self);
        results_dir::write_json(&run.join(FILE), &sessions)
    }
}

/// The first value of a field in a file of `NAME : value` lines.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

/// The first graphics card, by the name that NVIDIA's driver gives it.
fn card() -> Option<String> {
    let cards = fs::read_dir("/proc/driver/nvidia/gpus").ok()?;
    cards.flatten().find_map(|card| field(card.path().join("information").to_str()?, "Model"))
}
