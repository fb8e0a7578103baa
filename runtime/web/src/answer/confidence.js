/** How far a recording's percentages can be believed: the arithmetic of `models/src/score/confidence.rs`. */

/**
 * p_i^(1/T) / Σ p_j^(1/T), of shares of the largest so that no power underflows as a whole.
 * @param {number[]} probabilities
 * @param {number} temperature
 * @returns {number[]}
 */
export function calibrated(probabilities, temperature) {
  const largest = Math.max(0, ...probabilities);
  if (largest <= 0) return probabilities.slice();
  const powers = probabilities.map((p) => (Math.max(p, 0) / largest) ** (1 / temperature));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => Math.fround(power / sum));
}
