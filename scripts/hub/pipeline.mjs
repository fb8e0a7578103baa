// node pipeline.mjs MODULES FOLDER SAMPLES…: what transformers.js answers for each file of 32-bit floats, one JSON object a line,
// {label: probability}. Nothing is fetched: FOLDER is a folder of `compile --sidecar huggingface`.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, folder, ...files] = process.argv.slice(2);
const entry = createRequire(join(resolve(modules), 'package.json')).resolve('@huggingface/transformers');
const { env, pipeline } = await import(pathToFileURL(entry));
env.allowRemoteModels = false;
env.localModelPath = dirname(resolve(folder));
const classifier = await pipeline('audio-classification', basename(folder));
for (const file of files) {
  const bytes = new Uint8Array(await readFile(file));
  const answer = await classifier(new Float32Array(bytes.buffer), { top_k: null });
  console.log(JSON.stringify(Object.fromEntries(answer.map(({ label, score }) => [label, score]))));
}
