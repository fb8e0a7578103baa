//! Artists whom the network was not trained on.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyType};

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
        _class: &Bound<'_, PyType>,
        path: PathBuf,
        recognizer: &Bound<'_, Recognizer>,
    ) -> PyResult<Self> {
        let gallery = leitmotif::Gallery::load(path, recognizer.get().model().card());
        gallery.map(Self::of).map_err(|error| errors::of_gallery(&error))
    }

    /// Writes the gallery to a file, which is replaced as a whole or left as it was.
    fn save(&self, path: PathBuf) -> PyResult<()> {
        self.lock().save(path).map_err(|error| errors::of_gallery(&error))
    }

    /// Adds a song under a name such as that of its file, by its answer or its embedding.
    fn enroll(&self, artist: &str, song: &str, answer: &Bound<'_, PyAny>) -> PyResult<()> {
        let embedding = embedding(answer)?;
        let enrolled = self.lock().enroll(artist, song, &embedding);
        enrolled.map_err(|error| errors::of_gallery(&error))
    }

    /// Compares a recording, by its answer or its embedding, with every artist.
    fn recognize<'py>(
        &self,
        py: Python<'py>,
        answer: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let embedding = embedding(answer)?;
        // Comparing all songs with each other, which the first call does, can take a while.
        let found = py.detach(|| self.lock().recognize(&embedding));
        answer::of_gallery(py, &found.map_err(|error| errors::of_gallery(&error))?)
    }

    /// The artists with the names of their songs.
    #[getter]
    fn artists<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let artists = PyDict::new(py);
        for (artist, songs) in self.lock().artists() {
            artists.set_item(artist, songs.collect::<Vec<_>>())?;
        }
        Ok(artists)
    }

    /// The similarity below which a recording is of none of these artists; `None` where too few songs are enrolled.
    #[getter]
    fn min_similarity(&self, py: Python<'_>) -> Option<f64> {
        py.detach(|| self.lock().min_similarity())
    }

    /// Number of songs of all artists.
    fn __len__(&self) -> usize {
        self.lock().songs()
    }

    fn __repr__(&self) -> String {
        let gallery = self.lock();
        format!("<Gallery of {} artists, {} songs>", gallery.artists().count(), gallery.songs())
    }
}

impl Gallery {
    fn of(gallery: leitmotif::Gallery) -> Self {
        Self(Mutex::new(gallery))
    }

    fn lock(&self) -> MutexGuard<'_, leitmotif::Gallery> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
