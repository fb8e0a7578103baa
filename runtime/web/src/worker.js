/** Off the main thread: opens models, resamples, and runs the network. */
import { Mixer } from './audio/mix.js';
import { Resampler } from './audio/resample.js';
import { Spectrum } from './audio/spectrum.js';
import { Recognition } from './answer/recognition.js';
import { SAMPLE_RATE, readCard } from './model/card.js';
import { openModel } from './model/engine.js';
import { areKept, fetchOnce, forgetOthers } from './model/store.js';
import { Refusal } from './refusal.js';
import { MODEL, RUNTIMES } from './site.js';

/** @typedef {import('./protocol.js').Request} Request */
/** @typedef {import('./protocol.js').Reply} Reply */

/** @type {import('./model/engine.js').OpenModel | null} */
let model = null;
/** The recording that is recognised. @type {Job | null} */
let current = null;

/** The way of one recording's samples. */
class Job {
  /**
   * @param {import('./protocol.js').Begin} begin
   * @param {import('./model/engine.js').OpenModel} open
   */
  constructor({ job, name, rate, gain, live }, open) {
    this.number = job;
    this.live = live;
    this.gain = gain;
    this.mixer = new Mixer();
    this.resampler = new Resampler(rate, SAMPLE_RATE);
    this.spectrum = new Spectrum();
    this.recognition = new Recognition(open.card, open.network, { name, live });
    this.samples = 0;
  }

  /** @param {Float32Array<ArrayBuffer>[]} channels */
  async push(channels) {
    const mono = this.mixer.mix(channels);
    if (this.gain !== 1) for (let i = 0; i < mono.length; i++) mono[i] *= this.gain;
    const samples = this.resampler.push(mono);
    const moments = await this.recognition.push(samples);
    this.samples += samples.length;
    const columns = this.spectrum.push(samples);
    const sofar = this.live && moments.length > 0 ? this.recognition.answer() : null;
    // The page has the earlier segments: what is sent does not grow with the recording.
    const answer = sofar === null ? null : { ...sofar, timeline: [] };
    send({ type: 'piece', job: this.number, moments, columns, seconds: this.samples / SAMPLE_RATE, answer });
  }

  async finish() {
    const samples = this.resampler.finish();
    await this.recognition.push(samples);
    const answer = await this.recognition.finish();
    send({ type: 'answer', job: this.number, answer, columns: this.spectrum.push(samples) });
  }
}

/** @param {Request} request */
async function serve(request) {
  switch (request.type) {
    case 'load':
      return load(request);
    case 'begin':
      if (model === null) throw new Refusal('There is no model yet: wait until it is loaded, or choose one.');
      current = new Job(request, model);
      return;
    case 'samples':
      return jobOf(request).push(request.channels);
    case 'end':
      return jobOf(request).finish();
    case 'cancel':
      current = null;
  }
}

/**
 * The page waits for a reply: one of a recording that has ended is refused.
 * @param {{ job: number }} request
 */
function jobOf({ job }) {
  if (current?.number === job) return current;
  throw new Refusal('This recording has ended: begin it again.');
}

/** @param {import('./protocol.js').Load} request */
async function load({ gpu, model: given }) {
  /** @type {import('./model/engine.js').OnProgress} */
  const onProgress = (what, loaded, total) => send({ type: 'progress', what, loaded, total });
  const file = given?.name ?? MODEL.name;
  const bytes = given?.bytes ?? (await fetchOnce(MODEL, 'The model', (loaded) => onProgress('The model', loaded, MODEL.bytes)));
  const card = readCard(bytes, file);
  const opened = await openModel(bytes, card, file, { gpu, onProgress });
  await model?.network.close();
  model = opened;
  const { engine, note, selfTest } = opened;
  send({ type: 'ready', card, file, engine, note, selfTest });
  // Not waited for: recordings go first.
  if (given === null) keepForOffline(engine).catch(() => send({ type: 'kept', complete: false }));
}

/**
 * Keeps also what a visit without a network may need: the GPU may be gone, or `?gpu=off` be asked for.
 * @param {'WebGPU' | 'WebAssembly'} engine The one that is used.
 */
async function keepForOffline(engine) {
  await forgetOthers([MODEL, ...Object.values(RUNTIMES)]);
  const used = engine === 'WebGPU' ? [MODEL, RUNTIMES.webgpu] : [MODEL];
  if ((await areKept(used)) && !(await areKept([RUNTIMES.wasm]))) await fetchOnce(RUNTIMES.wasm, 'ONNX Runtime', () => {});
  send({ type: 'kept', complete: await areKept([...used, RUNTIMES.wasm]) });
}

/** @param {Reply} reply */
function send(reply) {
  postMessage(reply);
}

// One request after the other: a network runs one call at a time.
let last = Promise.resolve();
self.addEventListener('message', (/** @type {MessageEvent<Request>} */ { data }) => {
  last = last.then(() =>
    serve(data).catch((error) => {
      const isJob = data.type === 'begin' || data.type === 'samples' || data.type === 'end';
      if (isJob && current?.number === data.job) current = null;
      const message = error instanceof Refusal ? error.message : `This page failed (${error?.message ?? error}): reload it.`;
      send({ type: 'refused', job: isJob ? data.job : null, message });
    }),
  );
});
