//! Work on a GPU that is recorded once, as a CUDA graph, and then repeated as a whole.

use leitmotif_models::text::with_causes;
use tch::Tensor;

use crate::console::log;
use crate::error::TrainError;
use crate::model::native::{self, Graph};

/// What work on a device results in: tensors that a repetition of the work overwrites.
pub(crate) trait Overwritten: Sized {
    fn copied(&self) -> Result<Self, TrainError>;
}

/// Work on a device that is done as it is at first, then from a recording.
#[derive(Debug)]
pub(crate) struct Repeated<T> {
    recorded: Option<Recorded<T>>,
    /// Times to do it before it is recorded, while kernels are compiled and libraries set up; `None` never records.
    until_recorded: Option<usize>,
}

/// Work that is repeated with other values in the same memory.
#[derive(Debug)]
struct Recorded<T> {
    graph: Graph,
    inputs: Vec<Tensor>,
    result: T,
}

impl<T: Overwritten> Repeated<T> {
    /// In the first, kernels are compiled and cuDNN and cuBLAS set up their memory; the second shows that it stays so.
    const BEFORE_RECORDING: usize = 2;

    pub(crate) fn new(records: bool) -> Self {
        Repeated { recorded: None, until_recorded: records.then_some(Self::BEFORE_RECORDING) }
    }

    /// Does `work` on inputs of the same shapes each time.
    pub(crate) fn take<const N: usize>(
        &mut self,
        inputs: [Tensor; N],
        work: impl Fn([Tensor; N]) -> Result<T, TrainError>,
    ) -> Result<T, TrainError> {
        let Some(left) = self.until_recorded else {
            return work(inputs);
        };
        if left > 0 {
            self.until_recorded = Some(left - 1);
            return native::on_side_stream(|| work(inputs));
        }
        let recorded = match self.recorded.take() {
            Some(recorded) => recorded,
            None => match Recorded::new(&inputs, &work) {
                Ok(recorded) => recorded,
                Err(error) => {
                    log!(
                        "no CUDA graph, so each kernel is launched by itself: {}",
                        with_causes(&error)
                    );
                    self.until_recorded = None;
                    return work(inputs);
                }
            },
        };
        let result = recorded.repeat(&inputs);
        self.recorded = Some(recorded);
        result
    }
}

impl<T: Overwritten> Recorded<T> {
    fn new<const N: usize>(
        like: &[Tensor; N],
        work: impl Fn([Tensor; N]) -> Result<T, TrainError>,
    ) -> Result<Self, TrainError> {
        let mut inputs = like.each_ref().map(Tensor::shallow_clone);
        for input in &mut inputs {
            *input = input.f_zeros_like()?;
        }
        let given = inputs.each_ref().map(Tensor::shallow_clone);
        let (graph, result) = Graph::capture(|| work(given))?;
        Ok(Recorded { graph, inputs: inputs.into(), result })
    }

    fn repeat(&self, inputs: &[Tensor]) -> Result<T, TrainError> {
        for (own, given) in self.inputs.iter().zip(inputs) {
            own.shallow_clone().f_copy_(given)?;
        }
        self.graph.replay()?;
        self.result.copied()
    }
}
