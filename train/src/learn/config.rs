//! Settings of a run, as they are recorded in its `run.json`.

use serde::{Deserialize, Serialize};

use crate::error::SettingError;
use crate::learn::adam::AdamConfig;
use crate::learn::augment::Augmentation;
use crate::learn::auxiliary::{AuxiliaryConfig, AuxiliaryNote};
use crate::learn::batches::{Balance, BatchConfig, Crop};
use crate::learn::schedule::Schedule;
use crate::model::init::FirstFilters;
use crate::model::precision::{Precision, Switches};

/// Everything that decides what a run computes, beside network, data and split; the defaults are the paper's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitConfig {
    /// The recipe that most of the other settings come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipe: Option<String>,
    /// Epochs: passes over the training part, or over as many clips as it has.
    pub epochs: usize,
    /// Clips in a batch.
    pub batch: usize,
    /// Batches whose gradients are averaged for one step of Adam.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// Segments from each clip in a batch; all of the network's window where absent. An LSTM's window is as long.
    pub segments: Option<usize>,
    /// Where segments are cut from a clip.
    pub crop: Crop,
    /// How clips are chosen.
    pub balance: Balance,
    /// Steps in an epoch; where absent, as many as it takes to see as many clips as there are.
    pub steps_per_epoch: Option<usize>,
    /// Adam's learning rate at its highest.
    #[serde(rename = "rate")]
    pub learning_rate: f64,
    /// How it changes over the run.
    pub schedule: Schedule,
    /// Share of all steps over which it first rises.
    pub warm_up: f64,
    /// Adam's other settings.
    pub adam: AdamConfig,
    /// Share of the average of the weights that a step keeps; without an average the weights themselves are evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_average: Option<f64>,
    /// Share of each target spread over all classes.
    pub label_smoothing: f64,
    /// Random changes to the waveforms and targets of a batch.
    pub augmentation: Augmentation,
    /// How auxiliary music is used, where there is any.
    #[serde(default, skip_serializing_if = "is_default")]
    pub auxiliary: AuxiliaryConfig,
    /// Which auxiliary music there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auxiliary_music: Option<AuxiliaryNote>,
    /// Share of the old running statistics that batch norms keep (Keras' momentum); the network's own where absent.
    pub norm_momentum: Option<f32>,
    /// Initial values of the first convolution.
    pub first_filters: FirstFilters,
    /// Epochs without better validation after which the run stops; never where absent.
    pub patience: Option<usize>,
    /// Whether the test part is evaluated after every epoch, for curves only: nothing is chosen by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub watch_test: bool,
    /// Precision of the training passes.
    #[serde(default, skip_serializing_if = "Precision::is_default")]
    pub precision: Precision,
    /// Whether cuDNN tries its algorithms and keeps the fastest, so that bits may change from run to run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cudnn_benchmark: bool,
    /// Whether cuDNN takes only algorithms that give the same bits each time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deterministic: bool,
    /// Whether batch norm, ReLU and pooling are libtorch's own operators on a GPU, too, and not one fused operator.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_fused_operator: bool,
    /// Whether each step is launched kernel by kernel on a GPU, too, and not as a CUDA graph.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_cuda_graph: bool,
    /// Whether the pretrained convolution blocks stay as they are.
    pub freeze_convolutions: bool,
    /// Where the pretrained convolution blocks come from: network, epoch, data set and split.
    pub started_from: Option<String>,
    /// Seed of initial values, batches and augmentation.
    pub seed: u64,
    /// Minutes after which a checkpoint is written within an epoch, too; 0 writes them at the ends of epochs only.
    #[serde(default = "checkpoint_minutes", skip_serializing_if = "is_checkpoint_minutes")]
    pub checkpoint_minutes: f64,
    /// How many of the last finished epochs are kept, beside the last and the best checkpoint.
    #[serde(default, skip_serializing_if = "is_default")]
    pub keep_checkpoints: usize,
    /// Threads of libtorch on the CPU: sums depend on it in their last bits.
    pub threads: usize,
    /// Processes that share each batch: a batch norm has the statistics of each one's rows.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub ranks: usize,
    /// What sums up their gradients, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Device it runs on, `cpu` or `cuda`: sums depend on it in their last bits too.
    pub device: String,
    /// What was changed when the run was resumed, in order, e.g. `device cpu to cuda after epoch 3`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<String>,
}

impl Default for FitConfig {
    /// The paper's training: Adam with a constant learning rate of 1e-3, batches of 16 clips with all their segments.
    fn default() -> Self {
        FitConfig {
            recipe: None,
            epochs: 20,
            batch: 16,
            accumulate: one(),
            segments: None,
            crop: Crop::Grid,
            balance: Balance::Clips,
            steps_per_epoch: None,
            learning_rate: 1e-3,
            schedule: Schedule::Constant,
            warm_up: 0.0,
            adam: AdamConfig::default(),
            weight_average: None,
            label_smoothing: 0.0,
            augmentation: Augmentation::default(),
            auxiliary: AuxiliaryConfig::default(),
            auxiliary_music: None,
            norm_momentum: None,
            first_filters: FirstFilters::default(),
            patience: None,
            watch_test: false,
            precision: Precision::default(),
            cudnn_benchmark: false,
            deterministic: false,
            no_fused_operator: false,
            no_cuda_graph: false,
            freeze_convolutions: false,
            started_from: None,
            seed: 1,
            checkpoint_minutes: checkpoint_minutes(),
            keep_checkpoints: 0,
            threads: 1,
            ranks: one(),
            backend: None,
            device: "cpu".to_owned(),
            changes: Vec::new(),
        }
    }
}

