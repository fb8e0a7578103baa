/** How a stream of samples is cut: the arithmetic of `models/src/segment.rs` and `runtime/src/audio/segments.rs`. */

/**
 * Whole segments, one every `hop` samples; what is left after the last is dropped.
 * @param {number} samples
 * @param {number} segment
 * @param {number} hop
 */
export function segmentCount(samples, segment, hop) {
  return samples < segment ? 0 : Math.floor((samples - segment) / hop) + 1;
}

/** Cuts a stream into pieces of equal length whose starts lie one hop apart. */
export class Segmenter {
  /**
   * @param {number} segment Samples of a piece.
   * @param {number} hop Samples from start to start.
   */
  constructor(segment, hop) {
    this.segment = segment;
    this.hop = hop;
    /** Samples taken so far. */
    this.samples = 0;
    /** Pieces given so far. */
    this.count = 0;
    /** @private The beginning of the next piece. */
    this.held = new Float32Array(segment);
    /** @private */
    this.heldCount = 0;
    /** @private Samples to be skipped, if the hop is longer than a piece. */
    this.gap = 0;
  }

  /**
   * Takes the next samples and gives every piece that they complete, each a copy.
   * @param {Float32Array} samples
   * @returns {Generator<Float32Array<ArrayBuffer>>}
   */
  *push(samples) {
    this.samples += samples.length;
    let at = 0;
    while (at < samples.length) {
      const skipped = Math.min(this.gap, samples.length - at);
      this.gap -= skipped;
      at += skipped;
      const taken = Math.min(this.segment - this.heldCount, samples.length - at);
      this.held.set(samples.subarray(at, at + taken), this.heldCount);
      this.heldCount += taken;
      at += taken;
      if (this.heldCount < this.segment) continue;
      const piece = this.held.slice();
      const kept = Math.max(0, this.segment - this.hop);
      this.held.copyWithin(0, this.segment - kept);
      this.heldCount = kept;
      this.gap = Math.max(0, this.hop - this.segment);
      this.count += 1;
      yield piece;
    }
  }

  /** The samples of the next piece so far: at the end of a stream its remainder. */
  rest() {
    return this.held.slice(0, this.heldCount);
  }
}
