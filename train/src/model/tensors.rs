//! Named tensors on the host, and the safetensors files that hold them.

use std::collections::BTreeMap;
use std::path::Path;

use leitmotif_models::tensors::{ExpectedTensor, FoundTensor, FoundValues, TensorProblems};
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

/// Compares `found` with the names and shapes that are expected and names every difference at once.
pub fn check(
    expected: impl IntoIterator<Item = (String, Vec<usize>)>,
    found: &Tensors,
) -> Result<(), TensorProblems> {
    let expected =
        expected.into_iter().map(|(name, shape)| ExpectedTensor::of_shape(&name, &shape));
    let found = found.iter().map(|(name, Values { shape, data })| FoundTensor {
        name,
        shape,
        values: FoundValues::F32(data),
    });
    leitmotif_models::tensors::check(&expected.collect::<Vec<_>>(), found)
}

/// The tensors of `found` that have the names of `like`, which must all be there in the same shapes.
pub(crate) fn select(like: Tensors, found: &Tensors) -> Result<Tensors, TensorProblems> {
    let chosen = found.iter().filter(|(name, _)| like.contains_key(*name));
    let chosen: Tensors = chosen.map(|(name, values)| (name.clone(), values.clone())).collect();
    check(like.into_iter().map(|(name, values)| (name, values.shape)), &chosen)?;
    Ok(chosen)
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
    fn a_file_that_is_no_safetensors_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        std::fs::write(&path, b"hello").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("weights.safetensors"));
        assert!(read(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    }
}
