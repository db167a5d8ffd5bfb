/** A picture on its canvas element: how it is laid out for the model, and what draws it. */

import { Canvas } from '../canvas.js';
import { createCompositor } from '../compositor.js';
import { lay } from '../picture/pixels.js';

/** @typedef {import('../canvas.js').Picture} Picture */
/** @typedef {import('../engine/types.js').Fields} Fields */

export class View {
  /** @param {Picture} picture @param {HTMLCanvasElement} element @param {number} resolution of the model */
  constructor(picture, element, resolution) {
    this.picture = picture;
    this.element = element;
    this.canvas = new Canvas(picture, resolution);
    this.compositor = this.#composed();
  }

  #composed() {
    const prefer = new URLSearchParams(location.search).get('compositor') === 'plain' ? 'plain' : 'webgl';
    const shown = { ...this.picture, source: grounded(this.picture) };
    return createCompositor(this.element, shown, this.canvas, { prefer });
  }

  /** Lays a transparent picture on the page's ground, which has changed. */
  reground() {
    if (!this.picture.cutout) return;
    this.compositor.close();
    this.compositor = this.#composed();
  }

  /** @param {Fields|null} fields null for the picture at rest @param {Float32Array|null} heat */
  draw(fields, heat) {
    this.compositor.draw(fields, { heat });
  }

  close() {
    this.compositor.close();
  }
}

/** Pixels of a picture as the page shows them: on its own ground, dark or light, where they are transparent. @param {Picture} picture */
export function grounded({ source, cutout }) {
  if (!cutout) return source;
  const ground = getComputedStyle(/** @type {HTMLElement} */ (document.getElementById('stage'))).backgroundColor;
  return lay(document.createElement('canvas'), cutout, [cutout.width, cutout.height], ground);
}
