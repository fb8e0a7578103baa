//! Training batches on the model's device.
//!
//! On a GPU the samples of all training clips lie in its memory, as 16-bit integers, where they fit and nothing
//! changes them: a batch is then cut there, the same to the bit as one read from the data set. Otherwise threads read
//! batches ahead.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use leitmotif_models::text::thousands;
use tch::{Device, Kind, Tensor};

use crate::console::log;
use crate::error::TrainError;
use crate::learn::batches::{Batch, BatchPlan, Batches, Prefetched};
use crate::model::cuda;
use crate::model::host::to_device;

/// Share of a GPU's free memory that samples may take; the rest is for activations.
const MOST_OF_FREE: f64 = 0.4;
/// Threads that read ahead, at most: on a CPU as many as the network leaves, for a GPU half of the cores.
const MOST_READERS: usize = 8;

/// The input and targets of one forward pass on a device.
#[derive(Debug)]
pub struct DeviceBatch {
    /// f32 `[clips, segments, samples of a segment]`, ±1 at full scale.
    pub segments: Tensor,
    /// f32 `[clips, 1, classes]`.
    pub targets: Tensor,
}

impl DeviceBatch {
    /// Copies a batch to `device`.
    ///
    /// # Errors
    ///
    /// Whatever libtorch refuses, e.g. memory.
    pub fn upload(batch: &Batch, device: Device) -> Result<Self, TrainError> {
        let shape = batch.shape.map(|d| d as i64);
        let segments = Tensor::f_from_slice(&batch.segments)?.f_reshape(shape)?;
        let segments = to_device(&segments, device)?;
        Ok(DeviceBatch { segments, targets: targets(&batch.targets, shape, device)? })
    }

    /// The same batch, in the same memory.
    pub fn again(&self) -> Self {
        let (segments, targets) = (self.segments.shallow_clone(), self.targets.shallow_clone());
        DeviceBatch { segments, targets }
    }
}

fn targets(values: &[f32], shape: [i64; 3], device: Device) -> Result<Tensor, TrainError> {
    to_device(&Tensor::f_from_slice(values)?.f_reshape([shape[0], 1, -1])?, device)
}

/// The batches of a run, in order.
#[derive(Debug)]
pub struct Feed {
    batches: Arc<Batches>,
    device: Device,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Resident(ResidentClips),
    Host(Prefetched),
}

impl Feed {
    /// The batches of `epochs` for a model on `device`, from number `first` of the first epoch on.
    ///
    /// # Errors
    ///
    /// A clip that cannot be read; whatever libtorch refuses.
    pub fn new(
        batches: &Arc<Batches>,
        epochs: Range<usize>,
        first: usize,
        device: Device,
    ) -> Result<Self, TrainError> {
        let source = match ResidentClips::load(batches, device)? {
            Some(resident) => Source::Resident(resident),
            None => {
                let cores = std::thread::available_parallelism().map_or(1, usize::from);
                let threads = usize::try_from(tch::get_num_threads()).unwrap_or(1);
                let spare = match device {
                    Device::Cpu => cores.saturating_sub(threads),
                    _ => cores / 2,
                };
                let readers = spare.clamp(1, MOST_READERS);
                Source::Host(batches.prefetch(epochs, first, readers))
            }
        };
        Ok(Feed { batches: Arc::clone(batches), device, source })
    }

    /// The next batch, which has this number in `epoch`, both from 0.
    ///
    /// # Errors
    ///
    /// A clip that cannot be read; whatever libtorch refuses.
    pub fn take(&mut self, epoch: usize, number: usize) -> Result<DeviceBatch, TrainError> {
        match &mut self.source {
            Source::Resident(resident) => {
                let plan = self.batches.plan(epoch, number).ok_or(TrainError::ReaderEnded)?;
                resident.cut(&plan)
            }
            Source::Host(prefetched) => DeviceBatch::upload(&prefetched.take()?, self.device),
        }
    }
}

/// Clips in a device's memory.
#[derive(Debug)]
struct ResidentClips {
    /// i16, the clips one after the other.
    samples: Tensor,
    /// By clip: its first sample.
    starts: HashMap<usize, usize>,
}

