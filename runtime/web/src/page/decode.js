/** A file's samples at its own rate, by the browser's decoder. */
import { formatOf } from '../audio/format.js';
import { gainOf } from '../audio/level.js';
import { Refusal } from '../refusal.js';

/** A browser decodes a file as a whole, in memory: largest file, and largest result, in bytes. */
const MOST_BYTES = 512 * 2 ** 20;
const MOST_DECODED = 1_500_000_000;
/** Rate where the file's own is not known. */
const USUAL_RATE = 48_000;
const USUAL_CHANNELS = 2;
/** Padding of an encoder is at most a block of Vorbis. */
const MOST_PADDING = 8_192;
/** Frames that are looked at before the page may draw again. */
const AT_ONCE = 1 << 20;

/**
 * @typedef {object} Decoded
 * @property {AudioBuffer} buffer
 * @property {number} gain What samples are to be multiplied with: less than 1 for floats over full scale.
 * @property {number} lead Frames that the browser's decoder dropped at the start.
 * @property {number} frames Those of the buffer without padding at its end.
 * @property {string | null} note What differs from the file.
 */

/**
 * @param {File} file
 * @param {number | null} rate To have the browser resample instead, as one would without code of one's own.
 * @returns {Promise<Decoded>}
 */
export async function decode(file, rate) {
  if (file.size === 0) throw new Refusal(`${file.name} is empty: choose another file.`);
  if (file.size > MOST_BYTES) throw tooLarge(file, `it has ${megabytes(file.size)}, and ${megabytes(MOST_BYTES)} are the most`);
  const bytes = new Uint8Array(
    await file.arrayBuffer().catch(() => {
      throw new Refusal(`${file.name} cannot be read: check that it is still there and that you may read it.`);
    }),
  );
  const format = formatOf(bytes);
  const own = format.rate ?? USUAL_RATE;
  const seconds = await durationOf(file);
  if (seconds !== null && seconds * own * (format.channels ?? USUAL_CHANNELS) * 4 > MOST_DECODED) {
    throw tooLarge(file, `it is ${Math.round(seconds / 60)} minutes long`);
  }
  const context = contextOf(rate ?? own);
  const buffer = await context.decodeAudioData(bytes.buffer).catch(() => {
    throw new Refusal(`${file.name} is no audio that this browser can decode: use an MP3, Ogg, FLAC, WAV or M4A file.`);
  });
  const resampled = buffer.sampleRate !== own || format.rate === null;
  const note = resampled ? `decoded at ${buffer.sampleRate.toLocaleString('en')} Hz by the browser` : null;
  return { buffer, gain: format.floats ? await gainOfFloats(file, buffer) : 1, ...edges(buffer, format, resampled), note };
}

/**
 * What the browser's decoder makes of the start and end of Ogg. Chromium leaves the padding of Vorbis, and drops the pre-skip of
 * Opus twice: segments would lie 6.5 ms off.
 * @param {AudioBuffer} buffer
 * @param {import('../audio/format.js').Format} format
 * @param {boolean} resampled
 */
function edges(buffer, { frames, preSkip }, resampled) {
  const whole = { lead: 0, frames: buffer.length };
  if (frames === null || resampled) return whole;
  const more = buffer.length - frames;
  if (more > 0 && more <= MOST_PADDING) return { lead: 0, frames };
  return more < 0 && more === -preSkip ? { lead: preSkip, frames: buffer.length } : whole;
}

/** @param {number} rate */
function contextOf(rate) {
  try {
    return new OfflineAudioContext(1, 1, rate);
  } catch {
    // Not every browser decodes at every rate.
    return new OfflineAudioContext(1, 1, USUAL_RATE);
  }
}

/**
 * Seconds, as the browser's player finds them without decoding; `null` if it does not.
 * @param {File} file
 * @returns {Promise<number | null>}
 */
async function durationOf(file) {
  const url = URL.createObjectURL(file);
  const audio = new Audio();
  try {
    return await new Promise((resolve) => {
      audio.addEventListener('loadedmetadata', () => resolve(Number.isFinite(audio.duration) ? audio.duration : null));
      audio.addEventListener('error', () => resolve(null));
      audio.preload = 'metadata';
      audio.src = url;
    });
  } finally {
    audio.removeAttribute('src');
    URL.revokeObjectURL(url);
  }
}

/**
 * @param {File} file
 * @param {AudioBuffer} buffer
 */
async function gainOfFloats(file, buffer) {
  const channels = channelsOf(buffer);
  let peak = 0;
  for (let start = 0; start < buffer.length; start += AT_ONCE) {
    const end = Math.min(start + AT_ONCE, buffer.length);
    for (let i = start; i < end; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      if (!Number.isFinite(sum)) throw new Refusal(`${file.name} has a sample that is no number: write the file anew.`);
      peak = Math.max(peak, Math.abs(sum / channels.length));
    }
    await new Promise((resolve) => setTimeout(resolve));
  }
  const gain = gainOf(peak);
  if (gain !== null) return gain;
  throw new Refusal(`${file.name} has samples up to ${Math.round(peak).toLocaleString('en')}, where 1 is full scale: divide them, then write the file anew.`);
}

/** @param {AudioBuffer} buffer */
export function channelsOf(buffer) {
  return Array.from({ length: buffer.numberOfChannels }, (_, i) => buffer.getChannelData(i));
}

/**
 * @param {File} file
 * @param {string} why
 */
function tooLarge(file, why) {
  return new Refusal(`${file.name} is too large for a browser (${why}): cut it, or use the command leitmotif recognize.`);
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${Math.round(bytes / 2 ** 20).toLocaleString('en')} MB`;
}
