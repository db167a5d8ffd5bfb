/** Pictures as they come in: files of any kind that the browser knows, frames of the camera. */

import { drawnSide } from '../compositor.js';
import { requireSize } from './decode.js';
import { lay } from './pixels.js';

/** @typedef {import('../canvas.js').Picture} Picture */

/** @type {Worker|null} */
let worker = null;
let asks = 0;
/** @type {Map<number, {done: (value: any) => void, failed: (error: Error) => void, onProgress: (share: number) => void}>} */
const waiting = new Map();

/**
 * A job of the worker; done here in a browser that has no canvases there.
 *
 * @param {string} job @param {any} asked @param {(share: number) => void} [onProgress]
 * @returns {Promise<any>}
 */
export async function ask(job, asked, onProgress = () => {}) {
  if (typeof OffscreenCanvas === 'undefined') return (await import('./jobs.js')).JOBS[job](asked, onProgress);
  worker ??= started();
  const id = asks++;
  return new Promise((done, failed) => {
    waiting.set(id, { done, failed, onProgress });
    /** @type {Worker} */ (worker).postMessage({ id, job, asked });
  });
}

function started() {
  const made = new Worker(new URL('./worker.js', import.meta.url), { type: 'module' });
  made.addEventListener('message', ({ data: { id, share, value, error } }) => {
    if (share !== undefined) return waiting.get(id)?.onProgress(share);
    if (error === undefined) waiting.get(id)?.done(value);
    else waiting.get(id)?.failed(new Error(error));
    waiting.delete(id);
  });
  made.addEventListener('error', () => {
    worker = null; // the next picture has a new one
    const error = new Error('The picture cannot be read now; try again, or take a smaller one.');
    for (const { failed } of waiting.values()) failed(error);
    waiting.clear();
  });
  return made;
}

/**
 * A picture file, turned by its EXIF tag and laid on white where transparent.
 *
 * @param {Blob} file
 * @param {string} [name]
 * @returns {Promise<Picture>}
 */
export async function readPicture(file, name = /** @type {any} */ (file).name || 'The picture') {
  const { width, height, image, cutout: open, reduced } = await ask('opened', { file, name, maxSide: drawnSide() });
  const source = lay(document.createElement('canvas'), image, [image.width, image.height]);
  const cutout = open && lay(document.createElement('canvas'), open, [open.width, open.height], null);
  image.close();
  open?.close();
  return { name, width, height, source, cutout, reduced, file };
}

/**
 * Picture of anything that can be drawn: a frame of the camera, a canvas.
 *
 * @param {CanvasImageSource} image
 * @param {number} width
 * @param {number} height
 * @param {string} [name]
 * @returns {Promise<Picture>}
 */
export async function pictureOf(image, width, height, name = 'The picture') {
  requireSize(width, height, name);
  const source = lay(document.createElement('canvas'), image, [width, height]);
  return { name, width, height, source, file: null };
}
