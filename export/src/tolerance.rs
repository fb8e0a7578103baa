//! How far the answers of a file may be from the expected ones. A tolerance belongs to a precision, has a name and a reason.

use leitmotif_models::Precision;

/// Largest difference between a probability of an fp32 graph and torch's: both round each of some thousand sums to
/// 24 bits, which moves a probability by about 1e-6; ten times that is still far below what changes an answer.
pub const FP32_TOLERANCE: f32 = 1e-5;

/// Largest difference between a probability of an fp16 graph and torch's: each weight is rounded to 11 bits, and so is each
/// activation on a GPU, which moves a probability by about 1e-3; ten times that still leaves every decided answer.
pub const FP16_TOLERANCE: f32 = 1e-2;

/// Largest difference between a probability of an int8 graph here and where it was compiled. The integers are the same
/// everywhere, but runtimes round a few of them differently, and each moves the next layer by some hundredths of a step.
/// How far int8 is from torch is measured on real clips instead ([`Measured`](leitmotif_models::Measured)).
pub const INT8_TOLERANCE: f32 = 2e-2;

/// Share of clips that a precision may lose against fp32 before compiling fails.
pub const MOST_LOSS: f64 = 0.01;

/// How far the golden answer of a card may be missed.
pub fn tolerance(precision: Precision) -> f32 {
    match precision {
        Precision::Fp32 => FP32_TOLERANCE,
        Precision::Fp16 => FP16_TOLERANCE,
        Precision::Int8 => INT8_TOLERANCE,
    }
}