fn one() -> usize {
    1
}

fn is_one(count: &usize) -> bool {
    *count == one()
}

fn checkpoint_minutes() -> f64 {
    10.0
}

fn is_checkpoint_minutes(minutes: &f64) -> bool {
    *minutes == checkpoint_minutes()
}

impl FitConfig {
    /// Checks every setting's range.
    ///
    /// # Errors
    ///
    /// The first setting outside its range, by its name on the command line.
    pub fn check(&self) -> Result<(), SettingError> {
        let augmentation = &self.augmentation;
        let share = |x: f64| (0.0..1.0).contains(&x);
        let within_one = "from 0 up to, not including, 1";
        let positive = "at least 1";
        let at_most = "from 1 to 65536";
        let settings: [(&'static str, String, bool, &'static str); 26] = [
            ("--epochs", self.epochs.to_string(), self.epochs > 0, positive),
            ("--batch", self.batch.to_string(), (1..=MOST_CLIPS).contains(&self.batch), at_most),
            (
                "--accumulate",
                self.accumulate.to_string(),
                (1..=MOST_CLIPS).contains(&self.accumulate),
                at_most,
            ),
            (
                "--segments",
                format_setting(self.segments),
                self.segments.is_none_or(|n| (1..=MOST_SEGMENTS).contains(&n)),
                "from 1 to 65536",
            ),
            (
                "--steps",
                format_setting(self.steps_per_epoch),
                self.steps_per_epoch != Some(0),
                positive,
            ),
            (
                "--threads",
                self.threads.to_string(),
                (1..=1024).contains(&self.threads),
                "from 1 to 1024",
            ),
            (
                "--checkpoint-minutes",
                self.checkpoint_minutes.to_string(),
                self.checkpoint_minutes >= 0.0 && self.checkpoint_minutes.is_finite(),
                "a number from 0 on",
            ),
            (
                "--clip-gradients",
                format_setting(self.adam.clip_gradients),
                self.adam.clip_gradients.is_none_or(|norm| norm > 0.0 && norm.is_finite()),
                "a positive number",
            ),
            (
                "--rate",
                self.learning_rate.to_string(),
                self.learning_rate > 0.0 && self.learning_rate.is_finite(),
                "a positive number",
            ),
            ("--warm-up", self.warm_up.to_string(), share(self.warm_up), within_one),
            (
                "--weight-average",
                format_setting(self.weight_average),
                self.weight_average.is_none_or(share),
                within_one,
            ),
            (
                "--label-smoothing",
                self.label_smoothing.to_string(),
                share(self.label_smoothing),
                within_one,
            ),
            (
                "--weight-decay",
                self.adam.weight_decay.to_string(),
                (0.0..=1.0).contains(&self.adam.weight_decay),
                "from 0 to 1",
            ),
            (
                "--gain",
                augmentation.gain.to_string(),
                (0.0..=60.0).contains(&augmentation.gain),
                "from 0 to 60 decibels",
            ),
            (
                "--speed",
                augmentation.speed.to_string(),
                (0.0..=12.0).contains(&augmentation.speed),
                "from 0 to 12 semitones",
            ),
            (
                "--colour",
                augmentation.colour.to_string(),
                (0.0..1.0).contains(&augmentation.colour),
                within_one,
            ),
            (
                "--equalizer",
                augmentation.equalizer.to_string(),
                (0.0..=24.0).contains(&augmentation.equalizer),
                "from 0 to 24 decibels",
            ),
            (
                "--low-pass",
                augmentation.low_pass.to_string(),
                (0.0..=1.0).contains(&augmentation.low_pass),
                "from 0 to 1",
            ),
            (
                "--noise",
                format_setting(augmentation.noise),
                augmentation.noise.is_none_or(|below| (0.0..=120.0).contains(&below)),
                "from 0 to 120 decibels",
            ),
            (
                "--time-mask",
                augmentation.time_mask.to_string(),
                (0.0..=60.0).contains(&augmentation.time_mask),
                "from 0 to 60 seconds",
            ),
            (
                "--mixup",
                augmentation.mixup.to_string(),
                // Below 0.01 the draws from Beta underflow and would be repeated forever.
                augmentation.mixup == 0.0 || (0.01..=4.0).contains(&augmentation.mixup),
                "0, or from 0.01 to 4",
            ),
            (
                "--mixup-share",
                augmentation.mixup_share.to_string(),
                (0.0..=1.0).contains(&augmentation.mixup_share),
                "from 0 to 1",
            ),
            (
                "--noise-clips",
                augmentation.noise_clips.to_string(),
                share(augmentation.noise_clips),
                within_one,
            ),
            (
                "--auxiliary-share",
                self.auxiliary.share.to_string(),
                self.auxiliary.share > 0.0 && share(self.auxiliary.share),
                "above 0 and below 1",
            ),
            (
                "--outlier-exposure",
                self.auxiliary.outlier_exposure.to_string(),
                (0.0..=100.0).contains(&self.auxiliary.outlier_exposure),
                "from 0 to 100",
            ),
            (
                "--norm-momentum",
                format_setting(self.norm_momentum),
                self.norm_momentum.is_none_or(|m| share(f64::from(m))),
                within_one,
            ),
        ];
        for (name, found, right, allowed) in settings {
            if !right {
                return Err(SettingError::OutOfRange { name, found, allowed });
            }
        }
        if self.batch < self.ranks {
            return Err(SettingError::BatchBelowRanks { batch: self.batch, ranks: self.ranks });
        }
        Ok(())
    }

