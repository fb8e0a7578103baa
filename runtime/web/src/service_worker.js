/**
 * Keeps the page for use without a network. The large files, model and ONNX Runtime, are kept by the page's worker
 * (model/store.js), which shows their progress. A new version takes over when no page of the old one is open.
 */

/** @type {ServiceWorkerGlobalScope} */
const scope = /** @type {any} */ (self);
const HOME = new URL('./', scope.location.href).href;
// A server may have two such pages. No address has a space, so no name begins with another's.
const PREFIX = `leitmotif-shell ${HOME} `;
const CACHE = PREFIX + SHELL.version;
const PAGES = [HOME, `${HOME}index.html`];

scope.addEventListener('install', (event) => {
  // Not from the browser's own cache, which may hold an older version.
  const requests = ['./', ...SHELL.files].map((file) => new Request(new URL(file, HOME), { cache: 'reload' }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

scope.addEventListener('activate', (event) => {
  const tidy = async () => {
    for (const name of await caches.keys()) if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
    await scope.clients.claim();
  };
  event.waitUntil(tidy());
});

scope.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || !request.url.startsWith(HOME)) return;
  const answer = async () => {
    const cache = await caches.open(CACHE);
    const isPage = request.mode === 'navigate' && PAGES.includes(request.url.split(/[?#]/)[0]);
    const kept = await cache.match(isPage ? HOME : request);
    return kept ?? fetch(request);
  };
  event.respondWith(answer());
});
