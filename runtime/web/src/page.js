/** The page: what is chosen, dropped or recorded goes to the worker, and what it answers is shown. */
import { showCard } from './page/card_view.js';
import { Cancelled, Client } from './page/client.js';
import { channelsOf, decode } from './page/decode.js';
import { element, typed } from './page/element.js';
import { clock, megabytes } from './page/format.js';
import { Microphone } from './page/microphone.js';
import { Player } from './page/player.js';
import { Ranking, inWords } from './page/ranking.js';
import { Spectrogram } from './page/spectrogram.js';
import { Timeline } from './page/timeline.js';
import { Refusal } from './refusal.js';

/** Seconds that the worker is given at once: between two pieces the page shows progress, or another song takes over. */
const PIECE_SECONDS = 10;
/** A recording ends by itself: it is kept, to be played. */
const MOST_RECORDED_SECONDS = 3_600;
/** Largest model: the page holds it in memory, and so does ONNX Runtime. */
const MOST_MODEL_BYTES = 1_000_000_000;

/** @typedef {import('./answer/answer.js').Answer} Answer */

// ?gpu=off leaves WebGPU out; ?decode-rate=16000 has the browser resample, to measure how much that changes.
const settings = new URLSearchParams(location.search);
const gpu = settings.get('gpu') !== 'off';
const decodeRate = Number(settings.get('decode-rate')) || null;

const timeline = new Timeline();
const spectrogram = new Spectrogram();
const ranking = new Ranking();
const player = new Player((seconds) => timeline.at(seconds));
const client = new Client({ progress: showLoading, ready: showReady, kept: keepForOffline, refused: modelRefused });

/** @type {import('./protocol.js').Ready | null} */
let model = null;
/** What was chosen before the model was ready. @type {(() => void) | null} */
let queued = null;
/** The microphone that records. @type {Microphone | null} */
let microphone = null;
/** Whether the browser asks for the microphone. */
let opening = false;
/** The song that was chosen last, which another model recognises anew. @type {File | null} */
let song = null;
/** @type {{ name: string, answer: Answer } | null} */
let shown = null;
/** Counts what was chosen, so that nothing slow overtakes a later choice. */
let choice = 0;

// ---- what is chosen ----

/**
 * Ends what was chosen before. Whoever waits compares the number afterwards.
 * @returns {number} That of this choice.
 */
function choose() {
  hideError();
  microphone?.stop();
  client.cancel();
  return ++choice;
}

/** @param {File} file */
function open(file) {
  if (file.name.toLowerCase().endsWith('.onnx')) openModel(file);
  else whenReady(() => recogniseFile(file));
}

/** @param {() => void} action */
function whenReady(action) {
  if (model !== null) return action();
  choose();
  queued = action;
}

/** @param {File} file */
async function openModel(file) {
  hideError();
  if (file.size > MOST_MODEL_BYTES) {
    return showError(`${file.name} has ${megabytes(file.size)}, more than a browser can hold: use the command leitmotif recognize.`);
  }
  const mine = choose();
  busy(`Opening ${file.name}…`, null);
  try {
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (mine === choice) client.load({ name: file.name, bytes }, gpu);
  } catch {
    if (mine !== choice) return;
    idle();
    showError(`${file.name} cannot be read: check that it is still there and that you may read it.`);
  }
}

/** @param {File} file */
async function recogniseFile(file) {
  const mine = choose();
  song = file;
  clearResult();
  busy(`Decoding ${file.name}…`, null);
  try {
    const decoded = await decode(file, decodeRate);
    if (mine !== choice) return;
    const answer = await recognise(file.name, decoded);
    idle();
    player.open(file, decoded.buffer.duration);
    showAnswer(file.name, answer, decoded.note);
  } catch (error) {
    if (mine !== choice) return;
    song = null;
    failed(error);
  }
}

/**
 * @param {string} name
 * @param {import('./page/decode.js').Decoded} decoded
 */
async function recognise(name, { buffer, gain, lead, frames }) {
  const { sampleRate: rate, duration } = buffer;
  const channels = channelsOf(buffer);
  const job = client.begin({ name, rate, gain, live: false });
  if (lead > 0) await client.samples(job, channels.map(() => new Float32Array(lead)));
  for (let start = 0; start < frames; start += PIECE_SECONDS * rate) {
    const end = Math.min(start + PIECE_SECONDS * rate, frames);
    const { columns, seconds } = await client.samples(job, channels.map((channel) => channel.slice(start, end)));
    spectrogram.add(columns, duration);
    busy(`Recognising ${name}: ${clock(seconds)} of ${clock(duration)}`, seconds / duration);
  }
  const { answer, columns } = await client.end(job);
  spectrogram.add(columns, duration);
  return answer;
}

