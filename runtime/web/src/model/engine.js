/**
 * Opens a model on the GPU by WebGPU where there is one, otherwise in WebAssembly; the bytes that were fetched serve both.
 * Each is held to the golden answer in the model's card before it is used.
 */
import { Recognition } from '../answer/recognition.js';
import { argmax } from '../answer/answer.js';
import { goldenSamples } from './golden.js';
import { Network } from './network.js';
import { fetchOnce } from './store.js';
import { Refusal } from '../refusal.js';
import { RUNTIMES } from '../site.js';

/**
 * A GPU rounds otherwise than the processor that made the golden answer; what it may differ is far below what moves a
 * percentage.
 */
const GPU_TOLERANCE = 1e-3;

/**
 * @typedef {object} OpenModel
 * @property {import('./card.js').Card} card
 * @property {Network} network
 * @property {'WebGPU' | 'WebAssembly'} engine
 * @property {string | null} note Why it is not WebGPU, where there is one.
 * @property {{ difference: number, tolerance: number, passed: boolean }} selfTest
 *
 * @typedef {(what: string, loaded: number, total: number) => void} OnProgress
 */

/** What was loaded of ONNX Runtime. @type {{ ort: import('./network.js').Ort, provider: 'wasm' | 'webgpu' } | null} */
let loaded = null;

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {import('./card.js').Card} card
 * @param {string} file
 * @param {{ gpu: boolean, onProgress: OnProgress }} options
 * @returns {Promise<OpenModel>}
 */
export async function openModel(bytes, card, file, { gpu, onProgress }) {
  loaded ??= await loadRuntime(gpu, onProgress);
  const { ort } = loaded;
  let note = null;
  if (loaded.provider === 'webgpu') {
    try {
      const network = await Network.open(ort, bytes, card, file, 'webgpu');
      const selfTest = await testOf(card, network, Math.max(GPU_TOLERANCE, card.golden.tolerance));
      if (selfTest.passed) return { card, network, engine: 'WebGPU', note, selfTest };
      await network.close();
      note = `WebGPU differs from the golden answer by ${selfTest.difference.toExponential(1)}`;
    } catch (error) {
      note = `WebGPU does not run it: ${error instanceof Error ? error.message : error}`;
    }
  }
  const network = await Network.open(ort, bytes, card, file, 'wasm');
  const selfTest = await testOf(card, network, card.golden.tolerance);
  if (!selfTest.passed) {
    await network.close();
    throw new Refusal(
      `${file} gives other answers in this browser than when it was trained: ${selfTest.difference.toExponential(1)}, where ${selfTest.tolerance.toExponential(1)} is allowed. Try another browser.`,
    );
  }
  return { card, network, engine: 'WebAssembly', note, selfTest };
}

/**
 * @param {boolean} gpu Whether WebGPU may be used.
 * @param {OnProgress} onProgress
 */
async function loadRuntime(gpu, onProgress) {
  const provider = gpu && (await hasGpu()) ? /** @type {const} */ ('webgpu') : /** @type {const} */ ('wasm');
  const binary = RUNTIMES[provider];
  const what = 'ONNX Runtime';
  const [ort, wasm] = await Promise.all([
    provider === 'webgpu' ? import('./engines/webgpu.js') : import('./engines/wasm.js'),
    fetchOnce(binary, what, (bytes) => onProgress(what, bytes, binary.bytes)),
  ]);
  ort.env.wasm.wasmBinary = wasm.buffer;
  // Threads would need headers that a plain file server does not send.
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  return { ort, provider };
}

async function hasGpu() {
  const gpu = /** @type {{ gpu?: { requestAdapter(): Promise<unknown> } }} */ (/** @type {unknown} */ (navigator)).gpu;
  const adapter = await gpu?.requestAdapter().catch(() => null);
  return adapter != null;
}

/**
 * Runs the golden input and compares with the golden probabilities, uncalibrated as these are.
 * @param {import('./card.js').Card} card
 * @param {Network} network
 * @param {number} tolerance
 */
async function testOf(card, network, tolerance) {
  const { golden } = card;
  const recognition = new Recognition(card, network, { name: 'the golden input', live: false });
  await recognition.push(goldenSamples(golden.input));
  const { uncalibrated } = await recognition.finish();
  const difference = Math.max(...uncalibrated.map((p, i) => Math.abs(p - golden.probabilities[i])));
  const passed = difference <= tolerance && argmax(uncalibrated) === argmax(golden.probabilities);
  return { difference, tolerance, passed };
}
