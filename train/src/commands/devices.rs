//! `leitmotif-train devices`: the devices that libtorch can train on here.

use clap::Args;
use serde::Serialize;

use crate::model::cuda::{self, CudaLibrary};
use crate::model::native;

/// Arguments of `devices`.
#[derive(Debug, Args)]
pub struct DevicesArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Devices {
    /// Whether libtorch's CUDA library could be opened.
    cuda_library: bool,
    /// Whether it has registered with the CPU library.
    has_cudart: bool,
    /// CUDA's runtime, e.g. 13000 of 13.0.
    cudart: Option<i64>,
    /// cuDNN, e.g. 91900 of 9.19.0.
    cudnn: Option<i64>,
    /// GPUs that can be used.
    gpus: i64,
    /// Why the first GPU cannot be trained on.
    obstacle: Option<String>,
    /// Why it would train without the fused operator and CUDA graphs, and so more slowly.
    slower: Option<String>,
}

/// Runs `devices`.
pub fn run(args: DevicesArgs) -> anyhow::Result<()> {
    let found = find();
    let json = serde_json::to_string(&found)?;
    super::print(|out| {
        if args.json {
            return writeln!(out, "{json}");
        }
        let yes = |there| if there { "yes" } else { "no" };
        let version = |number: Option<i64>| number.map_or("unknown".to_owned(), |n| n.to_string());
        writeln!(out, "cpu           yes")?;
        match &found.obstacle {
            None => writeln!(out, "cuda          yes, {} GPU(s)", found.gpus)?,
            Some(obstacle) => writeln!(out, "cuda          no: {obstacle}")?,
        }
        writeln!(out, "CUDA library  {}", yes(found.cuda_library))?;
        writeln!(out, "CUDA runtime  {} ({})", yes(found.has_cudart), version(found.cudart))?;
        writeln!(out, "cuDNN         {}", version(found.cudnn))?;
        match (&found.obstacle, &found.slower) {
            (Some(_), _) => Ok(()),
            (None, None) => writeln!(out, "speed         fused operator and CUDA graphs"),
            (None, Some(reason)) => writeln!(out, "speed         lower: {reason}"),
        }
    })
}

fn find() -> Devices {
    let cuda_library = *cuda::load() == CudaLibrary::Loaded;
    let has_cudart = tch::utils::has_cudart();
    // Without its CUDA library libtorch throws when it is asked for these versions.
    let version = |ask: fn() -> i64| has_cudart.then(ask);
    Devices {
        cuda_library,
        has_cudart,
        cudart: version(tch::utils::version_cudart),
        cudnn: version(tch::utils::version_cudnn),
        gpus: if has_cudart { tch::Cuda::device_count() } else { 0 },
        obstacle: cuda::device(0).err().map(|error| error.to_string()),
        slower: native::available().err().map(|error| error.to_string()),
    }
}
