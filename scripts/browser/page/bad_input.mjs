// What cannot be used: one clear message each, and the page goes on.
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openModel, recognise } from './driver.mjs';

/** A WAV of silence, sparse on disk. */
function longWave(path, { rate, seconds }) {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + rate * seconds, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt16LE(1, 20);
  header.writeUInt16LE(1, 22);
  header.writeUInt32LE(rate, 24);
  header.writeUInt32LE(rate, 28);
  header.writeUInt16LE(1, 32);
  header.writeUInt16LE(8, 34);
  header.write('data', 36);
  header.writeUInt32LE(rate * seconds, 40);
  sparse(path, header, 44 + rate * seconds);
}

function sparse(path, start, length) {
  const file = openSync(path, 'w');
  writeSync(file, start);
  ftruncateSync(file, length);
  closeSync(file);
}

/** WAV of floats. */
function floatWave(path, samples) {
  const view = Buffer.alloc(44 + 4 * samples.length);
  view.write('RIFF', 0);
  view.writeUInt32LE(view.length - 8, 4);
  view.write('WAVEfmt ', 8);
  view.writeUInt32LE(16, 16);
  view.writeUInt16LE(3, 20);
  view.writeUInt16LE(1, 22);
  view.writeUInt32LE(16_000, 24);
  view.writeUInt32LE(64_000, 28);
  view.writeUInt16LE(4, 32);
  view.writeUInt16LE(32, 34);
  view.write('data', 36);
  view.writeUInt32LE(4 * samples.length, 40);
  samples.forEach((sample, i) => view.writeFloatLE(sample, 44 + 4 * i));
  writeFileSync(path, view);
}

export async function checkBadInput(tab, { data, check }) {
  const folder = mkdtempSync(join(tmpdir(), 'leitmotif-page-'));
  const at = (name) => join(folder, name);
  try {
    writeFileSync(at('empty.mp3'), '');
    writeFileSync(at('text.mp3'), 'This is a text, and no audio at all. '.repeat(100));
    writeFileSync(at('picture.png'), Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'));
    sparse(at('huge.wav'), Buffer.from('RIFF'), 600 * 2 ** 20);
    longWave(at('long.wav'), { rate: 48_000, seconds: 9_000 });
    floatWave(at('short.wav'), Array.from({ length: 10 }, () => 0.1));
    floatWave(at('integers.wav'), Array.from({ length: 160_000 }, (_, i) => 20_000 * Math.sin(i / 9)));
    const songs = [
      ['empty.mp3', /^empty\.mp3 is empty/],
      ['text.mp3', /^text\.mp3 is no audio that this browser can decode: use an MP3/],
      ['picture.png', /^picture\.png is no audio/],
      ['huge.wav', /^huge\.wav is too large for a browser \(it has 600 MB/],
      ['long.wav', /^long\.wav is too large for a browser \(it is 150 minutes long\)/],
      ['short.wav', /^short\.wav is 0\.0006\d s long, and this model needs at least/],
      ['integers.wav', /^integers\.wav has samples up to (19,9\d\d|20,000), where 1 is full scale/],
    ];
    for (const [name, message] of songs) {
      const { error } = await recognise(tab, at(name));
      check(message.test(error ?? ''), `${name}: ${error}`);
      check(!(await tab.isVisible('#result')), `${name} leaves a result`);
      console.log(`${name}: ${error}`);
    }
    const whole = readFileSync(join(data, 'tiny.clip.onnx'));
    const newer = Buffer.from(whole);
    newer.write('"version":3', newer.indexOf('"version":2'));
    writeFileSync(at('newer.onnx'), newer);
    writeFileSync(at('cut.onnx'), whole.subarray(0, whole.length / 2));
    // The card stands at the end: an unknown operator with a whole card.
    const broken = Buffer.from(whole);
    broken.write('Konv', broken.indexOf('Conv'));
    writeFileSync(at('broken.onnx'), broken);
    const other = Buffer.from(whole);
    other.write('"probabilities":[0.9', other.indexOf('"probabilities":['));
    writeFileSync(at('other-answers.onnx'), other);
    const models = [
      ['newer.onnx', /^newer\.onnx has a card of version 3, and this page reads versions up to 2/],
      ['cut.onnx', /^cut\.onnx is no leitmotif model/],
      ['broken.onnx', /^broken\.onnx is not a network that ONNX Runtime accepts/],
      ['other-answers.onnx', /^other-answers\.onnx gives other answers in this browser/],
    ];
    for (const [name, message] of models) {
      const error = await openModel(tab, at(name));
      check(message.test(error ?? '') && /tiny stays in use\.$/.test(error ?? ''), `${name}: ${error}`);
      console.log(`${name}: ${error}`);
    }
    const { answer } = await recognise(tab, join(data, 'audio/mtat.mp3'));
    check(answer?.segments > 0, 'after bad input, a song is still recognised');
  } finally {
    rmSync(folder, { recursive: true });
  }
}
