/** Drive of the object by all touches together (`drive` of poke2vid/model/touch_video.py). */

import { between, enlarged } from '../../fields.js';
import { AREA, BASIS, CELLS, LAW, PER_CELL, SIDE, SIZE, SWING, SWING_SIDE } from './field.js';
import { reach, response, withinReach } from './response.js';
import { mapsOf, staysOf } from './swing.js';

/** @typedef {import('../types.js').Pair} Pair */

/**
 * Output of the encoder for a touch, and what follows from that alone.
 *
 * @typedef {object} Touched
 * @property {Pair} at in pixels of the field
 * @property {Float32Array} influence `8 8 32 32`
 * @property {boolean} holds whether it finds something to hold; one of a wall does not, and pins nothing
 * @property {Float32Array} reach by how much it moves every place, `64 64`
 * @property {Float32Array} swing its maps of time, `15 64 64`
 * @property {Float32Array} pulled those of the law of what it pulls, `7 64 64`
 */

/** @typedef {{touched: Touched, shift: Pair}} Felt the shift in pixels of the field */

/**
 * @typedef {object} Drive
 * @property {Float32Array} target u*, where the object is pulled to, `2 64 64`
 * @property {Float32Array} thrown how far impulses shall throw it
 * @property {boolean} held whether anything is
 * @property {boolean} touched whether anything is held or thrown
 * @property {Float32Array} maps of the law of what is touched, `7 64 64`
 * @property {Float32Array} stays A, how far each place stays where it is put, `2 64 64`
 */

const GRASP = 1; // pixels of the field: a finger is no needle, and of a thin stem's place the mask is not so sure
const FIRM = 0.2; // of o about a touch: less is nothing that can be held

/** @param {Float32Array} influence @param {Pair} at in pixels of the field @param {Float32Array} mask o @returns {Touched} */
export function touchedOf(influence, at, mask) {
  const swing = enlarged(cellsOf(influence, 0, SWING), SWING, SWING_SIDE, SIDE);
  const holds = between(about(mask, at), 0, SIDE, ...at) > FIRM;
  return { at, influence, holds, reach: reach(influence), swing, pulled: mapsOf(swing, false) };
}

/**
 * Maps of an influence's last row, whose every cell holds four of them, two by two.
 *
 * @param {Float32Array} influence @param {number} first @param {number} count
 */
export function cellsOf(influence, first, count) {
  const cells = new Float32Array(count * SWING_SIDE ** 2);
  for (let map = first, o = 0; map < first + count; map++) {
    const from = placeOf(map);
    for (let y = 0; y < SWING_SIDE; y++) {
      for (let x = 0; x < SWING_SIDE; x++, o++) cells[o] = influence[from + STEP * (y * CELLS + x)];
    }
  }
  return cells;
}

const STEP = CELLS / SWING_SIDE;

/** Offset of a map of time in an influence. @param {number} map */
function placeOf(map) {
  const [channel, within] = [Math.floor(map / STEP ** 2), map % STEP ** 2];
  return (BASIS * PER_CELL + channel) * AREA + Math.floor(within / STEP) * CELLS + (within % STEP);
}

/**
 * An influence as models gave it whose exports have version 3: they know no more than the maps of a law, and repeat each.
 *
 * @param {Float32Array} influence is changed
 */
export function modernised(influence) {
  const row = influence.slice(BASIS * PER_CELL * AREA);
  influence.fill(0, BASIS * PER_CELL * AREA);
  for (let map = 0; map <= LAW; map++) {
    const to = placeOf(map < LAW ? map : SWING);
    for (let y = 0; y < CELLS; y += STEP) {
      for (let x = 0; x < CELLS; x += STEP) influence[to + y * CELLS + x] = row[map * AREA + y * CELLS + x];
    }
  }
  return influence;
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
  const eased = shifts.map(({ touched, shift }) => ({ touched, shift: withinReach(shift) }));
  const [pulling, throwing] = [eased, impulses].map((all) => all.filter(({ touched }) => touched.holds));
  const pullsOf = (/** @type {Felt[]} */ all) => all.map(({ touched, shift }) => ({ ...touched, p: shift }));
  const all = [
    ...pulling.map(({ touched, shift }) => ({ ...touched, maps: touched.pulled, stays: staysOf(touched.swing, shift) })),
    ...throwing.map(({ touched, shift }) => ({ ...touched, maps: mapsOf(touched.swing, true), stays: staysOf(touched.swing, shift) })),
  ];
  return {
    target: response(pullsOf(pulling), mask),
    thrown: response(pullsOf(throwing), mask),
    held: pulling.length > 0,
    touched: all.length > 0,
    maps: mixed(all.map(({ reach: moves, maps }) => [moves, maps]), LAW),
    stays: mixed(all.map(({ reach: moves, stays }) => [moves, stays]), 2),
  };
}

/**
 * Maps where several touch: each counts as far as it moves a place.
 *
 * @param {[Float32Array, Float32Array][]} touches by how much each moves every place, and its maps
 * @param {number} count of maps
 */
function mixed(touches, count) {
  if (touches.length === 1) return touches[0][1];
  const mix = new Float32Array(count * SIZE);
  const weight = new Float64Array(SIZE);
  for (const [moves, maps] of touches) {
    for (let i = 0; i < SIZE; i++) weight[i] += moves[i];
    for (let o = 0; o < mix.length; o++) mix[o] += maps[o] * moves[o % SIZE];
  }
  if (touches.length) for (let o = 0; o < mix.length; o++) mix[o] /= weight[o % SIZE];
  return mix;
}
