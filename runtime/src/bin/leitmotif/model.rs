//! The model's file, and where and how it runs.

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use leitmotif::{Device, Recognizer, SessionOptions};
use leitmotif_models::checkpoint::{self, BEST};

use crate::console::log;

/// Where and how a model runs.
#[derive(Args)]
pub(crate) struct RunOptions {
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    device: Device,
    /// CPU threads, at most 1024; 0 takes one for each core
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u16).range(0..=SessionOptions::MOST_THREADS as i64))]
    threads: u16,
    /// Say which device is taken, and why
    #[arg(long, short)]
    verbose: bool,
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
        SessionOptions::on(self.device).with_threads(threads).with_sessions(jobs)
    }

    /// Opens the model for one caller, and says which device it runs on where that may surprise.
    pub(crate) fn open(&self, model: &Path) -> anyhow::Result<Recognizer> {
        self.open_for(model, 1)
    }

    /// The same for so many callers at once.
    pub(crate) fn open_for(&self, model: &Path, jobs: usize) -> anyhow::Result<Recognizer> {
        check_compiled(model)?;
        let recognizer = Recognizer::open_with(model, &self.options(jobs))?;
        if self.verbose || surprises(self.device, recognizer.device().device, has_nvidia_driver()) {
            log(&format!("runs on {}", recognizer.device()));
        }
        Ok(recognizer)
    }
}

/// Whether CUDA was to be expected: it was asked for, or the CPU was taken where there is an NVIDIA driver.
fn surprises(asked: Device, taken: Device, nvidia_driver: bool) -> bool {
    match asked {
        Device::Cuda(_) => true,
        Device::Cpu => false,
        Device::Auto => nvidia_driver && taken == Device::Cpu,
    }
}

fn has_nvidia_driver() -> bool {
    let signs = ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"];
    let windows = "C:\\Windows\\System32\\nvcuda.dll";
    signs.iter().chain([&windows]).any(|sign| Path::new(sign).exists())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_surprises_where_cuda_was_to_be_expected() {
        let cuda = Device::Cuda(0);
        assert!(surprises(cuda, cuda, true));
        assert!(surprises(Device::Auto, Device::Cpu, true));
        assert!(!surprises(Device::Auto, Device::Cpu, false));
        assert!(!surprises(Device::Auto, cuda, true));
        assert!(!surprises(Device::Cpu, Device::Cpu, true));
    }
}
