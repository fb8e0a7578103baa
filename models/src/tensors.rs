//! Whether tensors fit a network: the one check for training and exporting.
//!
//! Every problem is found and named, so that one run shows all that is wrong with a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::Param;

/// What one tensor must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedTensor {
    /// The name by which the network knows it.
    pub name: String,
    /// Its name in the file.
    pub stored_as: String,
    /// Length of each axis; `None` is an axis of any length.
    pub shape: Vec<Option<usize>>,
    /// Whether the file may lack it.
    pub optional: bool,
}

/// A tensor of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FoundTensor<'a> {
    /// Its name in the file.
    pub name: &'a str,
    /// Length of each axis.
    pub shape: &'a [usize],
    /// Its values.
    pub values: FoundValues<'a>,
}

/// The values of a tensor of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FoundValues<'a> {
    /// 32-bit floats, row-major.
    F32(&'a [f32]),
    /// Values of another type, by its name.
    Other(&'a str),
}

/// One tensor that is not what the network needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TensorProblem {
    /// The network needs it and the file lacks it.
    Missing {
        /// Name of the tensor.
        name: String,
        /// Shape that the network needs.
        shape: Vec<Option<usize>>,
    },
    /// The file has it and the network does not know it.
    Surplus {
        /// Name of the tensor.
        name: String,
        /// Shape in the file.
        shape: Vec<usize>,
    },
    /// The shapes differ.
    WrongShape {
        /// Name of the tensor.
        name: String,
        /// Shape that the network needs.
        expected: Vec<Option<usize>>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// The values are not 32-bit floats.
    NotF32 {
        /// Name of the tensor.
        name: String,
        /// Type in the file.
        found: String,
    },
    /// NaN or infinite values.
    NotFinite {
        /// Name of the tensor.
        name: String,
        /// How many values are not finite.
        count: usize,
    },
    /// A variance below zero, which has no square root.
    NegativeVariance {
        /// Name of the tensor.
        name: String,
    },
}

/// Everything that is wrong with a set of tensors: those of the network in the order of its layers, surplus ones last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorProblems(pub Vec<TensorProblem>);

impl ExpectedTensor {
    /// A tensor that the file has under this name; an axis of `None` may have any length.
    pub fn new(name: &str, shape: Vec<Option<usize>>) -> Self {
        let name = name.to_owned();
        ExpectedTensor { stored_as: name.clone(), name, shape, optional: false }
    }

    /// The same with every axis given.
    pub fn of_shape(name: &str, shape: &[usize]) -> Self {
        Self::new(name, shape.iter().copied().map(Some).collect())
    }

    /// Whether one tensor fits.
    ///
    /// # Errors
    /// The first problem with it: its type, its shape, then its values.
    pub fn check(&self, found: FoundTensor<'_>) -> Result<(), TensorProblem> {
        let name = self.stored_as.clone();
        let values = match found.values {
            FoundValues::F32(values) => values,
            FoundValues::Other(kind) => {
                return Err(TensorProblem::NotF32 { name, found: kind.to_owned() });
            }
        };
        let fits = found.shape.len() == self.shape.len()
            && found.shape.iter().zip(&self.shape).all(|(f, e)| e.is_none_or(|e| e == *f));
        if !fits {
            let (expected, found) = (self.shape.clone(), found.shape.to_vec());
            return Err(TensorProblem::WrongShape { name, expected, found });
        }
        let count = values.iter().filter(|value| !value.is_finite()).count();
        if count > 0 {
            return Err(TensorProblem::NotFinite { name, count });
        }
        if name.ends_with(".running_var") && values.iter().any(|value| *value < 0.0) {
            return Err(TensorProblem::NegativeVariance { name });
        }
        Ok(())
    }
}

impl From<Param> for ExpectedTensor {
    fn from(param: Param) -> Self {
        Self::of_shape(&param.name, &param.shape)
    }
}

/// Compares the tensors of a file with those that are expected.
///
/// # Errors
/// All problems at once.
///
/// ```
/// use leitmotif_models::tensors::{ExpectedTensor, FoundTensor, FoundValues, check};
///
/// let expected = [ExpectedTensor::of_shape("output.bias", &[2])];
/// let found = FoundTensor { name: "bias", shape: &[2], values: FoundValues::F32(&[0.0, 1.0]) };
/// let problems = check(&expected, [found]).unwrap_err();
/// assert_eq!(problems.to_string(), "`output.bias` [2] is missing; `bias` [2] is not part of the network");
/// ```
pub fn check<'a>(
    expected: &[ExpectedTensor],
    found: impl IntoIterator<Item = FoundTensor<'a>>,
) -> Result<(), TensorProblems> {
    let found: BTreeMap<&str, FoundTensor<'_>> =
        found.into_iter().map(|tensor| (tensor.name, tensor)).collect();
    let mut problems = Vec::new();
    for tensor in expected {
        match found.get(tensor.stored_as.as_str()) {
            None if tensor.optional => {}
            None => problems.push(TensorProblem::Missing {
                name: tensor.stored_as.clone(),
                shape: tensor.shape.clone(),
            }),
            Some(found) => problems.extend(tensor.check(*found).err()),
        }
    }
    let known: BTreeSet<&str> = expected.iter().map(|tensor| tensor.stored_as.as_str()).collect();
    let surplus = found.values().filter(|tensor| !known.contains(tensor.name));
    problems.extend(surplus.map(|tensor| TensorProblem::Surplus {
        name: tensor.name.to_owned(),
        shape: tensor.shape.to_vec(),
    }));
    if problems.is_empty() { Ok(()) } else { Err(TensorProblems(problems)) }
}

