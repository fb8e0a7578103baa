//! The machine of a run, and how long it took.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::ExperimentError;
use super::results_dir;
use crate::model::machine;

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
        let processor = machine::processor();
        let card = (device != tch::Device::Cpu)
            .then(|| machine::card().unwrap_or_else(|| "GPU".to_owned()));
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
