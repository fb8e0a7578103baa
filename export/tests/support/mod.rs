//! Tiny networks with seeded random weights, their checkpoints, and where the fixtures lie.

#![allow(dead_code, unreachable_pub, reason = "each test program uses another part of this")]

pub mod reference;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use leitmotif_models::{
    DatasetNote, GoldenInput, HeadKind, Network, Param, RUN_VERSION, Random, RunRecord, SplitNote,
};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, serialize};

use reference::{Answer, Reference};

pub type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// Names that break careless quoting.
pub const CLASSES: [&str; 3] = ["Ada", "Bo, \"the\" 🎷", "Cy"];

/// The fixtures' network: 729 samples, as in the paper's worked example, but narrow.
pub const TINY: &str = r#"
name = "tiny"
description = "a narrow worked example for tests"
segment = 729
window = 7
blocks = [
    { filters = 4, stride = 3 },
    { filters = 4, pool = 3 },
    { filters = 4, pool = 3 },
    { filters = 6, pool = 3 },
    { filters = 6, pool = 3 },
    { filters = 8, pool = 3 },
]
head = { kind = "dense", units = 5 }
"#;

/// Nothing is 3 here, segments overlap, and kernels are even, odd and one.
pub const ODD: &str = r#"
name = "odd"
description = "kernels, strides, pools and paddings of other sizes; overlapping segments"
segment = 192
hop = 80
window = 4
blocks = [
    { filters = 4, kernel = 4, stride = 4 },
    { filters = 3, kernel = 5, pool = 2 },
    { filters = 5, kernel = 1, pool = 4 },
    { filters = 7, kernel = 4, stride = 2, padding = 1, pool = 3 },
]
head = { kind = "dense", units = 6 }
"#;

/// Energies, residual blocks with and without a skip of filters and squeeze-and-excitation, lengths that do not divide.
const POOLED: &str = r#"
name = "pooled"
description = "energies, residual blocks and a pooling over time"
segment = 700
hop = 300
window = 4
blocks = [
    { kind = "energy", filters = 4, kernel = 40, stride = 16, padding = 20 },
    { kind = "residual", filters = 6, squeeze = 2, pool = 3 },
    { filters = 8 },
    { kind = "residual", filters = 8, kernel = 5, pool = 2 },
    { kind = "residual", filters = 8, squeeze = 3 },
]
head = { kind = "dense", units = 6, dropout = 0.5 }
"#;

/// Energies and 2-D convolutions, with and without a pool, that leave bands and positions over.
const IMAGE: &str = r#"
name = "image"
description = "2-D convolutions over bands and time"
segment = 700
hop = 300
window = 4
pool = "statistics"
blocks = [
    { kind = "energy", filters = 7, kernel = 40, stride = 8, padding = 20, pool = 2 },
    { kind = "conv2d", filters = 3, pool = 2 },
    { kind = "conv2d", filters = 4, kernel = 5 },
    { kind = "conv2d", filters = 5, pool = 3 },
]
head = { kind = "dense", units = 6, dropout = 0.5 }
"#;

/// The former network with each pooling over time, under names of their own, and the latter.
pub fn pooled() -> [String; 4] {
    ["mean", "statistics", "attention", ""].map(|pool| {
        if pool.is_empty() {
            return IMAGE.to_owned();
        }
        let text = POOLED.replace("window = 4", &format!("window = 4\npool = \"{pool}\""));
        text.replace("\"pooled\"", &format!("\"pooled-{pool}\""))
    })
}

/// A checkpoint in memory.
pub struct Tiny {
    pub run: RunRecord,
    pub weights: Tensors,
    pub probe: Tensors,
}

impl Tiny {
    /// Seeded weights with lively batch norms, and the reference's own answers as the probe.
    pub fn new(toml: &str, head: HeadKind, seed: u64, rows: usize) -> Self {
        let network = Network::from_toml(toml).unwrap().with_head(head);
        let run = RunRecord {
            version: RUN_VERSION,
            golden: GoldenInput { seed: 7, samples: network.clip_samples() },
            network,
            classes: CLASSES.map(str::to_owned).to_vec(),
            epoch: 3,
            step: 42,
            unfinished: None,
            seed,
            dataset: DatasetNote {
                name: "noise".into(),
                licence: "CC0-1.0".into(),
                notes: "seeded random weights that never heard music".into(),
                clips: 6,
                songs: 6,
            },
            split: SplitNote {
                protocol: "song".into(),
                seed: 1,
                test_share: 0.25,
                validation_share: 0.1,
                digest: None,
                samples: None,
            },
            scores: None,
            confidence: None,
            tools: BTreeMap::from([("leitmotif-export's tests".to_owned(), "1".to_owned())]),
            config: serde_json::json!({}),
        };
        let weights = random_weights(&run.network.params(CLASSES.len()), seed);
        let mut tiny = Tiny { run, weights, probe: Tensors::new() };
        tiny.probe = tiny.make_probe(rows);
        tiny
    }

