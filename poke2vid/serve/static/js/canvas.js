/**
 * A picture of any size on the model's square canvas: the same numbers as poke2vid/live/canvas.py. Nothing is cut off or stretched:
 * the picture is shrunk to its shown size, padded to a square by its border pixels, and shrunk to the model's resolution.
 */

import { roundHalfEven } from './engine/pokes.js';
import { resize } from './resize.js';

/** @typedef {import('./engine/types.js').Pair} Pair */
/** @typedef {import('./resize.js').Levels} Levels */

/**
 * @typedef {object} Picture
 * @property {string} name
 * @property {number} width of the user's picture, in pixels, turned as it is meant to be seen
 * @property {number} height
 * @property {HTMLCanvasElement} source its pixels on white; smaller than the picture where that is huge
 * @property {HTMLCanvasElement|null} cutout its pixels as they are, where some are transparent; else null
 * @property {Blob|null} file that it was read from
 */

const MAX_PIXELS = 64 * 2 ** 20; // of a picture, as in Python
const MAX_SOURCE_PIXELS = 16 * 2 ** 20; // of what is drawn: some phones have no larger canvas
const MAX_SOURCE_SIDE = 4096; // of a picture that has more pixels than that
const THUMBNAIL = 64; // in which transparent parts are looked for
const MAX_SHOWN_SIDE = 512; // of what the model's view is made from

/**
 * A picture file, turned by its EXIF tag and laid on white where transparent.
 *
 * @param {Blob} file
 * @param {string} [name]
 * @returns {Promise<Picture>}
 */
export async function readPicture(file, name = /** @type {any} */ (file).name || 'The picture') {
  if (file.size === 0) throw new Error(`${name} is empty; choose another file.`);
  let bitmap;
  try {
    bitmap = await decoded(file);
  } catch {
    throw new Error(`${name} is not a picture that this browser can read; use PNG, JPEG or WebP.`);
  }
  try {
    return { ...(await pictureOf(bitmap, bitmap.width, bitmap.height, name)), file };
  } finally {
    bitmap.close();
  }
}

/** Colour profiles are ignored, as in Python. @param {Blob} file @returns {Promise<ImageBitmap>} */
async function decoded(file) {
  try {
    return await createImageBitmap(file, {
      imageOrientation: 'from-image', colorSpaceConversion: 'none', premultiplyAlpha: 'none',
    });
  } catch (error) {
    if (error instanceof TypeError) return createImageBitmap(file); // a browser that does not know one of these words
    throw error;
  }
}

/**
 * Picture of anything that can be drawn: a frame of the camera, a canvas, a decoded file.
 *
 * @param {CanvasImageSource} image
 * @param {number} width
 * @param {number} height
 * @param {string} [name]
 * @returns {Promise<Picture>}
 */
export async function pictureOf(image, width, height, name = 'The picture') {
  if (width < 1 || height < 1) throw new Error(`${name} is empty (${width} x ${height}); choose another one.`);
  if (width * height > MAX_PIXELS) {
    const limit = MAX_PIXELS / 2 ** 20;
    throw new Error(`${name} is too large (${width} x ${height}); the limit is ${limit} megapixels, so shrink it first.`);
  }
  const huge = width * height > MAX_SOURCE_PIXELS;
  const scale = huge ? Math.min(1, MAX_SOURCE_SIDE / Math.max(width, height)) : 1;
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  const source = laidOn('white', image, size);
  return { name, width, height, source, cutout: isTransparent(image) ? laidOn(null, image, size) : null, file: null };
}

/**
 * A picture on a ground, where it is transparent; null leaves it so.
 *
 * @param {string|null} ground @param {CanvasImageSource} image @param {{width: number, height: number}} size
 */
export function laidOn(ground, image, { width, height }) {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }));
  if (ground) {
    context.fillStyle = ground;
    context.fillRect(0, 0, width, height);
  }
  context.imageSmoothingQuality = 'high';
  context.drawImage(image, 0, 0, width, height);
  return canvas;
}

/** True where a part of some size lets the ground through. @param {CanvasImageSource} image */
function isTransparent(image) {
  const [width, height] = [THUMBNAIL, THUMBNAIL];
  const small = /** @type {CanvasRenderingContext2D} */ (laidOn(null, image, { width, height }).getContext('2d'));
  return small.getImageData(0, 0, width, height).data.some((level, i) => i % 4 === 3 && level < 250);
}

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

export class Canvas {
  /**
   * @param {Picture} picture
   * @param {number} resolution side of the model's frames
   * @param {number} [maxSide] of the shown picture that x_0 is made from
   */
  constructor(picture, resolution, maxSide = MAX_SHOWN_SIDE) {
    const { width, height, source } = picture;
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
    const context = /** @type {CanvasRenderingContext2D} */ (source.getContext('2d', { willReadFrequently: true }));
    const pixels = context.getImageData(0, 0, source.width, source.height);
    /** Picture as shown, the same as Python's. */
    this.shown = resize(pixels, this.shownWidth, this.shownHeight);
    /** The model's view of it, `3 r r` in [-1, 1]. */
    this.x0 = floats(resize(this.#padded(), resolution, resolution));
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
