//! Reads safetensors files: the only file that knows safetensors.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use leitmotif_models::tensors::{
    ExpectedTensor, FoundTensor, FoundValues, TensorProblem, TensorProblems, check,
};
use leitmotif_models::text::hex;
use ndarray::{Array, ArrayD, Dimension, IxDyn};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::CheckpointError;
use crate::error::UnfitFile;

/// The tensors of one file, each of the expected shape and finite.
#[derive(Debug)]
pub(crate) struct Tensors {
    path: PathBuf,
    tensors: BTreeMap<String, ArrayD<f32>>,
    sha256: String,
}

impl Tensors {
    /// Reads and checks a whole file.
    ///
    /// # Errors
    /// [`CheckpointError::Tensors`] with every tensor that does not fit.
    pub(crate) fn read(path: &Path, expected: &[ExpectedTensor]) -> Result<Self, CheckpointError> {
        Self::read_but(path, expected, &|_| false)
    }

    /// As [`read`](Tensors::read), but surplus tensors that `ignored` accepts are no problem.
    pub(crate) fn read_but(
        path: &Path,
        expected: &[ExpectedTensor],
        ignored: &dyn Fn(&str) -> bool,
    ) -> Result<Self, CheckpointError> {
        let bytes = fs::read(path)
            .map_err(|source| CheckpointError::Unreadable { path: path.to_owned(), source })?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| {
            CheckpointError::NotSafetensors { path: path.to_owned(), reason: error.to_string() }
        })?;
        let is_expected = |name: &str| expected.iter().any(|tensor| tensor.stored_as == name);
        let mut read: BTreeMap<&str, ReadTensor> = file
            .iter()
            .filter(|(name, _)| is_expected(name) || !ignored(name))
            .map(|(name, view)| (name, ReadTensor::of(&view)))
            .collect();
        let found = read.iter().map(|(name, tensor)| FoundTensor {
            name,
            shape: &tensor.shape,
            values: match &tensor.values {
                Ok(values) => FoundValues::F32(values),
                Err(kind) => FoundValues::Other(kind),
            },
        });
        check(expected, found).map_err(|problems| unfit(path, problems))?;
        let mut tensors = BTreeMap::new();
        for ExpectedTensor { name, stored_as, .. } in expected {
            if let Some(ReadTensor { shape, values: Ok(values) }) = read.remove(stored_as.as_str())
                && let Ok(tensor) = Array::from_shape_vec(IxDyn(&shape), values)
            {
                tensors.insert(name.clone(), tensor);
            }
        }
        Ok(Tensors { path: path.to_owned(), tensors, sha256: hex(&Sha256::digest(&bytes)) })
    }

    /// SHA-256 of the file, in hexadecimal.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Whether an optional tensor was there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// A copy of one tensor with its number of axes in the type.
    ///
    /// # Errors
    /// [`CheckpointError::Tensors`] where no such tensor was expected when reading.
    pub(crate) fn get<D: Dimension>(&self, name: &str) -> Result<Array<f32, D>, CheckpointError> {
        let problem = |problem| unfit(&self.path, TensorProblems(vec![problem]));
        let missing = || TensorProblem::Missing { name: name.to_owned(), shape: Vec::new() };
        let tensor = self.tensors.get(name).ok_or_else(|| problem(missing()))?;
        tensor.clone().into_dimensionality().map_err(|_| {
            problem(TensorProblem::WrongShape {
                name: name.to_owned(),
                expected: vec![None; D::NDIM.unwrap_or_default()],
                found: tensor.shape().to_vec(),
            })
        })
    }
}

/// The error for one file.
pub(crate) fn unfit(path: &Path, problems: TensorProblems) -> CheckpointError {
    CheckpointError::Tensors { files: vec![UnfitFile { path: path.to_owned(), problems }] }
}

/// A tensor of a file before it is checked.
struct ReadTensor {
    shape: Vec<usize>,
    /// The values, or the name of their type where it is not f32.
    values: Result<Vec<f32>, String>,
}

impl ReadTensor {
    fn of(view: &TensorView<'_>) -> Self {
        let values = match view.dtype() {
            // A loop over the bytes, because nothing aligns them to four.
            Dtype::F32 => {
                Ok(view.data().as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x)).collect())
            }
            other => Err(format!("{other:?}")),
        };
        ReadTensor { shape: view.shape().to_vec(), values }
    }
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{TensorView, serialize};

    use super::*;

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn a_file_that_does_not_fit_is_named_with_its_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let two = bytes(&[1.0, 2.0]);
        let view = |dtype| TensorView::new(dtype, vec![2], &two).unwrap();
        let tensors = [("integers", view(Dtype::I32)), ("surplus", view(Dtype::F32))];
        fs::write(&path, serialize(tensors, None).unwrap()).unwrap();
        let wanted = ["missing", "integers"].map(|name| ExpectedTensor::of_shape(name, &[2]));
        let error = Tensors::read(&path, &wanted).unwrap_err().to_string();
        for part in [
            "weights.safetensors",
            "`missing` [2] is missing",
            "`integers` holds I32 instead of F32",
            "`surplus` [2] is not part of the network",
        ] {
            assert!(error.contains(part), "{error}");
        }
        let ignored = Tensors::read_but(&path, &[], &|_| true).unwrap();
        assert!(!ignored.has("surplus"));
    }

    #[test]
    fn values_come_in_row_major_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let data = bytes(&[1.0, 2.0, 3.0, 4.0]);
        let view = TensorView::new(Dtype::F32, vec![2, 2], &data).unwrap();
        fs::write(&path, serialize([("w", view)], None).unwrap()).unwrap();
        let tensors = Tensors::read(&path, &[ExpectedTensor::of_shape("w", &[2, 2])]).unwrap();
        let w: ndarray::Array2<f32> = tensors.get("w").unwrap();
        assert_eq!(w, ndarray::array![[1.0, 2.0], [3.0, 4.0]]);
        assert!(tensors.get::<ndarray::Ix1>("w").is_err());
        assert_eq!(tensors.sha256().len(), 64);
    }

    #[test]
    fn a_cut_file_is_no_safetensors_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        fs::write(&path, b"\x08\0\0\0\0\0\0\0{\"a\"").unwrap();
        let error = Tensors::read(&path, &[]).unwrap_err();
        assert!(matches!(error, CheckpointError::NotSafetensors { .. }), "{error}");
    }
}
