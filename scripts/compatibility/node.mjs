// node node.mjs MODULES onnxruntime-node|onnxruntime-web JOBS: one JSON object a line for each job.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { answersOrReason } from './answers.mjs';

const [modules, name, jobs] = process.argv.slice(2);
const ort = createRequire(join(modules, 'package.json'))(name);
const providers = [name === 'onnxruntime-web' ? 'wasm' : 'cpu'];
for (const job of JSON.parse(await readFile(jobs))) {
  const result = await answersOrReason(ort, { ...job, providers }, async (file) => new Uint8Array(await readFile(file)));
  console.log(JSON.stringify(result));
}
process.exit(0); // WebAssembly's threads would keep it waiting.
