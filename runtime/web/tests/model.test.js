// Cards and models of the repository, whole and broken.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { readCard } from '../src/model/card.js';
import { fields } from '../src/model/protobuf.js';
import { Refusal } from '../src/refusal.js';

/** @param {string} name */
const model = async (name) => new Uint8Array(await readFile(new URL(`../../${name}`, import.meta.url)));

/**
 * A model with another text in its card, of the same length, so that no length changes.
 * @param {string} from
 * @param {string} to
 */
async function changed(from, to) {
  assert.equal(from.length, to.length);
  const bytes = Buffer.from(await model('tests/data/tiny.clip.onnx'));
  const at = bytes.indexOf(from, bytes.indexOf('"weights_sha256"') < 0 ? 0 : bytes.indexOf('{"version"'));
  assert.ok(at > 0, from);
  bytes.write(to, at, 'utf8');
  return new Uint8Array(bytes);
}

/**
 * @param {Uint8Array} bytes
 * @param {RegExp} message
 */
function refuses(bytes, message) {
  assert.throws(
    () => readCard(bytes, 'a.onnx'),
    (error) => error instanceof Refusal && error.message.startsWith('a.onnx ') && message.test(error.message),
  );
}

test('the card of each graph is found behind it', async () => {
  for (const graph of ['clip', 'segment', 'sequence', 'step']) {
    const card = readCard(await model(`tests/data/tiny.${graph}.onnx`), 'tiny');
    assert.equal(card.graph, graph);
    assert.equal(card.classes.length, card.golden.probabilities.length);
  }
  const zoo = readCard(await model('../models/zoo/game-music.clip.onnx'), 'zoo');
  assert.equal(zoo.classes.length, 9);
  assert.ok(zoo.confidence);
});

test('a model of another version is named with its version', async () => {
  refuses(await changed('"version":2', '"version":3'), /card of version 3.*up to 2/);
});

test('what contradicts itself is refused', async () => {
  refuses(await changed('"sample_rate":16000', '"sample_rate":44100'), /44100/);
  refuses(await changed('"graph":"clip"', '"graph":"clop"'), /clop/);
  refuses(await changed('"tolerance":', '"tolerence":'), /golden answer/);
});

test('what is no model, or is cut off, has no card', async () => {
  refuses(new TextEncoder().encode('not a model'), /no leitmotif model/);
  refuses(new Uint8Array(), /no leitmotif model/);
  const bytes = await model('tests/data/tiny.clip.onnx');
  const end = Buffer.from(bytes).lastIndexOf('}');
  for (let length = 0; length < end; length += 101) refuses(bytes.subarray(0, length), /no leitmotif model/);
});

test('any bytes are read without an end', () => {
  for (const bytes of [[0x72, 0xff, 0x01], [0x73], Array(20).fill(0xff), [0x09], [0x0d, 1]]) {
    assert.ok([...fields(Uint8Array.from(bytes))].length <= 1);
  }
});
