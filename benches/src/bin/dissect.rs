//! Where the time of a call on a GPU goes: the host's copy, the upload, the network; and what ONNX Runtime's options
//! change in it.
//!
//! Opens the models by `ort` itself, since `leitmotif`'s session has none of these options. Prints one JSON object; what
//! fails is recorded and the rest goes on. `--nodes` adds the time of each node, which on a GPU is only true where
//! `CUDA_LAUNCH_BLOCKING=1` is set: otherwise nodes return before their kernels end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use leitmotif_models::{Card, Device, GoldenInput, GraphKind};
use ort::environment::Environment;
use ort::ep::{self, cuda::ConvAlgorithmSearch};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::session::builder::SessionBuilder;
use ort::value::{Tensor, TensorRef};
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// Models that take recordings
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Options of ONNX Runtime's CUDA provider, each combination to be tried: nhwc, tf32, fuse (the bias into the
    /// convolution), exhaustive or first (cuDNN's algorithm: the fastest of all, or the first; else by a heuristic), little (of
    /// workspace)
    #[arg(long = "way", default_value = "nhwc")]
    ways: Vec<Way>,
    /// cpu, cuda or cuda:N
    #[arg(long, default_value = "cuda")]
    device: Device,
    /// Clips in a call
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Seconds to measure each for; at least three calls
    #[arg(long, default_value_t = 0.4)]
    seconds: f64,
    /// Measure only the network, with its input on the device
    #[arg(long)]
    network_alone: bool,
    /// Also list what each node took
    #[arg(long)]
    nodes: bool,
}

/// Options by their names, joined by commas.
#[derive(Clone, Debug)]
struct Way(Vec<String>);

const OPTIONS: [&str; 6] = ["nhwc", "tf32", "fuse", "exhaustive", "first", "little"];

impl FromStr for Way {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<String> =
            text.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
        match names.iter().find(|name| !OPTIONS.contains(&name.as_str())) {
            Some(unknown) => Err(format!("{unknown} is none of {}", OPTIONS.join(", "))),
            None => Ok(Way(names)),
        }
    }
}

impl Way {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|own| own == name)
    }

    fn provider(&self, number: i32) -> ep::CUDA {
        let search = match () {
            () if self.has("exhaustive") => ConvAlgorithmSearch::Exhaustive,
            () if self.has("first") => ConvAlgorithmSearch::Default,
            () => ConvAlgorithmSearch::Heuristic,
        };
        ep::CUDA::default()
            .with_device_id(number)
            .with_tf32(self.has("tf32"))
            .with_prefer_nhwc(self.has("nhwc"))
            .with_fuse_conv_bias(self.has("fuse"))
            .with_conv_max_workspace(!self.has("little"))
            .with_conv_algorithm_search(search)
    }
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    // As `leitmotif` does: errors are returned.
    let library = std::env::var_os("ORT_DYLIB_PATH").context("ORT_DYLIB_PATH is not set")?;
    let environment = ort::init_from(&library)?.with_telemetry(false).build()?;
    let mut found = Vec::new();
    for model in &arguments.models {
        for way in &arguments.ways {
            let name = model.file_name().map(|name| name.to_string_lossy());
            let head = json!({ "model": name, "way": way.0.join(",") });
            let rest = dissect(&environment, model, way, &arguments)
                .unwrap_or_else(|error| json!({ "failure": format!("{error:#}") }));
            found.push(merged(head, rest));
        }
    }
    println!(
        "{}",
        json!({ "device": arguments.device.to_string(), "batch": arguments.batch, "calls": found })
    );
    Ok(())
}

fn merged(mut a: Value, b: Value) -> Value {
    if let (Value::Object(a), Value::Object(b)) = (&mut a, b) {
        a.extend(b);
    }
    a
}

