/**
 * A picture of any size on the model's square canvas: the same numbers as poke2vid/live/canvas.py. Nothing is cut off or stretched:
 * the picture is shrunk to its shown size, padded to a square by its border pixels, and shrunk to the model's resolution.
 */

import { roundHalfEven } from './engine/pokes.js';
import { pixelsOf } from './picture/pixels.js';
import { resize } from './resize.js';

/** @typedef {import('./engine/types.js').Pair} Pair */
/** @typedef {import('./resize.js').Levels} Levels */

/**
 * @typedef {object} Picture
 * @property {string} name
 * @property {number} width of the user's picture, in pixels, turned as it is meant to be seen
 * @property {number} height
 * @property {HTMLCanvasElement} source its pixels on white; smaller than the picture where that is huge
 * @property {HTMLCanvasElement|null} [cutout] its pixels as they are, where some are transparent
 * @property {Levels|null} [reduced] its pixels at the size that the model's view is made from, where that is smaller
 * @property {Blob|null} file that it was read from
 */

const MAX_SHOWN_SIDE = 512; // of what the model's view is made from

/**
 * A map of the plane along its axes: x becomes `scale[0] x + offset[0]`, y likewise.
 *
 * @typedef {{scale: Pair, offset: Pair}} AxisMap
 */

/**
 * The resize of one picture to another: areas map onto areas, not pixel centres onto pixel centres.
 *
 * @param {Pair} source width and height
 * @param {Pair} target
 * @returns {AxisMap}
 */
export function resizing(source, target) {
  const scale = /** @type {Pair} */ ([target[0] / source[0], target[1] / source[1]]);
  return { scale, offset: [(scale[0] - 1) / 2, (scale[1] - 1) / 2] };
}

/** First one map, then another. @param {AxisMap} first @param {AxisMap} second @returns {AxisMap} */
function then(first, second) {
  const along = (/** @type {0|1} */ axis) => [
    second.scale[axis] * first.scale[axis],
    second.scale[axis] * first.offset[axis] + second.offset[axis],
  ];
  const [x, y] = [along(0), along(1)];
  return { scale: [x[0], y[0]], offset: [x[1], y[1]] };
}

/** Places of a picture's pixels in the model's frames. */
export class Layout {
  /**
   * @param {{width: number, height: number}} picture in pixels
   * @param {number} resolution side of the model's frames
   * @param {number} [maxSide] of the shown picture that x_0 is made from
   */
  constructor({ width, height }, resolution, maxSide = MAX_SHOWN_SIDE) {
    const longest = Math.max(width, height);
    const scale = Math.min(Math.max(longest, resolution), Math.max(maxSide, resolution)) / longest;
    this.width = width;
    this.height = height;
    this.resolution = resolution;
    this.shownWidth = Math.max(1, roundHalfEven(width * scale));
    this.shownHeight = Math.max(1, roundHalfEven(height * scale));
    this.side = Math.max(this.shownWidth, this.shownHeight);
    this.left = (this.side - this.shownWidth) >> 1;
    this.top = (this.side - this.shownHeight) >> 1;
    /** From pixels of the user's picture to pixels of x_0. */
    this.toModel = this.modelMap(width, height);
  }

  /**
   * From pixels of the picture at any size, such as that of a compositor, to pixels of x_0.
   *
   * @param {number} width
   * @param {number} height
   */
  modelMap(width, height) {
    const toShown = resizing([width, height], [this.shownWidth, this.shownHeight]);
    const toSquare = then(toShown, { scale: [1, 1], offset: [this.left, this.top] });
    return then(toSquare, resizing([this.side, this.side], [this.resolution, this.resolution]));
  }

  /** True if a location in pixels of the user's picture lies on it. @param {Pair} at */
  contains([x, y]) {
    return x >= -0.5 && x <= this.width - 0.5 && y >= -0.5 && y <= this.height - 0.5;
  }

  /**
   * A poke in pixels of the user's picture, in pixels of the model's frames.
   *
   * @param {Pair} at
   * @param {Pair} [shift]
   * @returns {{at: Pair, shift: Pair}}
   */
  modelled(at, shift = [0, 0]) {
    const last = this.resolution - 0.5;
    const { scale } = this.toModel;
    const [x, y] = this.target(at).map((c) => Math.min(Math.max(c, -0.5), last)); // rounding must not push it out
    return { at: [x, y], shift: [scale[0] * shift[0], scale[1] * shift[1]] };
  }

  /** A stroke in pixels of the user's picture, in pixels of the model's frames. @param {{path: Pair[], radius: number}} stroke */
  strokeOf({ path, radius }) {
    return { path: path.map((at) => this.target(at)), radius: this.toModel.scale[0] * radius };
  }

  /** Location of the user's picture in the model's frames; it may lie outside. @param {Pair} at @returns {Pair} */
  target([x, y]) {
    const { scale, offset } = this.toModel;
    return [scale[0] * x + offset[0], scale[1] * y + offset[1]];
  }

  /** The inverse of `target`. @param {Pair} at @returns {Pair} */
  original([x, y]) {
    const { scale, offset } = this.toModel;
    return [(x - offset[0]) / scale[0], (y - offset[1]) / scale[1]];
  }
}

export class Canvas extends Layout {
  /** @param {Picture} picture @param {number} resolution @param {number} [maxSide] */
  constructor(picture, resolution, maxSide = MAX_SHOWN_SIDE) {
    super(picture, resolution, maxSide);
    const { shownWidth, shownHeight } = this;
    const { source, reduced } = picture;
    /** Picture as shown, the same as Python's. */
    this.shown = reduced?.width === shownWidth && reduced.height === shownHeight ? reduced
      : resize(pixelsOf(source), shownWidth, shownHeight);
    /** The model's view of it, `3 r r` in [-1, 1]. */
    this.x0 = floats(resize(this.#padded(), resolution, resolution));
  }

  /** The shown picture as a square; its border pixels go on to all sides. @returns {Levels} */
  #padded() {
    const { side, left, top, shownWidth: width, shownHeight: height } = this;
    if (width === height) return this.shown;
    const from = new Uint32Array(this.shown.data.buffer, this.shown.data.byteOffset, width * height);
    const square = new Uint32Array(side * side);
    for (let y = 0; y < side; y++) {
      const row = from.subarray(Math.min(Math.max(y - top, 0), height - 1) * width).subarray(0, width);
      square.fill(row[0], y * side, y * side + left);
      square.set(row, y * side + left);
      square.fill(row[width - 1], y * side + left + width, (y + 1) * side);
    }
    return { data: new Uint8ClampedArray(square.buffer), width: side, height: side };
  }
}

/** Levels as the program sees them: planes in [-1, 1], in single precision. @param {Levels} levels */
function floats({ data, width, height }) {
  const size = width * height;
  const planes = new Float32Array(3 * size);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) planes[c * size + i] = Math.fround(data[4 * i + c] / 127.5) - 1;
  }
  return planes;
}
