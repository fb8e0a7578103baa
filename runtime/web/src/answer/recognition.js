/** The recognition of one recording: takes its samples piece by piece and keeps sums, as `runtime/src/onnx/recognition.rs`. */
import { clip, peakOf } from '../audio/level.js';
import { Segmenter, segmentCount } from '../audio/segments.js';
import { SAMPLE_RATE } from '../model/card.js';
import { Refusal } from '../refusal.js';
import { answerOf } from './answer.js';
import { Mean, largest, windowCounts } from './pooling.js';

/** Music that a dense head is given in one call: activations grow with it, and the page shows progress between calls. */
const BLOCK_SECONDS = 30;

/** @typedef {import('../model/card.js').Card} Card */
/** @typedef {import('./answer.js').Answer} Answer */
/** @typedef {import('./answer.js').Moment} Moment */

/**
 * What runs a graph.
 * @typedef {object} Runner
 * @property {(samples: Float32Array<ArrayBuffer>, segments: number) => Promise<Float32Array>} run Rows of probabilities of a block
 *   of segments.
 * @property {(segment: Float32Array<ArrayBuffer>, state: State | null) => Promise<{ row: Float32Array, state: State }>} step One segment
 *   of a `step` graph.
 *
 * @typedef {{ h: Float32Array, c: Float32Array }} State
 */

export class Recognition {
  /**
   * @param {Card} card
   * @param {Runner} network
   * @param {{ name: string, live: boolean }} options Name of the recording, for errors; whether each segment is to be
   *   answered at once.
   */
  constructor(card, network, { name, live }) {
    this.card = card;
    this.name = name;
    /** Segments that have been run, with their times. @type {Moment[]} */
    this.timeline = [];
    /** @private */
    this.network = network;
    /** @private */
    this.block = blockOf(card, live);
    /** @private */
    this.blocks = new Segmenter((this.block - 1) * card.hop_samples + card.segment_samples, this.block * card.hop_samples);
    /** @private */
    this.peak = 0;
    /** @private */
    this.sums = new Sums(card.classes.length);
    /** @private The window of a `step` graph that is not full. @type {{ state: State | null, row: Float32Array | null, filled: number }} */
    this.window = { state: null, row: null, filled: 0 };
  }

  /**
   * @param {Float32Array} samples Mono, at 16 kHz; clipped in place.
   * @returns {Promise<Moment[]>} The segments that they complete.
   */
  async push(samples) {
    clip(samples);
    this.peak = Math.max(this.peak, peakOf(samples));
    const before = this.timeline.length;
    for (const block of this.blocks.push(samples)) await this.run(block, this.block);
    return this.timeline.slice(before);
  }

  /** @returns {Promise<Answer>} */
  async finish() {
    const { card } = this;
    const rest = this.blocks.rest();
    const segments = segmentCount(rest.length, card.segment_samples, card.hop_samples);
    const isWhole = card.graph === 'sequence';
    if (isWhole ? windowCounts(segments, card.window_segments, this.blocks.count > 0) : segments > 0) {
      await this.run(rest.subarray(0, (segments - 1) * card.hop_samples + card.segment_samples), segments);
    }
    if (!this.lastWindowCounts()) this.timeline.length -= this.window.filled;
    const answer = this.answer();
    if (answer !== null) return answer;
    const seconds = (/** @type {number} */ samples) => `${Number((samples / SAMPLE_RATE).toPrecision(2))} s`;
    throw new Refusal(
      `${this.name} is ${seconds(this.blocks.samples)} long, and this model needs at least ${seconds(card.segment_samples)}: use a longer recording.`,
    );
  }

  /**
   * The answer for everything so far; `null` before the first segment.
   * @returns {Answer | null}
   */
  answer() {
    const { card, timeline } = this;
    if (timeline.length === 0) return null;
    let sums = this.sums;
    if (this.window.row !== null && this.lastWindowCounts()) {
      sums = sums.copy();
      sums.add(this.window.row);
    }
    const used = (timeline.length - 1) * card.hop_samples + card.segment_samples;
    const samples = this.blocks.samples;
    return answerOf(card, {
      mean: sums.mean.values(),
      certainty: sums.certainty.values()[0],
      peak: this.peak,
      seconds: samples / SAMPLE_RATE,
      usedSeconds: Math.min(used, samples) / SAMPLE_RATE,
      timeline,
    });
  }

  /**
   * @param {Float32Array<ArrayBuffer>} block
   * @param {number} segments
   * @private
   */
  async run(block, segments) {
    const { card } = this;
    if (card.graph === 'step') return this.step(block);
    const values = await this.network.run(block, segments);
    const classes = card.classes.length;
    for (let i = 0; i < segments; i++) {
      const row = values.slice(i * classes, (i + 1) * classes);
      this.addMoment(row);
      if (card.graph !== 'sequence' || i === segments - 1) this.sums.add(row);
    }
  }

  /**
   * @param {Float32Array<ArrayBuffer>} segment
   * @private
   */
  async step(segment) {
    const { row, state } = await this.network.step(segment, this.window.state);
    this.addMoment(row);
    this.window = { state, row, filled: this.window.filled + 1 };
    if (this.window.filled < this.card.window_segments) return;
    this.sums.add(row);
    this.window = { state: null, row: null, filled: 0 };
  }

  /** @private */
  lastWindowCounts() {
    const { filled } = this.window;
    return windowCounts(filled, this.card.window_segments, this.timeline.length > filled);
  }

  /**
   * @param {Float32Array} row
   * @private
   */
  addMoment(row) {
    const { card, timeline } = this;
    const start = timeline.length * card.hop_samples;
    timeline.push({
      start: start / SAMPLE_RATE,
      end: (start + card.segment_samples) / SAMPLE_RATE,
      window: Math.floor(timeline.length / card.window_segments),
      probabilities: row,
    });
  }
}

/** Sums over segments or windows. */
class Sums {
  /** @param {number} classes */
  constructor(classes) {
    this.mean = new Mean(classes);
    this.certainty = new Mean(1);
  }

  /** @param {Float32Array} row */
  add(row) {
    this.mean.add(row);
    this.certainty.add([largest(row)]);
  }

  copy() {
    const copy = new Sums(0);
    copy.mean = this.mean.copy();
    copy.certainty = this.certainty.copy();
    return copy;
  }
}

/**
 * Segments of a block. An LSTM answers after a whole window.
 * @param {Card} card
 * @param {boolean} live
 */
function blockOf(card, live) {
  if (card.graph === 'sequence') return card.window_segments;
  if (card.graph !== 'clip' || live) return 1;
  const seconds = Math.min(BLOCK_SECONDS, card.max_seconds_per_call || BLOCK_SECONDS);
  return Math.max(1, segmentCount(seconds * SAMPLE_RATE, card.segment_samples, card.hop_samples));
}
