/** WAV of pieces that are never copied into one: an hour of a microphone has 350 MB. */

/**
 * @param {Float32Array} samples
 * @returns {Int16Array<ArrayBuffer>}
 */
export function sixteenBits(samples) {
  return Int16Array.from(samples, (sample) => Math.round(32_767 * Math.min(1, Math.max(-1, sample))));
}

/**
 * @param {Int16Array<ArrayBuffer>[]} pieces Mono.
 * @param {number} rate
 * @returns {Blob} Its samples are in the order of this machine, which is little-endian wherever there is a browser.
 */
export function wave(pieces, rate) {
  const bytes = 2 * pieces.reduce((sum, piece) => sum + piece.length, 0);
  const header = new DataView(new ArrayBuffer(44));
  const text = (/** @type {number} */ at, /** @type {string} */ letters) =>
    [...letters].forEach((letter, i) => header.setUint8(at + i, letter.charCodeAt(0)));
  text(0, 'RIFF');
  header.setUint32(4, 36 + bytes, true);
  text(8, 'WAVEfmt ');
  header.setUint32(16, 16, true);
  header.setUint16(20, 1, true);
  header.setUint16(22, 1, true);
  header.setUint32(24, rate, true);
  header.setUint32(28, 2 * rate, true);
  header.setUint16(32, 2, true);
  header.setUint16(34, 16, true);
  text(36, 'data');
  header.setUint32(40, bytes, true);
  return new Blob([header, ...pieces], { type: 'audio/wav' });
}
