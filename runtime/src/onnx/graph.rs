//! Runs one block of segments through any of the four graphs that a head is compiled to.
//!
//! `clip` and `sequence` cut and average inside the graph; for `segment` and `step` the same is done here, so that all
//! four give the same outputs.

use std::path::PathBuf;

use leitmotif_models::{Card, Device, GraphKind, SampleRate};

use super::error::Error;
use super::session::{NamedTensor, Port, Session};
use crate::pooling::Mean;

/// Longest block given to a graph in one call, whatever its card allows: a broken card must not fill the memory.
const MOST_SECONDS: usize = 600;
/// What the activations of a block on the CPU may take: longer blocks are no faster there (`benches`), and take memory.
const BLOCK_BYTES: u64 = 24 << 20;

/// What a model's card says of its graph; the sessions that run it are given to each call.
#[derive(Debug)]
pub(super) struct Graph {
    path: PathBuf,
    kind: GraphKind,
    segment: usize,
    hop: usize,
    classes: usize,
    units: usize,
    /// Segments of one block; for an LSTM, its window.
    block: usize,
}

/// The state of an LSTM between two segments.
#[derive(Debug, Clone)]
pub(super) struct State {
    h: Vec<f32>,
    c: Vec<f32>,
}

/// A graph's outputs for one block of segments.
pub(super) struct BlockOutputs {
    /// [segments, classes]: of each segment alone (dense), or of the block up to and including it (LSTM).
    pub(super) probabilities: Vec<f32>,
    /// [units]: mean over the block's segments (dense), last state (LSTM).
    pub(super) embedding: Vec<f32>,
}

/// A dimension as a card promises it.
#[derive(Clone, Copy, PartialEq)]
enum Dim {
    /// The batch: any number, or one.
    Batch,
    /// Any number.
    Any,
    /// This number.
    Of(usize),
}

impl Graph {
    /// Checks that the graph has the inputs and outputs that its card promises.
    pub(super) fn new(
        session: &Session,
        card: &Card,
        memory_limit: Option<usize>,
    ) -> Result<Self, Error> {
        let (segment, hop) = (card.segment_samples, card.hop_samples);
        let classes = card.classes.len();
        let block = match card.graph {
            // Its calls are of one segment.
            GraphKind::Segment => 1,
            GraphKind::Clip => block_of(card, session.device().device, memory_limit),
            // An LSTM answers after a whole window: that is its block.
            GraphKind::Sequence | GraphKind::Step => card.window_segments,
        };
        let path = session.path().to_owned();
        let (kind, units) = (card.graph, card.embedding_units);
        let graph = Self { path, kind, segment, hop, classes, units, block };
        let ports = graph.promised();
        let inputs = session.inputs();
        for (name, dims) in &ports.inputs {
            graph.check_port("input", name, dims, inputs)?;
        }
        if let Some(port) = inputs.iter().find(|p| !ports.inputs.iter().any(|(n, _)| *n == p.name))
        {
            return Err(graph.wrong(&port.name, "no input".to_owned(), "one".to_owned()));
        }
        for (name, dims) in &ports.outputs {
            graph.check_port("output", name, dims, session.outputs())?;
        }
        Ok(graph)
    }

    pub(super) fn kind(&self) -> GraphKind {
        self.kind
    }

    /// Segments of one block, for [`run`](Self::run).
    pub(super) fn block(&self) -> usize {
        self.block
    }

    /// Runs a block of `segments` segments that lie `hop` samples apart. `samples` holds exactly these:
    /// `(segments - 1) * hop + segment` of them. Of an LSTM, `hop` is the card's.
    pub(super) fn run(
        &self,
        session: &mut Session,
        samples: &[f32],
        segments: usize,
        hop: usize,
    ) -> Result<BlockOutputs, Error> {
        match self.kind {
            GraphKind::Clip if hop != self.hop => self.run_each(session, samples, hop),
            GraphKind::Clip | GraphKind::Sequence => self.run_whole(session, samples, segments),
            GraphKind::Segment => self.run_each(session, samples, hop),
            GraphKind::Step => self.run_steps(session, samples, segments),
        }
    }

    /// The block in one call; of a `segment` graph, one segment.
    fn run_whole(
        &self,
        session: &mut Session,
        samples: &[f32],
        segments: usize,
    ) -> Result<BlockOutputs, Error> {
        let (name, shape): (_, &[usize]) = match self.kind {
            GraphKind::Segment => ("probabilities", &[1, self.classes]),
            _ => ("segment_probabilities", &[1, segments, self.classes]),
        };
        let outputs = self.call(
            session,
            &[("waveform", &[1, samples.len()], samples)],
            &[(name, shape), ("embedding", &[1, self.units])],
        )?;
        let probabilities = self.values(&outputs, name)?.to_vec();
        Ok(BlockOutputs { probabilities, embedding: self.values(&outputs, "embedding")?.to_vec() })
    }

