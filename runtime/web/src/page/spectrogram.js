/** The spectrogram under the timeline. */
import { BANDS, COLUMN_SAMPLES } from '../audio/spectrum.js';
import { SAMPLE_RATE } from '../model/card.js';
import { typed } from './element.js';
import { sized } from './timeline.js';

export class Spectrogram {
  constructor() {
    /** @private */
    this.canvas = typed('spectrogram', HTMLCanvasElement);
    /** @private */
    this.columns = new Uint8Array(BANDS * 1_024);
    /** @private */
    this.count = 0;
    /** @private */
    this.seconds = 0;
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  clear() {
    this.count = 0;
    this.draw();
  }

  /**
   * @param {Uint8Array} columns New ones, `BANDS` levels each.
   * @param {number} seconds Of the whole recording.
   */
  add(columns, seconds) {
    const count = this.count + columns.length / BANDS;
    if (count * BANDS > this.columns.length) {
      const larger = new Uint8Array(2 * count * BANDS);
      larger.set(this.columns.subarray(0, this.count * BANDS));
      this.columns = larger;
    }
    this.columns.set(columns, this.count * BANDS);
    this.count = count;
    this.seconds = seconds;
    this.draw();
  }

  /** @private */
  draw() {
    const context = sized(this.canvas);
    if (context === null) return;
    const { width, height } = this.canvas;
    context.clearRect(0, 0, width, height);
    const total = (this.seconds * SAMPLE_RATE) / COLUMN_SAMPLES;
    const covered = Math.min(width, Math.round((this.count / total) * width));
    if (!(covered > 0)) return;
    const colours = ramp();
    const image = context.createImageData(covered, BANDS);
    for (let x = 0; x < covered; x++) {
      // The loudest of the columns that a pixel covers, so that short notes stay.
      const first = Math.floor((x / width) * total);
      const last = Math.max(first + 1, Math.min(this.count, Math.floor(((x + 1) / width) * total)));
      for (let band = 0; band < BANDS; band++) {
        let level = 0;
        for (let column = first; column < last; column++) level = Math.max(level, this.columns[column * BANDS + band]);
        image.data.set(colours.subarray(4 * level, 4 * level + 4), 4 * ((BANDS - 1 - band) * covered + x));
      }
    }
    const drawn = new OffscreenCanvas(covered, BANDS);
    drawn.getContext('2d')?.putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(drawn, 0, 0, covered, height);
  }
}

/** The colour of each level: from nothing over the accent to that of text. */
function ramp() {
  const style = getComputedStyle(document.documentElement);
  const [accent, ink] = ['--accent', '--ink'].map((name) => channels(style.getPropertyValue(name)));
  const colours = new Uint8ClampedArray(4 * 256);
  for (let level = 0; level < 256; level++) {
    const share = level / 255;
    const toInk = Math.max(0, (share - 0.7) / 0.3);
    accent.forEach((value, i) => (colours[4 * level + i] = value + (ink[i] - value) * toInk * 0.8));
    colours[4 * level + 3] = 255 * Math.min(1, 1.4 * share ** 2.2);
  }
  return colours;
}

/**
 * Red, green and blue of `#rrggbb`.
 * @param {string} colour
 */
function channels(colour) {
  const number = Number.parseInt(colour.trim().slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}
