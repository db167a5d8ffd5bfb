/** What all touches together do to the object (`drive` of poke2vid/model/touch_video.py). */

import { between, enlarged } from '../../fields.js';
import { AREA, BASIS, CELLS, PER_CELL, SIDE, SIZE, SWING, SWING_SIDE } from './field.js';
import { reach, response } from './response.js';

/** @typedef {import('../types.js').Pair} Pair */

/**
 * What the encoder says of a touch, and what follows from that alone.
 *
 * @typedef {object} Touched
 * @property {Pair} at in pixels of the field
 * @property {Float32Array} influence `8 8 32 32`
 * @property {boolean} holds whether it finds something to hold; one of a wall does not, and pins nothing
 * @property {Float32Array} reach by how much it moves every place, `64 64`
 * @property {Float32Array} swing its maps of time, `7 64 64`
 */

/** @typedef {{touched: Touched, shift: Pair}} Felt the shift in pixels of the field */

/**
 * @typedef {object} Drive
 * @property {Float32Array} target u*, where the object is pulled to, `2 64 64`
 * @property {Float32Array} thrown how far impulses shall throw it
 * @property {boolean} held whether anything is
 * @property {boolean} touched whether anything is held or thrown
 * @property {Float32Array} maps of time, `7 64 64`
 */

const GRASP = 1; // pixels of the field: a finger is no needle, and of a thin stem's place the mask is not so sure
const FIRM = 0.2; // of o about a touch: less is nothing that can be held

/** @param {Float32Array} influence @param {Pair} at in pixels of the field @param {Float32Array} mask o @returns {Touched} */
export function touchedOf(influence, at, mask) {
  const swing = enlarged(cellsOf(influence, 0, SWING), SWING, SWING_SIDE, SIDE);
  return { at, influence, holds: between(about(mask, at), 0, SIDE, ...at) > FIRM, reach: reach(influence), swing };
}

/**
 * Maps of an influence's last row, on cells that it repeats two by two.
 *
 * @param {Float32Array} influence @param {number} first @param {number} count
 */
export function cellsOf(influence, first, count) {
  const cells = new Float32Array(count * SWING_SIDE ** 2);
  const step = CELLS / SWING_SIDE;
  for (let map = 0, o = 0; map < count; map++) {
    const from = (BASIS * PER_CELL + first + map) * AREA;
    for (let y = 0; y < SWING_SIDE; y++) {
      for (let x = 0; x < SWING_SIDE; x++, o++) cells[o] = influence[from + step * (y * CELLS + x)];
    }
  }
  return cells;
}

/**
 * The most of o near every pixel; only about a touch, which is all that is read.
 *
 * @param {Float32Array} mask
 * @param {Pair} at
 */
function about(mask, at) {
  const most = new Float32Array(SIZE);
  const [left, top] = at.map((c) => Math.min(Math.max(Math.floor(c), 0), SIDE - 1));
  for (let row = top; row <= Math.min(top + 1, SIDE - 1); row++) {
    for (let column = left; column <= Math.min(left + 1, SIDE - 1); column++) {
      for (let y = Math.max(row - GRASP, 0); y <= Math.min(row + GRASP, SIDE - 1); y++) {
        for (let x = Math.max(column - GRASP, 0); x <= Math.min(column + GRASP, SIDE - 1); x++) {
          most[row * SIDE + column] = Math.max(most[row * SIDE + column], mask[y * SIDE + x]);
        }
      }
    }
  }
  return most;
}

/** @param {Felt[]} shifts @param {Felt[]} impulses @param {Float32Array} mask o @returns {Drive} */
export function driveOf(shifts, impulses, mask) {
  const [pulling, throwing] = [shifts, impulses].map((all) => all.filter(({ touched }) => touched.holds));
  const pullsOf = (/** @type {Felt[]} */ all) => all.map(({ touched, shift }) => ({ ...touched, p: shift }));
  return {
    target: response(pullsOf(pulling), mask),
    thrown: response(pullsOf(throwing), mask),
    held: pulling.length > 0,
    touched: pulling.length + throwing.length > 0,
    maps: mixed([...pulling, ...throwing].map(({ touched }) => touched)),
  };
}

/** Maps of time where several touch: each counts as far as it moves a place. @param {Touched[]} touches */
function mixed(touches) {
  if (touches.length === 1) return touches[0].swing;
  const maps = new Float32Array(SWING * SIZE);
  const weight = new Float64Array(SIZE);
  for (const { reach: moves, swing } of touches) {
    for (let i = 0; i < SIZE; i++) weight[i] += moves[i];
    for (let o = 0; o < maps.length; o++) maps[o] += swing[o] * moves[o % SIZE];
  }
  if (touches.length) for (let o = 0; o < maps.length; o++) maps[o] /= weight[o % SIZE];
  return maps;
}
