//! Artists whom the network was not trained on.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{IntoPyDict, PyDict, PyType};

use crate::recognizer::Recognizer;
use crate::{answer, errors, source};

/// Artists whom a model was not trained on, each enrolled by the embeddings of a few songs.
///
/// It is bound to the weights of the recognizer's model: embeddings of another model mean something else.
#[pyclass(frozen, module = "leitmotif")]
pub(crate) struct Gallery(Mutex<leitmotif::Gallery>);

#[pymethods]
impl Gallery {
    #[new]
    fn new(recognizer: &Bound<'_, Recognizer>) -> Self {
        Self::of(leitmotif::Gallery::new(recognizer.get().model().card()))
    }

    /// Reads a gallery that was saved, also by the command `leitmotif enroll`.
    #[classmethod]
    fn load(
        class: &Bound<'_, PyType>,
        path: PathBuf,
        recognizer: &Bound<'_, Recognizer>,
    ) -> PyResult<Self> {
        let model = recognizer.get().model();
        let gallery = class.py().detach(|| leitmotif::Gallery::load(path, model.card()));
        gallery.map(Self::of).map_err(|error| errors::of_gallery(&error))
    }

    /// Writes the gallery to a file, which is replaced as a whole or left as it was.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.with(py, |gallery| gallery.save(path)).map_err(|error| errors::of_gallery(&error))
    }

    /// Adds a song under a name such as that of its file, by its answer or its embedding.
    fn enroll(&self, artist: &str, song: &str, answer: &Bound<'_, PyAny>) -> PyResult<()> {
        let embedding = embedding(answer)?;
        let enrolled = self.with(answer.py(), |gallery| gallery.enroll(artist, song, &embedding));
        enrolled.map_err(|error| errors::of_gallery(&error))
    }

    /// Compares a recording, by its answer or its embedding, with every artist.
    fn recognize<'py>(
        &self,
        py: Python<'py>,
        answer: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let embedding = embedding(answer)?;
        let found = self.with(py, |gallery| gallery.recognize(&embedding));
        answer::of_gallery(py, &found.map_err(|error| errors::of_gallery(&error))?)
    }

    /// The artists with the names of their songs.
    #[getter]
    fn artists<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let artists = self.with(py, |gallery| {
            let owned = gallery.artists().map(|(artist, songs)| {
                (artist.to_owned(), songs.map(ToOwned::to_owned).collect::<Vec<String>>())
            });
            owned.collect::<Vec<_>>()
        });
        artists.into_py_dict(py)
    }

    /// The similarity below which a recording is of none of these artists; `None` where too few songs are enrolled.
    #[getter]
    fn min_similarity(&self, py: Python<'_>) -> Option<f64> {
        self.with(py, |gallery| gallery.min_similarity())
    }

    /// Number of songs of all artists.
    fn __len__(&self, py: Python<'_>) -> usize {
        self.with(py, |gallery| gallery.songs())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        let (artists, songs) =
            self.with(py, |gallery| (gallery.artists().count(), gallery.songs()));
        format!("<Gallery of {artists} artists, {songs} songs>")
    }
}

impl Gallery {
    fn of(gallery: leitmotif::Gallery) -> Self {
        Self(Mutex::new(gallery))
    }

    /// Works on it without Python's lock, with which nobody may wait for the mutex: whoever holds that can be writing a
    /// file, or comparing all songs with each other.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut leitmotif::Gallery) -> T + Send,
    ) -> T {
        py.detach(|| work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// The embedding of an `Answer`, or an array that is one.
fn embedding(given: &Bound<'_, PyAny>) -> PyResult<Vec<f32>> {
    let py = given.py();
    let Some(embedding) = given.getattr_opt(intern!(py, "embedding"))? else {
        return source::floats(given);
    };
    if given.getattr(intern!(py, "silent"))?.extract()? {
        let text = "the recording is silent and its embedding means nothing: leave it out";
        return Err(errors::exception("GalleryError", text.to_owned(), None));
    }
    source::floats(&embedding)
}
