/**
 * The service worker: the page works offline once it was loaded, and has threads also where the host of its static files sends
 * no headers for them.
 *
 * The network comes first and the copy is for when there is none, so a page never runs on files of two versions. What is
 * copied says `files.json`, {version, files}, which lies beside this file; without it a file is copied when it is first used.
 */

const scope = /** @type {any} */ (self); // a ServiceWorkerGlobalScope; the checker knows windows only
const PREFIX = 'poke2vid ';
const UNLISTED = `${PREFIX}unlisted`; // copies of what files.json does not name, or was not worth fetching ahead
const LIST = 'files.json';
const AT_ONCE = 4; // files that are fetched side by side
const PATIENCE_MS = 5000; // for a network that neither answers nor fails, where there is a copy
const FOR_GPU = /(ort\.webgpu|asyncify|\.fp16\.onnx)/; // 28 MB that only a browser with WebGPU can use
const ISOLATION = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
  'Cross-Origin-Resource-Policy': 'same-origin',
};

let listed = true; // until it turns out that there is no files.json

scope.addEventListener('install', () => scope.skipWaiting());

scope.addEventListener('activate', (/** @type {any} */ event) => {
  event.waitUntil(scope.clients.claim()); // js/offline.js loads the page again if that gives it threads
  event.waitUntil(copyAll());
});

scope.addEventListener('fetch', (/** @type {any} */ event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== 'GET' || url.origin !== scope.location.origin || request.headers.has('range')) return;
  if (!url.href.startsWith(scope.registration.scope)) return;
  if (request.mode === 'navigate') event.waitUntil(copyAll());
  event.respondWith(answer(request, (job) => event.waitUntil(job)));
});

/**
 * @param {Request} request
 * @param {(job: Promise<any>) => void} afterwards keeps the worker alive for it
 */
async function answer(request, afterwards) {
  const copy = await copyOf(request);
  try {
    const network = fetch(request);
    const response = await (copy ? Promise.race([network, late()]) : network);
    if (!response) return isolated(request, /** @type {Response} */ (copy));
    if (response.ok && !response.redirected && (!listed || FOR_GPU.test(request.url))) {
      afterwards(keep(request, response.clone()));
    }
    return isolated(request, response);
  } catch (error) {
    if (copy) return isolated(request, copy);
    throw error;
  }
}

/** @returns {Promise<null>} */
const late = () => new Promise((resolve) => setTimeout(() => resolve(null), PATIENCE_MS));

/** @param {Request} request @returns {Promise<Response|undefined>} */
async function copyOf(request) {
  const found = await caches.match(request, { ignoreSearch: true });
  return found ?? (request.mode === 'navigate' ? caches.match('index.html') : undefined);
}

/**
 * With the headers that give a page, and the workers it starts, shared memory.
 *
 * @param {Request} request
 * @param {Response} response
 */
function isolated(request, response) {
  const needed = ['document', 'iframe', 'worker', 'sharedworker'].includes(request.destination);
  if (!needed || response.status === 0 || response.headers.has('Cross-Origin-Embedder-Policy')) return response;
  const headers = new Headers(response.headers);
  Object.entries(ISOLATION).forEach(([name, value]) => headers.set(name, value));
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}

/** @param {Request} request @param {Response} response */
async function keep(request, response) {
  const url = new URL(request.url);
  url.search = '';
  await (await caches.open(UNLISTED)).put(url.href, response);
}

/** @type {Promise<void>|null} */
let copying = null;

/** Copies of all files, made when their version is not there yet; the older version's go when the last has come. */
function copyAll() {
  copying ??= copied()
    .catch((error) => console.warn(`poke2vid: not all is there for use offline: ${error.message}`))
    .finally(() => (copying = null));
  return copying;
}

async function copied() {
  const list = await fetch(LIST, { cache: 'no-cache' }).catch(() => null);
  if (!list || !(list.ok || list.status === 404)) return; // offline, or a host in trouble
  listed = list.ok;
  if (!listed) return;
  const { version, files } = await list.clone().json();
  const cache = await caches.open(PREFIX + version);
  if (await cache.match(LIST)) return;
  const wanted = (await hasGpu()) ? [...files] : files.filter((/** @type {string} */ file) => !FOR_GPU.test(file));
  const fetchNext = async () => {
    for (let file = wanted.pop(); file !== undefined; file = wanted.pop()) {
      if (file === LIST || (await cache.match(file))) continue;
      const response = await fetch(file, { cache: 'no-cache' });
      if (!response.ok) throw new Error(`${file} answers ${response.status}`);
      await cache.put(file, response);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, fetchNext));
  await cache.put(LIST, list); // the last one: now the copy is whole
  const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== PREFIX + version);
  await Promise.all(old.map((name) => caches.delete(name))); // also what is not listed: it may be of the old version
}

async function hasGpu() {
  try {
    return Boolean(await /** @type {any} */ (navigator).gpu?.requestAdapter());
  } catch {
    return false;
  }
}
