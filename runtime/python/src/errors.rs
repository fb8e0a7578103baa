//! Errors of the crate as exceptions of `leitmotif._errors`, in words for Python.

use std::io;
use std::path::Path;

use leitmotif::audio::AudioError;
use leitmotif::{Error, GalleryError};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

/// The exception of this class of `leitmotif._errors`, with this text and, as its `path`, the file at fault.
pub(crate) fn exception(class: &str, text: String, path: Option<&Path>) -> PyErr {
    let make = |py: Python<'_>| {
        let value = py.import("leitmotif._errors")?.getattr(class)?.call1((&text,))?;
        value.setattr("path", path)?;
        Ok(PyErr::from_value(value))
    };
    // While Python ends there is nothing to import from and nobody to tell.
    Python::try_attach(|py| make(py).unwrap_or_else(|error| error))
        .unwrap_or_else(|| PyException::new_err(text.clone()))
}

/// The exception for an error of a model or of recognising.
pub(crate) fn of_recognition(error: Error) -> PyErr {
    let text = with_causes(&error, words(&error));
    let (class, path) = match &error {
        Error::Audio(error) => return of_audio(error),
        Error::TooShort { path, .. } => ("TooShortError", path.as_deref()),
        Error::NotFinite { .. } | Error::OutOfScale { .. } | Error::UnsupportedRate { .. } => {
            ("AudioError", None)
        }
        Error::ModelUnreadable { path, source } => (
            match source.kind() {
                io::ErrorKind::NotFound => "ModelNotFoundError",
                _ => "ModelReadError",
            },
            Some(path.as_path()),
        ),
        Error::ModelRefused { path, .. }
        | Error::ExternalData { path, .. }
        | Error::NoCard { path }
        | Error::CardVersion { path, .. }
        | Error::BadCard { path, .. }
        | Error::FixedSizes { path }
        | Error::EmbeddingOnly { path }
        | Error::WrongShape { path, .. }
        | Error::BadOutput { path, .. }
        | Error::SelfTest { path, .. }
        | Error::NeedsStep { path } => ("ModelError", Some(path.as_path())),
        Error::Hop { .. } => ("OptionError", None),
        Error::NoMemory { .. } => ("OutOfMemoryError", None),
        Error::Placement { .. } | Error::CudaUnavailable { .. } => ("DeviceError", None),
        Error::Cancelled => ("CancelledError", None),
        Error::TimeLimit { .. } => ("TimeLimitError", None),
        Error::OnnxRuntimeMissing { .. }
        | Error::OnnxRuntimeOpen { .. }
        | Error::OnnxRuntimeTaken => ("RuntimeLibraryError", None),
        Error::OnnxRuntimeUnusable { path, .. } => ("RuntimeLibraryError", Some(path.as_path())),
        Error::Forked => ("ForkError", None),
        _ => ("RunError", None),
    };
    exception(class, text, path)
}

/// The exception for an audio file.
pub(crate) fn of_audio(error: &AudioError) -> PyErr {
    let class = match error {
        AudioError::NotFound { .. } => "AudioNotFoundError",
        AudioError::NotAFile { .. } | AudioError::Unreadable { .. } => "AudioReadError",
        _ => "AudioError",
    };
    exception(class, with_causes(error, error.to_string()), path_of(error))
}

/// The exception for a gallery.
pub(crate) fn of_gallery(error: &GalleryError) -> PyErr {
    let (class, path) = match error {
        GalleryError::Unreadable { path, source } if source.kind() == io::ErrorKind::NotFound => {
            ("GalleryNotFoundError", Some(path.as_path()))
        }
        GalleryError::Unreadable { path, .. } | GalleryError::Unwritable { path, .. } => {
            ("GalleryFileError", Some(path.as_path()))
        }
        _ => ("GalleryError", None),
    };
    exception(class, with_causes(error, error.to_string()), path)
}

/// The error's text, where the crate's names options of a program or of Rust with what they are called in Python.
fn words(error: &Error) -> String {
    match error {
        Error::EmbeddingOnly { path } => format!(
            "model {path:?} gives embeddings and no artist probabilities: export it without --embedding-only, or run \
             it with `onnxruntime.InferenceSession`"
        ),
        Error::NoThreads { path, threads } => format!(
            "the system refuses the {threads} threads that model {path:?} is to run on: ask for fewer (`threads=1`), \
             or raise the limit (`ulimit -u`, a container's `pids.max`)"
        ),
        Error::Placement { path, device, elsewhere } => format!(
            "model {path:?} would not run on {device} alone: ONNX Runtime gives {elsewhere}; compile it for CUDA \
             (`leitmotif-export compile --target cuda`), or allow it with `device_policy=\"warn\"`"
        ),
        Error::CudaUnavailable { reason } => format!(
            "CUDA cannot run here ({reason}): use `device=\"cpu\"` or `\"auto\"`, or repair CUDA; \
             `leitmotif.runtime_info()` shows its state"
        ),
        Error::OnnxRuntimeMissing { reason } => format!(
            "ONNX Runtime's library was not found ({reason}): `pip install onnxruntime`, or name the library with \
             `onnxruntime=` or the variable ORT_DYLIB_PATH"
        ),
        Error::OnnxRuntimeUnusable { path, reason } => format!(
            "{path:?} cannot be used as ONNX Runtime ({reason}): version 1.24 or later is needed, `pip install \
             --upgrade onnxruntime`; or name another library with `onnxruntime=` or the variable ORT_DYLIB_PATH"
        ),
        Error::Forked => "ONNX Runtime was opened before this process was forked and cannot be used in it: start \
                          workers with multiprocessing's \"spawn\" or \"forkserver\", or open the first Recognizer \
                          in the workers"
            .to_owned(),
        Error::Exiting => "the process ends and no model is opened or run any more: join the threads that recognise \
                           before the program ends"
            .to_owned(),
        _ => error.to_string(),
    }
}

/// The text with the causes that the crate keeps beside it.
fn with_causes(error: &dyn std::error::Error, mut text: String) -> String {
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

fn path_of(error: &AudioError) -> Option<&Path> {
    match error {
        AudioError::NotFound { path }
        | AudioError::NotAFile { path }
        | AudioError::Unreadable { path, .. }
        | AudioError::Empty { path }
        | AudioError::UnknownFormat { path }
        | AudioError::NotAudio { path, .. }
        | AudioError::OutOfScale { path, .. }
        | AudioError::UnsupportedCodec { path, .. }
        | AudioError::NoAudio { path }
        | AudioError::Truncated { path }
        | AudioError::Damaged { path, .. }
        | AudioError::NotFinite { path, .. }
        | AudioError::TooLarge { path, .. }
        | AudioError::TookTooLong { path, .. }
        | AudioError::UnsupportedRate { path, .. } => Some(path),
        _ => None,
    }
}
