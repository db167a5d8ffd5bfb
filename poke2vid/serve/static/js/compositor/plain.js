/** The compositor without WebGL: the same arithmetic in plain JavaScript. */

import { alike, backdropOf, squareOf } from './backdrop.js';
import { Cutout } from './cutout.js';
import { Painter } from './painter.js';

/** @typedef {import('../canvas.js').Canvas} Canvas */
/** @typedef {import('../compositor.js').Compositor} Compositor */
/** @typedef {import('../compositor.js').Overlay} Overlay */
/** @typedef {import('../engine/types.js').Fields} Fields */

/** @implements {Compositor} */
export class PlainCompositor {
  /** @param {HTMLCanvasElement} element @param {HTMLCanvasElement} source @param {Canvas} canvas */
  constructor(element, source, canvas) {
    /** @type {'plain'} */
    this.kind = 'plain';
    this.element = element;
    this.source = source;
    this.canvas = canvas;
    this.width = element.width = source.width;
    this.height = element.height = source.height;
    this.context = /** @type {CanvasRenderingContext2D} */ (element.getContext('2d', { willReadFrequently: true }));
    const from = /** @type {CanvasRenderingContext2D} */ (source.getContext('2d', { willReadFrequently: true }));
    const levels = new Uint32Array(from.getImageData(0, 0, this.width, this.height).data.buffer);
    this.drawn = new ImageData(this.width, this.height);
    const layout = { width: this.width, height: this.height, r: canvas.resolution, map: canvas.modelMap(this.width, this.height) };
    this.painter = new Painter(levels, layout, new Uint32Array(this.drawn.data.buffer));
    this.draw(null);
  }

  /** Cuts the layer out of the first mask that is seen. @param {Float32Array|null} mask */
  prepare(mask) {
    if (!mask) return;
    const { painter, source, canvas } = this;
    if (!painter.cutout || !alike(mask, painter.cutout.mask)) {
      const square = squareOf(source.width, source.height, canvas);
      painter.cutout = new Cutout(painter.levels, source, square, backdropOf(source, canvas, mask), mask);
    }
    painter.cutout.mask = mask;
  }

  /** @param {Fields|null} fields @param {Overlay} [overlay] */
  draw(fields, overlay) {
    this.prepare(fields?.mask ?? null);
    this.painter.paint(fields, overlay);
    this.context.putImageData(this.drawn, 0, 0);
  }

  pixels() {
    return new ImageData(new Uint8ClampedArray(this.drawn.data), this.width, this.height);
  }

  /** @param {string} [type] @param {number} [quality] @returns {Promise<Blob>} */
  toBlob(type, quality) {
    return blobOf(this.element, type, quality);
  }

  close() {}
}

/** @param {HTMLCanvasElement} element @param {string} [type] @param {number} [quality] @returns {Promise<Blob>} */
export function blobOf(element, type = 'image/png', quality = undefined) {
  return new Promise((resolve, reject) => {
    element.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('The picture cannot be packed.'))), type, quality);
  });
}
