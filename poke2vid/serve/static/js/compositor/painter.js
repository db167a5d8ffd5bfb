/** A picture, or some of its rows, moved pixel by pixel in plain JavaScript: for screens without a GPU, and for files. */

import { cubicWeights } from '../resize.js';
import { DIM_UNDER_HEAT, GREY_UNDER_HEAT, HEAT_OPACITY, heatColours } from './overlay.js';
import { RowReader, STILL, linearWeights } from './rows.js';

/** @typedef {import('../canvas.js').AxisMap} AxisMap */
/** @typedef {import('../compositor.js').Overlay} Overlay */
/** @typedef {import('../engine/types.js').Fields} Fields */
/** @typedef {import('./cutout.js').Cutout} Cutout */

const OPAQUE = 255 << 24; // every machine that runs a browser is little endian

export class Painter {
  /**
   * @param {Uint32Array} levels the pixels as they are, red in the lowest byte
   * @param {{width: number, height: number, r: number, map: AxisMap}} layout of them, and where they are in the model's frames
   * @param {Uint32Array} out the pixels as they are painted
   */
  constructor(levels, layout, out) {
    const { width, height, r, map } = layout;
    this.width = width;
    this.height = height;
    this.r = r;
    this.map = map;
    this.levels = levels;
    this.picture = new Uint8ClampedArray(levels.buffer);
    this.out = out;
    this.bytes = new Uint8ClampedArray(out.buffer);
    this.flow = new RowReader(2, linearWeights, layout);
    this.repaint = new RowReader(3, linearWeights, layout);
    this.frame = new RowReader(3, cubicWeights, layout);
    this.colours = heatColours();
    this.colour = [0, 0, 0];
    /** @type {Cutout|null} */
    this.cutout = null; // for frames that have a mask
  }

  /**
   * Rows as fields say, into `out`.
   *
   * @param {Fields|null} fields @param {Overlay} [overlay] @param {number} [from] the first row @param {number} [to] after the last
   */
  paint(fields, { heat = null, dim = heat ? DIM_UNDER_HEAT : 1 } = {}, from = 0, to = this.height) {
    const { width, colour } = this;
    const cutout = fields?.mask ? this.cutout : null;
    if (fields?.flow && !fields.xHat && !heat && dim === 1) {
      if (cutout) this.#carry(cutout, fields.flow, from, to);
      else this.#move(fields.flow, fields.repaint, from, to);
      return;
    }
    const { picture, bytes: out } = this;
    const [scaleX, scaleY] = this.map.scale;
    for (let y = from, o = 4 * width * from; y < to; y++) {
      const flow = fields?.flow ? this.flow.row(fields.flow, y) : null;
      const repaint = fields?.repaint ? this.repaint.row(fields.repaint, y) : null;
      const frame = fields?.xHat ? this.frame.row(fields.xHat, y) : null;
      for (let x = 0; x < width; x++, o += 4) {
        const dx = flow ? flow[x] : 0;
        const dy = flow ? flow[width + x] : 0;
        if (frame) for (let c = 0; c < 3; c++) colour[c] = (frame[c * width + x] + 1) * 127.5;
        else if (flow && cutout) this.#read(cutout.at(o >> 2, x + dx / scaleX, y + dy / scaleY));
        else if (flow) this.#sample(x + dx / scaleX, y + dy / scaleY);
        else for (let c = 0; c < 3; c++) colour[c] = picture[o + c];
        if (repaint) for (let c = 0; c < 3; c++) colour[c] += repaint[c * width + x] * 127.5;
        if (heat) this.#lay(heat, x, y, dx, dy, dim);
        for (let c = 0; c < 3; c++) out[o + c] = heat ? colour[c] : dim * colour[c]; // rounded and clamped by the array
        out[o + 3] = 255;
      }
    }
  }

