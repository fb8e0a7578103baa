// Names the artist of a recording with a file of leitmotif-export and onnxruntime-node alone.
//
//     npm install onnxruntime-node
//     node recognize.mjs MODEL.onnx SONG.wav     16-bit mono at 16 kHz; MODEL.clip.onnx or MODEL.sequence.onnx
//     node recognize.mjs MODEL.onnx --check      does this program compute what the trainer did?
import { readFile } from 'node:fs/promises';
import ort from 'onnxruntime-node';

const SILENCE = 1e-4;

function fail(reason) {
  console.error(reason);
  process.exit(1);
}

/** The metadata of an .onnx file, which onnxruntime-node does not give: field 14 of its protobuf, pairs of key and value. */
function metadata(bytes) {
  const fields = (bytes) => {
    const found = [];
    let at = 0;
    const varint = () => {
      for (let value = 0, scale = 1; ; scale *= 128) {
        const byte = bytes[at++];
        if (byte === undefined) throw new Error('it ends too early');
        value += (byte & 127) * scale;
        if (byte < 128) return value;
      }
    };
    while (at < bytes.length) {
      const tag = varint();
      const kind = tag % 8;
      if (kind === 0) varint();
      else if (kind === 2) {
        const length = varint();
        found.push([Math.floor(tag / 8), bytes.subarray(at, (at += length))]);
      } else if (kind === 1 || kind === 5) at += kind === 1 ? 8 : 4;
      else throw new Error('it is no protobuf');
    }
    return found;
  };
  const text = (pair, number) => new TextDecoder().decode(pair.find(([field]) => field === number)?.[1]);
  const pairs = fields(bytes).filter(([number]) => number === 14);
  return Object.fromEntries(pairs.map(([, pair]) => fields(pair)).map((pair) => [text(pair, 1), text(pair, 2)]));
}

/** Samples in [-1, 1]. */
function readWav(path, bytes, rate) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const name = (at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || name(0) !== 'RIFF' || name(8) !== 'WAVE') fail(`${path}: no WAV file`);
  let format;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const [id, size] = [name(at), view.getUint32(at + 4, true)];
    const body = at + 8;
    if (id === 'fmt ' && body + 16 <= bytes.length)
      format = [view.getUint16(body, true), view.getUint16(body + 2, true), view.getUint32(body + 4, true), view.getUint16(body + 14, true)];
    if (id === 'data') {
      const convert = `ffmpeg -i SONG -ac 1 -af aresample=${rate}:filter_size=128:cutoff=0.99 -c:a pcm_s16le SONG.wav`;
      if (String(format) !== String([1, 1, rate, 16])) fail(`${path}: not 16-bit mono at ${rate} Hz; convert it: ${convert}`);
      const count = Math.floor(Math.min(size, bytes.length - body) / 2);
      return Float32Array.from({ length: count }, (_, i) => view.getInt16(body + 2 * i, true) / 32768);
    }
    at = body + size + (size % 2);
  }
  return fail(`${path}: a WAV file without samples`);
}

/** The noise that a card describes by a seed and a length. */
function goldenInput({ seed, samples }) {
  let state = seed;
  return Float32Array.from({ length: samples }, () => {
    state = (Math.imul(1664525, state) + 1013904223) | 0;
    return (0.1 * state) / 2 ** 31;
  });
}

/** The segments of each call, as ranges: of an LSTM a window, of a dense head as many as fit into memory. */
function* calls(card, segments) {
  const isLstm = card.graph === 'sequence';
  const most = Math.floor(card.max_seconds_per_call * card.sample_rate);
  const step = isLstm ? card.window_segments : Math.max(1, Math.floor((most - card.segment_samples) / card.hop_samples) + 1);
  for (let start = 0; start < segments; start += step) {
    const end = Math.min(start + step, segments);
    // A window that is not half full counts only if it is the only one.
    if (!isLstm || start === 0 || 2 * (end - start) >= step) yield [start, end];
  }
}

/** The network's own probabilities of the artists, and its certainty. */
async function recognize(session, card, samples) {
  const { hop_samples: hop, segment_samples: length, classes } = card;
  if (samples.length < length) fail(`${samples.length} samples are less than one segment of ${length}`);
  const output = card.graph === 'sequence' ? 'probabilities' : 'segment_probabilities';
  const probabilities = new Array(classes.length).fill(0);
  let [rows, certainty] = [0, 0];
  for (const [start, end] of calls(card, Math.floor((samples.length - length) / hop) + 1)) {
    const part = samples.slice(start * hop, (end - 1) * hop + length);
    const { [output]: found } = await session.run({ waveform: new ort.Tensor('float32', part, [1, part.length]) }, [output]);
    for (let at = 0; at < found.data.length; at += classes.length) {
      const row = found.data.subarray(at, at + classes.length);
      row.forEach((p, artist) => (probabilities[artist] += p));
      certainty += Math.max(...row);
      rows += 1;
    }
  }
  return { probabilities: probabilities.map((sum) => sum / rows), certainty: certainty / rows };
}

const [model, song, ...rest] = process.argv.slice(2);
if (!song || rest.length > 0) fail('node recognize.mjs MODEL.onnx SONG.wav|--check');
let card, session;
try {
  const bytes = await readFile(model);
  card = JSON.parse(metadata(bytes).leitmotif ?? '{}');
  session = await ort.InferenceSession.create(bytes);
} catch (error) {
  fail(`${model}: ${error.message}`);
}
if (!['clip', 'sequence'].includes(card.graph) || card.embedding_only || card.huggingface || card.fixed)
  fail(`${model}: no clip or sequence graph of leitmotif-export that takes recordings of any length`);

if (song === '--check') {
  const { input, probabilities: golden, tolerance } = card.golden;
  const found = (await recognize(session, card, goldenInput(input))).probabilities;
  const gap = Math.max(...found.map((p, artist) => Math.abs(p - golden[artist])));
  const verdict = gap <= tolerance ? 'passed' : 'failed';
  console.log(`${verdict}: largest difference to the golden answer ${gap.toExponential(1)}, ${tolerance.toExponential(0)} is allowed`);
  process.exit(verdict === 'failed' ? 1 : 0);
}

const samples = readWav(song, await readFile(song).catch((error) => fail(`${song}: ${error.message}`)), card.sample_rate);
let { probabilities, certainty } = await recognize(session, card, samples);
if (card.confidence) {
  const largest = Math.max(...probabilities);
  const powers = probabilities.map((p) => (p / largest) ** (1 / card.confidence.temperature));
  const sum = powers.reduce((a, b) => a + b);
  probabilities = powers.map((power) => power / sum);
  const peak = samples.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  if (certainty < card.confidence.threshold || peak < SILENCE) console.log('none of these artists');
}
const ranking = probabilities.map((p, artist) => [p, card.classes[artist]]).sort(([a], [b]) => b - a);
for (const [p, artist] of ranking) console.log(`${p.toFixed(6)}  ${artist}`);
