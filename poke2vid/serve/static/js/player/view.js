/** A picture on its canvas element: how it is laid out for the model, and what draws it. */

import { Canvas } from '../canvas.js';
import { createCompositor } from '../compositor.js';

/** @typedef {import('../canvas.js').Picture} Picture */
/** @typedef {import('../engine/types.js').Fields} Fields */

export class View {
  /** @param {Picture} picture @param {HTMLCanvasElement} element @param {number} resolution of the model */
  constructor(picture, element, resolution) {
    this.picture = picture;
    this.canvas = new Canvas(picture, resolution);
    const prefer = new URLSearchParams(location.search).get('compositor') === 'plain' ? 'plain' : 'webgl';
    this.compositor = createCompositor(element, picture, this.canvas, { prefer });
  }

  /** @param {Fields|null} fields null for the picture at rest @param {Float32Array|null} heat */
  draw(fields, heat) {
    this.compositor.draw(fields, { heat });
  }

  close() {
    this.compositor.close();
  }
}
