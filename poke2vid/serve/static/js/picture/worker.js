/** The worker that reads pictures and writes them at their own size, so that the page never waits for it. */

import { JOBS } from './jobs.js';

self.addEventListener('message', async ({ data: { id, job, asked } }) => {
  try {
    const value = await JOBS[job](asked, (/** @type {number} */ share) => self.postMessage({ id, share }));
    self.postMessage({ id, value });
  } catch (error) {
    self.postMessage({ id, error: /** @type {Error} */ (error).message });
  }
});
