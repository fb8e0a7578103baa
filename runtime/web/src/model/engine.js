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
 * @typedef {(what: string, loaded: number, total: number) => void} OnProgress In bytes; a total of 0 is not known.
 */

/** Time for a GPU to compile the network and run the golden input: ONNX Runtime waits for ever for one that is lost. */
const GPU_SECONDS = 60;

/** Runtimes that were loaded. @type {Map<'wasm' | 'webgpu', Promise<import('./network.js').Ort>>} */
const runtimes = new Map();
/** Why WebGPU is used for no model any more; `null` while there is a GPU. @type {string | null} */
let gpuLost = null;

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {import('./card.js').Card} card
 * @param {string} file
 * @param {{ gpu: boolean, onProgress: OnProgress }} options Whether WebGPU may be used.
 * @returns {Promise<OpenModel>}
 */
export async function openModel(bytes, card, file, { gpu, onProgress }) {
  let note = gpu ? gpuLost : null;
  if (gpu && gpuLost === null && (await hasGpu())) {
    const ort = await runtime('webgpu', onProgress);
    onProgress('Testing the model on the GPU', 0, 0);
    const opened = await withGpu(ort, bytes, card, file);
    if ('network' in opened) return opened;
    note = opened.fault;
    // Another model may run there, unless the GPU is gone: ONNX Runtime takes no second one.
    if (opened.late || !(await hasGpu())) gpuLost = note;
  }
  const ort = await runtime('wasm', onProgress);
  onProgress('Testing the model', 0, 0);
  const network = await Network.open(ort, bytes, card, file, 'wasm');
  const selfTest = await testOf(card, network, card.golden.tolerance);
  if (selfTest.passed) return { card, network, engine: 'WebAssembly', note, selfTest };
  await network.close();
  throw new Refusal(
    `${file} gives other answers in this browser than when it was trained: ${selfTest.difference.toExponential(1)}, where ${selfTest.tolerance.toExponential(1)} is allowed. Try another browser.`,
  );
}

/**
 * The model on the GPU; what is wrong if it does not run there as it should, and whether there was no answer at all.
 * @param {import('./network.js').Ort} ort
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {import('./card.js').Card} card
 * @param {string} file
 * @returns {Promise<OpenModel | { fault: string, late: boolean }>}
 */
async function withGpu(ort, bytes, card, file) {
  const open = async () => {
    const network = await Network.open(ort, bytes, card, file, 'webgpu');
    const selfTest = await testOf(card, network, Math.max(GPU_TOLERANCE, card.golden.tolerance));
    if (selfTest.passed) return /** @type {OpenModel} */ ({ card, network, engine: 'WebGPU', note: null, selfTest });
    await network.close();
    throw new Error(`the golden answer differs by ${selfTest.difference.toExponential(1)}`);
  };
  let late = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const end = new Promise((_, reject) => {
    timer = setTimeout(() => {
      late = true;
      reject(new Error(`no answer in ${GPU_SECONDS} s`));
    }, 1_000 * GPU_SECONDS);
  });
  try {
    return /** @type {OpenModel} */ (await Promise.race([open(), end]));
  } catch (error) {
    // A refusal says what to do about a file, but the file may be fine: WebAssembly will say.
    return { fault: error instanceof Refusal ? 'WebGPU does not run it' : `WebGPU does not run it: ${error}`, late };
  } finally {
    clearTimeout(timer);
  }
}

/**
 * @param {'wasm' | 'webgpu'} kind
 * @param {OnProgress} onProgress
 */
function runtime(kind, onProgress) {
  const found = runtimes.get(kind) ?? loadRuntime(kind, onProgress);
  runtimes.set(kind, found);
  // What could not be fetched may be asked for again.
  found.catch(() => runtimes.delete(kind));
  return found;
}

/**
 * @param {'wasm' | 'webgpu'} kind
 * @param {OnProgress} onProgress
 * @returns {Promise<import('./network.js').Ort>}
 */
async function loadRuntime(kind, onProgress) {
  const binary = RUNTIMES[kind];
  const what = 'ONNX Runtime';
  const [ort, program] = await Promise.all([
    kind === 'webgpu' ? import('./engines/webgpu.js') : import('./engines/wasm.js'),
    fetchOnce(binary, what, (bytes) => onProgress(what, bytes, binary.bytes)),
  ]);
  ort.env.wasm.wasmBinary = program.buffer;
  // Threads would need headers that a plain file server does not send.
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = 'error';
  return ort;
}

/** Whether there is a GPU that gives a device: only then is the larger program fetched that can use it. */
async function hasGpu() {
  /** @typedef {{ destroy(): void }} Device */
  /** @typedef {{ requestDevice(): Promise<Device> }} Adapter */
  const { gpu } = /** @type {{ gpu?: { requestAdapter(): Promise<Adapter | null> } }} */ (/** @type {unknown} */ (navigator));
  try {
    const device = await (await gpu?.requestAdapter())?.requestDevice();
    device?.destroy();
    return device != null;
  } catch {
    return false;
  }
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