impl ResidentClips {
    /// `None` on a CPU, where augmentation changes the samples, and where they do not fit.
    fn load(batches: &Batches, device: Device) -> Result<Option<Self>, TrainError> {
        if device == Device::Cpu || batches.plan(0, 0).is_none() {
            return Ok(None);
        }
        let count: u64 = batches.all_examples().map(|example| example.samples).sum();
        let bytes = 2 * count;
        let free = cuda::free_memory();
        if bytes as f64 > MOST_OF_FREE * free as f64 {
            log!(
                "the clips take {} MB, more than {} of the GPU's {} MB that are free: they are read from the data set",
                thousands(bytes / 1_000_000),
                MOST_OF_FREE,
                thousands(free / 1_000_000)
            );
            return Ok(None);
        }
        Self::place(batches, device, count).map(Some)
    }

    fn place(batches: &Batches, device: Device, count: u64) -> Result<Self, TrainError> {
        let samples = Tensor::f_empty([i64::try_from(count).unwrap_or(0)], (Kind::Int16, device))?;
        let mut starts = HashMap::new();
        let mut end = 0;
        for example in batches.all_examples() {
            let mut clip = vec![0; usize::try_from(example.samples).unwrap_or(0)];
            batches.clips().read_pcm(example.clip, 0, &mut clip)?;
            let mut place = samples.f_narrow(0, end as i64, clip.len() as i64)?;
            place.f_copy_(&Tensor::f_from_slice(&clip)?)?;
            starts.insert(example.clip, end);
            end += clip.len();
        }
        Ok(ResidentClips { samples, starts })
    }

    fn cut(&self, plan: &BatchPlan) -> Result<DeviceBatch, TrainError> {
        let (shape, device) = (plan.shape.map(|d| d as i64), self.samples.device());
        let starts = plan.segments.iter().map(|(clip, start)| {
            let first = self.starts.get(clip).ok_or(TrainError::ReaderEnded)?;
            Ok((first + start) as i64)
        });
        let starts = Tensor::f_from_slice(&starts.collect::<Result<Vec<i64>, TrainError>>()?)?;
        // Every stretch of the length of a segment, as a view.
        let stretches = self.samples.f_unfold(0, shape[2], 1)?;
        let cut = stretches.f_index_select(0, &to_device(&starts, device)?)?;
        let segments = cut.f_to_kind(Kind::Float)?.f_div_scalar(32_768.0)?.f_view(shape)?;
        Ok(DeviceBatch { segments, targets: targets(&plan.targets, shape, device)? })
    }
}

#[cfg(test)]
mod tests {
    use leitmotif_dataset::store::{ClipRow, Dataset, DatasetInfo, DatasetWriter};
    use leitmotif_models::{GoldenInput, HeadKind, Network};
    use tempfile::TempDir;

    use super::*;
    use crate::learn::augment::Augmentation;
    use crate::learn::batches::Crop;
    use crate::learn::clips::Example;
    use crate::learn::config::FitConfig;
    use crate::ranks::world::Share;

    /// Six clips of noise.
    fn batches(head: HeadKind, crop: Crop, config: FitConfig) -> (TempDir, Arc<Batches>) {
        let folder = tempfile::tempdir().unwrap();
        let network = Network::preset("example").unwrap().with_head(head);
        let samples = network.clip_samples() + 100;
        let info = DatasetInfo { clip_samples: samples, ..DatasetInfo::default() };
        let mut writer = DatasetWriter::create_or_resume(folder.path(), info).unwrap();
        for clip in 0..6 {
            let row = ClipRow {
                clip: format!("clip{clip}"),
                song: format!("song{clip}"),
                artist: format!("artist{}", clip % 2),
                samples: samples as u64,
                ..ClipRow::default()
            };
            let noise = GoldenInput { seed: clip, samples }.samples();
            writer.append_song(&[row], &noise).unwrap();
        }
        writer.finish().unwrap();
        let dataset = Arc::new(Dataset::open(folder.path()).unwrap());
        let example = |clip| Example { clip, class: clip % 2, song: clip, samples: samples as u64 };
        let config = FitConfig { batch: 4, crop, ..config };
        let examples = (0..6).map(example).collect();
        let batches = Batches::new(dataset, examples, 2, &network, config.batches()).unwrap();
        (folder, Arc::new(batches))
    }

