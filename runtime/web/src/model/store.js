/**
 * Files that the page needs and that are large: fetched once with progress, kept in the browser's cache. Their addresses hold a
 * digest of their content, so what is kept never becomes stale.
 */
import { Refusal } from '../refusal.js';
import { ROOT } from '../site.js';

/** @typedef {import('../site.js').StoredFile} StoredFile */

// A server may have two such pages: what one forgets, the other keeps.
const CACHE = `leitmotif-files ${ROOT}`;

/**
 * @param {StoredFile} file
 * @param {string} what What it is, for errors.
 * @param {(loaded: number) => void} onProgress Bytes so far.
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function fetchOnce(file, what, onProgress) {
  // Browsers have no such cache on pages of other machines without encryption.
  const cache = 'caches' in self ? await caches.open(CACHE).catch(() => null) : null;
  const kept = await cache?.match(file.url);
  if (kept) {
    const bytes = new Uint8Array(await kept.arrayBuffer());
    if (await isWhole(bytes, file)) return bytes;
    await cache?.delete(file.url);
  }
  const bytes = await download(file, what, onProgress);
  if (!(await isWhole(bytes, file))) {
    throw new Refusal(`${what} arrived incomplete or changed: reload this page, and if that does not help, build it again.`);
  }
  // A full disk or a private window must not keep the page from working.
  await cache?.put(file.url, new Response(bytes)).catch(() => {});
  return bytes;
}

/**
 * Forgets what an earlier build of the page kept.
 * @param {StoredFile[]} files Those of this build.
 */
export async function forgetOthers(files) {
  if (!('caches' in self)) return;
  const current = new Set(files.map((file) => file.url));
  const cache = await caches.open(CACHE);
  for (const { url } of await cache.keys()) if (!current.has(url)) await cache.delete(url);
}

/**
 * Whether these are all kept.
 * @param {StoredFile[]} files
 */
export async function areKept(files) {
  if (!('caches' in self)) return false;
  const cache = await caches.open(CACHE);
  const found = await Promise.all(files.map((file) => cache.match(file.url)));
  return found.every((response) => response !== undefined);
}

/**
 * @param {StoredFile} file
 * @param {string} what
 * @param {(loaded: number) => void} onProgress
 */
async function download(file, what, onProgress) {
  const failed = (/** @type {string} */ why) =>
    new Refusal(`${what} could not be fetched (${why}): check the connection to the server of this page, then reload it.`);
  let loaded = 0;
  const parts = [];
  try {
    const response = await fetch(file.url);
    if (!response.ok || response.body === null) throw failed(`status ${response.status}`);
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parts.push(value);
      loaded += value.length;
      onProgress(loaded);
    }
  } catch (error) {
    throw error instanceof Refusal ? error : failed('no answer');
  }
  const bytes = new Uint8Array(loaded);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @param {StoredFile} file
 */
async function isWhole(bytes, file) {
  if (bytes.length !== file.bytes) return false;
  // Digests, too, exist only on encrypted pages and those of this machine.
  if (!self.crypto?.subtle) return true;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('') === file.sha256;
}
