//! Named tensors on the host, and the safetensors files that hold them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::error::{CheckpointError, TrainError};

/// Tensors by name, in the order of their names.
pub type Tensors = BTreeMap<String, Values>;

/// A tensor on the host, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// The values; their number is the product of the shape.
    pub data: Vec<f32>,
}

/// Everything that is wrong with a set of tensors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misfits(pub Vec<Misfit>);

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// Needed and not there.
    Missing(String),
    /// There and not needed.
    Surplus(String),
    /// Of another shape.
    Shape {
        /// Name of the tensor.
        name: String,
        /// What the network needs.
        expected: Vec<usize>,
        /// What the file has.
        found: Vec<usize>,
    },
    /// Holds a NaN or an infinity.
    NotFinite(String),
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misfit::Missing(name) => write!(f, "`{name}` is missing"),
            Misfit::Surplus(name) => write!(f, "`{name}` is not part of the network"),
            Misfit::Shape { name, expected, found } => {
                write!(f, "`{name}` should have shape {expected:?} and has {found:?}")
            }
            Misfit::NotFinite(name) => write!(f, "`{name}` holds a NaN or an infinity"),
        }
    }
}

impl fmt::Display for Misfits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(Misfit::to_string).collect();
        f.write_str(&lines.join("; "))
    }
}

impl std::error::Error for Misfits {}

/// Compares `found` with the names and shapes that are expected and names every difference at once.
pub fn check(
    expected: impl IntoIterator<Item = (String, Vec<usize>)>,
    found: &Tensors,
) -> Result<(), Misfits> {
    let expected: BTreeMap<String, Vec<usize>> = expected.into_iter().collect();
    let mut misfits = Vec::new();
    for (name, shape) in &expected {
        match found.get(name) {
            None => misfits.push(Misfit::Missing(name.clone())),
            Some(values) if values.shape != *shape => misfits.push(Misfit::Shape {
                name: name.clone(),
                expected: shape.clone(),
                found: values.shape.clone(),
            }),
            Some(values) if values.data.iter().any(|v| !v.is_finite()) => {
                misfits.push(Misfit::NotFinite(name.clone()));
            }
            Some(_) => {}
        }
    }
    let surplus = found.keys().filter(|name| !expected.contains_key(*name));
    misfits.extend(surplus.cloned().map(Misfit::Surplus));
    if misfits.is_empty() { Ok(()) } else { Err(Misfits(misfits)) }
}

/// Reads a safetensors file of f32 tensors.
///
/// # Errors
///
/// A file that cannot be read, is not safetensors, or holds a tensor of another type; the file is named.
pub fn read(path: &Path) -> Result<Tensors, TrainError> {
    let bytes = std::fs::read(path).map_err(|source| TrainError::file(path, source))?;
    let broken = |reason: String| CheckpointError::NotSafetensors { path: path.to_owned(), reason };
    let file = SafeTensors::deserialize(&bytes).map_err(|e| broken(e.to_string()))?;
    let mut tensors = Tensors::new();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(broken(format!("`{name}` is {:?}, not F32", view.dtype())).into());
        }
        let data = view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        tensors.insert(name.to_owned(), Values { shape: view.shape().to_vec(), data });
    }
    Ok(tensors)
}

/// Writes `tensors` as a safetensors file; equal tensors give equal bytes.
///
/// # Errors
///
/// Whatever the system refuses; the file is named.
pub fn write(path: &Path, tensors: &Tensors) -> Result<(), TrainError> {
    let broken = |reason: String| CheckpointError::NotSafetensors { path: path.to_owned(), reason };
    let bytes: Vec<(&str, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, v)| {
            (name.as_str(), v.shape.clone(), v.data.iter().flat_map(|x| x.to_le_bytes()).collect())
        })
        .collect();
    let mut views = Vec::new();
    for (name, shape, data) in &bytes {
        let view =
            TensorView::new(Dtype::F32, shape.clone(), data).map_err(|e| broken(e.to_string()))?;
        views.push((*name, view));
    }
    let file = safetensors::serialize(views, None).map_err(|e| broken(e.to_string()))?;
    std::fs::write(path, file).map_err(|source| TrainError::file(path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(shape: &[usize], data: &[f32]) -> Values {
        Values { shape: shape.to_vec(), data: data.to_vec() }
    }

    #[test]
    fn a_file_gives_back_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.safetensors");
        let tensors = Tensors::from([
            ("b".to_owned(), values(&[2, 1], &[1.5, -0.0])),
            ("a".to_owned(), values(&[1], &[f32::MIN_POSITIVE])),
        ]);
        write(&path, &tensors).unwrap();
        assert_eq!(read(&path).unwrap(), tensors);
    }

    #[test]
    fn every_misfit_is_named_at_once() {
        let expected = ["gone", "bent", "sick", "fine"].map(|n| (n.to_owned(), vec![1]));
        let found = Tensors::from([
            ("bent".to_owned(), values(&[2], &[0.0, 0.0])),
            ("sick".to_owned(), values(&[1], &[f32::NAN])),
            ("fine".to_owned(), values(&[1], &[0.0])),
            ("extra".to_owned(), values(&[1], &[0.0])),
        ]);
        let message = check(expected, &found).unwrap_err().to_string();
        for part in
            ["`gone` is missing", "`bent` should have shape [1] and has [2]", "`sick`", "`extra`"]
        {
            assert!(message.contains(part), "{message}");
        }
        assert!(!message.contains("fine"));
    }

    #[test]
    fn a_file_that_is_no_safetensors_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        std::fs::write(&path, b"hello").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("weights.safetensors"));
        assert!(read(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