  /**
   * The same for the usual case, which must not hold the page up: no loops over colours, and what is still is copied.
   *
   * @param {Float32Array} flowCells @param {Float32Array|null} repaintCells @param {number} from @param {number} to
   */
  #move(flowCells, repaintCells, from, to) {
    const { width, height, r, levels, out } = this;
    const { index, weight } = this.flow.across; // linear: two neighbours each
    const flow = this.flow.cells;
    const paint = this.repaint.cells;
    const perX = 1 / this.map.scale[0];
    const perY = 1 / this.map.scale[1];
    const right = width - 1;
    const bottom = height - 1;
    for (let y = from; y < to; y++) {
      const moves = this.flow.mix(flowCells, y);
      const paints = repaintCells !== null && this.repaint.mix(repaintCells, y);
      const begin = width * y;
      if (!moves && !paints) {
        out.set(levels.subarray(begin, begin + width), begin);
        continue;
      }
      for (let x = 0; x < width; x++) {
        const k = index[2 * x];
        const l = index[2 * x + 1];
        const share = weight[2 * x + 1];
        const toX = x + (flow[k] + share * (flow[l] - flow[k])) * perX;
        const toY = y + (flow[r + k] + share * (flow[r + l] - flow[r + k])) * perY;
        const cx = toX < 0 ? 0 : toX > right ? right : toX;
        const cy = toY < 0 ? 0 : toY > bottom ? bottom : toY;
        const left = cx | 0;
        const top = cy | 0;
        const fx = cx - left;
        const fy = cy - top;
        const i = top * width + left;
        const below = top < bottom ? width : 0;
        const a = levels[i];
        const b = levels[left < right ? i + 1 : i];
        const c = levels[i + below];
        const d = levels[left < right ? i + 1 + below : i + below];
        const wd = fx * fy;
        const wc = fy - wd;
        const wb = fx - wd;
        const wa = 1 - fx - wc;
        let red = (a & 255) * wa + (b & 255) * wb + (c & 255) * wc + (d & 255) * wd + 0.5;
        let green = ((a >>> 8) & 255) * wa + ((b >>> 8) & 255) * wb + ((c >>> 8) & 255) * wc + ((d >>> 8) & 255) * wd + 0.5;
        let blue = ((a >>> 16) & 255) * wa + ((b >>> 16) & 255) * wb + ((c >>> 16) & 255) * wc + ((d >>> 16) & 255) * wd + 0.5;
        if (paints) {
          red = Math.min(Math.max(red + 127.5 * (paint[k] + share * (paint[l] - paint[k])), 0), 255);
          green = Math.min(Math.max(green + 127.5 * (paint[r + k] + share * (paint[r + l] - paint[r + k])), 0), 255);
          blue = Math.min(Math.max(blue + 127.5 * (paint[2 * r + k] + share * (paint[2 * r + l] - paint[2 * r + k])), 0), 255);
        }
        out[begin + x] = OPAQUE | (blue << 16) | (green << 8) | red;
      }
    }
  }

  /**
   * The object's layer moved before its background; what is still is copied.
   *
   * @param {Cutout} cutout @param {Float32Array} flowCells @param {number} from @param {number} to
   */
  #carry(cutout, flowCells, from, to) {
    const { width, r, levels, out } = this;
    const { index, weight } = this.flow.across;
    const flow = this.flow.cells;
    const perX = 1 / this.map.scale[0];
    const perY = 1 / this.map.scale[1];
    for (let y = from, o = from * width; y < to; y++) {
      if (!this.flow.mix(flowCells, y)) {
        out.set(levels.subarray(o, o + width), o);
        o += width;
        continue;
      }
      for (let x = 0; x < width; x++, o++) {
        const k = index[2 * x];
        const l = index[2 * x + 1];
        const share = weight[2 * x + 1];
        const dx = flow[k] + share * (flow[l] - flow[k]);
        const dy = flow[r + k] + share * (flow[r + l] - flow[r + k]);
        const moves = dx > STILL || dx < -STILL || dy > STILL || dy < -STILL;
        out[o] = moves ? cutout.at(o, x + dx * perX, y + dy * perY) : levels[o];
      }
    }
  }

  /** @param {number} levels of a pixel */
  #read(levels) {
    for (let c = 0; c < 3; c++) this.colour[c] = (levels >>> (8 * c)) & 255;
  }

  /** The picture between its pixels, bilinear; outside, its border. @param {number} x @param {number} y */
  #sample(x, y) {
    const { width, height, picture, colour } = this;
    const cx = Math.min(Math.max(x, 0), width - 1);
    const cy = Math.min(Math.max(y, 0), height - 1);
    const left = Math.floor(cx);
    const top = Math.floor(cy);
    const fx = cx - left;
    const fy = cy - top;
    const i = 4 * (top * width + left);
    const right = left + 1 < width ? 4 : 0;
    const below = top + 1 < height ? 4 * width : 0;
    for (let c = 0; c < 3; c++) {
      const upper = picture[i + c] * (1 - fx) + picture[i + right + c] * fx;
      const lower = picture[i + below + c] * (1 - fx) + picture[i + below + right + c] * fx;
      colour[c] = upper * (1 - fy) + lower * fy;
    }
  }

  /**
   * Heat over the colour; it is read where the pixel comes from.
   *
   * @param {Float32Array} heat @param {number} x @param {number} y @param {number} dx @param {number} dy @param {number} dim
   */
  #lay(heat, x, y, dx, dy, dim) {
    const { r, map, colour } = this;
    const mx = Math.min(Math.max(map.scale[0] * x + map.offset[0] + dx, 0), r - 1);
    const my = Math.min(Math.max(map.scale[1] * y + map.offset[1] + dy, 0), r - 1);
    const [left, top] = [Math.floor(mx), Math.floor(my)];
    const [fx, fy] = [mx - left, my - top];
    const right = Math.min(left + 1, r - 1);
    const below = Math.min(top + 1, r - 1);
    const upper = heat[top * r + left] * (1 - fx) + heat[top * r + right] * fx;
    const lower = heat[below * r + left] * (1 - fx) + heat[below * r + right] * fx;
    const value = Math.min(Math.max(upper * (1 - fy) + lower * fy, 0), 1);
    const opacity = HEAT_OPACITY[0] + (HEAT_OPACITY[1] - HEAT_OPACITY[0]) * value;
    const grey = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2];
    const entry = 4 * Math.round(255 * value);
    for (let c = 0; c < 3; c++) {
      const below = dim * (colour[c] + GREY_UNDER_HEAT * (grey - colour[c]));
      colour[c] = below + opacity * (this.colours[entry + c] - below);
    }
  }
}