async function useMicrophone() {
  const mine = choose();
  song = null;
  clearResult();
  try {
    const opened = await openMicrophone();
    // The question may stand long: what was chosen since goes first.
    if (mine === choice) await record(opened, mine);
    else opened.stop();
  } catch (error) {
    if (mine === choice) failed(error);
  }
}

async function openMicrophone() {
  opening = true;
  element('microphone').setAttribute('aria-disabled', 'true');
  try {
    return await Microphone.open();
  } finally {
    opening = false;
    element('microphone').removeAttribute('aria-disabled');
  }
}

/**
 * @param {Microphone} recorder
 * @param {number} mine The choice that it is.
 */
async function record(recorder, mine) {
  const name = 'The recording';
  const { rate } = recorder;
  microphone = recorder;
  showRecording(true);
  busy('Recording…', null);
  try {
    const job = client.begin({ name, rate, gain: 1, live: true });
    let seconds = 0;
    /** @type {import('./answer/answer.js').Moment[]} */
    const moments = [];
    for (let fresh = await recorder.next(); fresh !== null; fresh = await recorder.next()) {
      seconds += fresh.length / rate;
      const piece = await client.samples(job, [fresh]);
      moments.push(...piece.moments);
      spectrogram.add(piece.columns, seconds);
      player.setLength(seconds);
      busy(`Recording: ${clock(seconds)}`, null);
      if (piece.answer !== null) drawAnswer(name, { ...piece.answer, timeline: moments }, null);
      if (seconds > MOST_RECORDED_SECONDS) recorder.stop();
    }
    const { answer, columns } = await client.end(job);
    spectrogram.add(columns, seconds);
    idle();
    showAnswer(name, answer, null);
    // An hour takes a moment to become a file: the answer is drawn before.
    await new Promise((resolve) => setTimeout(resolve));
    if (mine === choice) player.open(recorder.file(), answer.seconds);
  } finally {
    recorder.stop();
    if (microphone === recorder) {
      microphone = null;
      showRecording(false);
    }
  }
}

function pressMicrophone() {
  if (opening) return;
  if (microphone === null) whenReady(useMicrophone);
  else microphone.stop();
}

async function playExample() {
  const { example } = BUILD;
  if (example === null) return;
  const mine = choose();
  song = null;
  queued = null;
  busy('Fetching the example…', null);
  try {
    const response = await fetch(new URL(example.url, import.meta.url));
    if (!response.ok) throw new Error(String(response.status));
    const file = new File([await response.blob()], example.name);
    if (mine === choice) open(file);
  } catch {
    if (mine !== choice) return;
    idle();
    showError('The example could not be fetched: check the connection to the server of this page.');
  }
}

// ---- what is shown ----

/**
 * @param {string} name
 * @param {Answer} answer
 * @param {string | null} note
 */
function showAnswer(name, answer, note) {
  drawAnswer(name, answer, note);
  timeline.describe();
  shown = { name, answer };
  element('save').hidden = false;
  element('table-details').hidden = false;
  const { verdict, explanation } = inWords(answer);
  element('status').textContent = `${verdict}. ${explanation}`;
}

/**
 * @param {string} name
 * @param {Answer} answer
 * @param {string | null} note
 */
function drawAnswer(name, answer, note) {
  const { verdict, explanation } = inWords(answer);
  element('recording').textContent = [name, clock(answer.seconds), note].filter((part) => part !== null).join(' · ');
  element('verdict').textContent = verdict;
  element('explanation').textContent = explanation;
  element('result').hidden = false;
  ranking.show(answer);
  const order = answer.artists.map((artist) => artist.class);
  timeline.show(answer.timeline, model?.card.classes ?? [], answer.seconds, order);
  player.setLength(answer.seconds);
}

function clearResult() {
  shown = null;
  player.close();
  spectrogram.clear();
  for (const id of ['result', 'save', 'table-details']) element(id).hidden = true;
  element('status').textContent = '';
}

