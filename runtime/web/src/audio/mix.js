/**
 * Channels to one: their mean, or the loudest alone where they cancel each other, as `runtime/src/audio/decode/mix.rs`
 * does. It decides over blocks of the same length as the packets of an MP3, since a browser does not show a file's own.
 */

/** Frames of a block. */
const BLOCK = 1_152;
/** Below this share of the channels' power, the mean is cancelled: −40 dB. */
const CANCELLED = 1e-4;
/** From this share on, it is audible again: −20 dB. */
const AUDIBLE = 1e-2;
/** Power of a channel below which sound is silent: −80 dB. */
const SILENT = 1e-8;

export class Mixer {
  constructor() {
    /** @private The channel that is taken alone. @type {number | null} */
    this.alone = null;
  }

  /**
   * @param {Float32Array[]} channels Of equal length.
   * @returns {Float32Array}
   */
  mix(channels) {
    const [first] = channels;
    if (first === undefined) return new Float32Array();
    if (channels.length === 1) return first;
    const mono = new Float32Array(first.length);
    for (let start = 0; start < mono.length; start += BLOCK) {
      const end = Math.min(start + BLOCK, mono.length);
      this.mixBlock(
        channels.map((channel) => channel.subarray(start, end)),
        mono.subarray(start, end),
      );
    }
    return mono;
  }

  /**
   * @param {Float32Array[]} channels
   * @param {Float32Array} mono
   * @private
   */
  mixBlock(channels, mono) {
    for (let i = 0; i < mono.length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      mono[i] = sum / channels.length;
    }
    const powers = channels.map(power);
    const channel = powers.reduce((sum, of) => sum + of, 0) / channels.length;
    if (channel > SILENT * mono.length) {
      const mean = power(mono);
      if (mean < CANCELLED * channel) this.alone ??= powers.indexOf(Math.max(...powers));
      else if (mean > AUDIBLE * channel) this.alone = null;
    }
    if (this.alone !== null) mono.set(channels[this.alone]);
  }
}

/** @param {Float32Array} samples */
function power(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  return sum;
}
