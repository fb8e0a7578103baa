//! The description of a model that users of essentia expect beside its file: <https://essentia.upf.edu/models.html>.
//!
//! It repeats the card for programs that read a JSON of this form; nothing of this project reads it. Such programs feed
//! and fetch by the `name` of an input or output, and choose an output by its `output_purpose`: of each purpose that they
//! know, `predictions` and `embeddings`, there is one, and other outputs have none. `op` is the operator that gives it.

use leitmotif_models::GraphKind;
use serde_json::{Value, json};

use crate::about::About;
use crate::compile::{Artifact, Shape};

/// The text of `NAME.GRAPH.json`.
pub fn essentia_sidecar(artifact: &Artifact, about: &About) -> String {
    let card = artifact.card();
    let purpose = |name: &str| match name {
        "probabilities" => "predictions",
        "embedding" => "embeddings",
        _ => "",
    };
    let input = |(name, dims): &(String, Shape)| json!({ "name": name, "type": "float", "shape": axes(dims) });
    let output = |(name, dims): &(String, Shape)| {
        json!({
            "name": name,
            "type": "float",
            "shape": axes(dims),
            "op": artifact.operator_of(name),
            "output_purpose": purpose(name),
        })
    };
    let takes = match card.graph {
        GraphKind::Clip | GraphKind::Sequence => "recordings of any length",
        GraphKind::Segment | GraphKind::Step => "one segment at a time",
    };
    let metrics = match &card.scores {
        Some(scores) => json!({
            "clip accuracy": scores.clip_accuracy.value,
            "song accuracy": scores.song_accuracy.value,
        }),
        None => json!({}),
    };
    let size = format!("{} clips of {} songs", card.dataset.clips, card.dataset.songs);
    let sidecar = json!({
        "name": card.name,
        "type": "multi-class classifier",
        "link": about.link,
        "version": "1",
        "description": format!("Artist recognition from the raw waveform; takes {takes}. {}", card.network.description),
        "author": about.author,
        "email": about.email,
        "release_date": about.date,
        "framework": "onnx",
        "framework_version": format!("opset {}", card.opset),
        "classes": card.classes,
        "model_types": ["onnx"],
        "dataset": {
            "name": card.dataset.name,
            "citation": "",
            "licence": card.dataset.licence,
            "size": size,
            "metrics": metrics,
        },
        "schema": {
            "inputs": artifact.inputs().iter().map(input).collect::<Vec<_>>(),
            "outputs": artifact.outputs().iter().map(output).collect::<Vec<_>>(),
        },
        "citation": about.citation,
        "inference": { "sample_rate": card.sample_rate.0, "algorithm": "" },
    });
    format!("{sidecar:#}\n")
}

/// Free axes are -1, as tensors of essentia's own models have them.
fn axes(dims: &[Option<usize>]) -> Vec<Value> {
    dims.iter().map(|dim| dim.map_or(json!(-1), |size| json!(size))).collect()
}
