/** The scale of samples: the rule of `runtime/src/audio/level.rs`. */

/** Peak below which a recording is silent: −80 dB of full scale. */
export const SILENCE = 1e-4;
/** Largest peak that can be that of music. */
const MOST_PEAK = 256;

/**
 * The largest absolute sample.
 * @param {Float32Array} samples
 */
export function peakOf(samples) {
  let peak = 0;
  for (const sample of samples) peak = Math.max(peak, Math.abs(sample));
  return peak;
}

/**
 * What a file of floats with this peak is multiplied with; `null` if they are no shares of full scale.
 * @param {number} peak
 * @returns {number | null}
 */
export function gainOf(peak) {
  if (!(peak <= MOST_PEAK)) return null;
  return peak > 1 ? 1 / peak : 1;
}

/**
 * Clips samples to full scale, in place.
 * @param {Float32Array} samples
 */
export function clip(samples) {
  for (let i = 0; i < samples.length; i++) samples[i] = Math.min(1, Math.max(-1, samples[i]));
}
