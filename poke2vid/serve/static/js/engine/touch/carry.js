/** From where in x_0 every pixel of the moved object comes (`backward` of poke2vid/model/carry.py). */

import { fill } from '../../fields.js';
import { SIDE, SIZE, gate } from './field.js';

const STILL = 0.05; // squared pixels: beside it, of two places that arrive at one the farther moved is seen
const ARRIVED = 0.3; // of a pixel's area that must have come for its motion to be known
const RIM = 2; // pixels about what has come in which its motion is carried on, beside how far it went
const FARTHEST = 20;
const FAINT = 0.1; // of o: the object's layer shows none of it, or traces of o on a wall would be dragged along

/** Of the object's layer where o is so sure. @param {number} o */
export const opacity = (o) => Math.max((gate(o) - 2 * FAINT) / (1 - 2 * FAINT), 0);

/**
 * A flow that points backward; zero where nothing moves.
 *
 * @param {Float32Array} u how far every pixel of x_0 goes, `2 64 64`
 * @param {Float32Array} layer opacity, `64 64`: what is no object arrives nowhere
 */
export function backward(u, layer) {
  const farthest = u.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  if (!farthest) return new Float32Array(2 * SIZE);
  const arrived = scattered(u, layer);
  const flow = new Float32Array(2 * SIZE);
  const come = new Uint8Array(SIZE);
  for (let i = 0; i < SIZE; i++) {
    if (!(arrived[3 * SIZE + i] > ARRIVED)) continue;
    come[i] = 1;
    const weight = Math.max(arrived[2 * SIZE + i], 1e-6);
    flow[i] = -arrived[i] / weight;
    flow[SIZE + i] = -arrived[SIZE + i] / weight;
  }
  // What the object has left lies no farther from it than it went: there its motion is carried on, so that the background is
  // fetched. Beyond nothing moves, or faint traces of o would be dragged along.
  const near = widened(come, Math.min(RIM + Math.ceil(farthest), FARTHEST));
  fill(flow, near.map((one, i) => come[i] | (one ^ 1)), 2, SIDE);
  return flow;
}

/**
 * Contributions of every pixel where it goes, shared among the four pixels about the place: weighted dx and dy, weight and area.
 *
 * @param {Float32Array} u @param {Float32Array} layer
 */
function scattered(u, layer) {
  const arrived = new Float64Array(4 * SIZE);
  for (let y = 0, i = 0; y < SIDE; y++) {
    for (let x = 0; x < SIDE; x++, i++) {
      const area = layer[i];
      if (!area) continue;
      const [dx, dy] = [u[i], u[SIZE + i]];
      const weight = (dx * dx + dy * dy + STILL) * area;
      const [left, top] = [Math.floor(x + dx), Math.floor(y + dy)];
      for (let corner = 0; corner < 4; corner++) {
        const [column, row] = [left + (corner & 1), top + (corner >> 1)];
        if (column < 0 || column >= SIDE || row < 0 || row >= SIDE) continue;
        const share = (1 - Math.abs(x + dx - column)) * (1 - Math.abs(y + dy - row));
        const o = row * SIDE + column;
        arrived[o] += share * weight * dx;
        arrived[SIZE + o] += share * weight * dy;
        arrived[2 * SIZE + o] += share * weight;
        arrived[3 * SIZE + o] += share * area;
      }
    }
  }
  return arrived;
}

/** Cells that are, or have one beside them within a square about them. @param {Uint8Array} cells @param {number} radius */
function widened(cells, radius) {
  return widenedAlong(widenedAlong(cells, radius, 1, SIDE), radius, SIDE, 1);
}

/**
 * @param {Uint8Array} cells
 * @param {number} radius
 * @param {number} step along a line
 * @param {number} across to the next line
 */
function widenedAlong(cells, radius, step, across) {
  const wide = new Uint8Array(SIZE);
  for (let line = 0; line < SIDE; line++) {
    let written = 0; // so far, so that no cell is written twice
    for (let k = 0; k < SIDE; k++) {
      if (!cells[line * across + k * step]) continue;
      const end = Math.min(k + radius, SIDE - 1);
      for (let j = Math.max(written, k - radius); j <= end; j++) wide[line * across + j * step] = 1;
      written = end + 1;
    }
  }
  return wide;
}
