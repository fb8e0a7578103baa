// The microphone: a song that Chromium plays as one, a refusal, and none at all.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { launch } from '../launch.mjs';
import { open, recognise, saved } from './driver.mjs';
import { serve } from './serve.mjs';

/** Seconds of music until there are two segments of the zoo's model, and some. */
const SECONDS = 8;

export async function checkMicrophone({ page, song, check }) {
  const server = await serve(page);
  const folder = mkdtempSync(join(tmpdir(), 'leitmotif-microphone-'));
  try {
    const wave = join(folder, 'song.wav');
    execFileSync('ffmpeg', ['-v', 'error', '-i', song, '-ac', '1', '-ar', '48000', wave]);
    await withPage(server, ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', `--use-file-for-fake-audio-capture=${wave}`], async (tab) => {
      await tab.click('#microphone');
      await tab.waitForFunction((seconds) => Number(document.querySelector('#position').max) > seconds, SECONDS, { timeout: 60_000 });
      check(await tab.isVisible('#verdict'), 'there is an answer while it records');
      await tab.click('#microphone');
      await tab.waitForSelector('#save:visible');
      const answer = await saved(tab);
      check(answer.segments >= 2 && answer.artists[0].artist.startsWith('Kenta Cho'), `microphone: ${answer.artists[0].artist}`);
      check((await tab.evaluate(() => document.querySelector('audio').duration)) > SECONDS - 1, 'what was recorded can be played');
      console.log(`microphone: ${answer.artists[0].artist}, ${answer.segments} segments`);
      await checkLaterChoice(tab, { song, check });
    });
    const refusals = [
      [['--use-fake-ui-for-media-stream=deny', '--use-fake-device-for-media-stream'], /^The microphone may not be used: allow it/],
      [[], /^There is no microphone: connect one/],
    ];
    for (const [switches, wanted] of refusals) {
      await withPage(server, switches, async (tab) => {
        await tab.click('#microphone');
        await tab.waitForSelector('#error:visible');
        const message = await tab.textContent('#error');
        check(wanted.test(message), `without a microphone it says ${message}`);
        console.log(`no microphone: ${message}`);
      });
    }
  } finally {
    rmSync(folder, { recursive: true });
    await server.close();
  }
}

/** What is chosen while the page records, or while the browser asks for the microphone, ends that. */
async function checkLaterChoice(tab, { song, check }) {
  const use = 'Use the microphone';
  await tab.click('#microphone');
  await tab.waitForFunction(() => Number(document.querySelector('#position').max) > 1, null, { timeout: 60_000 });
  check((await recognise(tab, song)).answer?.file === basename(song), 'a song is recognised that was chosen while the page recorded');
  check((await tab.textContent('#microphone')) === use, `then the button says ${await tab.textContent('#microphone')}`);

  await tab.evaluate(() => {
    const { mediaDevices } = navigator;
    const ask = mediaDevices.getUserMedia.bind(mediaDevices);
    window.asked = [];
    mediaDevices.getUserMedia = async (wanted) => {
      const stream = await ask(wanted);
      return new Promise((resolve) => window.asked.push({ stream, allow: () => resolve(stream) }));
    };
  });
  await tab.click('#microphone');
  await tab.waitForFunction(() => window.asked.length > 0);
  // Not `click`, which waits until the button may be used.
  await tab.dispatchEvent('#microphone', 'click');
  const { answer } = await recognise(tab, song);
  await tab.evaluate(() => window.asked.forEach(({ allow }) => allow()));
  await tab.waitForFunction(() => window.asked[0].stream.getTracks().every(({ readyState }) => readyState === 'ended'), null, { timeout: 10_000 });
  check((await tab.evaluate(() => window.asked.length)) === 1, 'the microphone is asked for once');
  check(answer?.file === basename(song) && (await tab.isVisible('#save')), 'the song that was chosen meanwhile stays');
  check((await tab.textContent('#microphone')) === use, 'a microphone that comes too late does not record');
  await tab.evaluate(() => (navigator.mediaDevices.getUserMedia = async () => Promise.reject(new DOMException('', 'NotAllowedError'))));
  await tab.click('#microphone');
  await tab.waitForSelector('#error:visible');
  console.log('microphone: a later choice ends it');
}

async function withPage(server, switches, action) {
  const browser = await launch(...switches);
  try {
    await action(await open(await browser.newContext(), server.address));
  } finally {
    await browser.close();
  }
}
