//! What the ranks of a run exchange beside the sums of its steps: how it starts, evaluations, weights.
//!
//! Rank 0 alone reads and writes the run's folder: the others get what they need from it, so that they may be on other
//! machines.

use std::collections::BTreeMap;
use std::path::Path;

use leitmotif_models::checkpoint::WEIGHTS;
use leitmotif_models::{Network, UnfinishedEpoch};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use crate::error::TrainError;
use crate::learn::average::WeightAverage;
use crate::learn::clips::Example;
use crate::learn::config::FitConfig;
use crate::learn::history::{EpochRow, History};
use crate::learn::probe::TrainedValues;
use crate::learn::start::{Changes, RunState, Start, begin, begin_as, set_threads};
use crate::learn::task::Task;
use crate::model::network::Model;
use crate::model::tensors::{self, Tensors};
use crate::model::{device, version};
use crate::ranks::error::RanksError;
use crate::ranks::group::Ranks;
use crate::ranks::meeting::Statement;

/// What must be the same on all ranks of a run, by names for messages: program, data, split, settings.
pub fn statement(run: &Path, task: &Task, start: &Start, on: Device) -> Statement {
    let mut values = BTreeMap::new();
    let mut note = |name: &str, value: String| _ = values.insert(name.to_owned(), value);
    note("leitmotif-train", env!("CARGO_PKG_VERSION").to_owned());
    note("libtorch", version::libtorch().to_owned());
    note("device", device::kind(on).to_owned());
    note("the run's folder", run.display().to_string());
    let split = task.split_note();
    note("split", format!("{} ({})", task.split_name, split.digest.unwrap_or_default()));
    let parts = [&task.train, &task.validation, &task.test];
    let auxiliary = task.auxiliary.as_ref().map(|music| &music.examples);
    for (name, examples) in ["training clips", "validation clips", "test clips", "auxiliary clips"]
        .into_iter()
        .zip(parts.into_iter().chain(auxiliary))
    {
        note(name, format!("{} ({})", examples.len(), digest(task, examples)));
    }
    note("artists", format!("{} ({})", task.classes.len(), hex(&task.classes.join("\n"))));
    match start {
        Start::Fresh { network, config, pretrained } => {
            note("network", format!("{} ({})", network.name, hex(&format!("{network:?}"))));
            if let Some(pretrained) = pretrained {
                note("--start-from", pretrained.checkpoint.display().to_string());
            }
            // Each machine has its own number of threads.
            let config = FitConfig { threads: 1, ..(**config).clone() };
            if let Ok(serde_json::Value::Object(settings)) = serde_json::to_value(&config) {
                for (name, value) in settings {
                    note(&name, value.to_string());
                }
            }
        }
        Start::Resume(changes) => {
            let Changes { epochs, checkpoint_minutes, keep_checkpoints, .. } = changes;
            note("--resume", "set".to_owned());
            note("--epochs", format!("{epochs:?}"));
            note("--checkpoint-minutes", format!("{checkpoint_minutes:?}"));
            note("--keep-checkpoints", format!("{keep_checkpoints:?}"));
        }
    }
    values
}

/// Of the clips of a part: names, classes, lengths.
fn digest(task: &Task, examples: &[Example]) -> String {
    let mut hash = Sha256::new();
    for example in examples {
        if let Some(row) = task.dataset.clips().get(example.clip) {
            hash.update(row.clip);
        }
        hash.update([0]);
        hash.update((example.class as u64).to_le_bytes());
        hash.update(example.samples.to_le_bytes());
    }
    short(hash)
}

fn hex(text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(text);
    short(hash)
}

