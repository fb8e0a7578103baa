//! Every case of the criterion benches: its name and how much work it is.
//!
//! The benches time the cases under these names, and `table` looks their results up.

use leitmotif_models::{GraphKind, HeadKind, Network, NetworkError};
use serde::{Deserialize, Serialize};

use crate::{fresh, music};

/// Clips of MagnaTagATune that the paper uses.
pub const PAPERS_CLIPS: f64 = 24_847.0;

/// CPU threads that are compared.
pub const THREADS: [usize; 2] = [1, 2];
/// Preset that is served.
pub const SERVED: &str = "model1";
/// Presets that are compiled, each with this head.
pub const COMPILED: [(&str, HeadKind); 3] =
    [("model1", HeadKind::Dense), ("model1", HeadKind::Lstm), ("model2", HeadKind::Dense)];
/// Presets that are trained, each with both heads.
pub const TRAINED: [&str; 6] = ["model1", "model2", "model3", "model4", "demo", "example"];
/// Both heads.
pub const HEADS: [HeadKind; 2] = [HeadKind::Dense, HeadKind::Lstm];
/// Clips in a training batch, each with all the segments of the network's window.
pub const BATCH: usize = 2;
/// Threads of one training step.
pub const STEP_THREADS: usize = 2;
/// Sample rates that are resampled to 16 kHz, in Hz.
pub const RATES: [u32; 4] = [44_100, 48_000, 22_050, 96_000];
/// Rows and columns of the square matrices whose product is the arithmetic limit.
pub const PRODUCT: u64 = 2048;
/// Values in each of the triad's three arrays: far more than a cache holds.
pub const TRIAD: usize = 1 << 25;

/// One timed operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// The bench: criterion's group.
    pub group: String,
    /// Unique in the group, and part of a path.
    pub name: String,
    /// CPU threads that it may use.
    pub threads: usize,
    /// Seconds of music processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub music_seconds: Option<f64>,
    /// Multiply-adds of convolutions and matrix products.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub multiply_adds: Option<u64>,
    /// Least number of bytes read from or written to memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl Case {
    fn new(group: &str, name: String, threads: usize) -> Self {
        let group = group.to_owned();
        Case { group, name, threads, music_seconds: None, multiply_adds: None, bytes: None }
    }
}

/// How much music is recognised at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Input of the convolutions.
    Segment,
    /// Unit that a data set labels.
    Clip,
    /// Three minutes.
    Song,
}

impl Length {
    /// All, the shortest first.
    pub const ALL: [Length; 3] = [Length::Segment, Length::Clip, Length::Song];

    /// Samples at 16 kHz.
    pub fn samples(self, network: &Network) -> usize {
        match self {
            Length::Segment => network.segment,
            Length::Clip => network.clip_samples(),
            Length::Song => music::SECONDS * 16_000,
        }
    }

    /// One word for it.
    pub fn name(self) -> &'static str {
        match self {
            Length::Segment => "segment",
            Length::Clip => "clip",
            Length::Song => "song",
        }
    }
}

/// Decodes three minutes of the file `name` of [`music`].
pub fn decode(name: &str) -> Case {
    Case { music_seconds: Some(music::SECONDS as f64), ..Case::new("decode", name.to_owned(), 1) }
}

/// Resamples three minutes from `rate` to 16 kHz.
pub fn resample(rate: u32) -> Case {
    let case = Case::new("resample", rate.to_string(), 1);
    Case { music_seconds: Some(music::SECONDS as f64), ..case }
}

/// Recognises samples through the graph `kind` of `network`.
pub fn serve(network: &Network, kind: GraphKind, length: Length, threads: usize) -> Case {
    let samples = length.samples(network);
    let costs = network.clone().with_head(kind.head()).costs(fresh::classes(network));
    let segments = network.segments_in(samples) as u64;
    let name = format!("{}-{}-{threads}", kind.name(), length.name());
    Case {
        music_seconds: Some(samples as f64 / 16_000.0),
        multiply_adds: Some(segments * costs.multiply_adds()),
        ..Case::new("serve", name, threads)
    }
}

