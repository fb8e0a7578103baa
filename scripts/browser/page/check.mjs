// Checks the page of runtime/web in headless Chromium, beside the command: check.mjs PAGE LEITMOTIF SHOTS [SONG…]
//
// PAGE is the built folder, LEITMOTIF the command, SHOTS is for screenshots. Songs are recognised by both; beside those given, the
// repository's own test data in every format that Chromium decodes.
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from '../launch.mjs';
import { checkBadInput } from './bad_input.mjs';
import { open, openModel, drop, recognise } from './driver.mjs';
import { checkGpu } from './gpu.mjs';
import { checkKeyboard, checkLook } from './look.mjs';
import { checkMicrophone } from './microphone.mjs';
import { checkPrivacy, checkOffline } from './privacy.mjs';
import { serve } from './serve.mjs';

const [page, command, shots, ...songs] = process.argv.slice(2).map((path) => resolve(path));
if (!shots) throw new Error('check.mjs PAGE LEITMOTIF SHOTS [SONG…]');
mkdirSync(shots, { recursive: true });
const repository = resolve(fileURLToPath(new URL('../../..', import.meta.url)));
const data = join(repository, 'runtime/tests/data');
const zoo = join(repository, 'models/zoo/game-music.clip.onnx');

/** A probability may differ by this: decoders and FFTs round otherwise. */
const TOLERANCE = 1e-4;
/** Decoders of Opus differ by as much: of one song the crate's, ffmpeg's and libopus by 4e-5 to 8e-4. */
const OPUS_TOLERANCE = 2e-3;
/** Artists below this may change places. */
const LEAST = 2 * OPUS_TOLERANCE;

const failures = [];
const check = (fine, what) => {
  if (!fine) {
    failures.push(what);
    console.error(`FAILED: ${what}`);
  }
};

/** What the command answers; `null` if it refuses. */
function expected(model, song) {
  try {
    const text = execFileSync(command, ['recognize', '--model', model, '--json', '--timeline', '--top', '1000', '--device', 'cpu', song], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const row = JSON.parse(text);
    return row.error === undefined ? row : null;
  } catch {
    return null;
  }
}

const byClass = (artists) => artists.map(({ probability, ...rest }) => [rest.class, probability]).sort(([a], [b]) => a - b);

/** Largest difference of two answers' probabilities. */
function difference(found, wanted) {
  const [a, b] = [byClass(found.artists), byClass(wanted.artists)];
  return Math.max(...a.map(([, p], i) => Math.abs(p - b[i][1])));
}

/** Compares one song's answers and prints how far they are apart; gives the difference. */
async function compare(tab, model, song, { report = true, way = recognise, name = basename(song) } = {}) {
  const wanted = expected(model, song);
  const { answer, error } = await way(tab, song);
  if (wanted === null || answer === undefined) {
    check(wanted === null && error !== undefined, `${name}: the page says ${error ?? 'an answer'}, the command ${wanted ? 'an answer' : 'an error'}`);
    return null;
  }
  const most = difference(answer, wanted);
  if (!report) return most;
  const order = (artists) => artists.filter(({ probability }) => probability > LEAST).map(({ artist }) => artist).join(', ');
  const tolerance = song.endsWith('.opus') ? OPUS_TOLERANCE : TOLERANCE;
  check(most <= tolerance, `${name}: |Δp| ${most}`);
  check(order(answer.artists) === order(wanted.artists), `${name}: ${order(answer.artists)} and not ${order(wanted.artists)}`);
  check(answer.unknown === wanted.unknown && answer.silent === wanted.silent, `${name}: unknown ${answer.unknown}`);
  check(answer.segments === wanted.segments, `${name}: ${answer.segments} segments, not ${wanted.segments}`);
  check(Math.abs(answer.certainty - wanted.certainty) <= tolerance, `${name}: certainty ${answer.certainty}, not ${wanted.certainty}`);
  const moments = answer.timeline.map(({ probabilities }, i) => Math.max(...probabilities.map((p, k) => Math.abs(p - (wanted.timeline[i]?.probabilities[k] ?? 9)))));
  // Of single segments more: their number evens differences out, and a sure answer hides them.
  check(Math.max(...moments) <= 20 * tolerance, `${name}: |Δp| of a segment ${Math.max(...moments)}`);
  console.log(
    `${name}: ${answer.artists[0].artist}${answer.unknown ? ' (unknown)' : ''}, largest |Δp| ${most.toExponential(1)}, of a segment ${Math.max(...moments).toExponential(1)}`,
  );
  return most;
}

const server = await serve(page);
const browser = await launch();
try {
  const context = await browser.newContext();
  const reports = [];
  const tab = await open(context, server.address, reports);
  console.log(await tab.textContent('#engine'));

  console.log('\nThe same answers as the command, with our resampling and with the browser’s:');
  const byBrowser = await open(await browser.newContext(), `${server.address}?decode-rate=16000`);
  const all = [join(repository, 'models/zoo/tt1.ogg'), ...songs];
  const [ours, theirs] = [[], []];
  for (const [i, song] of all.entries()) {
    ours.push(await compare(tab, zoo, song, { way: i === 0 ? drop : recognise }));
    theirs.push(await compare(byBrowser, zoo, song, { report: false }));
    console.log(`  resampled by the browser: ${theirs.at(-1)?.toExponential(1)}`);
  }
  console.log(`largest |Δp| of ${all.length} songs: ${Math.max(...ours).toExponential(1)} by our resampling, ${Math.max(...theirs).toExponential(1)} by the browser’s`);

  await checkLook(tab, { shots, check });
  await checkKeyboard(tab, check);

  console.log('\nEvery graph:');
  for (const graph of ['clip', 'segment', 'sequence', 'step']) {
    const model = join(data, `tiny.${graph}.onnx`);
    check((await openModel(tab, model)) === null, `tiny.${graph}.onnx opens`);
    await compare(tab, model, join(data, 'audio/mtat.mp3'), { name: `tiny.${graph}, mtat.mp3` });
  }

  console.log('\nEvery format:');
  // Unlike the songs, these are noise and tones, and the network was never trained: nothing hides a difference.
  const model = join(data, 'tiny.clip.onnx');
  check((await openModel(tab, model)) === null, 'tiny.clip.onnx opens');
  for (const file of ['s16.flac', 's24.flac', 'flac.oga', 'cbr.mp3', 'vbr.mp3', 'joint-stereo.mp3', 'cover.mp3', 'mpeg2.mp3', 'no-tag.mp3', 'mono.ogg', 'stereo.ogg', 'mono.opus', 'stereo.opus', 'surround.opus', 'lc.m4a', 'lc.aac']) {
    await compare(tab, model, join(data, 'audio', file));
  }

  console.log('\nBad input:');
  await checkBadInput(tab, { data, check });
  check(reports.length === 0, `the console reports: ${reports.join(' | ')}`);

  await checkPrivacy(context, tab, server, check);
  await checkOffline(context, server, { song: all[0], check });
  await checkMicrophone({ page, song: all[0], check });
  await checkGpu({ page, data, zoo, check, compare: (tab) => compare(tab, zoo, all[0], { name: `${basename(all[0])} by WebGPU` }) });
} finally {
  await browser.close();
  await server.close();
}
if (failures.length > 0) {
  console.error(`\n${failures.length} checks of the page failed`);
  process.exitCode = 1;
} else console.log('\nthe page passed');
