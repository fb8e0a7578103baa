//! The Python package `leitmotif`: the crate's recognizer, gallery and listener, with Python's own values and
//! exceptions.
//!
//! ```text
//! errors → source, waiting, answer → options, decode, listener, batch → recognizer → gallery
//! ```
//!
//! `source` reads what a caller gives as music, `options` the keywords, `waiting` runs the crate without Python's lock
//! and looks for Ctrl-C, `answer` makes the objects of `python/leitmotif/_answers.py`. What is the same in every
//! language is the crate's; what is easier said in Python (the objects of answers, notebooks, where ONNX Runtime lies)
//! is in `python/leitmotif`.

mod answer;
mod batch;
mod decode;
mod errors;
mod gallery;
mod listener;
mod options;
mod recognizer;
mod source;
mod waiting;

#[pyo3::pymodule]
mod _leitmotif {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::decode::decode;
    #[pymodule_export]
    use crate::gallery::Gallery;
    #[pymodule_export]
    use crate::listener::Listener;
    #[pymodule_export]
    use crate::options::{CancelToken, runtime_info};
    #[pymodule_export]
    use crate::recognizer::Recognizer;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        // The first array fetches NumPy's functions, and panics where Ctrl-C interrupts that: so not in the middle of
        // a call.
        drop(numpy::PyArray1::<f32>::from_vec(module.py(), Vec::new()));
        module.add("SAMPLE_RATE", leitmotif::SampleRate::NETWORK.0)?;
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
