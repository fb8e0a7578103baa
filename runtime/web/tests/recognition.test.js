// Segments to an answer, with networks that are made up: what a graph would give is a function of its samples.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Recognition } from '../src/answer/recognition.js';
import { Mixer } from '../src/audio/mix.js';
import { gainOf, peakOf } from '../src/audio/level.js';
import { Refusal } from '../src/refusal.js';

/** @typedef {import('../src/model/card.js').Card} Card */

const SEGMENT = 100;

/**
 * @param {string} graph
 * @param {object} [more]
 */
function card(graph, more = {}) {
  return /** @type {Card} */ (
    /** @type {unknown} */ ({
      graph,
      segment_samples: SEGMENT,
      hop_samples: SEGMENT,
      window_segments: 4,
      max_seconds_per_call: 0.02,
      classes: ['a', 'b'],
      ...more,
    })
  );
}

/** The first sample of a segment is its probability of the first artist; an LSTM's is the mean since its window began. */
const network = {
  /**
   * @param {Float32Array} samples
   * @param {number} segments
   */
  async run(samples, segments) {
    assert.equal(samples.length, segments * SEGMENT);
    const rows = [];
    for (let i = 0; i < segments; i++) rows.push(samples[i * SEGMENT], 1 - samples[i * SEGMENT]);
    return Float32Array.from(rows);
  },
  /**
   * @param {Float32Array} segment
   * @param {{ h: Float32Array, c: Float32Array } | null} state
   */
  async step(segment, state) {
    const [sum, count] = state?.h ?? [0, 0];
    const h = Float32Array.of(sum + segment[0], count + 1);
    return { row: Float32Array.of(h[0] / h[1], 1 - h[0] / h[1]), state: { h, c: h } };
  },
};

/**
 * @param {Card} card
 * @param {number[]} firsts First sample of each segment.
 * @param {{ rest?: number, live?: boolean, piece?: number }} [options]
 */
async function answer(card, firsts, { rest = 0, live = false, piece = 1_000 } = {}) {
  const samples = new Float32Array(firsts.length * SEGMENT + rest);
  firsts.forEach((first, i) => (samples[i * SEGMENT] = first));
  const recognition = new Recognition(card, network, { name: 'it', live });
  for (let at = 0; at < samples.length; at += piece) await recognition.push(samples.slice(at, at + piece));
  return recognition.finish();
}

/**
 * @param {number[]} found
 * @param {number[]} expected
 */
function close(found, expected) {
  found.forEach((value, i) => assert.ok(Math.abs(value - expected[i]) < 1e-6, `${found} ${expected}`));
}

test('a dense head answers with the mean of all segments', async () => {
  for (const graph of ['clip', 'segment']) {
    for (const options of [{}, { live: true }, { rest: 99 }, { piece: 37 }]) {
      const found = await answer(card(graph), [0.25, 0.5, 0.75, 1, 0.25], options);
      close(found.uncalibrated, [0.55, 0.45]);
      close([found.certainty, found.segments], [(0.75 + 0.5 + 0.75 + 1 + 0.75) / 5, 5]);
      assert.equal(found.usedSeconds, 500 / 16_000);
      assert.deepEqual(found.timeline.map(({ window }) => window), [0, 0, 0, 0, 1]);
    }
  }
});

test('an LSTM answers with the mean of its windows, the last one from half full', async () => {
  const firsts = [0, 0, 0, 0.5, 1, 0.75];
  const whole = await answer(card('sequence'), firsts);
  close(whole.uncalibrated, [(0.5 + 0.75) / 2, (0.5 + 0.25) / 2]);
  const steps = await answer(card('step'), firsts);
  close(steps.uncalibrated, [(0.125 + 0.875) / 2, (0.875 + 0.125) / 2]);
  assert.equal(steps.segments, 6);
});

test('a window that is not half full is left out, but the only one counts', async () => {
  for (const graph of ['sequence', 'step']) {
    assert.equal((await answer(card(graph), [0.5, 0.5, 0.5, 0.5, 1])).segments, 4);
    assert.equal((await answer(card(graph), [0.5])).segments, 1);
  }
});

test('live audio has an answer after each segment', async () => {
  for (const graph of ['clip', 'segment', 'step']) {
    const recognition = new Recognition(card(graph), network, { name: 'it', live: true });
    assert.equal(recognition.answer(), null);
    const moments = await recognition.push(new Float32Array(250).fill(0.5));
    assert.equal(moments.length, 2);
    close(recognition.answer()?.uncalibrated ?? [], [0.5, 0.5]);
  }
});

test('what is shorter than a segment is refused by name', async () => {
  await assert.rejects(answer(card('clip'), [], { rest: 99 }), (error) => error instanceof Refusal && /^it is 0\.0062 s long, and this model needs at least 0\.0063 s/.test(error.message));
});

test('below the threshold, or silent, it is an unknown artist', async () => {
  const confidence = { temperature: 1, threshold: 0.7 };
  const of = async (/** @type {number} */ first) => answer(card('clip', { confidence }), [first]);
  assert.equal((await of(0.75)).unknown, false);
  assert.equal((await of(0.625)).unknown, true);
  const silent = await of(0);
  assert.deepEqual([silent.silent, silent.unknown], [true, true]);
  assert.equal((await answer(card('clip'), [0.5])).unknown, null);
});

test('samples over full scale are clipped', async () => {
  close((await answer(card('clip'), [7])).uncalibrated, [1, 0]);
});

test('channels are averaged, and the louder is taken where they cancel each other', () => {
  const tone = Float32Array.from({ length: 3_000 }, (_, i) => Math.sin(i));
  const inverse = tone.map((sample) => -0.999 * sample);
  close([...new Mixer().mix([tone, tone.map(() => 0)])], [...tone].map((sample) => sample / 2));
  close([...new Mixer().mix([inverse, tone])], [...tone]);
  close([...new Mixer().mix([tone])], [...tone]);
});

test('floats over full scale are divided by their peak, and integers are refused', () => {
  assert.deepEqual([0, 1, 4, 256].map(gainOf), [1, 1, 0.25, 1 / 256]);
  assert.deepEqual([257, NaN, Infinity].map(gainOf), [null, null, null]);
  assert.equal(peakOf(Float32Array.of(0.5, -0.75)), 0.75);
});