    /// Without what does not make another run: the recipe's name, when checkpoints are written and which are kept,
    /// threads, device and what was changed when resuming.
    pub fn bare(&self) -> Self {
        let FitConfig { checkpoint_minutes, keep_checkpoints, threads, device, changes, .. } =
            FitConfig::default();
        FitConfig {
            recipe: None,
            checkpoint_minutes,
            keep_checkpoints,
            threads,
            device,
            changes,
            ..self.clone()
        }
    }

    /// libtorch's switches for it.
    pub fn switches(&self) -> Switches {
        Switches {
            tf32: self.precision != Precision::Fp32,
            cudnn_benchmark: self.cudnn_benchmark,
            cudnn_deterministic: self.deterministic,
        }
    }

    /// The settings of the batches.
    pub fn batches(&self) -> BatchConfig {
        BatchConfig {
            batch: self.batch,
            accumulate: self.accumulate,
            segments: self.segments,
            crop: self.crop,
            balance: self.balance,
            steps_per_epoch: self.steps_per_epoch,
            augmentation: self.augmentation,
            label_smoothing: self.label_smoothing,
            seed: self.seed,
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// More clips in a batch, and batches in a step, than any machine has memory and time for.
const MOST_CLIPS: usize = 1 << 16;
/// Longest window of a network's description.
const MOST_SEGMENTS: usize = 1 << 16;

fn format_setting(setting: Option<impl ToString>) -> String {
    setting.map_or_else(|| "absent".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_range_is_named() {
        FitConfig::default().check().unwrap();
        let spoil = |f: fn(&mut FitConfig)| {
            let mut config = FitConfig::default();
            f(&mut config);
            config.check().unwrap_err().to_string()
        };
        assert!(spoil(|c| c.learning_rate = f64::NAN).contains("--rate is NaN"));
        assert!(spoil(|c| c.batch = 0).contains("--batch"));
        assert!(spoil(|c| c.accumulate = 0).contains("--accumulate"));
        assert!(spoil(|c| c.accumulate = usize::MAX / 4).contains("--accumulate"));
        assert!(spoil(|c| c.batch = usize::MAX).contains("--batch"));
        assert!(spoil(|c| c.label_smoothing = 1.0).contains("--label-smoothing"));
        assert!(spoil(|c| c.segments = Some(1 << 17)).contains("--segments is 131072"));
        assert!(spoil(|c| c.augmentation.mixup = 1e-12).contains("--mixup"));
        assert!(spoil(|c| c.norm_momentum = Some(-0.1)).contains("--norm-momentum"));
        assert!(spoil(|c| c.adam.clip_gradients = Some(0.0)).contains("--clip-gradients"));
        assert!(spoil(|c| c.checkpoint_minutes = -1.0).contains("--checkpoint-minutes"));
    }

    #[test]
    fn a_configuration_survives_its_json() {
        // 10^-2.9: a parser that rounds twice reads its neighbour, and the resumed run would be another.
        let learning_rate = 0.001_258_925_411_794_167_5;
        let config = FitConfig { norm_momentum: Some(0.9), learning_rate, ..FitConfig::default() };
        let json = serde_json::to_string(&config).unwrap();
        assert!(json.contains("\"rate\":0.00125"), "{json}");
        assert_eq!(serde_json::from_str::<FitConfig>(&json).unwrap(), config);
        let (cudnn_benchmark, deterministic, no_fused_operator, no_cuda_graph) =
            (true, true, true, true);
        let precision = Precision::Bf16;
        let config = FitConfig { precision, cudnn_benchmark, deterministic, ..config };
        let config = FitConfig { no_fused_operator, no_cuda_graph, ..config };
        let json = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<FitConfig>(&json).unwrap(), config);
    }

    #[test]
    fn a_record_from_before_there_was_a_choice_is_read() {
        let json = serde_json::to_string(&FitConfig::default()).unwrap();
        for newer in [
            "precision",
            "cudnn",
            "deterministic",
            "fused",
            "graph",
            "clip_gradients",
            "checkpoint",
            "accumulate",
            "ranks",
            "backend",
        ] {
            assert!(!json.contains(newer), "{json}");
        }
        assert_eq!(serde_json::from_str::<FitConfig>(&json).unwrap(), FitConfig::default());
    }
}
