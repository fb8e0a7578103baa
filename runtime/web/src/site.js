/** Where the large files of this page are. Every bundle lies beside `index.html`, whatever the page's own address is. */

/** @typedef {{ url: string, bytes: number, sha256: string }} StoredFile Address, length and digest of a large file. */

/** The folder of this page. */
export const ROOT = new URL('.', import.meta.url).href;

/**
 * @template {StoredFile} T
 * @param {T} file
 * @returns {T}
 */
function located(file) {
  return { ...file, url: new URL(file.url, ROOT).href };
}

/** The model that comes with the page. */
export const MODEL = located(BUILD.model);
/** ONNX Runtime's programs. */
export const RUNTIMES = { wasm: located(BUILD.runtimes.wasm), webgpu: located(BUILD.runtimes.webgpu) };