fn short(hash: Sha256) -> String {
    hash.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// How a run starts, as rank 0 tells the others.
#[derive(Debug, Serialize, Deserialize)]
struct Beginning {
    network: Network,
    config: FitConfig,
    epoch: usize,
    step: u64,
    unfinished: Option<UnfinishedEpoch>,
    history: Vec<EpochRow>,
}

/// [`begin`](crate::learn::start::begin), on all ranks: with the same values on each.
///
/// # Errors
///
/// On rank 0 those of `begin`; on the others that rank 0 had one.
pub(crate) fn begin_together(
    run: &Path,
    task: &Task,
    start: Start,
    device: Device,
    ranks: Option<&Ranks>,
) -> Result<RunState, TrainError> {
    let Some(ranks) = ranks else { return begin(run, task, start, device) };
    if ranks.is_first() {
        let mut state = begin_as(run, task, start, device, ranks.share().size)?;
        let beginning = Beginning {
            network: state.model.network().clone(),
            config: state.config.clone(),
            epoch: state.epoch,
            step: state.step,
            unfinished: state.unfinished,
            history: state.history.rows().to_vec(),
        };
        let text = serde_json::to_string(&beginning).map_err(|error| unreadable(&error))?;
        ranks.text_of_first(Some(&text))?;
        swap(&mut state.average)?;
        let values = TrainedValues::of(&state.model, &state.adam, state.average.as_ref())?;
        swap(&mut state.average)?;
        share_tensors(ranks, &values.weights)?;
        share_tensors(ranks, &values.optimizer)?;
        return Ok(state);
    }
    let text = ranks.text_of_first(None)?;
    let beginning: Beginning = serde_json::from_str(&text).map_err(|error| unreadable(&error))?;
    let Beginning { network, config, epoch, step, unfinished, history } = beginning;
    set_threads(&config);
    let model = Model::new(network, task.classes.len(), config.seed, device)?;
    let mut state = RunState::new(model, config, None)?;
    let like = TrainedValues::of(&state.model, &state.adam, state.average.as_ref())?;
    let (weights, optimizer) =
        (share_tensors(ranks, &like.weights)?, share_tensors(ranks, &like.optimizer)?);
    state.model.set_values(&weights)?;
    state.model.restore_auxiliary(&optimizer)?;
    state.adam.restore(&optimizer, step)?;
    if let Some(average) = &mut state.average {
        average.restore(&optimizer, step)?;
    }
    (state.epoch, state.step, state.unfinished) = (epoch, step, unfinished);
    state.history = History::of(history);
    Ok(state)
}

fn unreadable(error: &serde_json::Error) -> TrainError {
    RanksError::Collective { message: format!("rank 0 tells how the run starts, but {error}") }
        .into()
}

fn swap(average: &mut Option<WeightAverage>) -> Result<(), TrainError> {
    average.as_mut().map_or(Ok(()), WeightAverage::swap)
}

/// The tensors of rank 0, which has the same names and shapes.
fn share_tensors(ranks: &Ranks, own: &Tensors) -> Result<Tensors, TrainError> {
    let flat: Vec<f32> = own.values().flat_map(|values| values.data.iter().copied()).collect();
    let sent = Tensor::f_from_slice(&flat)?;
    ranks.broadcast(&sent)?;
    let mut flat = flat;
    let count = flat.len();
    sent.f_copy_data(&mut flat, count)?;
    let mut rest = flat.into_iter();
    let mut tensors = own.clone();
    for values in tensors.values_mut() {
        values.data = rest.by_ref().take(values.data.len()).collect();
    }
    Ok(tensors)
}

/// Whether any rank wants to stop; of a single process whether it does.
pub(crate) fn any(ranks: Option<&Ranks>, here: bool) -> Result<bool, TrainError> {
    Ok(ranks.map_or(Ok(here), |ranks| ranks.any(here))?)
}

/// What rank 0 alone knows and the others want, as a value of its JSON.
pub(crate) fn of_first<T: Serialize + for<'a> Deserialize<'a>>(
    ranks: Option<&Ranks>,
    own: impl FnOnce() -> Result<T, TrainError>,
) -> Result<T, TrainError> {
    let Some(ranks) = ranks else { return own() };
    if !ranks.is_first() {
        let text = ranks.text_of_first(None)?;
        return serde_json::from_str(&text).map_err(|error| unreadable(&error));
    }
    let own = own()?;
    let text = serde_json::to_string(&own).map_err(|error| unreadable(&error))?;
    ranks.text_of_first(Some(&text))?;
    Ok(own)
}

/// Sets the network to the weights of the checkpoint in `folder`, which only rank 0 reads.
pub(crate) fn load_weights(
    ranks: Option<&Ranks>,
    model: &mut Model,
    folder: &Path,
) -> Result<(), TrainError> {
    let is_first = ranks.is_none_or(Ranks::is_first);
    if is_first {
        model.set_values(&tensors::read(&folder.join(WEIGHTS))?)?;
    }
    let Some(ranks) = ranks else { return Ok(()) };
    let values = share_tensors(ranks, &model.values()?)?;
    if is_first { Ok(()) } else { model.set_values(&values) }
}

/// Rows of numbers of which each rank has some, and zeros elsewhere: afterwards all have all.
pub(crate) fn exchange(ranks: &Ranks, rows: &mut [Vec<f64>]) -> Result<(), TrainError> {
    /// Values in one sum: 32 MB.
    const AT_ONCE: usize = 1 << 22;
    let width = rows.first().map_or(1, Vec::len).max(1);
    for chunk in rows.chunks_mut((AT_ONCE / width).max(1)) {
        let mut flat = chunk.concat();
        let sum = Tensor::f_from_slice(&flat)?.f_to_kind(Kind::Double)?;
        ranks.sum(&sum)?;
        let count = flat.len();
        sum.f_copy_data(&mut flat, count)?;
        for (row, values) in chunk.iter_mut().zip(flat.chunks(width)) {
            row.clear();
            row.extend_from_slice(values);
        }
    }
    Ok(())
}