    /// One call for each segment, which the graph does not cut itself.
    fn run_each(
        &self,
        session: &mut Session,
        samples: &[f32],
        hop: usize,
    ) -> Result<BlockOutputs, Error> {
        let mut probabilities = Vec::new();
        let mut embedding = Mean::new(self.units);
        for segment in self.cut(samples, hop) {
            let outputs = self.run_whole(session, segment, 1)?;
            probabilities.extend_from_slice(&outputs.probabilities);
            embedding.add(&outputs.embedding, 1.0);
        }
        Ok(BlockOutputs { probabilities, embedding: embedding.values() })
    }

    /// One call for each segment, which passes its state on to the next.
    fn run_steps(
        &self,
        session: &mut Session,
        samples: &[f32],
        segments: usize,
    ) -> Result<BlockOutputs, Error> {
        let mut state = self.first_state();
        let mut found = BlockOutputs {
            probabilities: Vec::with_capacity(segments * self.classes),
            embedding: Vec::new(),
        };
        for segment in self.cut(samples, self.hop) {
            let outputs = self.step(session, segment, &mut state)?;
            found.probabilities.extend_from_slice(&outputs.probabilities);
            found.embedding = outputs.embedding;
        }
        Ok(found)
    }

    /// The state before the first segment of a window.
    pub(super) fn first_state(&self) -> State {
        State { h: vec![0.0; self.units], c: vec![0.0; self.units] }
    }

    /// One segment through a `step` graph; `state` becomes that after it.
    pub(super) fn step(
        &self,
        session: &mut Session,
        segment: &[f32],
        state: &mut State,
    ) -> Result<BlockOutputs, Error> {
        let units: &[usize] = &[1, self.units];
        let outputs = self.call(
            session,
            &[
                ("waveform", &[1, self.segment], segment),
                ("h", units, &state.h),
                ("c", units, &state.c),
            ],
            &[
                ("probabilities", &[1, self.classes]),
                ("embedding", units),
                ("h_next", units),
                ("c_next", units),
            ],
        )?;
        let probabilities = self.values(&outputs, "probabilities")?.to_vec();
        let embedding = self.values(&outputs, "embedding")?.to_vec();
        state.h = self.values(&outputs, "h_next")?.to_vec();
        state.c = self.values(&outputs, "c_next")?.to_vec();
        Ok(BlockOutputs { probabilities, embedding })
    }

    /// Runs the graph for these outputs. If their shapes are not the card's, the error names the wrong output.
    fn call(
        &self,
        session: &mut Session,
        inputs: &[(&str, &[usize], &[f32])],
        outputs: &[(&str, &[usize])],
    ) -> Result<Vec<NamedTensor>, Error> {
        let error = match session.run_shaped(inputs, outputs) {
            Ok(outputs) => return Ok(outputs),
            Err(error) => error,
        };
        for found in session.run(inputs)? {
            let promised = outputs.iter().find(|(name, _)| *name == found.name);
            if let Some((name, shape)) = promised
                && *shape != found.shape
            {
                return Err(self.wrong(name, format!("{shape:?}"), format!("{:?}", found.shape)));
            }
        }
        Err(error)
    }