/// Reads a checkpoint of `network` and compiles its graph for files: its weights are read once and written once.
pub fn compile(network: &Network) -> Case {
    let weights = network.costs(fresh::classes(network)).trainable();
    let name = format!("{}-{}", network.name, network.head.kind);
    Case { bytes: Some(2 * 4 * weights), ..Case::new("compile", name, 1) }
}

/// One training step of `network` on [`BATCH`] clips.
pub fn step(network: &Network) -> Case {
    let costs = network.costs(fresh::classes(network));
    let first = costs.layers.first().map_or(0, |layer| layer.multiply_adds);
    // Forward pass, gradients of the weights and gradients of the inputs; the first layer's input needs no gradient.
    let of_segment = 3 * costs.multiply_adds() - first;
    let name = format!("{}-{}", network.name, network.head.kind);
    Case {
        music_seconds: Some((BATCH * network.clip_samples()) as f64 / 16_000.0),
        multiply_adds: Some((BATCH * network.window) as u64 * of_segment),
        ..Case::new("step", name, STEP_THREADS)
    }
}

/// Prepares the folder that [`music::library`] makes.
pub fn prepare(threads: usize) -> Case {
    let seconds = music::LIBRARY_SECONDS as f64;
    Case { music_seconds: Some(seconds), ..Case::new("prepare", threads.to_string(), threads) }
}

/// The arithmetic limit: libtorch's product of two square matrices.
pub fn product(threads: usize) -> Case {
    let case = Case::new("limits", format!("product-{threads}"), threads);
    Case { multiply_adds: Some(PRODUCT.pow(3)), ..case }
}

/// The memory limit: `a = b + s * c` over large arrays.
pub fn triad(threads: usize) -> Case {
    let case = Case::new("limits", format!("triad-{threads}"), threads);
    Case { bytes: Some(3 * 4 * TRIAD as u64), ..case }
}

/// What [`decode`] does, by ffmpeg on one thread.
pub fn ffmpeg(name: &str) -> Case {
    let case = Case::new("limits", format!("ffmpeg-{name}"), 1);
    Case { music_seconds: Some(music::SECONDS as f64), ..case }
}

/// All of them, the limits first.
///
/// # Errors
///
/// A preset that does not exist.
pub fn all() -> Result<Vec<Case>, NetworkError> {
    let mut cases = Vec::new();
    cases.extend(THREADS.map(product));
    cases.extend(THREADS.map(triad));
    cases.extend(music::names().map(ffmpeg));
    cases.extend(music::names().map(decode));
    cases.extend(RATES.map(resample));
    let served = Network::preset(SERVED)?;
    for kind in HEADS.into_iter().flat_map(GraphKind::of_head) {
        for length in Length::ALL {
            cases.extend(THREADS.map(|threads| serve(&served, kind, length, threads)));
        }
    }
    for (preset, head) in COMPILED {
        cases.push(compile(&Network::preset(preset)?.with_head(head)));
    }
    for preset in TRAINED {
        for head in HEADS {
            cases.push(step(&Network::preset(preset)?.with_head(head)));
        }
    }
    cases.extend(THREADS.map(prepare));
    Ok(cases)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_kept_by_criterion() {
        let cases = all().unwrap();
        let names: BTreeSet<_> = cases.iter().map(|case| (&case.group, &case.name)).collect();
        assert_eq!(names.len(), cases.len());
        // Criterion truncates longer names and replaces other characters.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        assert!(names.iter().all(|(_, name)| name.len() < 64 && name.chars().all(plain)));
    }

    #[test]
    fn a_step_of_one_convolution_is_counted_by_hand() {
        let text = r#"
            name = "two"
            segment = 9
            window = 1
            classes = 2
            blocks = [{ filters = 4, stride = 3 }, { filters = 4, pool = 3 }]
            head = { kind = "dense", units = 5 }
        "#;
        // Forward: 3·3·4 = 36, 3·3·4·4 = 144, 4·5 = 20, 5·2 = 10; the first one's input needs no gradient.
        let case = step(&Network::from_toml(text).unwrap());
        assert_eq!(case.multiply_adds, Some(2 * (3 * (36 + 144 + 20 + 10) - 36)));
    }
}
