// The rates that files state: those of the crate's test data, and headers that end early.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { formatOf } from '../src/audio/format.js';

const FILES = {
  'cbr.mp3': ['MP3', 44_100, 2],
  'vbr.mp3': ['MP3', 48_000, 2],
  'cover.mp3': ['MP3', 44_100, 2],
  'mpeg2.mp3': ['MP3', 22_050, 1],
  'mtat.mp3': ['MP3', 16_000, 1],
  'lc.aac': ['AAC', 44_100, 2],
  'lc.m4a': ['MP4', 44_100, 2],
  'lossless.m4a': ['MP4', 22_050, 1],
  'mono.ogg': ['Ogg Vorbis', 22_050, 1],
  'stereo.ogg': ['Ogg Vorbis', 44_100, 2],
  'stereo.opus': ['Ogg Opus', 48_000, 2],
  's16.flac': ['FLAC', 44_100, 2],
  'flac.oga': ['FLAC', 16_000, 1],
  's16.aiff': ['AIFF', 16_000, 1],
};
/** Frames, and those of Opus before them. @type {Record<string, [number, number]>} */
const ENDS = { 'mono.ogg': [44_100, 0], 'stereo.ogg': [88_200, 0], 'stereo.opus': [96_000, 312] };
/** @param {string} name */
const audio = async (name) => new Uint8Array(await readFile(new URL(`../../tests/data/audio/${name}`, import.meta.url)));

for (const [name, [container, rate, channels]] of Object.entries(FILES)) {
  test(`${name} states its rate`, async () => {
    const found = formatOf(await audio(name));
    assert.deepEqual([found.container, found.rate, found.channels, found.floats], [container, rate, channels, false]);
  });
}

test('WAV states its rate, and whether it holds floats', () => {
  const wave = (/** @type {number} */ kind, /** @type {number} */ inner) => {
    const view = new DataView(new ArrayBuffer(80));
    const text = (/** @type {number} */ at, /** @type {string} */ word) => [...word].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    text(0, 'RIFF');
    text(8, 'WAVE');
    text(12, 'JUNK');
    view.setUint32(16, 3, true);
    text(24, 'fmt ');
    view.setUint32(28, 40, true);
    view.setUint16(32, kind, true);
    view.setUint16(34, 2, true);
    view.setUint32(36, 48_000, true);
    view.setUint16(56, inner, true);
    return formatOf(new Uint8Array(view.buffer));
  };
  assert.deepEqual(wave(1, 0), { container: 'WAV', rate: 48_000, channels: 2, floats: false, frames: null, preSkip: 0 });
  assert.equal(wave(3, 0).floats, true);
  assert.equal(wave(0xfffe, 3).floats, true);
  assert.equal(wave(0xfffe, 1).floats, false);
});

test('what ends early or is no audio states nothing', async () => {
  for (const name of Object.keys(FILES)) {
    const bytes = await audio(name);
    for (let length = 0; length < 300; length += 7) formatOf(bytes.subarray(0, length));
  }
  assert.equal(formatOf(new TextEncoder().encode('a text, not audio, and long enough for any header')).rate, null);
});

test('Ogg states how many frames it has, and Opus what comes before them', async () => {
  for (const [name, [frames, preSkip]] of Object.entries(ENDS)) {
    const found = formatOf(await audio(name));
    assert.deepEqual([found.frames, found.preSkip], [frames, preSkip], name);
  }
  // The last page of another stream, as where recordings follow each other.
  const chained = Buffer.from(await audio('mono.ogg'));
  chained.writeUInt32LE(chained.readUInt32LE(14) + 1, chained.lastIndexOf('OggS') + 14);
  assert.equal(formatOf(new Uint8Array(chained)).frames, null);
});
