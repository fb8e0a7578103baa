//! Reads safetensors files: the only file that knows safetensors.
//!
//! Every tensor is compared with what the network needs, and all problems are reported together, so that one
//! run tells all that is wrong with a checkpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use leitmotif_models::Param;
use ndarray::{Array, ArrayD, Dimension, IxDyn};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::error::Misfit;
use crate::{ExportError, TensorProblem};

/// The tensors of one file, each of the expected shape and finite.
#[derive(Debug)]
pub(crate) struct Tensors {
    path: PathBuf,
    tensors: BTreeMap<String, ArrayD<f32>>,
    sha256: String,
}

/// What one tensor must look like; an axis of `None` may have any length.
#[derive(Debug)]
pub(crate) struct Expected {
    pub(crate) name: String,
    /// Its name in the file.
    pub(crate) stored_as: String,
    pub(crate) shape: Vec<Option<usize>>,
    /// Whether the file may lack it.
    pub(crate) optional: bool,
}

impl Expected {
    /// A tensor that the file has under this name.
    pub(crate) fn new(name: &str, shape: Vec<Option<usize>>) -> Self {
        Expected { name: name.to_owned(), stored_as: name.to_owned(), shape, optional: false }
    }
}

impl From<Param> for Expected {
    fn from(param: Param) -> Self {
        Expected::new(&param.name, param.shape.into_iter().map(Some).collect())
    }
}

impl Tensors {
    /// Reads and checks a whole file.
    ///
    /// # Errors
    /// [`ExportError::Tensors`] with every tensor that is missing, surplus, misshapen, not f32 or not finite.
    pub(crate) fn read(path: &Path, expected: &[Expected]) -> Result<Self, ExportError> {
        Self::read_but(path, expected, &|_| false)
    }

