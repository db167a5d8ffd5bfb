/** The object's layer, cut out of the picture once and read at any place, for the compositor without WebGL. */

import { between } from '../fields.js';
import { RowReader, linearWeights } from './rows.js';

/** @typedef {import('../canvas.js').AxisMap} AxisMap */
/** @typedef {import('./backdrop.js').Backdrop} Backdrop */
/**
 * The picture's square.
 *
 * @typedef {object} Square
 * @property {number} side in pixels
 * @property {number} left where the levels begin on it @property {number} top
 * @property {AxisMap} map from its pixels to the model's
 * @property {[number, number]} [rows] of it that are asked for
 */

const OPAQUE = 255 << 24;
/** A level of the layer's colours, and an opacity of 1, in 16-bit numbers: a third of the memory of others. */
const LEVEL = 64;
const WHOLE = 16384;

export class Cutout {
  /**
   * @param {Uint32Array} levels pixels of the picture, or of some of its rows, red in the lowest byte
   * @param {{width: number, height: number}} size of these
   * @param {Square} square
   * @param {Backdrop} backdrop
   * @param {Float32Array} mask where the object shows, `r r`
   */
  constructor(levels, { width, height }, { side, left, top, map, rows = [0, side] }, backdrop, mask) {
    this.mask = mask;
    this.width = width;
    this.height = height;
    /** Of the picture on its square. */
    this.side = side;
    this.left = left;
    this.top = top;
    this.r = Math.round(Math.sqrt(mask.length));
    /** Background that shows where the object has gone, as the picture's pixels. */
    this.behind = levels.slice();
    const [x, upper, right, lower] = this.#box(backdrop);
    const [y, bottom] = [Math.max(upper, rows[0]), Math.min(lower, rows[1])];
    /** The part of the square that has any of the layer, and a pixel more to the right and below. */
    this.box = { x, y, width: Math.max(right - x, 0) + 1, height: Math.max(bottom - y, 0) + 1 };
    const size = this.box.width * this.box.height;
    /** Premultiplied red, green, blue, and opacity. */
    this.layer = new Int16Array(4 * size);
    /** True where there is any between a pixel and its neighbours to the right and below. */
    this.some = new Uint8Array(size);
    this.#cut(levels, backdrop, map);
  }

