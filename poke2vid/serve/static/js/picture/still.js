/**
 * A moment as a file with every pixel of the picture, however large that is: read, moved and packed in strips. What does not
 * move has the very pixels of the file that was opened.
 */

import { Layout } from '../canvas.js';
import { backdropOf, squareOf } from '../compositor/backdrop.js';
import { Cutout } from '../compositor/cutout.js';
import { Painter } from '../compositor/painter.js';
import { decoded, within } from './decode.js';
import { blank, contextOf, lay } from './pixels.js';
import { PngWriter } from './png.js';

/** @typedef {import('../canvas.js').AxisMap} AxisMap */
/** @typedef {import('../engine/types.js').Fields} Fields */
/**
 * A moment of a picture.
 *
 * @typedef {object} Asked
 * @property {string} name
 * @property {Blob|null} file
 * @property {ImageBitmap|null} image where there is no file
 * @property {number} resolution of the model
 * @property {Fields|null} fields
 * @property {Float32Array|null} heat
 */

const STRIP_PIXELS = 2 ** 20;
const BACKDROP_SIDE = 1024; // as compositor/backdrop.js needs at most
const REACH_STRIPS = 2; // a strip is that many times as high as what moves into it comes from afar

/** @param {Asked} asked @param {(share: number) => void} onProgress @returns {Promise<Blob>} */
export async function still({ name, file, image, resolution, fields, heat }, onProgress) {
  const bitmap = file ? await decoded(file, name) : /** @type {ImageBitmap} */ (image);
  const { width, height } = bitmap;
  const window = new Window(bitmap, new Layout(bitmap, resolution), fields);
  const writer = new PngWriter(width, height);
  const reach = window.reach(0, height);
  const rows = Math.max(Math.ceil(STRIP_PIXELS / width), Math.ceil(REACH_STRIPS * (reach[1] - reach[0])));
  try {
    for (let y = 0; y < height; y += rows) {
      await writer.write(window.rows(y, Math.min(y + rows, height), heat));
      onProgress(Math.min(1, (y + rows) / height));
    }
    return await writer.finish();
  } finally {
    bitmap.close();
  }
}

/** A picture of which some rows are looked at. */
class Window {
  /** @param {ImageBitmap} bitmap @param {Layout} layout @param {Fields|null} fields */
  constructor(bitmap, layout, fields) {
    const { width, height } = bitmap;
    this.bitmap = bitmap;
    this.fields = fields;
    this.r = layout.resolution;
    this.map = layout.modelMap(width, height);
    this.square = squareOf(width, height, layout);
    const mask = fields?.mask ?? null;
    const small = mask && lay(blank(...within(width, height, BACKDROP_SIDE)), bitmap);
    this.backdrop = mask && small && backdropOf(small, layout, mask);
  }

  /**
   * Farthest that rows come from, in pixels up (negative) and down.
   *
   * @param {number} from @param {number} to @returns {[number, number]}
   */
  reach(from, to) {
    const { r, fields } = this;
    const scale = this.map.scale[1];
    const offset = this.map.offset[1];
    if (!fields?.flow) return [0, 0];
    const bound = (/** @type {number} */ row) => Math.min(Math.max(row, 0), r - 1);
    const begin = r * (r + bound(Math.floor(scale * from + offset)));
    const down = fields.flow.subarray(begin, r * (r + bound(Math.floor(scale * (to - 1) + offset) + 1) + 1));
    const [least, most] = down.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [0, 0]);
    return [least / scale, most / scale];
  }

  /** Pixels of some rows as the fields move them. @param {number} from @param {number} to @param {Float32Array|null} heat */
  rows(from, to, heat) {
    const { bitmap, fields, r, backdrop } = this;
    const { width, height } = bitmap;
    const [least, most] = this.reach(from, to);
    const top = Math.max(0, Math.floor(from + least) - 1);
    const bottom = Math.min(height, Math.ceil(to + most) + 1);
    const levels = this.#levels(top, bottom);
    const asked = /** @type {const} */ ([width * (from - top), width * (to - top)]);
    if (!fields && !heat) return levels.subarray(...asked);
    const size = { width, height: bottom - top };
    const painter = new Painter(levels, { ...size, r, map: lowered(this.map, top) }, new Uint32Array(levels.length));
    if (fields?.mask && backdrop) {
      const { square } = this;
      /** @type {[number, number]} */
      const used = [square.top + Math.floor(from + least) - 1, square.top + Math.ceil(to + most) + 1];
      const rows = /** @type {[number, number]} */ (used.map((row) => Math.min(Math.max(row, 0), square.side)));
      painter.cutout = new Cutout(levels, size, { ...square, top: square.top + top, rows }, backdrop, fields.mask);
    }
    painter.paint(fields, { heat }, from - top, to - top);
    return painter.out.subarray(...asked);
  }

  /** Pixels of the file, on white. @param {number} top @param {number} bottom */
  #levels(top, bottom) {
    const { width } = this.bitmap;
    const context = contextOf(blank(width, bottom - top));
    context.fillStyle = 'white';
    context.fillRect(0, 0, width, bottom - top);
    context.drawImage(this.bitmap, 0, -top);
    return new Uint32Array(context.getImageData(0, 0, width, bottom - top).data.buffer);
  }
}

/** The way of rows that begin farther down. @param {AxisMap} map @param {number} rows @returns {AxisMap} */
function lowered({ scale, offset }, rows) {
  return { scale, offset: [offset[0], offset[1] + scale[1] * rows] };
}
