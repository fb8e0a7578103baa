//! Samples as the shards store them: PCM, 16 bits, little-endian.

/// The nearest 16-bit sample, full scale 1 being 32,768: halves away from zero, what lies beyond is clamped, NaN is 0.
pub fn quantize(sample: f32) -> i16 {
    // What `round` does to all that fits, without its call into a library, which took a ninth of preparing: just below a half
    // is added, or what lies just below a half would reach it. A float-to-integer `as` cuts towards zero and clamps.
    let scaled = sample * 32_768.0;
    (scaled + 0.5f32.next_down().copysign(scaled)) as i16
}
