// The page's arithmetic, held to what the crate computed: golden.json is made by runtime/tests/web.rs.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { calibrated } from '../src/answer/confidence.js';
import { Mean, largest, windows } from '../src/answer/pooling.js';
import { Fft } from '../src/audio/fft.js';
import { Resampler } from '../src/audio/resample.js';
import { Segmenter, segmentCount } from '../src/audio/segments.js';
import { goldenSamples } from '../src/model/golden.js';

const golden = JSON.parse(await readFile(new URL('golden.json', import.meta.url), 'utf8'));
/** The crate computes in floats, this page in doubles; the input reaches 0.1. */
const TOLERANCE = 1e-6;

/**
 * @param {Float32Array} samples
 * @param {number} from
 * @param {number} piece
 */
function resample(samples, from, piece) {
  const resampler = new Resampler(from, 16_000);
  const out = [];
  for (let at = 0; at < samples.length; at += piece) out.push(...resampler.push(samples.subarray(at, at + piece)));
  out.push(...resampler.finish());
  return out;
}

test('the golden input is that of the crate', () => {
  const { seed, samples } = golden.input;
  assert.deepEqual([...goldenSamples({ seed, samples: samples.length })], samples.map(Math.fround));
});

for (const { from, samples, length, every, values } of golden.resampled) {
  test(`resampling from ${from} Hz gives the crate's samples`, () => {
    const out = resample(goldenSamples({ seed: from, samples }), from, samples);
    assert.equal(out.length, length);
    const difference = Math.max(...values.map((/** @type {number} */ value, /** @type {number} */ i) => Math.abs(value - out[i * every])));
    assert.ok(difference < TOLERANCE, `${difference}`);
  });
}

test('how a stream is cut into pieces changes no resampled sample', () => {
  const samples = goldenSamples({ seed: 3, samples: 30_000 });
  const whole = resample(samples, 44_100, samples.length);
  for (const piece of [1, 441, 5_000]) assert.deepEqual(resample(samples, 44_100, piece), whole);
});

test('rates of broken headers are refused', () => {
  for (const rate of [0, 999, NaN, 1e6, 700_001]) assert.throws(() => new Resampler(rate, 16_000), /not supported/);
});

test('an FFT of any length is the sum that defines it', () => {
  for (const length of [1, 2, 3, 8, 30, 49, 60, 37, 74]) {
    const input = goldenSamples({ seed: length, samples: 2 * length });
    const re = Float64Array.from(input.subarray(0, length));
    const im = Float64Array.from(input.subarray(length));
    const fft = new Fft(length);
    fft.forward(re, im);
    for (let k = 0; k < length; k++) {
      let [sumRe, sumIm] = [0, 0];
      for (let n = 0; n < length; n++) {
        const [cos, sin] = [Math.cos((2 * Math.PI * n * k) / length), Math.sin((-2 * Math.PI * n * k) / length)];
        sumRe += input[n] * cos - input[length + n] * sin;
        sumIm += input[n] * sin + input[length + n] * cos;
      }
      assert.ok(Math.hypot(re[k] - sumRe, im[k] - sumIm) < 1e-12, `${length}: ${k}`);
    }
    fft.inverse(re, im);
    for (let n = 0; n < length; n++) assert.ok(Math.abs(re[n] / length - input[n]) < 1e-12, `${length}: ${n}`);
  }
});

test('segments are counted as in the crate', () => {
  for (const [samples, segment, hop, count] of golden.segments) assert.equal(segmentCount(samples, segment, hop), count);
});

test('however a stream is cut, its segments are those of slicing it at once', () => {
  const samples = Float32Array.from({ length: 60 }, (_, i) => i);
  for (let segment = 1; segment < 9; segment++) {
    for (let hop = 1; hop < 12; hop++) {
      for (const piece of [1, 7, 60]) {
        const segmenter = new Segmenter(segment, hop);
        const found = [];
        for (let at = 0; at < samples.length; at += piece) {
          for (const one of segmenter.push(samples.subarray(at, at + piece))) found.push([...one]);
        }
        const count = segmentCount(samples.length, segment, hop);
        const expected = Array.from({ length: count }, (_, k) => [...samples.subarray(k * hop, k * hop + segment)]);
        assert.deepEqual(found, expected, `${segment} ${hop} ${piece}`);
        const rest = samples.subarray(Math.min(60, count * hop));
        assert.deepEqual([...segmenter.rest()], [...rest], `${segment} ${hop} ${piece}`);
      }
    }
  }
});

test('windows of an LSTM are those of the crate', () => {
  for (const [segments, window, ranges] of golden.windows) assert.deepEqual(windows(segments, window), ranges);
});

test('mean and certainty are those of the crate', () => {
  const mean = new Mean(3);
  const certainty = new Mean(1);
  for (const row of golden.pooled.rows) {
    mean.add(row);
    certainty.add([largest(row)]);
  }
  assert.deepEqual(mean.values(), golden.pooled.mean.map(Math.fround));
  assert.deepEqual(certainty.values(), golden.pooled.certainty.map(Math.fround));
});

test('calibrated probabilities are those of the crate', () => {
  for (const { temperature, probabilities, calibrated: expected } of golden.calibrated) {
    const found = calibrated(probabilities.map(Math.fround), temperature);
    found.forEach((p, i) => assert.ok(Math.abs(p - expected[i]) < 1e-7, `${temperature}: ${p} ${expected[i]}`));
  }
});