/** @param {import('./protocol.js').Progress} progress */
function showLoading({ what, loaded, total }) {
  if (total === 0) return busy(`${what}…`, null);
  busy(`Loading ${what === 'The model' ? 'the model' : what}: ${megabytes(loaded)} of ${megabytes(total)}`, loaded / total);
}

/** @param {import('./protocol.js').Ready} ready */
function showReady(ready) {
  model = ready;
  idle();
  clearResult();
  showCard(ready);
  element('engine').textContent = `ONNX Runtime Web ${BUILD.onnxRuntime}, ${ready.engine}${ready.note === null ? '' : ` (${ready.note})`}`;
  element('model-line').hidden = false;
  showModelName();
  const again = song;
  const action = queued ?? (again === null ? null : () => recogniseFile(again));
  queued = null;
  action?.();
}

/** @param {string} message */
function modelRefused(message) {
  idle();
  showError(model === null ? message : `${message} ${model.card.name} stays in use.`);
}

/** @param {boolean} records */
function showRecording(records) {
  element('microphone').textContent = records ? 'Stop the microphone' : 'Use the microphone';
  element('microphone').classList.toggle('live', records);
}

function showModelName() {
  const text = model === null ? 'There is no model: choose an .onnx file.' : `Model: ${model.card.name}, ${model.card.classes.length} artists`;
  element('model-state').textContent = text;
}

/**
 * @param {string} what
 * @param {number | null} share
 */
function busy(what, share) {
  element('model-state').textContent = what;
  const progress = typed('progress', HTMLProgressElement);
  progress.hidden = false;
  if (share === null) progress.removeAttribute('value');
  else progress.value = share;
}

function idle() {
  element('progress').hidden = true;
  showModelName();
}

/** @param {unknown} error */
function failed(error) {
  if (error instanceof Cancelled) return;
  idle();
  clearResult();
  showError(error instanceof Refusal ? error.message : `This page failed (${error}): reload it.`);
}

/** @param {string} message */
function showError(message) {
  element('error').textContent = message;
  element('error').hidden = false;
}

function hideError() {
  element('error').hidden = true;
  element('error').textContent = '';
}

function save() {
  if (shown === null || model === null) return;
  const { answer, name } = shown;
  const { uncalibrated, timeline: moments, ...rest } = answer;
  const content = {
    version: 1,
    file: name,
    model: model.card.name,
    weights: model.card.weights_sha256.slice(0, 16),
    unknown: rest.unknown,
    silent: rest.silent,
    artists: rest.artists,
    certainty: rest.certainty,
    min_certainty: rest.minCertainty,
    seconds: rest.seconds,
    used_seconds: rest.usedSeconds,
    segments: rest.segments,
    timeline: moments.map(({ start, end, window, probabilities }) => ({
      start_seconds: start,
      end_seconds: end,
      window,
      probabilities: [...probabilities],
    })),
  };
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(content, null, 1)], { type: 'application/json' }));
  link.download = `${name}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// ---- what is pressed and dropped ----

const input = typed('file', HTMLInputElement);
element('choose').addEventListener('click', () => input.click());
input.addEventListener('change', () => {
  const [file] = input.files ?? [];
  // The same file may be chosen again.
  if (file) open(file);
  input.value = '';
});
element('microphone').addEventListener('click', pressMicrophone);
element('example').addEventListener('click', playExample);
element('example').hidden = BUILD.example === null;
element('save').addEventListener('click', save);

let depth = 0;
const setDropping = (/** @type {number} */ change) => {
  depth = Math.max(0, depth + change);
  document.body.classList.toggle('dropping', depth > 0);
};
document.addEventListener('dragenter', () => setDropping(1));
document.addEventListener('dragleave', () => setDropping(-1));
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  setDropping(-depth);
  const [file] = event.dataTransfer?.files ?? [];
  if (file) open(file);
});

/** @param {boolean} complete Whether the large files are kept. */
async function keepForOffline(complete) {
  const state = element('offline');
  if (!('serviceWorker' in navigator)) return;
  try {
    await navigator.serviceWorker.register(new URL('service_worker.js', import.meta.url), { scope: './' });
    await navigator.serviceWorker.ready;
    if (!complete) throw new Error('not all files are kept');
    state.textContent = 'This page works offline from now on.';
  } catch {
    state.textContent = 'This browser does not keep the page for use offline.';
  }
}

client.load(null, gpu);