fn dissect(
    environment: &Environment,
    model: &Path,
    way: &Way,
    arguments: &Arguments,
) -> Result<Value> {
    let began = Instant::now();
    let gpu = match arguments.device {
        Device::Cuda(number) => Some(i32::try_from(number)?),
        _ => None,
    };
    let profile = std::env::temp_dir().join(format!("leitmotif-nodes-{}", std::process::id()));
    let open = |profile: Option<&Path>| -> Result<Session> {
        let mut builder = SessionBuilder::new(environment)?;
        if let Some(prefix) = profile {
            builder = builder.with_profiling(prefix).map_err(|error| anyhow!("{error}"))?;
        }
        if let Some(number) = gpu {
            let providers = [way.provider(number).build().error_on_failure()];
            builder =
                builder.with_execution_providers(providers).map_err(|error| anyhow!("{error}"))?;
        }
        Ok(builder.commit_from_file(model)?)
    };
    let mut session = open(None)?;
    let waveforms = Waveforms::of(&session, arguments.batch)?;
    let seconds = arguments.seconds;
    let mut found = json!({
        "opened_seconds": began.elapsed().as_secs_f64(),
        "megabytes": waveforms.values.len() * size_of::<f32>() / 1_000_000,
    });
    // What fails does not hide the rest.
    let mut keep = |name: &str, measured: Result<Value>| {
        found[name] = measured.unwrap_or_else(|error| json!({ "failure": format!("{error:#}") }));
    };
    if !arguments.network_alone {
        let any = median(seconds, || waveforms.run(&mut session, &waveforms.values));
        keep("from_any_memory", any.map(Value::from));
    }
    if let (Some(number), false) = (gpu, arguments.network_alone) {
        match page_locked(&session, number, waveforms.values.len()) {
            Ok(mut locked) => {
                let copied = median(seconds, || {
                    let (_, memory) = locked.try_extract_tensor_mut::<f32>()?;
                    copy(memory, &waveforms.values);
                    Ok(())
                });
                keep("copy_to_page_locked", copied.map(Value::from));
                let (_, memory) = locked.try_extract_tensor::<f32>()?;
                let run = median(seconds, || waveforms.run(&mut session, memory));
                keep("from_page_locked", run.map(Value::from));
            }
            Err(error) => keep("from_page_locked", Err(error)),
        }
    }
    let alone = waveforms.on_device(&mut session, gpu, seconds);
    keep("input_on_device", alone.map(Value::from));
    drop(session);
    if arguments.nodes {
        let mut session = open(Some(&profile))?;
        for _ in 0..PROFILED_CALLS {
            waveforms.run(&mut session, &waveforms.values)?;
        }
        keep("nodes", nodes(&mut session));
    }
    Ok(found)
}

/// Noise as input of a graph that takes recordings.
struct Waveforms {
    shape: [usize; 2],
    values: Vec<f32>,
}

impl Waveforms {
    fn of(session: &Session, batch: usize) -> Result<Self> {
        let card = session.metadata()?.custom(Card::KEY).context("the model has no card")?;
        let card = Card::from_json(&card)?;
        if !matches!(card.graph, GraphKind::Clip | GraphKind::Sequence) {
            bail!("it takes no recordings");
        }
        let samples = card.network.clip_samples();
        let values = GoldenInput { seed: 1, samples: batch * samples }.samples();
        Ok(Waveforms { shape: [batch, samples], values })
    }

    fn run(&self, session: &mut Session, values: &[f32]) -> Result<()> {
        let input = TensorRef::from_array_view((self.shape.to_vec(), values))?;
        session.run(ort::inputs!["waveform" => input])?;
        Ok(())
    }

    /// The network and the download of its outputs alone.
    fn on_device(&self, session: &mut Session, gpu: Option<i32>, seconds: f64) -> Result<f64> {
        let host = Tensor::from_array((self.shape.to_vec(), self.values.clone()))?;
        let input = match gpu {
            Some(number) => host.to(AllocationDevice::CUDA, number)?,
            None => host,
        };
        let names: Vec<String> =
            session.outputs().iter().map(|output| output.name().to_owned()).collect();
        let cpu =
            MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::Default)?;
        let mut binding = session.create_binding()?;
        binding.bind_input("waveform", &input)?;
        for name in names {
            binding.bind_output_to_device(name, &cpu)?;
        }
        median(seconds, || {
            session.run_binding(&binding)?;
            Ok(())
        })
    }
}

