/** Picture files as pixels; the work of a second, so a worker does it. */

import { Layout } from '../canvas.js';
import { resize } from '../resize.js';
import { blank, lay, pixelsOf } from './pixels.js';

/** @typedef {import('../resize.js').Levels} Levels */

const MAX_PIXELS = 64 * 2 ** 20; // of a picture, as in Python
const MAX_SOURCE_PIXELS = 16 * 2 ** 20; // of what is drawn: some phones have no larger canvas
const MAX_SOURCE_SIDE = 4096; // of a picture that has more pixels than that
const THUMBNAIL = 64; // in which transparent parts are looked for
const OPAQUE = 250; // level of opacity there that rounding may leave

/**
 * A picture file, turned by its EXIF tag; colour profiles are ignored, as in Python.
 *
 * @param {Blob} file @param {string} name
 */
export async function decoded(file, name) {
  if (file.size === 0) throw new Error(`${name} is empty; choose another file.`);
  try {
    return await createImageBitmap(file, {
      imageOrientation: 'from-image', colorSpaceConversion: 'none', premultiplyAlpha: 'none',
    });
  } catch (error) {
    if (error instanceof TypeError) return createImageBitmap(file); // a browser that does not know one of these words
    throw new Error(`${name} is not a picture that this browser can read; use PNG, JPEG or WebP.`);
  }
}

/** @param {number} width @param {number} height @param {string} name */
export function requireSize(width, height, name) {
  if (width < 1 || height < 1) throw new Error(`${name} is empty (${width} x ${height}); choose another one.`);
  if (width * height <= MAX_PIXELS) return;
  const limit = MAX_PIXELS / 2 ** 20;
  throw new Error(`${name} is too large (${width} x ${height}); the limit is ${limit} megapixels, so shrink it first.`);
}

/**
 * A file as the page needs it: pixels to be drawn, and those that the model's view is made from where they are fewer.
 *
 * @param {{file: Blob, name: string, maxSide: number}} asked with the longest side that this device draws
 * @returns {Promise<{width: number, height: number, image: ImageBitmap, cutout: ImageBitmap|null, reduced: Levels|null}>}
 *   cutout: the same on no ground, where some of it is transparent
 */
export async function opened({ file, name, maxSide }) {
  const bitmap = await decoded(file, name);
  try {
    const { width, height } = bitmap;
    requireSize(width, height, name);
    const huge = width * height > MAX_SOURCE_PIXELS;
    const source = lay(blank(...within(width, height, huge ? MAX_SOURCE_SIDE : Infinity)), bitmap);
    const drawn = within(source.width, source.height, maxSide);
    const image = await createImageBitmap(drawn[0] < source.width ? lay(blank(...drawn), source) : source);
    const cutout = isTransparent(bitmap) ? await createImageBitmap(lay(blank(...drawn), bitmap, drawn, null)) : null;
    const { shownWidth, shownHeight } = new Layout(bitmap, 1);
    const isSmaller = shownWidth < source.width;
    return { width, height, image, cutout, reduced: isSmaller ? resize(pixelsOf(source), shownWidth, shownHeight) : null };
  } finally {
    bitmap.close();
  }
}

/** True where a part of some size lets the ground through. @param {ImageBitmap} bitmap */
function isTransparent(bitmap) {
  const { data } = pixelsOf(lay(blank(THUMBNAIL, THUMBNAIL), bitmap, [THUMBNAIL, THUMBNAIL], null));
  return data.some((level, i) => i % 4 === 3 && level < OPAQUE);
}

/**
 * A size with no side longer than the most.
 *
 * @param {number} width @param {number} height @param {number} most @returns {[number, number]}
 */
export function within(width, height, most) {
  const scale = Math.min(1, most / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}
