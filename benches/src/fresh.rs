//! Untrained networks: noise for weights, which costs as much to run as trained weights.
//!
//! Made without libtorch, so that programs that time ONNX Runtime do not load it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use leitmotif_export::{Checkpoint, compile};
use leitmotif_models::{
    DatasetNote, GoldenInput, GraphKind, Init, Network, Param, RUN_VERSION, RunRecord, SplitNote,
    checkpoint,
};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize_to_file};

/// Artists of a network whose description gives no number: as many as in the demo.
const CLASSES: usize = 9;

/// Number of artists of a network made here.
pub fn classes(network: &Network) -> usize {
    network.classes.unwrap_or(CLASSES)
}

/// Noise in [-0.1, 0.1], determined by the seed.
pub fn noise(seed: u32, samples: usize) -> Vec<f32> {
    GoldenInput { seed, samples }.samples()
}

/// Writes a checkpoint of `network` into `folder`, replacing what is there. The probe's outputs are zeros: nothing compares with them.
///
/// # Errors
///
/// A file that cannot be written.
pub fn checkpoint(folder: &Path, network: &Network) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let (classes, samples) = (classes(network), network.clip_samples());
    let record = RunRecord {
        version: RUN_VERSION,
        network: network.clone(),
        classes: (0..classes).map(|class| format!("artist {class}")).collect(),
        epoch: 0,
        step: 0,
        unfinished: None,
        seed: 1,
        dataset: DatasetNote {
            name: "none".to_owned(),
            licence: "CC0-1.0".to_owned(),
            notes: "noise for weights, to time with".to_owned(),
            clips: 0,
            songs: 0,
        },
        split: SplitNote {
            protocol: "none".to_owned(),
            seed: 1,
            test_share: 0.0,
            validation_share: 0.0,
            digest: None,
            samples: None,
        },
        scores: None,
        confidence: None,
        golden: GoldenInput { seed: 1, samples },
        tools: BTreeMap::new(),
        config: serde_json::Value::Null,
    };
    let path = folder.join(checkpoint::RECORD);
    fs::write(&path, record.to_json()?).with_context(|| path.display().to_string())?;
    let params = network.params(classes);
    let weights = params
        .iter()
        .zip(1..)
        .map(|(param, seed)| (param.name.clone(), param.shape.clone(), values(param, seed)));
    write(&folder.join(checkpoint::WEIGHTS), weights)?;
    let zeros = |name: &str, width: usize| {
        (name.to_owned(), vec![1, network.window, width], vec![0.0; network.window * width])
    };
    let probe = [
        ("waveform".to_owned(), vec![1, samples], record.golden.samples()),
        zeros("logits", classes),
        zeros("embedding", network.head.units),
    ];
    write(&folder.join(checkpoint::PROBE), probe.into_iter())
}

/// Compiles every graph of `network` from an untrained checkpoint to `folder/NAME-HEAD.GRAPH.onnx`, replacing what is there.
///
/// # Errors
///
/// A file that cannot be written, a graph that cannot be compiled.
pub fn graphs(folder: &Path, network: &Network) -> anyhow::Result<Vec<(GraphKind, PathBuf)>> {
    let name = format!("{}-{}", network.name, network.head.kind);
    let home = folder.join(&name);
    checkpoint(&home, network)?;
    let checkpoint = Checkpoint::open(&home)?;
    let mut made = Vec::new();
    for kind in GraphKind::of_head(network.head.kind) {
        let artifact = compile(&checkpoint, kind, &name)?;
        let path = folder.join(artifact.file_name());
        fs::write(&path, artifact.bytes()).with_context(|| path.display().to_string())?;
        made.push((kind, path));
    }
    Ok(made)
}

/// Initial values of a tensor, nearly as its [`Init`] says: the magnitudes are right, but no orthogonal matrix is computed.
fn values(param: &Param, seed: u32) -> Vec<f32> {
    let count = param.values();
    let uniform = |limit: f64| -> Vec<f32> {
        noise(seed, count).iter().map(|x| 10.0 * limit as f32 * x).collect()
    };
    match param.init {
        Init::GlorotUniform { fan_in, fan_out } => {
            uniform((6.0 / (fan_in + fan_out).max(1) as f64).sqrt())
        }
        Init::Orthogonal => {
            uniform((3.0 / param.shape.iter().max().copied().unwrap_or(1).max(1) as f64).sqrt())
        }
        // Filters of norm 1.
        Init::MelPairs | Init::MelBank => {
            uniform((3.0 / param.shape.last().copied().unwrap_or(1).max(1) as f64).sqrt())
        }
        Init::Ones => vec![1.0; count],
        Init::Zeros | Init::ForgetBias { .. } => vec![0.0; count],
    }
}

fn write(
    path: &Path,
    tensors: impl Iterator<Item = (String, Vec<usize>, Vec<f32>)>,
) -> anyhow::Result<()> {
    let bytes: Vec<(String, Vec<usize>, Vec<u8>)> = tensors
        .map(|(name, shape, data)| {
            (name, shape, data.iter().flat_map(|value| value.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes
        .iter()
        .map(|(name, shape, data)| Ok((name, TensorView::new(Dtype::F32, shape.clone(), data)?)))
        .collect::<Result<Vec<_>, safetensors::SafeTensorError>>()?;
    serialize_to_file(views, None, path).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use leitmotif::{Device, Recognizer, SessionOptions};
    use leitmotif_models::HeadKind;

    use super::*;

    #[test]
    fn an_untrained_network_gives_probabilities() {
        for head in [HeadKind::Dense, HeadKind::Lstm] {
            let folder = tempfile::tempdir().unwrap();
            let network = Network::preset("example").unwrap().with_head(head);
            let graphs = graphs(folder.path(), &network).unwrap();
            assert_eq!(graphs.len(), 2);
            for (_, path) in graphs {
                let options = SessionOptions::on(Device::Cpu).with_threads(1);
                let recognizer = Recognizer::open_with(&path, &options).unwrap();
                let answer = recognizer.recognize_samples(&noise(7, 7 * 729)).unwrap();
                let sum: f32 = answer.artists.iter().map(|artist| artist.probability).sum();
                assert!((sum - 1.0).abs() < 1e-4 && answer.segments == 7, "{sum}");
            }
        }
    }
}