  /** Box that may hold any of the layer, in pixels of the square. @param {Backdrop} backdrop */
  #box({ side: small, values }) {
    const { side, mask, r } = this;
    const box = { left: side, top: side, right: 0, bottom: 0 };
    const widen = (/** @type {number} */ x, /** @type {number} */ y, /** @type {number} */ unit) => {
      box.left = Math.min(box.left, (x - 1) * unit);
      box.top = Math.min(box.top, (y - 1) * unit);
      box.right = Math.max(box.right, (x + 2) * unit);
      box.bottom = Math.max(box.bottom, (y + 2) * unit);
    };
    const filled = values.subarray(3 * small * small);
    for (let i = 0; i < filled.length; i++) if (filled[i]) widen(i % small, Math.floor(i / small), side / small);
    for (let i = 0; i < mask.length; i++) if (mask[i]) widen(i % r, Math.floor(i / r), side / r);
    const bound = (/** @type {number} */ c) => Math.min(Math.max(c, 0), side);
    return [
      bound(Math.floor(box.left) - 1), bound(Math.floor(box.top) - 1),
      bound(Math.ceil(box.right) + 1), bound(Math.ceil(box.bottom) + 1),
    ];
  }

  /** @param {Uint32Array} levels @param {Backdrop} backdrop @param {AxisMap} map from pixels of the square to the model's */
  #cut(levels, backdrop, map) {
    const { width, height, side, left, top, box, layer, some, behind } = this;
    const shown = new RowReader(1, linearWeights, { width: side, height: side, r: this.r, map });
    const read = readerOf(backdrop, side, map);
    const under = new Float64Array(4);
    for (let row = 0, o = 0; row < box.height; row++) {
      const y = Math.min(box.y + row, side - 1);
      const opacities = shown.row(this.mask, y);
      for (let column = 0; column < box.width; column++, o++) {
        const x = Math.min(box.x + column, side - 1);
        const opacity = opacities[x];
        read(under, x, y);
        if (!opacity && !under[3]) continue;
        const i = width * Math.min(Math.max(y - top, 0), height - 1) + Math.min(Math.max(x - left, 0), width - 1);
        for (let c = 0; c < 3; c++) {
          const level = (levels[i] >>> (8 * c)) & 255;
          under[c] = level + under[3] * (under[c] - level);
          layer[4 * o + c] = Math.round(LEVEL * (level - (1 - opacity) * under[c]));
        }
        layer[4 * o + 3] = Math.round(WHOLE * opacity);
        some[o] = 1;
        if (o >= 1) some[o - 1] = 1;
        if (o >= box.width) some[o - box.width] = 1;
        if (o > box.width) some[o - box.width - 1] = 1;
        if (x < left || x >= left + width || y < top || y >= top + height) continue;
        behind[i] = OPAQUE | (Math.round(under[2]) << 16) | (Math.round(under[1]) << 8) | Math.round(under[0]);
      }
    }
  }

  /**
   * A pixel of the picture where the layer comes from a place.
   *
   * @param {number} pixel its number @param {number} toX the place, in pixels of the picture @param {number} toY
   * @returns {number} its levels, red in the lowest byte
   */
  at(pixel, toX, toY) {
    const { side, box, layer, behind } = this;
    const last = side - 1;
    const sx = toX + this.left;
    const sy = toY + this.top;
    const cx = (sx < 0 ? 0 : sx > last ? last : sx) - box.x;
    const cy = (sy < 0 ? 0 : sy > last ? last : sy) - box.y;
    const under = behind[pixel];
    if (cx < 0 || cy < 0 || cx >= box.width - 1 || cy >= box.height - 1) return under;
    const column = cx | 0;
    const row = cy | 0;
    const o = row * box.width + column;
    if (this.some[o] === 0) return under;
    const fx = cx - column;
    const fy = cy - row;
    const d = fx * fy;
    const c = fy - d;
    const b = fx - d;
    const a = 1 - fx - c;
    const i = 4 * o;
    const k = i + 4 * box.width;
    const shows = 1 - (a * layer[i + 3] + b * layer[i + 7] + c * layer[k + 3] + d * layer[k + 7]) / WHOLE;
    const ownRed = (a * layer[i] + b * layer[i + 4] + c * layer[k] + d * layer[k + 4]) / LEVEL;
    const ownGreen = (a * layer[i + 1] + b * layer[i + 5] + c * layer[k + 1] + d * layer[k + 5]) / LEVEL;
    const ownBlue = (a * layer[i + 2] + b * layer[i + 6] + c * layer[k + 2] + d * layer[k + 6]) / LEVEL;
    const red = ownRed + shows * (under & 255) + 0.5;
    const green = ownGreen + shows * ((under >>> 8) & 255) + 0.5;
    const blue = ownBlue + shows * ((under >>> 16) & 255) + 0.5;
    return (
      OPAQUE |
      ((blue < 0 ? 0 : blue > 255 ? 255 : blue) << 16) |
      ((green < 0 ? 0 : green > 255 ? 255 : green) << 8) |
      (red < 0 ? 0 : red > 255 ? 255 : red)
    );
  }
}

/**
 * Reads a backdrop's four planes at a pixel of a square, which may be larger.
 *
 * @param {Backdrop} backdrop @param {number} side @param {AxisMap} map from the square's pixels to the model's
 * @returns {(into: Float64Array, x: number, y: number) => void}
 */
function readerOf({ side: small, values, map: back }, side, map) {
  const size = small * small;
  if (small === side) {
    return (into, x, y) => {
      for (let c = 0, i = y * side + x; c < 4; c++, i += size) into[c] = values[i];
    };
  }
  const along = (/** @type {0|1} */ axis, /** @type {number} */ at) =>
    back.scale[axis] * (map.scale[axis] * at + map.offset[axis]) + back.offset[axis];
  return (into, x, y) => {
    for (let c = 0; c < 4; c++) into[c] = between(values, c * size, small, along(0, x), along(1, y));
  };
}