    fn cut<'a>(&self, samples: &'a [f32], hop: usize) -> impl Iterator<Item = &'a [f32]> + use<'a> {
        let segment = self.segment;
        leitmotif_models::segment_starts(samples.len(), segment, hop)
            .filter_map(move |start| samples.get(start..start + segment))
    }

    /// The values of an output, after checking that they are in range.
    fn values<'a>(&self, outputs: &'a [NamedTensor], name: &str) -> Result<&'a [f32], Error> {
        let Some(output) = outputs.iter().find(|output| output.name == name) else {
            return Err(self.wrong(name, "an output".to_owned(), "missing".to_owned()));
        };
        // The graph's softmax rounds, so a probability may slightly exceed one.
        let range = match name {
            "probabilities" | "segment_probabilities" => 0.0..=1.001,
            _ => f32::MIN..=f32::MAX,
        };
        match output.data.iter().find(|value| !range.contains(*value)) {
            Some(value) => Err(Error::BadOutput {
                path: self.path.clone(),
                name: name.to_owned(),
                value: *value,
            }),
            None => Ok(&output.data),
        }
    }

    fn check_port(
        &self,
        role: &str,
        name: &str,
        dims: &[Dim],
        ports: &[Port],
    ) -> Result<(), Error> {
        let expected =
            || format!("an {role} of f32 [{}]", joined(dims.iter().copied().map(format_dim)));
        let Some(port) = ports.iter().find(|port| port.name == name) else {
            return Err(self.wrong(name, expected(), "missing".to_owned()));
        };
        let Some(found) = &port.dims else {
            return Err(self.wrong(name, expected(), "not a tensor of f32".to_owned()));
        };
        let fits = |(dim, found): (&Dim, &Option<usize>)| match dim {
            Dim::Batch => found.is_none_or(|found| found == 1),
            Dim::Any => found.is_none(),
            Dim::Of(size) => found.is_none_or(|found| found == *size),
        };
        if found.len() == dims.len() && dims.iter().zip(found).all(fits) {
            return Ok(());
        }
        let found = joined(found.iter().map(|d| d.map_or("any".to_owned(), |d| d.to_string())));
        Err(self.wrong(name, expected(), format!("[{found}]")))
    }

    fn wrong(&self, name: &str, expected: String, found: String) -> Error {
        let path = self.path.clone();
        Error::WrongShape { path, name: name.to_owned(), expected, found }
    }

    /// The inputs and outputs that a graph of this kind has by its card.
    fn promised(&self) -> PromisedPorts {
        use Dim::{Any, Batch, Of};
        let (classes, units) = (Of(self.classes), Of(self.units));
        let state = |name| (name, vec![Batch, units]);
        let probabilities = ("probabilities", vec![Batch, classes]);
        let one = ("waveform", vec![Batch, Of(self.segment)]);
        match self.kind {
            GraphKind::Clip | GraphKind::Sequence => PromisedPorts {
                inputs: vec![("waveform", vec![Batch, Any])],
                outputs: vec![
                    probabilities,
                    ("segment_probabilities", vec![Batch, Any, classes]),
                    state("embedding"),
                ],
            },
            GraphKind::Segment => PromisedPorts {
                inputs: vec![one],
                outputs: vec![probabilities, state("embedding")],
            },
            GraphKind::Step => PromisedPorts {
                inputs: vec![one, state("h"), state("c")],
                outputs: vec![probabilities, state("embedding"), state("h_next"), state("c_next")],
            },
        }
    }
}

/// Segments of a dense head's block: as many as this memory is enough for. Without a limit, on a CPU as many as memory stays
/// flat with, and on a GPU as many as the card allows.
fn block_of(card: &Card, device: Device, memory_limit: Option<usize>) -> usize {
    let (segment, hop) = (card.segment_samples, card.hop_samples);
    let most = card.max_samples_per_call().min(MOST_SECONDS * SampleRate::NETWORK.0 as usize);
    let most = leitmotif_models::segment_count(most, segment, hop).max(1);
    let bytes = match (memory_limit, device) {
        (Some(bytes), Device::Cpu) => u64::try_from(bytes).unwrap_or(u64::MAX),
        // The other half is for weights and what cuDNN works in.
        (Some(bytes), _) => u64::try_from(bytes / 2).unwrap_or(u64::MAX),
        (None, Device::Cpu) => BLOCK_BYTES,
        (None, _) => return most,
    };
    let each = card.network.costs(card.classes.len()).peak_bytes().max(1);
    usize::try_from(bytes / each).unwrap_or(most).clamp(1, most)
}

struct PromisedPorts {
    inputs: Vec<(&'static str, Vec<Dim>)>,
    outputs: Vec<(&'static str, Vec<Dim>)>,
}

fn format_dim(dim: Dim) -> String {
    match dim {
        Dim::Batch => "batch".to_owned(),
        Dim::Any => "any".to_owned(),
        Dim::Of(size) => size.to_string(),
    }
}

fn joined(dims: impl Iterator<Item = String>) -> String {
    dims.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::SessionOptions;

    #[test]
    fn a_block_takes_no_more_memory_than_allowed() {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tiny.clip.onnx");
        let session = Session::open(&model, &SessionOptions::on(Device::Cpu)).unwrap();
        let card = session.card().unwrap();
        let block = |limit| Graph::new(&session, &card, limit).unwrap().block();
        let each = card.network.costs(card.classes.len()).peak_bytes() as usize;
        assert_eq!(block(Some(1)), 1);
        assert_eq!(block(Some(7 * each)), 7);
        assert!(block(Some(usize::MAX)) > block(None));
        assert!(block(None) > 7);
    }
}
