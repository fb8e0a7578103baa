/** A model's graph in ONNX Runtime Web: the only file that knows its sessions and tensors. */
import { Refusal } from '../refusal.js';

/** @typedef {typeof import('onnxruntime-web')} Ort */
/** @typedef {import('./card.js').Card} Card */
/** @typedef {import('../answer/recognition.js').Runner} Runner */
/** @typedef {import('../answer/recognition.js').State} State */

/** @implements {Runner} */
export class Network {
  /**
   * @param {Ort} ort
   * @param {import('onnxruntime-web').InferenceSession} session
   * @param {Card} card
   * @param {string} file
   * @private
   */
  constructor(ort, session, card, file) {
    this.ort = ort;
    this.session = session;
    this.card = card;
    this.file = file;
  }

  /**
   * @param {Ort} ort
   * @param {Uint8Array} bytes Of the `.onnx` file.
   * @param {Card} card
   * @param {string} file Its name, for errors.
   * @param {'wasm' | 'webgpu'} provider
   */
  static async open(ort, bytes, card, file, provider) {
    let session;
    try {
      session = await ort.InferenceSession.create(bytes, { executionProviders: [provider], logSeverityLevel: 3 });
    } catch (error) {
      throw new Refusal(`${file} is not a network that ONNX Runtime accepts (${firstLine(error)}): fetch or export it again.`);
    }
    const network = new Network(ort, session, card, file);
    try {
      network.checkPorts();
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  /** Whether the graph has the inputs and outputs that its card promises. */
  checkPorts() {
    const isStep = this.card.graph === 'step';
    const inputs = isStep ? ['waveform', 'h', 'c'] : ['waveform'];
    const outputs = isStep ? ['probabilities', 'h_next', 'c_next'] : [this.rows()];
    const wrong =
      inputs.find((name) => !this.session.inputNames.includes(name)) ??
      outputs.find((name) => !this.session.outputNames.includes(name)) ??
      this.session.inputNames.find((name) => !inputs.includes(name));
    if (wrong !== undefined) throw new Refusal(`${this.file} does not match its card (\`${wrong}\`): export it again.`);
  }

  /**
   * @param {Float32Array<ArrayBuffer>} samples Exactly so many segments.
   * @param {number} segments
   */
  async run(samples, segments) {
    const { Tensor } = this.ort;
    const classes = this.card.classes.length;
    const outputs = await this.call({ waveform: new Tensor('float32', samples, [1, samples.length]) }, [this.rows()]);
    return this.probabilities(outputs[this.rows()], segments * classes);
  }

  /**
   * @param {Float32Array<ArrayBuffer>} segment
   * @param {State | null} state
   */
  async step(segment, state) {
    const { Tensor } = this.ort;
    const units = this.card.embedding_units;
    const { h, c } = state ?? { h: new Float32Array(units), c: new Float32Array(units) };
    const feeds = {
      waveform: new Tensor('float32', segment, [1, segment.length]),
      h: new Tensor('float32', h, [1, units]),
      c: new Tensor('float32', c, [1, units]),
    };
    const outputs = await this.call(feeds, ['probabilities', 'h_next', 'c_next']);
    const row = await this.probabilities(outputs.probabilities, this.card.classes.length);
    const [h_next, c_next] = await Promise.all([outputs.h_next.getData(), outputs.c_next.getData()]);
    return { row, state: { h: Float32Array.from(/** @type {Float32Array} */ (h_next)), c: Float32Array.from(/** @type {Float32Array} */ (c_next)) } };
  }

  async close() {
    await this.session.release().catch(() => {});
  }

  /** The output with a row of probabilities for each segment. @private */
  rows() {
    return this.card.graph === 'clip' || this.card.graph === 'sequence' ? 'segment_probabilities' : 'probabilities';
  }

  /**
   * @param {Record<string, import('onnxruntime-web').Tensor>} feeds
   * @param {string[]} outputs
   * @private
   */
  async call(feeds, outputs) {
    try {
      return await this.session.run(feeds, outputs);
    } catch (error) {
      throw new Refusal(`${this.file} could not be run (${firstLine(error)}): reload this page, or export the model again.`);
    }
  }

  /**
   * @param {import('onnxruntime-web').Tensor} tensor
   * @param {number} expected Values.
   * @private
   */
  async probabilities(tensor, expected) {
    const values = await tensor.getData();
    if (!(values instanceof Float32Array) || values.length !== expected) {
      throw new Refusal(`${this.file} does not match its card (${values.length} probabilities for ${expected}): export it again.`);
    }
    // The graph's softmax rounds, so a probability may slightly exceed one.
    const broken = values.find((value) => !(value >= 0 && value <= 1.001));
    if (broken !== undefined) throw new Refusal(`${this.file} gave ${broken} as a probability: its weights are broken, export it again.`);
    return values.slice();
  }
}

/** @param {unknown} error */
function firstLine(error) {
  const [line] = String(error instanceof Error ? error.message : error).trim().split('\n');
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}
