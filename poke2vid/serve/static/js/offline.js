/** Registers the service worker, which keeps the page usable offline and, on hosts that send no such headers, isolated. */

/**
 * To be called once the page is up. On its very first visit to a host of plain static files the page is loaded a second time,
 * isolated, so that its engine may use threads.
 */
export function registerOffline() {
  const workers = navigator.serviceWorker; // undefined where the page is served over plain http
  if (!workers) return;
  const hadNone = !workers.controller;
  workers.addEventListener('controllerchange', () => {
    if (hadNone && !crossOriginIsolated) location.reload();
  });
  const failed = (/** @type {Error} */ error) => console.warn(`poke2vid: no use offline: ${error.message}`);
  workers.register(new URL('../sw.js', import.meta.url)).catch(failed);
}
