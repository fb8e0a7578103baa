//! How far the answers of served graphs are from libtorch's on the CPU.

use serde::Deserialize;

use super::record::{Step, Tried};
use crate::markdown::rows;

/// A graph compared with libtorch; on the CPU, on CUDA and there with TF32.
#[derive(Deserialize)]
struct Form {
    cuda: Tried<Compared>,
    #[serde(rename = "cuda, tf32")]
    tf32: Option<Tried<Compared>>,
}

#[derive(Deserialize)]
struct Compared {
    graph: String,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    output: String,
    largest: f64,
}

impl Compared {
    fn largest(&self) -> Option<f64> {
        let found = self.outputs.iter().find(|output| output.output == "probabilities");
        found.map(|output| output.largest)
    }
}

/// Every graph that was compared on CUDA: of ten steps' training, opened first, and of the networks that are served.
pub(super) fn table(smoke: &Step, serve: &Step) -> anyhow::Result<String> {
    let mut table = Vec::new();
    let opened = smoke.names().filter(|name| name.starts_with("opens ")).map(|name| (smoke, name));
    let served =
        serve.names().filter(|name| ["portable", "cuda-fp16"].iter().any(|f| name.ends_with(f)));
    for (step, part) in opened.chain(served.map(|name| (serve, name))) {
        let Some(Form { cuda: Tried(Some(cuda)), tf32 }) = step.part(part)? else { continue };
        let Some(largest) = cuda.largest() else { continue };
        let rounded = tf32.and_then(|tf32| tf32.0?.largest());
        let name = part.trim_start_matches("opens ").split(['.', ',']).next().unwrap_or(part);
        let (graph, precision) = (cuda.graph, if part.ends_with("fp16") { "fp16" } else { "fp32" });
        let rounded = rounded.map_or("not compared".to_owned(), |largest| format!("{largest:.0e}"));
        table.push(vec![
            format!("`{name}.{graph}`, {precision}"),
            format!("{largest:.0e}"),
            rounded,
        ]);
    }
    if table.is_empty() {
        return Ok(String::new());
    }
    let heads = [
        "largest difference of a probability on CUDA to libtorch on the CPU",
        "as it is",
        "with TF32",
    ];
    Ok(rows(&heads, &table))
}
