//! All settings of a run as a file for `fit --config`, with which another run begins as this one did.

use std::fmt::Write as _;
use std::path::Path;

use leitmotif_models::Network;
use serde::Serialize;
use toml::Value;

use crate::error::TrainError;
use crate::learn::augment::Augmentation;
use crate::learn::checkpoint::write_text;
use crate::learn::config::FitConfig;

/// The file in a run's folder.
pub const FILE: &str = "config.toml";
/// The network's file beside it, so that the settings do not change with a preset or a file elsewhere.
pub const NETWORK: &str = "network.toml";

/// Writes both files into the folder of a run that begins.
///
/// # Errors
///
/// A file that cannot be written.
pub fn write(run: &Path, config: &FitConfig, network: &Network) -> Result<(), TrainError> {
    let path = run.join(NETWORK);
    let network = network.to_toml();
    let network = network.map_err(|error| TrainError::file(&path, std::io::Error::other(error)))?;
    write_text(&path, &network)?;
    write_text(&run.join(FILE), &text(config))
}

/// The settings by the names of `fit`'s options, those by default, too; a setting without a value, for which TOML has no
/// word, is a comment. The network is the file [`NETWORK`] beside this one.
pub fn text(config: &FitConfig) -> String {
    let mut text = format!(
        "# Every setting of this run, and `fit`'s options: `leitmotif-train fit DATASET --split SPLIT --config {FILE} --out RUN`.\n\
         # Not here: data set, split, --auxiliary, --start-from, --freeze-convolutions, --device, --threads, --ranks and when checkpoints are written.\n"
    );
    for (name, value) in values(config) {
        let _ = match value {
            Some(value) => writeln!(text, "{name} = {value}"),
            None => writeln!(text, "# {name} is not set"),
        };
    }
    text
}

/// The value of a setting; `None` for one that is not set.
fn value(setting: impl Serialize) -> Option<Value> {
    Value::try_from(setting).ok()
}

fn values(config: &FitConfig) -> Vec<(&'static str, Option<Value>)> {
    let Augmentation {
        gain,
        polarity,
        speed,
        colour,
        equalizer,
        low_pass,
        noise,
        time_mask,
        mixup,
        mixup_share,
        noise_clips,
    } = config.augmentation;
    vec![
        ("network", value(NETWORK)),
        ("epochs", value(config.epochs)),
        ("batch", value(config.batch)),
        ("accumulate", value(config.accumulate)),
        ("segments", value(config.segments)),
        ("steps", value(config.steps_per_epoch)),
        ("crop", value(config.crop)),
        ("balance", value(config.balance)),
        ("rate", value(config.learning_rate)),
        ("schedule", value(config.schedule)),
        ("warm-up", value(config.warm_up)),
        ("precision", value(config.precision)),
        ("cudnn-benchmark", value(config.cudnn_benchmark)),
        ("deterministic", value(config.deterministic)),
        ("no-fused-operator", value(config.no_fused_operator)),
        ("no-cuda-graph", value(config.no_cuda_graph)),
        ("weight-decay", value(config.adam.weight_decay)),
        ("clip-gradients", value(config.adam.clip_gradients)),
        ("weight-average", value(config.weight_average)),
        ("label-smoothing", value(config.label_smoothing)),
        ("gain", value(gain)),
        ("polarity", value(polarity)),
        ("speed", value(speed)),
        ("colour", value(colour)),
        ("equalizer", value(equalizer)),
        ("low-pass", value(low_pass)),
        ("noise", value(noise)),
        ("time-mask", value(time_mask)),
        ("mixup", value(mixup)),
        ("mixup-share", value(mixup_share)),
        ("noise-clips", value(noise_clips)),
        ("auxiliary-share", value(config.auxiliary.share)),
        ("outlier-exposure", value(config.auxiliary.outlier_exposure)),
        // As the decimal that was typed, not as the f64 nearest to the f32.
        ("norm-momentum", config.norm_momentum.and_then(|share| share.to_string().parse().ok())),
        ("first-filters", value(config.first_filters)),
        ("patience", value(config.patience)),
        ("watch-test", value(config.watch_test)),
        // TOML's integers have a sign.
        ("seed", value(config.seed).or_else(|| value(config.seed.to_string()))),
    ]
}
