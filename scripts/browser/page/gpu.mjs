// WebGPU, by Chromium's own one in software: the same answers, and WebAssembly where it fails.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch } from '../launch.mjs';
import { open, openModel } from './driver.mjs';
import { serve } from './serve.mjs';

export async function checkGpu({ page, data, zoo, check, compare }) {
  const server = await serve(page);
  const browser = await launch('--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader');
  try {
    const first = await browser.newContext();
    const tab = await open(first, server.address);
    const engine = await tab.textContent('#engine');
    check(/, WebGPU$/.test(engine), `with WebGPU it says ${engine}`);
    console.log(`\n${engine}: ${await tab.locator('dd', { hasText: 'passed in WebGPU' }).textContent()}`);
    await compare(tab);
    await tab.waitForFunction(() => document.querySelector('#offline').textContent.startsWith('This page works offline'), null, { timeout: 60_000 });
    server.requests.length = 0;
    const later = await open(first, `${server.address}?gpu=off`);
    check(/, WebAssembly$/.test(await later.textContent('#engine')), 'after WebGPU, ?gpu=off leaves it out');
    const large = server.requests.filter((request) => request.includes('/files/'));
    check(large.length === 0, `after WebGPU, a visit without it fetches ${large.join(', ')}`);
    await checkOneFault(tab, { data, zoo, check });

    const context = await browser.newContext();
    // The worker comes from a blob, with this before its import: the driver is lost after the first device.
    await context.addInitScript(() => {
      const { Blob } = window;
      window.Blob = class extends Blob {
        constructor(parts, options) {
          const fault = `
            const { requestDevice } = GPUAdapter.prototype;
            let asked = 0;
            GPUAdapter.prototype.requestDevice = function () {
              return asked++ === 0 ? requestDevice.call(this) : Promise.reject(new Error('no device'));
            };`;
          super(options?.type === 'text/javascript' ? [fault, ...parts] : parts, options);
        }
      };
    });
    server.requests.length = 0;
    const without = await open(context, server.address);
    const note = await without.textContent('#engine');
    check(/, WebAssembly \(WebGPU does not run it/.test(note), `without a device it says ${note}`);
    const fetched = server.requests.filter((request) => request.endsWith('.onnx')).length;
    check(fetched === 1, `the model is fetched ${fetched} times`);
    console.log(note);
    const off = await open(await browser.newContext(), `${server.address}?gpu=off`);
    check(/, WebAssembly$/.test(await off.textContent('#engine')), '?gpu=off leaves WebGPU out');
  } finally {
    await browser.close();
    await server.close();
  }
}

/** A model that gives other answers leaves WebGPU to the next one. */
async function checkOneFault(tab, { data, zoo, check }) {
  const folder = mkdtempSync(join(tmpdir(), 'leitmotif-gpu-'));
  try {
    const other = readFileSync(join(data, 'tiny.clip.onnx'));
    other.write('"probabilities":[0.9', other.indexOf('"probabilities":['));
    const bad = join(folder, 'other-answers.onnx');
    writeFileSync(bad, other);
    check(/gives other answers/.test((await openModel(tab, bad)) ?? ''), 'a model with other answers is refused on the GPU too');
    check((await openModel(tab, zoo)) === null, 'after it, another model opens');
    const engine = await tab.textContent('#engine');
    check(/, WebGPU$/.test(engine), `after it, another model says ${engine}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