fn page_locked(session: &Session, number: i32, values: usize) -> Result<Tensor<f32>> {
    let on = |number| -> ort::Result<Tensor<f32>> {
        let pinned = AllocationDevice::CUDA_PINNED;
        let info = MemoryInfo::new(pinned, number, AllocatorType::Device, MemoryType::CPUInput)?;
        Tensor::new(&Allocator::new(session, info)?, [values])
    };
    // Releases differ in whether it belongs to a GPU or to the host.
    Ok(on(number).or_else(|_| on(0))?)
}

/// Copies on eight threads.
fn copy(to: &mut [f32], from: &[f32]) {
    let each = from.len().div_ceil(8).max(1);
    std::thread::scope(|scope| {
        for (to, from) in to.chunks_mut(each).zip(from.chunks(each)) {
            scope.spawn(|| to.copy_from_slice(from));
        }
    });
}

/// Median seconds of a call, after one that chooses algorithms and allocates memory.
fn median(seconds: f64, mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    const LEAST_CALLS: usize = 3;
    call()?;
    let (mut calls, began) = (Vec::new(), Instant::now());
    while calls.len() < LEAST_CALLS || began.elapsed().as_secs_f64() < seconds {
        let began = Instant::now();
        call()?;
        calls.push(began.elapsed().as_secs_f64());
    }
    calls.sort_by(f64::total_cmp);
    Ok(calls.get(calls.len() / 2).copied().unwrap_or(f64::NAN))
}

/// Calls of which the last is listed by its nodes: the first choose algorithms.
const PROFILED_CALLS: usize = 3;

/// Seconds of each node in the last call, in the order in which they ran.
fn nodes(session: &mut Session) -> Result<Value> {
    let file = session.end_profiling()?;
    let text = fs::read_to_string(&file).with_context(|| file.clone());
    // Removed even where it could not be read.
    let _ = fs::remove_file(&file);
    Ok(json!(last_of_each(&serde_json::from_str(&text?)?)))
}

fn last_of_each(profile: &Value) -> Vec<Value> {
    let (mut order, mut last) = (Vec::new(), BTreeMap::new());
    for event in profile.as_array().into_iter().flatten() {
        let name = event["name"].as_str().and_then(|name| name.strip_suffix("_kernel_time"));
        let (Some(name), Some(microseconds)) = (name, event["dur"].as_f64()) else { continue };
        let of = |key: &str| event["args"][key].as_str().unwrap_or_default().to_owned();
        let node = json!({ "node": name, "operator": of("op_name"), "provider": of("provider"),
            "seconds": microseconds / 1e6 });
        if last.insert(name.to_owned(), node).is_none() {
            order.push(name.to_owned());
        }
    }
    order.iter().filter_map(|name| last.remove(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_known_by_name() {
        let way: Way = "nhwc,fuse".parse().unwrap();
        assert!(way.has("nhwc") && way.has("fuse") && !way.has("tf32"));
        assert!("nhwc,wrong".parse::<Way>().is_err());
        assert!("".parse::<Way>().unwrap().0.is_empty());
    }

    #[test]
    fn of_several_calls_the_last_counts_in_the_order_of_the_nodes() {
        let event = |node: &str, micros: u32| {
            json!({ "name": format!("{node}_kernel_time"), "dur": micros,
                "args": { "op_name": "Conv", "provider": "CUDAExecutionProvider" } })
        };
        let session = json!({ "name": "model_run", "dur": 9, "args": {} });
        let found = last_of_each(&json!([
            session,
            event("b", 90),
            event("a", 80),
            event("b", 2),
            event("a", 1)
        ]));
        let nodes: Vec<_> = found.iter().map(|node| (&node["node"], &node["seconds"])).collect();
        assert_eq!(nodes, [(&json!("b"), &json!(2e-6)), (&json!("a"), &json!(1e-6))]);
    }
}
