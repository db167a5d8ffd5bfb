/** The service worker, which keeps the page usable offline and, on hosts that send no such headers, isolated. */

const LOOK_MS = 2000;

/**
 * To be called once the page is up. On its very first visit to a host of plain static files the page is loaded a second time,
 * isolated, so that its engine may use threads.
 */
export function registerOffline() {
  const workers = serviceWorkers();
  if (!workers) return;
  const hadNone = !workers.controller;
  workers.addEventListener('controllerchange', () => {
    if (hadNone && !crossOriginIsolated && window.top === window) location.reload(); // a page within another is never isolated
  });
  const failed = (/** @type {Error} */ error) => console.warn(`poke2vid: no use offline: ${error.message}`);
  workers.register(new URL('../sw.js', import.meta.url)).catch(failed);
}

/** Undefined where the page is served over plain http, or within another page that allows none. */
function serviceWorkers() {
  try {
    return navigator.serviceWorker;
  } catch {
    return undefined;
  }
}

/** Tells when all copies are there, of which the list comes last; false where there will be none. */
export async function worksOffline() {
  if (!serviceWorkers()) return false;
  while (!(await caches.match('files.json'))) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  return true;
}
