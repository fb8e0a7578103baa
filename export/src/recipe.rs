//! What to make of a checkpoint: name, target, precision, sizes.

use leitmotif_models::{Calibration, Card, Fixed, Measured, Precision, Target};

/// How to compile a checkpoint. The same checkpoint, graph and recipe give the same bytes.
///
/// ```
/// use leitmotif_export::Recipe;
/// use leitmotif_models::{Precision, Target};
///
/// let recipe = Recipe { target: Target::Cpu, precision: Precision::Fp16, ..Recipe::named("artists") };
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Name of the model, as in `NAME.clip.onnx`.
    pub name: String,
    /// For which runtime.
    pub target: Target,
    /// In which numbers.
    pub precision: Precision,
    /// The ranges of feature maps: needed in int8, and in nothing else. See [`Calibrator`](crate::Calibrator).
    pub calibration: Option<Calibration>,
    /// What the precision was measured to cost, for the card.
    pub measured: Option<Measured>,
    /// Sizes that are not free. A number of segments is left out of graphs that take one.
    pub fixed: Fixed,
    /// Whether to end with the embedding; only of the graphs that take recordings.
    pub embedding_only: bool,
    /// Whether to compile the form of Hugging Face's libraries; only of the graphs that take recordings, with free sizes
    /// and all artists. See [`Card::huggingface`].
    pub huggingface: bool,
    /// The answer to the golden input in int8, one probability a class; without it the card holds torch's.
    pub golden: Option<Vec<f32>>,
}

impl Recipe {
    /// Portable and in fp32, under this name.
    pub fn named(name: &str) -> Self {
        Recipe {
            name: name.to_owned(),
            target: Target::Portable,
            precision: Precision::Fp32,
            fixed: Fixed::default(),
            embedding_only: false,
            huggingface: false,
            calibration: None,
            measured: None,
            golden: None,
        }
    }

    /// What made the file of this card, so that it can be compiled again.
    pub fn of(card: &Card) -> Self {
        let int8 = card.precision == Precision::Int8;
        Recipe {
            name: card.name.clone(),
            target: card.target,
            precision: card.precision,
            calibration: card.calibration.clone(),
            measured: card.measured.clone(),
            fixed: card.fixed,
            embedding_only: card.embedding_only,
            huggingface: card.huggingface,
            golden: int8.then(|| card.golden.probabilities.clone()),
        }
    }
}
