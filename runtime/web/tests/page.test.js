// Page and worker, each with the other made up: what is chosen while something else runs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sixteenBits, wave } from '../src/page/wave.js';

/** What the page sends; its replies are dispatched as messages. */
class FakeWorker extends EventTarget {
  /** @type {any[]} */
  requests = [];

  /** @param {unknown} request */
  postMessage(request) {
    this.requests.push(request);
  }
}

const RECORDING = { name: 'a', rate: 16_000, gain: 1, live: true };

test('a recording that was cancelled is not asked for any more', async () => {
  Object.assign(globalThis, { Worker: FakeWorker });
  const { Cancelled, Client } = await import('../src/page/client.js');
  const client = new Client({ progress() {}, ready() {}, kept() {}, refused() {} });
  const { requests } = /** @type {FakeWorker} */ (/** @type {unknown} */ (client.worker));
  const job = client.begin(RECORDING);
  const waiting = client.samples(job, []);
  client.cancel();
  await assert.rejects(waiting, Cancelled);
  const sent = requests.length;
  await assert.rejects(client.samples(job, []), Cancelled);
  await assert.rejects(client.end(job), Cancelled);
  assert.equal(requests.length, sent);
  assert.notEqual(client.begin(RECORDING), job);
});

test('the worker refuses samples and the end of a recording that it does not have', async () => {
  const file = { url: 'files/a', bytes: 1, sha256: '' };
  const self = new EventTarget();
  /** @type {(reply: unknown) => void} */
  let receive = () => {};
  const BUILD = { model: { ...file, name: 'a.onnx' }, runtimes: { wasm: file, webgpu: file } };
  Object.assign(globalThis, { self, BUILD, postMessage: (/** @type {unknown} */ reply) => receive(reply) });
  await import('../src/worker.js');
  for (const request of [{ type: 'samples', job: 7, channels: [] }, { type: 'end', job: 7 }]) {
    const reply = await new Promise((resolve) => {
      receive = resolve;
      self.dispatchEvent(new MessageEvent('message', { data: request }));
    });
    assert.deepEqual({ ...reply, message: '' }, { type: 'refused', job: 7, message: '' });
    assert.match(reply.message, /has ended/);
  }
});

test('a recording becomes a WAV of its pieces in order', async () => {
  const pieces = [sixteenBits(new Float32Array([0, 0.5, 2])), sixteenBits(new Float32Array([-1]))];
  const bytes = Buffer.from(await wave(pieces, 48_000).arrayBuffer());
  assert.equal(bytes.toString('latin1', 0, 16), `RIFF${String.fromCharCode(44, 0, 0, 0)}WAVEfmt `);
  assert.equal(bytes.readUInt32LE(24), 48_000);
  assert.equal(bytes.readUInt32LE(40), 8);
  assert.deepEqual([44, 46, 48, 50].map((at) => bytes.readInt16LE(at)), [0, 16_384, 32_767, -32_767]);
});