    #[test]
    fn a_batch_cut_on_the_device_is_the_one_read_from_the_data_set() {
        for head in [HeadKind::Dense, HeadKind::Lstm] {
            for crop in [Crop::Grid, Crop::Random] {
                let config = FitConfig { label_smoothing: 0.1, ..FitConfig::default() };
                let (_folder, batches) = batches(head, crop, config);
                let count = batches.all_examples().map(|example| example.samples).sum();
                let resident = ResidentClips::place(&batches, Device::Cpu, count).unwrap();
                for step in 0..3 {
                    let read = batches.batch(1, step).unwrap();
                    let read = DeviceBatch::upload(&read, Device::Cpu).unwrap();
                    let cut = resident.cut(&batches.plan(1, step).unwrap()).unwrap();
                    assert_eq!((&cut.segments, &cut.targets), (&read.segments, &read.targets));
                }
            }
        }
    }

    #[test]
    fn a_row_is_the_same_whoever_makes_it() {
        let augmentation = Augmentation {
            gain: 6.0,
            speed: 1.0,
            colour: 0.3,
            equalizer: 6.0,
            low_pass: 0.5,
            noise: Some(20.0),
            time_mask: 0.01,
            polarity: true,
            mixup: 0.4,
            mixup_share: 0.8,
            noise_clips: 0.3,
        };
        for augmentation in [augmentation, Augmentation::default()] {
            let config = FitConfig { augmentation, label_smoothing: 0.1, ..FitConfig::default() };
            let of = |share| {
                let (folder, batches) = batches(HeadKind::Dense, Crop::Random, config.clone());
                (folder, Arc::into_inner(batches).unwrap().with_share(share))
            };
            let (_folder, whole) = of(Share::WHOLE);
            for size in 2..=4 {
                let parts: Vec<_> = (0..size).map(|rank| of(Share { rank, size })).collect();
                for (epoch, number) in [(0, 0), (1, 1)] {
                    let expected = whole.batch(epoch, number).unwrap();
                    let mut together =
                        Batch { segments: Vec::new(), targets: Vec::new(), ..expected };
                    together.shape[0] = 0;
                    let mut starts = Vec::new();
                    for (_folder, part) in &parts {
                        let Batch { segments, targets, shape } = part.batch(epoch, number).unwrap();
                        together.segments.extend(segments);
                        together.targets.extend(targets);
                        together.shape[0] += shape[0];
                        starts
                            .extend(part.plan(epoch, number).into_iter().flat_map(|p| p.segments));
                    }
                    assert_eq!(together, whole.batch(epoch, number).unwrap());
                    let plan = whole.plan(epoch, number);
                    assert_eq!(starts, plan.map_or_else(Vec::new, |plan| plan.segments));
                }
            }
        }
    }

    #[test]
    fn augmented_batches_have_no_plan() {
        let augmentation = Augmentation { gain: 3.0, ..Augmentation::default() };
        let config = FitConfig { augmentation, ..FitConfig::default() };
        let (_folder, batches) = batches(HeadKind::Dense, Crop::Grid, config);
        assert!(batches.plan(0, 0).is_none());
    }

    #[test]
    fn several_readers_keep_the_order_from_any_number_on() {
        // Of six clips four in a batch: two steps of one batch, or one of two.
        for (accumulate, steps) in [(1, 2), (2, 1)] {
            let config = FitConfig { accumulate, ..FitConfig::default() };
            let (_folder, batches) = batches(HeadKind::Dense, Crop::Random, config);
            assert_eq!(batches.steps_per_epoch(), steps);
            let all = [(0, 0), (0, 1), (1, 0), (1, 1)];
            for first in 0..=all.len() {
                let mut prefetched = batches.prefetch(0..2, first, 3);
                for (epoch, number) in &all[first..] {
                    let batch = batches.batch(*epoch, *number).unwrap();
                    assert_eq!(prefetched.take().unwrap(), batch);
                }
                assert!(matches!(prefetched.take(), Err(TrainError::ReaderEnded)));
            }
        }
    }
}
