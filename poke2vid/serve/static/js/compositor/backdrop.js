/**
 * The picture without its object, for models that move the object's layer alone (poke2vid/model/carry.py, `background`): where
 * the object shows, it is filled from around. That is smooth, so it is made at a moderate size whatever the picture's; where
 * nothing is filled the picture itself is the backdrop.
 */

import { fill } from '../fields.js';
import { blank, contextOf, pixelsOf } from '../picture/pixels.js';
import { RowReader, linearWeights } from './rows.js';

/** @typedef {import('../canvas.js').AxisMap} AxisMap */
/** @typedef {import('../canvas.js').Layout} Layout */
/** @typedef {import('../picture/pixels.js').Sheet} Sheet */

/**
 * On the picture's square: what it shows goes on at its borders, as the model sees it.
 *
 * @typedef {object} Backdrop
 * @property {number} side of the square, in pixels
 * @property {AxisMap} map from pixels of the model to pixels of the square
 * @property {Float32Array} values red, green and blue in 0 ... 255, and as a fourth plane whether it was filled there, 0 or 1
 */

const MAX_SIDE = 1024;
const OBJECT = 0.1; // of the mask: the backdrop is taken from where less of the object shows

/**
 * @param {Sheet} source the picture as a compositor has it
 * @param {Layout} canvas
 * @param {Float32Array} mask where the object shows, `r r`
 * @returns {Backdrop}
 */
export function backdropOf(source, canvas, mask) {
  const { data, width, height } = moderate(source);
  const { side, left, top, map } = squareOf(width, height, canvas);
  const size = side * side;
  const values = new Float32Array(4 * size);
  for (let y = 0, o = 0; y < side; y++) {
    const row = width * Math.min(Math.max(y - top, 0), height - 1);
    for (let x = 0; x < side; x++, o++) {
      const i = 4 * (row + Math.min(Math.max(x - left, 0), width - 1));
      values[o] = data[i];
      values[size + o] = data[i + 1];
      values[2 * size + o] = data[i + 2];
    }
  }
  const known = knownOf(new RowReader(1, linearWeights, { width: side, height: side, r: canvas.resolution, map }), mask);
  fill(values.subarray(0, 3 * size), known, 3, side);
  for (let i = 0; i < size; i++) values[3 * size + i] = 1 - known[i];
  return { side, map: inverse(map), values };
}

/**
 * Place of a picture of a size on its square, and the way from that one's pixels to the model's.
 *
 * @param {number} width @param {number} height @param {Layout} canvas
 */
export function squareOf(width, height, canvas) {
  const side = Math.max(width, height);
  const [left, top] = [(side - width) >> 1, (side - height) >> 1];
  const { scale, offset } = canvas.modelMap(width, height);
  /** @type {AxisMap} */
  const map = { scale, offset: [offset[0] - scale[0] * left, offset[1] - scale[1] * top] };
  return { side, left, top, map };
}

/** @param {AxisMap} map @returns {AxisMap} */
function inverse({ scale: [x, y], offset }) {
  return { scale: [1 / x, 1 / y], offset: [-offset[0] / x, -offset[1] / y] };
}

/**
 * True if two masks are of one picture: one that is opened again has another array.
 *
 * @param {Float32Array|null} a
 * @param {Float32Array|null} b
 */
export function alike(a, b) {
  return a === b || (a !== null && b !== null && a.length === b.length && a.every((value, i) => value === b[i]));
}

/** Pixels, no more than need be. @param {Sheet} source */
function moderate(source) {
  const scale = Math.min(1, MAX_SIDE / Math.max(source.width, source.height));
  if (scale === 1) return pixelsOf(source);
  const [width, height] = [source.width, source.height].map((length) => Math.max(1, Math.round(length * scale)));
  const smaller = blank(width, height);
  const context = contextOf(smaller);
  context.imageSmoothingQuality = 'high';
  context.drawImage(source, 0, 0, width, height);
  return pixelsOf(smaller);
}

/** Pixels at which neither they nor their neighbours show much of the object. @param {RowReader} reader @param {Float32Array} mask */
function knownOf(reader, mask) {
  const side = reader.width;
  const known = new Uint8Array(side * side).fill(1);
  for (let y = 0; y < side; y++) {
    const shown = reader.row(mask, y);
    for (let x = 0; x < side; x++) {
      if (shown[x] <= OBJECT) continue;
      const [left, right] = [Math.max(x - 1, 0), Math.min(x + 2, side)];
      const end = Math.min(y + 2, side) * side;
      for (let row = Math.max(y - 1, 0) * side; row < end; row += side) known.fill(0, row + left, row + right);
    }
  }
  return known;
}
