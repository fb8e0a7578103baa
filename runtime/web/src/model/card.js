/**
 * The model card inside every `.onnx` file: all that the page must know of a model. Written by `models/src/card.rs`,
 * which describes its fields.
 */
import { fields } from './protobuf.js';
import { Refusal } from '../refusal.js';

/** Newest version that this page reads, as CARD_VERSION of `models/src/card.rs`. */
export const CARD_VERSION = 2;
/** Rate that every network takes, in Hz. */
export const SAMPLE_RATE = 16_000;

const KEY = 'leitmotif';
/** Field numbers: of `metadata_props` in a model, and of key and value in each of its entries. */
const METADATA_PROPS = 14;
const ENTRY_KEY = 1;
const ENTRY_VALUE = 2;

/**
 * @typedef {object} Confidence
 * @property {number} temperature
 * @property {number} threshold Of the certainty, below which a recording is of none of the artists.
 * @property {number} songs
 * @property {number} kept
 * @property {number} kept_right
 * @property {string} source
 *
 * @typedef {object} Interval
 * @property {number} value
 * @property {number} low
 * @property {number} high
 *
 * @typedef {'clip' | 'segment' | 'sequence' | 'step'} GraphKind
 *
 * @typedef {object} Card
 * @property {number} version
 * @property {string} name
 * @property {GraphKind} graph
 * @property {string} target
 * @property {string} precision
 * @property {number} sample_rate
 * @property {number} segment_samples
 * @property {number} hop_samples
 * @property {number} window_segments
 * @property {number} max_seconds_per_call
 * @property {number} embedding_units
 * @property {string[]} classes
 * @property {{ name: string, description: string, head: { kind: string } }} network
 * @property {{ name: string, licence: string, notes?: string, clips: number, songs: number }} dataset
 * @property {{ protocol: string, seed: number }} split
 * @property {{ songs: number, clips: number, song_accuracy: Interval, clip_accuracy: Interval } | null} [scores]
 * @property {Confidence | null} [confidence]
 * @property {string} weights_sha256
 * @property {{ input: { seed: number, samples: number }, probabilities: number[], tolerance: number }} golden
 * @property {{ batch?: number | null, segments?: number | null }} [fixed]
 * @property {boolean} [embedding_only]
 */

/**
 * Reads and checks the card in the bytes of an `.onnx` file.
 * @param {Uint8Array} model
 * @param {string} file Its name, for errors.
 * @returns {Card}
 */
export function readCard(model, file) {
  const text = storedText(model);
  if (text === null) {
    throw new Refusal(`${file} is no leitmotif model: it carries no card. Use an .onnx file made by leitmotif-export.`);
  }
  let card;
  try {
    card = JSON.parse(text);
  } catch {
    throw new Refusal(`${file} has a card that cannot be read: export the model again.`);
  }
  if (Number.isInteger(card?.version) && !(card.version >= 1 && card.version <= CARD_VERSION)) {
    throw new Refusal(
      `${file} has a card of version ${card.version}, and this page reads versions up to ${CARD_VERSION}: use the page of the leitmotif release that wrote it, or export the model again.`,
    );
  }
  const wrong = contradiction(card);
  if (wrong !== null) throw new Refusal(`${file} has a card that is not valid (${wrong}): export the model again.`);
  if (card.embedding_only) {
    throw new Refusal(`${file} gives embeddings and no artists: export it without --embedding-only.`);
  }
  if (card.fixed?.segments != null || (card.fixed?.batch ?? 1) !== 1) {
    throw new Refusal(
      `${file} has a fixed batch or number of segments, which songs of any length do not fit: export it without --batch and --segments.`,
    );
  }
  return card;
}

/**
 * The text under the metadata key; `null` if there is none.
 * @param {Uint8Array} model
 */
function storedText(model) {
  const decoder = new TextDecoder();
  for (const [number, entry] of fields(model)) {
    if (number !== METADATA_PROPS) continue;
    const parts = new Map([...fields(entry)].reverse());
    if (decoder.decode(parts.get(ENTRY_KEY)) === KEY) return decoder.decode(parts.get(ENTRY_VALUE));
  }
  return null;
}

/**
 * What is wrong with a card, as far as this page relies on it.
 * @param {any} card
 * @returns {string | null}
 */
function contradiction(card) {
  const isText = (/** @type {unknown} */ value) => typeof value === 'string';
  const isSize = (/** @type {any} */ value) => Number.isInteger(value) && value >= 1;
  if (card === null || typeof card !== 'object') return 'it is no object';
  if (!isSize(card.version)) return 'it has no version';
  if (!isText(card.name) || !isText(card.weights_sha256)) return 'name or digest is missing';
  if (!['clip', 'segment', 'sequence', 'step'].includes(card.graph)) return `no graph is called ${card.graph}`;
  if (card.sample_rate !== SAMPLE_RATE) return `sample_rate is ${card.sample_rate}, not ${SAMPLE_RATE}`;
  for (const key of ['segment_samples', 'hop_samples', 'window_segments', 'embedding_units']) {
    if (!isSize(card[key])) return `${key} is ${card[key]}`;
  }
  if (!Array.isArray(card.classes) || card.classes.length === 0 || !card.classes.every(isText)) return 'it names no artists';
  for (const key of ['network', 'dataset', 'split']) {
    if (card[key] === null || typeof card[key] !== 'object') return `${key} is missing`;
  }
  const { golden, confidence } = card;
  if (!Array.isArray(golden?.probabilities) || golden.probabilities.length !== card.classes.length || !(golden.tolerance > 0)) {
    return 'its golden answer does not fit its artists';
  }
  if (!Number.isInteger(golden.input?.seed) || !isSize(golden.input?.samples)) return 'its golden input is missing';
  if (confidence != null && !(confidence.temperature >= 1 / 20 && confidence.temperature <= 20)) {
    return `a temperature of ${confidence.temperature}`;
  }
  if (confidence != null && !(confidence.threshold >= 0 && confidence.threshold <= 1)) {
    return `a threshold of ${confidence.threshold}`;
  }
  return null;
}
