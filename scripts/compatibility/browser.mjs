// scripts/browser/run browser.mjs MODULES JOBS: the jobs with onnxruntime-web in headless Chromium; one JSON object a line for each.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { launch } from '../browser/launch.mjs';

const [modules, jobsFile] = process.argv.slice(2);
const load = createRequire(join(modules, 'package.json'));
const jobs = JSON.parse(await readFile(jobsFile));

// The page may fetch onnxruntime-web's files, our own, and what the jobs name.
const page = `<!doctype html><script type="module">
  import * as ort from '/ort/ort.wasm.min.mjs';
  import { answersOrReason } from '/answers.mjs';
  const read = async (file) => new Uint8Array(await (await fetch('/file?' + encodeURIComponent(file))).arrayBuffer());
  window.answer = (job) => answersOrReason(ort, { ...job, providers: ['wasm'] }, read);
</script>`;
const allowed = new Set(jobs.flatMap((job) => [job.model, ...job.calls.flatMap((call) => Object.values(call.feeds).map((feed) => feed.file))]));
const library = dirname(load.resolve('onnxruntime-web'));
const ours = dirname(fileURLToPath(import.meta.url));
const types = { '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
const server = createServer(async (request, response) => {
  const { pathname, search } = new URL(request.url, 'http://localhost');
  const requested = decodeURIComponent(search.slice(1));
  const file =
    pathname === '/file' && allowed.has(requested) ? requested
    : pathname === '/answers.mjs' ? join(ours, 'answers.mjs')
    : /^\/ort\/[\w.-]+$/.test(pathname) ? join(library, pathname.slice(5))
    : null;
  if (pathname === '/') return response.writeHead(200, { 'content-type': 'text/html' }).end(page);
  const body = file && (await readFile(file).catch(() => null));
  if (!body) return response.writeHead(404).end();
  response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(body);
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));

const browser = await launch();
try {
  const tab = await browser.newPage();
  tab.on('pageerror', (error) => console.error(error.message));
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  await tab.waitForFunction(() => window.answer, null, { timeout: 60_000 });
  for (const job of jobs) console.log(JSON.stringify(await tab.evaluate((job) => window.answer(job), job)));
} finally {
  await browser.close();
  server.close();
}
