/** The audio worklet: passes what the microphone gives to the page, in pieces of about a fifth of a second. */

/**
 * @typedef {{ port: MessagePort }} Processor
 * @typedef {{ AudioWorkletProcessor: new () => Processor, registerProcessor: (name: string, type: unknown) => void, sampleRate: number }} Scope
 */
const { AudioWorkletProcessor, registerProcessor, sampleRate } = /** @type {Scope} */ (/** @type {unknown} */ (globalThis));

class Recorder extends AudioWorkletProcessor {
  constructor() {
    super();
    this.size = Math.round(sampleRate / 5);
    this.piece = new Float32Array(this.size);
    this.filled = 0;
  }

  /**
   * @param {Float32Array[][]} inputs
   * @returns {boolean} Whether to go on.
   */
  process([channels]) {
    const [first] = channels;
    if (first === undefined) return true;
    for (let i = 0; i < first.length; i++) {
      let sum = 0;
      for (const channel of channels) sum += channel[i];
      this.piece[this.filled++] = sum / channels.length;
      if (this.filled < this.size) continue;
      this.port.postMessage(this.piece, [this.piece.buffer]);
      // What was posted is the page's, and of no length here.
      this.piece = new Float32Array(this.size);
      this.filled = 0;
    }
    return true;
  }
}

registerProcessor('recorder', Recorder);
