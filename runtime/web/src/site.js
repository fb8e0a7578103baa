/** Where the large files of this page are. Every bundle lies beside `index.html`, whatever the page's own address is. */

const root = new URL('.', import.meta.url);

/**
 * @template {import('./model/store.js').StoredFile} T
 * @param {T} file
 * @returns {T}
 */
function located(file) {
  return { ...file, url: new URL(file.url, root).href };
}

/** The model that comes with the page. */
export const MODEL = located(BUILD.model);
/** ONNX Runtime's programs. */
export const RUNTIMES = { wasm: located(BUILD.runtimes.wasm), webgpu: located(BUILD.runtimes.webgpu) };
