/**
 * The picture, moved as the model says, at the picture's own resolution and proportions (poke2vid/live/canvas.py, Canvas.render):
 * flow is enlarged bilinearly and read at every pixel, the picture is sampled where it points, repaint is added. Where fields
 * have a mask, the object's layer alone is sampled there, and laid before what the picture is without it.
 */

import { PlainCompositor } from './compositor/plain.js';
import { WebGLCompositor, webglSupport } from './compositor/webgl.js';

/** @typedef {import('./canvas.js').Canvas} Canvas */
/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./engine/types.js').Fields} Fields */

/**
 * Other things that are drawn.
 *
 * @typedef {object} Overlay
 * @property {Float32Array|null} [heat] `r r` in 0 ... 1, of the picture at rest; it moves with the picture
 * @property {number} [dim] brightness of the picture below, 0 ... 1; 0.6 under a heat map unless given, else 1
 */

/**
 * @typedef {object} Compositor
 * @property {'webgl'|'plain'} kind
 * @property {number} width of what is drawn, in pixels
 * @property {number} height
 * @property {(mask: Float32Array|null) => void} prepare cuts the object's layer out ahead of the first frame that needs it
 * @property {(fields: Fields|null, overlay?: Overlay) => void} draw the picture as fields say, or (null) as it is
 * @property {() => ImageData} pixels what was drawn last
 * @property {(type?: string, quality?: number) => Promise<Blob>} toBlob what was drawn last, as a picture file
 * @property {() => void} close
 */

const MAX_SIDE = 4096;
const MAX_FILM_SIDE = 2048; // where the CPU draws at leisure
const MAX_SLOW_SIDE = 768; // where the CPU draws every pixel: 13 ms a frame, 37 under a heat map

/** Longest side of a picture that is drawn here, be it in a video: more pixels need not be kept at hand. */
export function drawnSide() {
  const support = webglSupport();
  return support && !support.slow ? MAX_SIDE : MAX_FILM_SIDE;
}

/**
 * A compositor that draws on `element`, whose size becomes that of the picture, or less where the device cannot do as much.
 * An element stays with one kind of compositor; it may be given to another one of the same kind after `close`.
 *
 * @param {HTMLCanvasElement} element
 * @param {Picture} picture
 * @param {Canvas} canvas the same picture on the model's canvas
 * @param {{maxSide?: number, prefer?: 'webgl'|'any-webgl'|'plain', isLive?: boolean}} [options] `webgl` where a GPU draws, else
 *   `plain`; `any-webgl` also where a program plays the GPU: that takes the cores that the model runs on, and is slower;
 *   what is not live may take its time, and has its size also where the CPU draws
 * @returns {Compositor}
 */
export function createCompositor(element, picture, canvas, { maxSide = MAX_SIDE, prefer = 'webgl', isLive = true } = {}) {
  const found = prefer === 'plain' ? null : webglSupport();
  const support = found?.slow && prefer === 'webgl' ? null : found;
  const limit = isLive && (!support || support.slow) ? MAX_SLOW_SIDE : MAX_SIDE;
  const most = Math.min(maxSide, limit, support?.maxTexture ?? limit);
  const source = shrunk(picture, most);
  return support ? new WebGLCompositor(element, source, canvas) : new PlainCompositor(element, source, canvas);
}

/** The picture with no side longer than `most`. @param {Picture} picture @param {number} most @returns {HTMLCanvasElement} */
function shrunk({ source }, most) {
  const longest = Math.max(source.width, source.height);
  if (longest <= most) return source;
  const smaller = document.createElement('canvas');
  smaller.width = Math.max(1, Math.round((source.width * most) / longest));
  smaller.height = Math.max(1, Math.round((source.height * most) / longest));
  const context = /** @type {CanvasRenderingContext2D} */ (smaller.getContext('2d'));
  context.imageSmoothingQuality = 'high';
  context.drawImage(source, 0, 0, smaller.width, smaller.height);
  return smaller;
}
