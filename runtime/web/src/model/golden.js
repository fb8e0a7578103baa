/** The input by which a model carries its own test: the recipe of `models/src/golden.rs`. */

/**
 * s ← 1664525·s + 1013904223 mod 2³² from `seed`; each sample is 0.1 · int32(s) / 2³¹.
 * @param {{ seed: number, samples: number }} input
 * @returns {Float32Array} At 16 kHz.
 */
export function goldenSamples({ seed, samples }) {
  const made = new Float32Array(samples);
  let state = seed | 0;
  for (let i = 0; i < samples; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    made[i] = (0.1 * state) / 2 ** 31;
  }
  return made;
}
