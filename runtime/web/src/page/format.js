/** Numbers as the page writes them. */

/** @param {number} seconds */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ value) => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** @param {number} share 0 to 1. */
export function percent(share) {
  const value = 100 * share;
  // With spaces that do not break.
  if (value > 0 && value < 0.1) return '<\u00a00.1\u00a0%';
  if (value > 99.9 && value < 100) return '>\u00a099.9\u00a0%';
  return `${value.toFixed(value > 0 && value < 100 ? 1 : 0)}\u00a0%`;
}

/**
 * A small difference, on one line.
 * @param {number} value
 */
export function exponential(value) {
  return value.toExponential(1).replace('-', '\u2011');
}

/** @param {number} bytes */
export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
