// Builds the page into one folder: build.mjs OUT. `make web` calls it.
import { createHash } from 'node:crypto';
import { cp, mkdir, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import esbuild from 'esbuild';

if (!process.argv[2]) throw new Error('build.mjs OUT');
const out = resolve(process.argv[2]);
const here = dirname(fileURLToPath(import.meta.url));
const zoo = join(here, '../../models/zoo');
const source = join(here, 'src');
const runtime = dirname(dirname(createRequire(import.meta.url).resolve('onnxruntime-web')));

/** In every folder that is made here: no other is removed. */
const MARK = '.leitmotif-page';

/** Refuses a folder with anything but a page that was built before. */
async function mayReplace(folder) {
  const found = await readdir(folder).catch((error) => {
    if (error.code === 'ENOENT') return [];
    throw new Error(`${folder} cannot be replaced: ${error.message}`);
  });
  if (found.length === 0 || found.includes(MARK)) return;
  throw new Error(`${folder} is no page that build.mjs made: remove it yourself, or give another folder`);
}

const part = `${out}.part`;
for (const folder of [out, part]) await mayReplace(folder);
await rm(part, { recursive: true, force: true });
await mkdir(part, { recursive: true });
await writeFile(join(part, MARK), 'Made by runtime/web/build.mjs, which replaces this folder.\n');
await mkdir(join(part, 'files'));
await mkdir(join(part, 'licences'));

/** Copies a large file under a name with a digest of its content, so that browsers may keep it for good. */
async function store(from) {
  const bytes = await readFile(from);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const [stem, ...endings] = basename(from).split('.');
  const url = `files/${[stem, sha256.slice(0, 12), ...endings].join('.')}`;
  await writeFile(join(part, url), bytes);
  return { url, bytes: bytes.length, sha256 };
}

const { version: onnxRuntime } = JSON.parse(await readFile(join(runtime, 'package.json'), 'utf8'));
const build = {
  onnxRuntime,
  model: { name: 'game-music.clip.onnx', ...(await store(join(zoo, 'game-music.clip.onnx'))) },
  runtimes: {
    wasm: await store(join(runtime, 'dist/ort-wasm-simd-threaded.wasm')),
    webgpu: await store(join(runtime, 'dist/ort-wasm-simd-threaded.asyncify.wasm')),
  },
  example: { url: 'example/tt1.ogg', name: 'tt1.ogg' },
};
await cp(join(zoo, 'tt1.ogg'), join(part, 'example/tt1.ogg'));
await cp(join(zoo, 'tt1.LICENSE'), join(part, 'example/tt1.LICENSE'));
await cp(join(here, 'licences'), join(part, 'licences'), { recursive: true });

const common = {
  bundle: true,
  format: 'esm',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
  outdir: part,
  logLevel: 'warning',
};
await esbuild.build({
  ...common,
  entryPoints: ['page.js', 'worker.js', 'recorder.js'].map((file) => join(source, file)),
  splitting: true,
  chunkNames: '[name]-[hash]',
  // ONNX Runtime asks for these in Node alone.
  external: ['node:*', 'module', 'worker_threads', 'fs', 'os', 'path', 'url', 'perf_hooks'],
  define: { BUILD: JSON.stringify(build) },
});
for (const file of ['index.html', 'manifest.webmanifest', 'icon.svg', 'page.css']) await cp(join(source, file), join(part, file));

// What is kept at once: all but the large files, one of which most browsers never need.
const files = (await readdir(part, { recursive: true, withFileTypes: true }))
  .filter((entry) => entry.isFile())
  // `path` is its name before Node 20.12.
  .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(part.length + 1))
  .filter((file) => !file.startsWith('files/') && file !== MARK)
  .sort();
const digest = createHash('sha256');
for (const file of files) digest.update(file).update(await readFile(join(part, file)));
const shell = { version: digest.digest('hex').slice(0, 16), files };
await esbuild.build({
  ...common,
  format: 'iife',
  entryPoints: [join(source, 'service_worker.js')],
  define: { SHELL: JSON.stringify(shell) },
});

await mayReplace(out);
await rm(out, { recursive: true, force: true });
await rename(part, out);
console.log(`${out}: version ${shell.version}, model ${build.model.name}, ONNX Runtime Web ${onnxRuntime}`);
