/** The answer for one recording, with the fields of `runtime/src/onnx/answer.rs`. */
import { SILENCE } from '../audio/level.js';
import { calibrated } from './confidence.js';

/**
 * @typedef {object} RankedArtist
 * @property {number} class Index in the model's list of artists.
 * @property {string} artist
 * @property {number} probability Calibrated where the card can.
 *
 * @typedef {object} Moment One segment.
 * @property {number} start Seconds.
 * @property {number} end Seconds.
 * @property {number} window
 * @property {Float32Array} probabilities In the model's order, never calibrated: of this segment alone, or, of an LSTM,
 *   of its window up to and including this segment.
 *
 * @typedef {object} Answer
 * @property {RankedArtist[]} artists Most probable first.
 * @property {number[]} uncalibrated In the model's order.
 * @property {number} certainty
 * @property {number | null} minCertainty
 * @property {boolean} silent
 * @property {boolean | null} unknown Whether it is none of the artists; `null` where the card has no threshold.
 * @property {number} seconds
 * @property {number} usedSeconds
 * @property {number} segments
 * @property {Moment[]} timeline
 *
 * @typedef {object} Sums
 * @property {number[]} mean Probabilities over segments or windows.
 * @property {number} certainty
 * @property {number} peak
 * @property {number} seconds
 * @property {number} usedSeconds
 * @property {Moment[]} timeline
 */

/**
 * @param {import('../model/card.js').Card} card
 * @param {Sums} sums
 * @returns {Answer}
 */
export function answerOf(card, { mean, certainty, peak, seconds, usedSeconds, timeline }) {
  const confidence = card.confidence ?? null;
  const silent = peak < SILENCE;
  return {
    artists: ranked(card.classes, confidence === null ? mean : calibrated(mean, confidence.temperature)),
    uncalibrated: mean,
    certainty,
    minCertainty: confidence?.threshold ?? null,
    silent,
    unknown: confidence === null ? null : silent || certainty < confidence.threshold,
    seconds,
    usedSeconds,
    segments: timeline.length,
    timeline,
  };
}

/**
 * Artists by falling probability; ties stay in the model's order.
 * @param {string[]} names
 * @param {number[]} probabilities
 * @returns {RankedArtist[]}
 */
export function ranked(names, probabilities) {
  const artists = names.map((artist, index) => ({ class: index, artist, probability: probabilities[index] }));
  return artists.sort((a, b) => b.probability - a.probability);
}

/**
 * Index of the largest value, the first in a tie.
 * @param {ArrayLike<number>} values
 */
export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}
