/** The columns of a spectrogram: levels of bands whose width grows with their frequency. */
import { Fft } from './fft.js';
import { Segmenter } from './segments.js';

/** Bands of a column, the lowest first. */
export const BANDS = 72;
/** Samples at 16 kHz from column to column. */
export const COLUMN_SAMPLES = 1_024;
/** Middle of the lowest and of the highest band, in Hz. */
export const LOWEST = 60;
export const HIGHEST = 7_600;

const WINDOW = 2_048;
const RATE = 16_000;
/** What is drawn as nothing, in decibels of full scale. */
const FLOOR = -75;
const CEILING = -5;

export class Spectrum {
  constructor() {
    /** @private */
    this.windows = new Segmenter(WINDOW, COLUMN_SAMPLES);
    /** @private */
    this.fft = new Fft(WINDOW);
    /** @private */
    this.hann = Float64Array.from({ length: WINDOW }, (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / WINDOW));
    /** @private First bin of each band, and that after the last. */
    this.edges = Array.from({ length: BANDS + 1 }, (_, band) => {
      const hertz = LOWEST * (HIGHEST / LOWEST) ** ((band - 0.5) / (BANDS - 1));
      return (hertz * WINDOW) / RATE;
    });
  }

  /**
   * @param {Float32Array} samples Mono, at 16 kHz.
   * @returns {Uint8Array<ArrayBuffer>} The columns that they complete, `BANDS` levels each: 0 is silence, 255 is loud.
   */
  push(samples) {
    const columns = [];
    for (const window of this.windows.push(samples)) columns.push(this.column(window));
    const all = new Uint8Array(columns.length * BANDS);
    columns.forEach((column, i) => all.set(column, i * BANDS));
    return all;
  }

  /**
   * @param {Float32Array} window
   * @private
   */
  column(window) {
    const re = Float64Array.from(window, (sample, n) => sample * this.hann[n]);
    const im = new Float64Array(WINDOW);
    this.fft.forward(re, im);
    return Uint8Array.from({ length: BANDS }, (_, band) => {
      const first = Math.floor(this.edges[band]);
      const last = Math.max(first + 1, Math.floor(this.edges[band + 1]));
      let most = 0;
      for (let k = first; k < last; k++) most = Math.max(most, re[k] * re[k] + im[k] * im[k]);
      // A full-scale tone reaches a quarter of the window's length.
      const decibels = 10 * Math.log10(most / (WINDOW / 4) ** 2 + 1e-12);
      return Math.round(255 * Math.min(1, Math.max(0, (decibels - FLOOR) / (CEILING - FLOOR))));
    });
  }
}
