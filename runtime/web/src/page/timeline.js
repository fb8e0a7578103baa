/** Who plays when: a lane for each of the first artists, in step with the audio. */
import { argmax } from '../answer/answer.js';
import { element } from './element.js';
import { clock, percent } from './format.js';

/** Lanes at most. */
const LANES = 6;
/** An artist who never reaches this has no lane, unless it is the first. */
const LEAST = 0.05;
/** Rows of the table, so that an hour of short segments stays usable: longer recordings join neighbours of one artist. */
const MOST_ROWS = 2_000;

/** @typedef {import('../answer/answer.js').Moment} Moment */

export class Timeline {
  constructor() {
    /** @private @type {Moment[]} */
    this.moments = [];
    /** @private @type {string[]} */
    this.classes = [];
    /** @private @type {{ index: number, canvas: HTMLCanvasElement }[]} */
    this.lanes = [];
    /** @private */
    this.seconds = 0;
    new ResizeObserver(() => this.draw()).observe(element('lanes'));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw());
  }

  /**
   * @param {Moment[]} moments
   * @param {string[]} classes
   * @param {number} seconds Of the whole recording.
   * @param {number[]} order Indices of artists, the most probable first.
   */
  show(moments, classes, seconds, order) {
    this.moments = moments;
    this.classes = classes;
    this.seconds = seconds;
    const reaches = (/** @type {number} */ index) => moments.some(({ probabilities }) => probabilities[index] >= LEAST);
    this.setLanes(order.filter((index, rank) => rank === 0 || reaches(index)).slice(0, LANES));
    this.draw();
  }

  /** The table and the summary: of a finished recording, since they would be read out while they change. */
  describe() {
    const rows = stretches(this.moments, this.moments.length > MOST_ROWS);
    element('table').replaceChildren(
      ...rows.map(({ start, end, best, probability }) => {
        const row = document.createElement('tr');
        for (const text of [clock(start), clock(end), this.classes[best], percent(probability)]) {
          const cell = document.createElement('td');
          cell.textContent = text;
          row.append(cell);
        }
        return row;
      }),
    );
    const joined = stretches(this.moments, true);
    const first = joined.slice(0, 12).map(({ start, end, best }) => `${clock(start)} to ${clock(end)} ${this.classes[best]}`);
    element('timeline-summary').textContent = `Most probable over time: ${first.join('; ')}${joined.length > 12 ? '; and so on' : ''}.`;
  }

  /**
   * What is most probable at a time, in words.
   * @param {number} seconds
   */
  at(seconds) {
    // Segments may overlap: the last one that has begun.
    const moment = this.moments.findLast(({ start }) => start <= seconds);
    if (moment === undefined || seconds > moment.end) return this.moments.length > 0 ? 'after the last segment' : '';
    const best = argmax(moment.probabilities);
    return `${this.classes[best]}, ${percent(moment.probabilities[best])}`;
  }

  /**
   * @param {number[]} indices
   * @private
   */
  setLanes(indices) {
    if (indices.join() === this.lanes.map(({ index }) => index).join() && this.lanes.length > 0) return;
    this.lanes = indices.map((index) => ({ index, canvas: document.createElement('canvas') }));
    element('lanes').replaceChildren(
      ...this.lanes.map(({ index, canvas }) => {
        const lane = document.createElement('div');
        lane.className = 'lane';
        const name = document.createElement('span');
        name.textContent = this.classes[index];
        lane.append(name, canvas);
        return lane;
      }),
    );
  }

  /** @private */
  draw() {
    const style = getComputedStyle(document.documentElement);
    const [accent, faint] = ['--accent', '--accent-faint'].map((name) => style.getPropertyValue(name));
    for (const { index, canvas } of this.lanes) {
      const context = sized(canvas);
      if (context === null || this.seconds === 0) continue;
      const { width, height } = canvas;
      context.clearRect(0, 0, width, height);
      for (const [i, { start, end, probabilities }] of this.moments.entries()) {
        const until = Math.min(end, this.moments[i + 1]?.start ?? end);
        const left = Math.round((start / this.seconds) * width);
        const right = Math.max(left + 1, Math.round((until / this.seconds) * width));
        const bar = Math.max(1, Math.round(probabilities[index] * height));
        context.fillStyle = argmax(probabilities) === index ? accent : faint;
        context.fillRect(left, height - bar, Math.max(1, right - left - (right - left > 3 ? 1 : 0)), bar);
      }
    }
  }
}

/**
 * Segments with their best artist; neighbours with the same one may be joined, with their mean probability.
 * @param {Moment[]} moments
 * @param {boolean} join
 */
function stretches(moments, join) {
  /** @type {{ start: number, end: number, best: number, probability: number, count: number }[]} */
  const found = [];
  for (const { start, end, probabilities } of moments) {
    const best = argmax(probabilities);
    const last = found.at(-1);
    if (join && last?.best === best) {
      last.end = end;
      last.probability = (last.probability * last.count + probabilities[best]) / (last.count + 1);
      last.count += 1;
    } else found.push({ start, end, best, probability: probabilities[best], count: 1 });
  }
  return found;
}

/**
 * A canvas with as many pixels as the screen has for it.
 * @param {HTMLCanvasElement} canvas
 */
export function sized(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
  if (width === 0 || height === 0) return null;
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  return canvas.getContext('2d');
}