impl fmt::Display for TensorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { name, shape } => {
                write!(f, "`{name}` {} is missing", format_axes(shape))
            }
            Self::Surplus { name, shape } => {
                write!(f, "`{name}` {shape:?} is not part of the network")
            }
            Self::WrongShape { name, expected, found } => {
                write!(f, "`{name}` has shape {found:?} instead of {}", format_axes(expected))
            }
            Self::NotF32 { name, found } => write!(f, "`{name}` holds {found} instead of F32"),
            Self::NotFinite { name, count } => {
                write!(f, "`{name}` has {count} values that are NaN or infinite")
            }
            Self::NegativeVariance { name } => write!(f, "`{name}` has a variance below zero"),
        }
    }
}

impl fmt::Display for TensorProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<String> = self.0.iter().map(TensorProblem::to_string).collect();
        f.write_str(&problems.join("; "))
    }
}

impl std::error::Error for TensorProblems {}

/// `[any, 4]`.
fn format_axes(shape: &[Option<usize>]) -> String {
    let axis = |axis: &Option<usize>| axis.map_or("any".to_owned(), |size| size.to_string());
    format!("[{}]", shape.iter().map(axis).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(name: &'a str, shape: &'a [usize], values: &'a [f32]) -> FoundTensor<'a> {
        FoundTensor { name, shape, values: FoundValues::F32(values) }
    }

    #[test]
    fn every_problem_is_named_at_once_in_the_order_of_the_network() {
        let names = ["good", "missing", "transposed", "integers", "nan", "norm.running_var"];
        let expected = names.map(|name| ExpectedTensor::of_shape(name, &[2]));
        let problems = check(
            &expected,
            [
                found("surplus", &[2], &[1.0, 2.0]),
                found("norm.running_var", &[2], &[-1.0, 0.0]),
                found("nan", &[2], &[f32::NAN, f32::INFINITY]),
                FoundTensor { values: FoundValues::Other("I32"), ..found("integers", &[2], &[]) },
                found("transposed", &[1, 2], &[1.0, 2.0]),
                found("good", &[2], &[1.0, 2.0]),
            ],
        );
        let name = |name: &str| name.to_owned();
        let all = vec![
            TensorProblem::Missing { name: name("missing"), shape: vec![Some(2)] },
            TensorProblem::WrongShape {
                name: name("transposed"),
                expected: vec![Some(2)],
                found: vec![1, 2],
            },
            TensorProblem::NotF32 { name: name("integers"), found: name("I32") },
            TensorProblem::NotFinite { name: name("nan"), count: 2 },
            TensorProblem::NegativeVariance { name: name("norm.running_var") },
            TensorProblem::Surplus { name: name("surplus"), shape: vec![2] },
        ];
        assert_eq!(problems, Err(TensorProblems(all)));
    }

    #[test]
    fn an_axis_may_be_free_and_a_tensor_optional() {
        let bias = ExpectedTensor { optional: true, ..ExpectedTensor::of_shape("bias", &[1]) };
        let expected = [ExpectedTensor::new("rows", vec![None, Some(2)]), bias];
        assert_eq!(check(&expected, [found("rows", &[3, 2], &[0.0; 6])]), Ok(()));
        let wrong = check(&expected, [found("rows", &[3, 1], &[0.0; 3])]).unwrap_err();
        assert_eq!(wrong.to_string(), "`rows` has shape [3, 1] instead of [any, 2]");
    }

    #[test]
    fn a_tensor_is_looked_for_under_its_name_in_the_file() {
        let stored_as = "features.0.weight".to_owned();
        let mapped =
            ExpectedTensor { stored_as, ..ExpectedTensor::of_shape("block1.conv.weight", &[1]) };
        assert_eq!(check(&[mapped], [found("features.0.weight", &[1], &[0.0])]), Ok(()));
    }
}
