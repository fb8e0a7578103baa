// The service worker with a cache that is made up.
import assert from 'node:assert/strict';
import { test } from 'node:test';

const HOME = 'https://host/music/';

/** Names of caches, each with the addresses that it keeps. @type {Map<string, Map<string, string>>} */
const stored = new Map();
const caches = {
  keys: async () => [...stored.keys()],
  delete: async (/** @type {string} */ name) => stored.delete(name),
  open: async (/** @type {string} */ name) => {
    const kept = stored.get(name) ?? new Map();
    stored.set(name, kept);
    return {
      addAll: async (/** @type {Request[]} */ requests) => requests.forEach(({ url }) => kept.set(url, `kept ${url}`)),
      match: async (/** @type {string | { url: string }} */ request) => kept.get(typeof request === 'string' ? request : request.url),
    };
  },
};
const scope = Object.assign(new EventTarget(), { location: { href: `${HOME}service_worker.js` }, clients: { claim: async () => {} } });
Object.assign(globalThis, {
  self: scope,
  caches,
  SHELL: { version: '2', files: ['index.html', 'licences/a.txt'] },
  fetch: async (/** @type {{ url: string }} */ { url }) => `fetched ${url}`,
});
await import('../src/service_worker.js');

/**
 * @param {string} type
 * @param {object} [more]
 */
async function happens(type, more = {}) {
  /** @type {unknown} */
  let result;
  const take = (/** @type {unknown} */ promise) => (result = promise);
  scope.dispatchEvent(Object.assign(new Event(type), { waitUntil: take, respondWith: take, ...more }));
  return result;
}

/** @param {string} path */
const visited = (path) => happens('fetch', { request: { method: 'GET', mode: 'navigate', url: `${HOME}${path}` } });

test('only the page itself is answered with the page', async () => {
  await happens('install');
  for (const path of ['', 'index.html', '?gpu=off', 'index.html?gpu=off']) assert.equal(await visited(path), `kept ${HOME}`);
  assert.equal(await visited('licences/a.txt'), `kept ${HOME}licences/a.txt`);
  assert.equal(await visited('other/'), `fetched ${HOME}other/`);
  assert.equal(await happens('fetch', { request: { method: 'GET', mode: 'navigate', url: 'https://host/' } }), undefined);
});

test('an old version is forgotten, and another page of the server is not', async () => {
  const others = ['leitmotif-shell https://host/ 1', 'leitmotif-shell https://host/music/new/ 1', 'something else'];
  const old = `leitmotif-shell ${HOME} 1`;
  for (const name of [...others, old]) stored.set(name, new Map());
  await happens('activate');
  assert.deepEqual([...stored.keys()].sort(), [`leitmotif-shell ${HOME} 2`, ...others].sort());
});
