//! On what a run was done, and how long it took.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::ExperimentError;
use super::results_dir;

const FILE: &str = "machine.json";

/// A stretch of a run between its beginning, or going on, and its end, or stop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Name of the processor.
    pub processor: String,
    /// Threads that it runs at once.
    pub cores: usize,
    /// Name of the graphics card, where the run used one.
    pub card: Option<String>,
    /// System and instruction set.
    pub system: String,
    /// Seconds from start to end, judging included.
    pub seconds: f64,
}

impl Session {
    /// One on this machine.
    pub fn here(device: tch::Device, seconds: f64) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let processor =
            field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
        let card = (device != tch::Device::Cpu).then(|| card().unwrap_or_else(|| "GPU".to_owned()));
        let system = format!("{} {}", std::env::consts::OS, std::env::consts::ARCH);
        Session { processor, cores, card, system, seconds }
    }

    /// Those of a run; none where nobody wrote any.
    pub fn read(run: &Path) -> Result<Vec<Self>, ExperimentError> {
        let path = run.join(FILE);
        if path.exists() { results_dir::read(&path) } else { Ok(Vec::new()) }
    }

    /// Adds it to a run's.
    pub fn note(self, run: &Path) -> Result<(), ExperimentError> {
        let mut sessions = Self::read(run)?;
        sessions.push(self);
        results_dir::write(&run.join(FILE), &sessions)
    }
}

/// The first `NAME : value` of a file that the system makes up.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_owned())
    })
}

/// The first graphics card as NVIDIA's driver calls it.
fn card() -> Option<String> {
    let cards = fs::read_dir("/proc/driver/nvidia/gpus").ok()?;
    cards.flatten().find_map(|card| field(card.path().join("information").to_str()?, "Model"))
}
