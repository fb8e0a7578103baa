/** Live audio from the microphone, and what was recorded as a file to play. */
import { Refusal } from '../refusal.js';
import { sixteenBits, wave } from './wave.js';

export class Microphone {
  /**
   * @param {MediaStream} stream
   * @param {AudioContext} context
   * @param {AudioWorkletNode} node
   * @private
   */
  constructor(stream, context, node) {
    this.rate = context.sampleRate;
    /** @private */
    this.stream = stream;
    /** @private */
    this.context = context;
    /** @private With 16 bits a sample. @type {Int16Array<ArrayBuffer>[]} */
    this.recorded = [];
    /** @private @type {Float32Array<ArrayBuffer>[]} */
    this.fresh = [];
    /** @private @type {(() => void) | null} */
    this.wake = null;
    /** @private */
    this.ended = false;
    node.port.onmessage = ({ data }) => {
      this.recorded.push(sixteenBits(data));
      this.fresh.push(data);
      this.wake?.();
    };
    for (const track of stream.getTracks()) track.addEventListener('ended', () => this.stop());
  }

  static async open() {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Refusal('This browser gives no microphone to this page: open the page by https or on localhost.');
    }
    // What makes speech clear would change the music.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    const stream = await navigator.mediaDevices.getUserMedia({ audio }).catch((error) => {
      throw new Refusal(reasonOf(error));
    });
    const context = new AudioContext();
    try {
      await context.audioWorklet.addModule(new URL('recorder.js', import.meta.url).href);
      await context.resume();
      const node = new AudioWorkletNode(context, 'recorder', { numberOfOutputs: 0 });
      context.createMediaStreamSource(stream).connect(node);
      return new Microphone(stream, context, node);
    } catch {
      stream.getTracks().forEach((track) => track.stop());
      await context.close();
      throw new Refusal('The microphone cannot be recorded in this browser: choose a file instead.');
    }
  }

  /**
   * What came since the last call, at once; `null` after the end.
   * @returns {Promise<Float32Array<ArrayBuffer> | null>}
   */
  async next() {
    while (this.fresh.length === 0) {
      if (this.ended) return null;
      await new Promise((/** @type {(value?: undefined) => void} */ resolve) => (this.wake = resolve));
    }
    return joined(this.fresh.splice(0));
  }

  stop() {
    if (this.ended) return;
    this.ended = true;
    this.stream.getTracks().forEach((track) => track.stop());
    this.context.close();
    this.wake?.();
  }

  /** What was recorded, as WAV with 16 bits. */
  file() {
    return wave(this.recorded, this.rate);
  }
}

/** @param {Float32Array[]} pieces */
function joined(pieces) {
  const all = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** @param {unknown} error */
function reasonOf(error) {
  switch (error instanceof DOMException ? error.name : '') {
    case 'NotAllowedError':
      return 'The microphone may not be used: allow it for this page in the browser, then try again.';
    case 'NotFoundError':
      return 'There is no microphone: connect one, or choose a file.';
    default:
      return 'The microphone does not start: check that no other program holds it, or choose a file.';
  }
}