    pub fn reference(&self) -> Reference<'_> {
        Reference { network: &self.run.network, weights: &self.weights }
    }

    /// The reference's outputs. Row 0 is the golden input, the others are louder noise.
    pub fn make_probe(&self, rows: usize) -> Tensors {
        let network = &self.run.network;
        let (mut waveform, mut logits, mut embedding) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..rows {
            let input = match row {
                0 => self.run.golden.samples(),
                _ => noise(network.clip_samples(), row as u64),
            };
            for Answer { logits: l, embedding: e, .. } in self.reference().segments(&input) {
                logits.extend(l.iter().map(|x| *x as f32));
                embedding.extend(e.iter().map(|x| *x as f32));
            }
            waveform.extend(input);
        }
        let (segments, units) = (network.window, network.head.units);
        BTreeMap::from([
            ("waveform".into(), (vec![rows, network.clip_samples()], waveform)),
            ("logits".into(), (vec![rows, segments, CLASSES.len()], logits)),
            ("embedding".into(), (vec![rows, segments, units], embedding)),
        ])
    }

    /// Writes the checkpoint's files into `folder`.
    pub fn save(&self, folder: &Path) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("run.json"), self.run.to_json().unwrap()).unwrap();
        save_tensors(&folder.join("weights.safetensors"), &self.weights);
        save_tensors(&folder.join("probe.safetensors"), &self.probe);
    }
}

pub fn noise(samples: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::from_state(seed);
    (0..samples).map(|_| random.uniform(-1.0, 1.0) as f32).collect()
}

pub fn save_tensors(path: &Path, tensors: &Tensors) {
    let bytes: Vec<(&str, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, data))| {
            (name.as_str(), shape.as_slice(), data.iter().flat_map(|x| x.to_le_bytes()).collect())
        })
        .collect();
    let views = bytes.iter().map(|(name, shape, data)| {
        (*name, TensorView::new(Dtype::F32, shape.to_vec(), data).unwrap())
    });
    fs::write(path, serialize(views, None).unwrap()).unwrap();
}

fn random_weights(params: &[Param], seed: u64) -> Tensors {
    let mut random = Random::from_state(seed);
    let mut weights = Tensors::new();
    for param in params {
        let fan_in: usize = param.shape[1..].iter().product();
        let bound = (3.0 / fan_in as f64).sqrt();
        let mut draw = |low, high| -> Vec<f32> {
            (0..param.values()).map(|_| random.uniform(low, high) as f32).collect()
        };
        let data = match param.name.rsplit('.').next().unwrap() {
            "running_var" => draw(0.2, 3.0),
            "running_mean" | "bias" | "bias_ih" | "bias_hh" => draw(-0.5, 0.5),
            "weight" if param.name.contains(".norm.") => draw(0.5, 2.0),
            "weight_ih" | "weight_hh" => draw(-2.0 * bound, 2.0 * bound),
            // So that the classes are far apart and a wrong weight shows.
            "weight" if param.name == "output.weight" => draw(-4.0 * bound, 4.0 * bound),
            _ => draw(-bound, bound),
        };
        weights.insert(param.name.clone(), (param.shape.clone(), data));
    }
    weights
}

pub fn manifest_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The committed checkpoint of a head.
pub fn fixture_checkpoint(head: HeadKind) -> PathBuf {
    manifest_folder().join("tests/data").join(format!("tiny-{head}"))
}

/// Where the runtime's tests look for the committed `.onnx` files.
pub fn runtime_fixtures() -> PathBuf {
    manifest_folder().join("../runtime/tests/data")
}

/// The tensors of a file, unchecked.
pub fn load_tensors(path: &Path) -> Tensors {
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let values = |data: &[u8]| data.as_chunks().0.iter().map(|x| f32::from_le_bytes(*x)).collect();
    file.iter()
        .map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), values(view.data()))))
        .collect()
}