    /// As [`read`](Tensors::read), but surplus tensors that `ignored` knows are no problem.
    pub(crate) fn read_but(
        path: &Path,
        expected: &[Expected],
        ignored: &dyn Fn(&str) -> bool,
    ) -> Result<Self, ExportError> {
        let bytes = fs::read(path)
            .map_err(|source| ExportError::Unreadable { path: path.to_owned(), source })?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| {
            ExportError::NotSafetensors { path: path.to_owned(), reason: error.to_string() }
        })?;
        let mut problems = Vec::new();
        let mut tensors = BTreeMap::new();
        for wanted in expected {
            match file.tensor(&wanted.stored_as) {
                Err(_) if wanted.optional => {}
                Err(_) => problems.push(TensorProblem::Missing {
                    name: wanted.stored_as.clone(),
                    shape: wanted.shape.clone(),
                }),
                Ok(view) => match read_tensor(wanted, &view) {
                    Ok(tensor) => drop(tensors.insert(wanted.name.clone(), tensor)),
                    Err(problem) => problems.push(problem),
                },
            }
        }
        problems.extend(surplus(&file, expected, ignored));
        if !problems.is_empty() {
            return Err(misfit(path, problems));
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
    /// [`ExportError::Tensors`] where no such tensor was expected when reading.
    pub(crate) fn get<D: Dimension>(&self, name: &str) -> Result<Array<f32, D>, ExportError> {
        let problem = |problem| misfit(&self.path, vec![problem]);
        let missing = || TensorProblem::Missing { name: name.to_owned(), shape: Vec::new() };
        let tensor = self.tensors.get(name).ok_or_else(|| problem(missing()))?;
        tensor.clone().into_dimensionality().map_err(|_| {
            problem(TensorProblem::Misshapen {
                name: name.to_owned(),
                expected: vec![None; D::NDIM.unwrap_or_default()],
                found: tensor.shape().to_vec(),
            })
        })
    }
}

/// The error for one file.
pub(crate) fn misfit(path: &Path, problems: Vec<TensorProblem>) -> ExportError {
    ExportError::Tensors { files: vec![Misfit { path: path.to_owned(), problems }] }
}

fn read_tensor(wanted: &Expected, view: &TensorView<'_>) -> Result<ArrayD<f32>, TensorProblem> {
    let name = wanted.stored_as.clone();
    if view.dtype() != Dtype::F32 {
        return Err(TensorProblem::NotF32 { name, found: format!("{:?}", view.dtype()) });
    }
    let found = view.shape().to_vec();
    let misshapen = || TensorProblem::Misshapen {
        name: wanted.stored_as.clone(),
        expected: wanted.shape.clone(),
        found: found.clone(),
    };
    let fits = found.len() == wanted.shape.len()
        && found.iter().zip(&wanted.shape).all(|(f, w)| w.is_none_or(|w| w == *f));
    if !fits {
        return Err(misshapen());
    }
    // A loop over the bytes, because nothing aligns them to four.
    let values: Vec<f32> =
        view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let count = values.iter().filter(|value| !value.is_finite()).count();
    if count > 0 {
        return Err(TensorProblem::NotFinite { name, count });
    }
    if name.ends_with(".running_var") && values.iter().any(|value| *value < 0.0) {
        return Err(TensorProblem::NegativeVariance { name });
    }
    Array::from_shape_vec(IxDyn(&found), values).map_err(|_| misshapen())
}

fn surplus(
    file: &SafeTensors<'_>,
    expected: &[Expected],
    ignored: &dyn Fn(&str) -> bool,
) -> Vec<TensorProblem> {
    let known: BTreeSet<&str> = expected.iter().map(|wanted| wanted.stored_as.as_str()).collect();
    let mut surplus: Vec<_> = file
        .iter()
        .filter(|(name, _)| !known.contains(name) && !ignored(name))
        .map(|(name, view)| (name.to_owned(), view.shape().to_vec()))
        .collect();
    surplus.sort();
    surplus.into_iter().map(|(name, shape)| TensorProblem::Surplus { name, shape }).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use safetensors::tensor::{TensorView, serialize};

    use super::*;

    fn expected(name: &str, shape: &[usize]) -> Expected {
        Expected::new(name, shape.iter().copied().map(Some).collect())
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    #[test]
    fn every_problem_is_named_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let two = bytes(&[1.0, 2.0]);
        let bad = bytes(&[f32::NAN, f32::INFINITY]);
        let negative = bytes(&[-1.0, 0.0]);
        let view = |dtype, shape: &[usize], data| TensorView::new(dtype, shape.to_vec(), data);
        let tensors = [
            ("good", view(Dtype::F32, &[2], &two).unwrap()),
            ("misshapen", view(Dtype::F32, &[1, 2], &two).unwrap()),
            ("integers", view(Dtype::I32, &[2], &two).unwrap()),
            ("nan", view(Dtype::F32, &[2], &bad).unwrap()),
            ("norm.running_var", view(Dtype::F32, &[2], &negative).unwrap()),
            ("surplus", view(Dtype::F32, &[2], &two).unwrap()),
        ];
        fs::write(&path, serialize(tensors, None).unwrap()).unwrap();
        let names = ["good", "missing", "misshapen", "integers", "nan", "norm.running_var"];
        let wanted: Vec<_> = names.iter().map(|name| expected(name, &[2])).collect();
        let error = Tensors::read(&path, &wanted).unwrap_err();
        let ExportError::Tensors { files } = &error else { panic!("{error}") };
        let [Misfit { problems, .. }] = &files[..] else { panic!("{error}") };
        let name = |name: &str| name.to_owned();
        assert_eq!(
            problems,
            &[
                TensorProblem::Missing { name: name("missing"), shape: vec![Some(2)] },
                TensorProblem::Misshapen {
                    name: name("misshapen"),
                    expected: vec![Some(2)],
                    found: vec![1, 2]
                },
                TensorProblem::NotF32 { name: name("integers"), found: name("I32") },
                TensorProblem::NotFinite { name: name("nan"), count: 2 },
                TensorProblem::NegativeVariance { name: name("norm.running_var") },
                TensorProblem::Surplus { name: name("surplus"), shape: vec![2] },
            ]
        );
        for problem in problems {
            assert!(error.to_string().contains(&problem.to_string()), "{error}");
        }
    }

    #[test]
    fn values_come_in_row_major_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("weights.safetensors");
        let data = bytes(&[1.0, 2.0, 3.0, 4.0]);
        let view = TensorView::new(Dtype::F32, vec![2, 2], &data).unwrap();
        fs::write(&path, serialize([("w", view)], None).unwrap()).unwrap();
        let tensors = Tensors::read(&path, &[expected("w", &[2, 2])]).unwrap();
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
        assert!(matches!(error, ExportError::NotSafetensors { .. }), "{error}");
    }
}
