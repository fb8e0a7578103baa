/**
 * Band-limited resampling by a fixed ratio of whole numbers: the arithmetic of `runtime/src/audio/resample.rs`, which
 * leaves it to the crate rubato (`synchro.rs`, `sinc.rs` and `windows.rs` there), in doubles.
 *
 * Overlap-add with one FFT per block: the spectrum is cut off below the lower of the two Nyquist frequencies by a
 * windowed-sinc filter as long as a block.
 */
import { Fft } from './fft.js';
import { Refusal } from '../refusal.js';

/** Shortest filter, in samples of the lower of the two rates. */
const FILTER = 640;
const LEAST_RATE = 1_000;
const MOST_RATE = 768_000;
/** Samples of the longest block. */
const BLOCK = 2 * 192_000;

/** Output sample k is at the time k / to; n samples in give n · to / from out, rounded half up. */
export class Resampler {
  /**
   * @param {number} from In Hz.
   * @param {number} to In Hz.
   */
  constructor(from, to) {
    for (const rate of [from, to]) if (!(rate >= LEAST_RATE && rate <= MOST_RATE)) throw unsupported(rate);
    this.from = from;
    this.to = to;
    this.taken = 0;
    this.given = 0;
    /** @private */
    this.filter = from === to ? null : new BlockFilter(from, to);
  }

  /**
   * Takes the next piece of the stream.
   * @param {Float32Array} samples
   * @returns {Float32Array} What is ready.
   */
  push(samples) {
    this.taken += samples.length;
    const ready = this.filter === null ? samples : this.filter.push(samples);
    this.given += ready.length;
    return ready;
  }

  /**
   * The end of the stream.
   * @returns {Float32Array}
   */
  finish() {
    const total = Math.floor((2 * this.taken * this.to + this.from) / (2 * this.from));
    const missing = Math.max(0, total - this.given);
    const rest = new Float32Array(missing);
    let filled = 0;
    while (this.filter !== null && filled < missing) {
      const piece = this.filter.push(new Float32Array(2 * this.filter.blockIn)).subarray(0, missing - filled);
      rest.set(piece, filled);
      filled += piece.length;
    }
    this.given += missing;
    return rest;
  }
}

/** Filters two blocks at a time: one is the real part of what is transformed, the other the imaginary part. */
class BlockFilter {
  /**
   * @param {number} from
   * @param {number} to
   */
  constructor(from, to) {
    const divisor = gcd(from, to);
    const [unitIn, unitOut] = [from / divisor, to / divisor];
    // Even blocks on both sides make the delay, half of a block, a whole number of samples on both.
    const units = 2 * Math.ceil(Math.ceil(FILTER / Math.min(unitIn, unitOut)) / 2);
    this.blockIn = unitIn * units;
    this.blockOut = unitOut * units;
    if (Math.max(this.blockIn, this.blockOut) > BLOCK) throw unsupported(Math.max(from, to));
    this.forward = new Fft(2 * this.blockIn);
    this.backward = new Fft(2 * this.blockOut);
    this.filterRe = windowedSinc(this.blockIn, this.blockOut);
    this.filterIm = new Float64Array(2 * this.blockIn);
    this.forward.forward(this.filterRe, this.filterIm);
    this.re = new Float64Array(2 * this.blockIn);
    this.im = new Float64Array(2 * this.blockIn);
    this.outRe = new Float64Array(2 * this.blockOut);
    this.outIm = new Float64Array(2 * this.blockOut);
    this.overlap = new Float64Array(this.blockOut);
    this.held = new Float32Array(2 * this.blockIn);
    this.heldCount = 0;
    /** Samples of the filter's delay still to be dropped. */
    this.delay = this.blockOut / 2;
  }

  /**
   * @param {Float32Array} samples
   * @returns {Float32Array}
   */
  push(samples) {
    const pairs = Math.floor((this.heldCount + samples.length) / this.held.length);
    const out = new Float32Array(pairs * 2 * this.blockOut);
    let taken = 0;
    for (let pair = 0; pair < pairs; pair++) {
      const missing = this.held.length - this.heldCount;
      this.held.set(samples.subarray(taken, taken + missing), this.heldCount);
      taken += missing;
      this.heldCount = 0;
      this.pair(out.subarray(pair * 2 * this.blockOut, (pair + 1) * 2 * this.blockOut));
    }
    const rest = samples.subarray(taken);
    this.held.set(rest, this.heldCount);
    this.heldCount += rest.length;
    const dropped = Math.min(this.delay, out.length);
    this.delay -= dropped;
    return out.subarray(dropped);
  }

  /**
   * Filters the two held blocks.
   * @param {Float32Array} out
   * @private
   */
  pair(out) {
    const { blockIn, blockOut, re, im, outRe, outIm, overlap, held } = this;
    re.fill(0);
    im.fill(0);
    re.set(held.subarray(0, blockIn));
    im.set(held.subarray(blockIn));
    this.forward.forward(re, im);
    outRe.fill(0);
    outIm.fill(0);
    // Bins of positive and of negative frequencies that both sides have.
    const bins = blockIn < blockOut ? blockIn + 1 : blockOut;
    for (let k = 0; k < bins; k++) this.copyBin(k, k);
    for (let k = 1; k < bins; k++) this.copyBin(2 * blockIn - k, 2 * blockOut - k);
    this.backward.inverse(outRe, outIm);
    for (let n = 0; n < blockOut; n++) {
      out[n] = outRe[n] + overlap[n];
      out[blockOut + n] = outIm[n] + outRe[blockOut + n];
      overlap[n] = outIm[blockOut + n];
    }
  }

  /**
   * @param {number} from
   * @param {number} to
   * @private
   */
  copyBin(from, to) {
    const { re, im, filterRe, filterIm } = this;
    this.outRe[to] = re[from] * filterRe[from] - im[from] * filterIm[from];
    this.outIm[to] = re[from] * filterIm[from] + im[from] * filterRe[from];
  }
}

/**
 * The filter, scaled for an FFT that does not divide, and as many zeros.
 * @param {number} blockIn
 * @param {number} blockOut
 */
function windowedSinc(blockIn, blockOut) {
  const lower = Math.min(blockIn, blockOut);
  const cutoff = (cutoffOf(lower) * lower) / blockIn;
  const filter = new Float64Array(2 * blockIn);
  let sum = 0;
  for (let n = 0; n < blockIn; n++) {
    const turn = (2 * Math.PI * n) / blockIn;
    const window = 0.35875 - 0.48829 * Math.cos(turn) + 0.14128 * Math.cos(2 * turn) - 0.01168 * Math.cos(3 * turn);
    filter[n] = window * window * sinc((n - Math.floor(blockIn / 2)) * cutoff);
    sum += filter[n];
  }
  for (let n = 0; n < blockIn; n++) filter[n] /= sum * 2 * blockIn;
  return filter;
}

/**
 * rubato's cut-off frequency for a squared Blackman-Harris window of this length, as a share of the Nyquist frequency.
 * @param {number} points
 */
function cutoffOf(points) {
  return 1 / (13.745202940783823 / points + 121.73532586374934 / points ** 2 + 5964.163279612051 / points ** 3 + 1);
}

/** @param {number} x */
function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

/** @param {number} rate */
function unsupported(rate) {
  return new Refusal(
    `a sampling rate of ${rate} Hz is not supported: convert it to a common one, such as 44,100 or 48,000 Hz`,
  );
}
