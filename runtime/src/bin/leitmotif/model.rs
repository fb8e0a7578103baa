//! The model's file, and where and how it runs.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use leitmotif::{Device, DevicePolicy, Engine, Recognizer, SessionOptions};
use leitmotif_models::checkpoint::{self, BEST};

use crate::console::log;

/// Where and how a model runs.
#[derive(Args)]
pub(crate) struct RunOptions {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: Device,
    /// What happens where something would not run on that device: an error, a warning (CUDA asked for by name is an error
    /// all the same), or nothing
    #[arg(long, value_enum, default_value_t = Policy::Warn)]
    device_policy: Policy,
    /// What runs the model; auto takes ONNX Runtime, or tract where that is not found and this program has it
    #[arg(long, value_enum, default_value_t = EngineName::Auto)]
    engine: EngineName,
    /// CPU threads, at most 1024; 0 takes one for each core
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=SessionOptions::MOST_THREADS as i64))]
    threads: u16,
    /// Say which device is taken, and why, and where the nodes of the graph run
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Policy {
    Strict,
    Warn,
    Allow,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum EngineName {
    Auto,
    #[value(name = "onnxruntime")]
    OnnxRuntime,
    Tract,
}

/// The model's file, named on the command line or by a variable.
#[derive(Args)]
pub(crate) struct Model {
    /// The model, a file made by leitmotif-export
    #[arg(value_name = "MODEL.onnx", env = "LEITMOTIF_MODEL")]
    pub(crate) model: PathBuf,
}

impl RunOptions {
    /// For `jobs` callers at once, which share the cores unless a number of threads is given.
    fn options(&self, jobs: usize) -> SessionOptions {
        let threads = match usize::from(self.threads) {
            0 if jobs > 1 => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                (cores / jobs).max(1)
            }
            threads => threads,
        };
        let policy = match self.device_policy {
            Policy::Strict => DevicePolicy::Strict,
            Policy::Warn => DevicePolicy::Warn,
            Policy::Allow => DevicePolicy::Allow,
        };
        let engine = match self.engine {
            EngineName::Auto => Engine::Auto,
            EngineName::OnnxRuntime => Engine::OnnxRuntime,
            EngineName::Tract => Engine::Tract,
        };
        let options = SessionOptions::on(self.device).with_policy(policy).with_engine(engine);
        options.with_threads(threads).with_sessions(jobs)
    }

    /// Opens the model for one caller, and says which device it runs on where that may surprise.
    pub(crate) fn open(&self, model: &Path) -> anyhow::Result<Recognizer> {
        self.open_for(model, 1)
    }

    /// The same for so many callers at once.
    pub(crate) fn open_for(&self, model: &Path, jobs: usize) -> anyhow::Result<Recognizer> {
        check_compiled(model)?;
        let recognizer = Recognizer::open_with(model, &self.options(jobs))?;
        let asks_for_cuda = matches!(self.device, Device::Cuda(_));
        match recognizer.warning() {
            Some(warning) => log(&warning),
            None if self.verbose || recognizer.device().device != Device::Cpu && asks_for_cuda => {
                log(&format!("runs on {}", recognizer.device()));
            }
            None => {}
        }
        if self.verbose {
            log(&recognizer.placement().to_string());
        }
        Ok(recognizer)
    }
}

/// Refuses what the trainer saved, with the command that makes a model of it.
pub(crate) fn check_compiled(model: &Path) -> anyhow::Result<()> {
    let checkpoint = if checkpoint::is_run(model) {
        model.join(BEST)
    } else if checkpoint::is_checkpoint(model) {
        model.to_owned()
    } else {
        match model.parent() {
            // One of its files, such as the weights.
            Some(folder) if model.is_file() && is_of_checkpoint(model, folder) => folder.to_owned(),
            _ => return Ok(()),
        }
    };
    bail!(
        "{} is a checkpoint and no model yet; compile it first: leitmotif-export compile {} --name NAME",
        model.display(),
        checkpoint.display()
    )
}

fn is_of_checkpoint(file: &Path, folder: &Path) -> bool {
    let names = [checkpoint::RECORD, checkpoint::WEIGHTS, checkpoint::OPTIMIZER, checkpoint::PROBE];
    names.iter().any(|name| file.ends_with(name)) && checkpoint::is_checkpoint(folder)
}
