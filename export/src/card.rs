//! The card of a file: its description of itself.

use leitmotif_models::{
    CARD_VERSION, Card, Fixed, Golden, GoldenInput, GraphKind, Network, SampleRate,
};

use crate::Checkpoint;
use crate::lower::Form;
use crate::recipe::Recipe;
use crate::tolerance::tolerance;

/// What one call may take. The rule of [`Card::max_seconds_per_call`]: so many segments that the cut samples with their
/// indices and the two largest neighbouring feature maps fit in here, but at least one window of an LSTM, and no more
/// than a card allows.
const CALL_BYTES: u64 = 512 << 20;

/// A cut sample is four bytes, its index eight.
const BYTES_PER_CUT_SAMPLE: u64 = 12;

/// The card of the graph of `kind`.
pub(crate) fn card(checkpoint: &Checkpoint, kind: GraphKind, recipe: &Recipe) -> Card {
    let run = checkpoint.run();
    let network = &run.network;
    let segments = recipe.fixed.segments.filter(|_| kind.takes_any_length());
    let fixed = Fixed { segments, ..recipe.fixed };
    let mut tools = run.tools.clone();
    tools.insert(env!("CARGO_PKG_NAME").to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    Card {
        version: CARD_VERSION,
        name: recipe.name.clone(),
        graph: kind,
        target: recipe.target,
        precision: recipe.precision,
        opset: Form { target: recipe.target, precision: recipe.precision }.opset(),
        sample_rate: SampleRate::NETWORK,
        segment_samples: network.segment,
        hop_samples: network.hop,
        window_segments: network.window,
        max_seconds_per_call: match fixed.segments {
            Some(segments) => SampleRate::NETWORK.seconds(network.samples_of(segments) as u64),
            None => max_seconds(network, run.classes.len(), kind),
        },
        embedding_units: network.head.units,
        classes: run.classes.clone(),
        network: network.clone(),
        dataset: run.dataset.clone(),
        split: run.split.clone(),
        scores: run.scores.clone(),
        confidence: run.confidence.clone(),
        seed: run.seed,
        epoch: run.epoch,
        tools,
        weights_sha256: checkpoint.weights().sha256().to_owned(),
        golden: golden(checkpoint, kind, recipe),
        fixed,
        embedding_only: recipe.embedding_only,
        huggingface: recipe.huggingface,
        calibration: recipe.calibration.clone(),
        measured: recipe.measured.clone(),
    }
}

fn max_seconds(network: &Network, classes: usize, kind: GraphKind) -> f64 {
    let least = match kind {
        GraphKind::Clip => 1,
        GraphKind::Sequence => network.window,
        GraphKind::Segment | GraphKind::Step => {
            return SampleRate::NETWORK.seconds(network.segment as u64);
        }
    };
    let most = network.segments_in(Network::MOST_CLIP_SAMPLES) as u64;
    let segments = (CALL_BYTES / segment_bytes(network, classes)).min(most).max(least as u64);
    let samples = (segments - 1).saturating_mul(network.hop as u64);
    SampleRate::NETWORK.seconds(samples.saturating_add(network.segment as u64))
}

/// Recordings (or segments) side by side that one call of a graph may hold by the same rule where its batch is fixed: that
/// batch or fewer, but at least two, so that the axis is there.
pub fn batch_per_call(card: &Card) -> Option<usize> {
    let segments = match card.graph.takes_any_length() {
        true => card.fixed.segments.unwrap_or(card.window_segments),
        false => 1,
    };
    let bytes = segment_bytes(&card.network, card.classes.len()).saturating_mul(segments as u64);
    let fit = usize::try_from(CALL_BYTES / bytes).unwrap_or(usize::MAX).max(2);
    card.fixed.batch.map(|batch| batch.min(fit))
}

/// What one segment takes of [`CALL_BYTES`].
fn segment_bytes(network: &Network, classes: usize) -> u64 {
    let cut = BYTES_PER_CUT_SAMPLE.saturating_mul(network.segment as u64);
    cut.saturating_add(network.costs(classes).peak_bytes()).max(1)
}

/// Row 0 of the probe as a recipe, with the answer to what one call of this graph takes of it.
fn golden(checkpoint: &Checkpoint, kind: GraphKind, recipe: &Recipe) -> Golden {
    let (run, probe) = (checkpoint.run(), checkpoint.probe());
    let segments = recipe.fixed.segments.unwrap_or(probe.segments());
    let (samples, probabilities) = match kind {
        GraphKind::Clip => (
            run.network.samples_of(segments),
            probe.mean_over(segments, |segment| probe.probabilities(0, segment)),
        ),
        GraphKind::Sequence => {
            (run.network.samples_of(segments), probe.probabilities(0, segments.saturating_sub(1)))
        }
        GraphKind::Segment | GraphKind::Step => (run.network.segment, probe.probabilities(0, 0)),
    };
    Golden {
        input: GoldenInput { seed: run.golden.seed, samples },
        probabilities: match &recipe.golden {
            Some(own) => own.clone(),
            None => probabilities.into_iter().map(|p| p as f32).collect(),
        },
        tolerance: tolerance(recipe.precision),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_batch_is_not_held_at_once() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny-dense");
        let checkpoint = Checkpoint::open(folder.as_ref()).unwrap();
        let batch = |network: Network, kind, batch| {
            let fixed = Fixed { batch, segments: None };
            let recipe = Recipe { fixed, ..Recipe::named("x") };
            let card = Card { network, ..card(&checkpoint, kind, &recipe) };
            batch_per_call(&card)
        };
        let tiny = || checkpoint.run().network.clone();
        let model1 = || Network::preset("model1").unwrap();
        assert_eq!(batch(tiny(), GraphKind::Clip, Some(1024)), Some(1024));
        // A segment takes 0.7 MB cut with its index and two maps of 5 MB, and a window is seven.
        assert_eq!(batch(model1(), GraphKind::Clip, Some(1024)), Some(7));
        assert_eq!(batch(model1(), GraphKind::Segment, Some(1024)), Some(49));
        assert_eq!(batch(model1(), GraphKind::Clip, Some(1)), Some(1));
        assert_eq!(batch(model1(), GraphKind::Clip, None), None);
    }

    #[test]
    fn one_call_takes_no_more_than_a_card_allows() {
        let network = "name = \"sparse\"\nsegment = 3\nhop = 16777216\nwindow = 2\n\
            blocks = [{ filters = 1, stride = 3 }]\nhead = { kind = \"dense\", units = 1 }";
        let network = Network::from_toml(network).unwrap();
        let seconds = max_seconds(&network, 2, GraphKind::Clip);
        assert_eq!(seconds, SampleRate::NETWORK.seconds(3 * (1 << 24) + 3));
    }
}
