/**
 * The response to touches: from influence maps and shifts to how far every pixel of x_0 goes (poke2vid/model/response.py).
 * Forces add up, for which a small system is solved, so that every touched point arrives.
 */

import { AREA, BASIS, CELLS, PER_CELL, SIDE, SIZE, gate } from './field.js';

/** @typedef {import('../types.js').Pair} Pair */

/**
 * A touch that found something to hold.
 *
 * @typedef {{influence: Float32Array, at: Pair, p: Pair}} Pull influence as encode_touch gives it; in pixels of the field
 */

const RIDGE = 0.01; // of the system, beside influences of about 1: what the model would leave standing is not torn away
const ROUNDS = 4; // of Newton's method with the linear part, for what is not linear
const LARGEST = 4; // of a force, in lengths of the longest shift: two touches of one spot that disagree tear no further

const EASY = 0.18; // of the frame's side: as far as training pulls
const FARTHEST = 0.3; // how far a pull of any length gets

/** A shift as far as an object follows: up to EASY as it is, beyond it less and less. @param {Pair} p in pixels of the field @returns {Pair} */
export function withinReach([x, y]) {
  const length = Math.hypot(x, y) / SIDE;
  if (length <= EASY) return [x, y];
  const room = FARTHEST - EASY;
  const scale = (EASY + room * (1 - Math.exp((EASY - length) / room))) / length;
  return [scale * x, scale * y];
}

/** psi: functions of a shift that are zero without one, and twice as large of twice the shift. @param {Pair} p */
function basis([x, y]) {
  const length = Math.sqrt(x * x + y * y + 1e-12);
  const [c, s, r] = [x / length, y / length, length - 1e-6];
  return [x, y, r, r * (c * c - s * s), r * 2 * c * s, r * c * (4 * c * c - 3), r * s * (3 - 4 * s * s)];
}

/**
 * Offset in an influence of the maps that a pixel of the field is read from; the next function's are `PER_CELL * AREA` further.
 *
 * @param {number} d 0 for dx, 1 for dy @param {number} row @param {number} column
 */
const mapAt = (d, row, column) => (4 * d + 2 * (row & 1) + (column & 1)) * AREA + (row >> 1) * CELLS + (column >> 1);

/**
 * Motion of a point under a touch: for dx and then dy a coefficient of every function, bilinear between the field's pixels.
 *
 * @param {Float32Array} influence @param {Pair} at
 */
export function coupling(influence, at) {
  const [x, y] = at.map((c) => Math.min(Math.max(c, 0), SIDE - 1));
  const found = new Float64Array(2 * BASIS);
  for (let corner = 0; corner < 4; corner++) {
    const column = Math.floor(x) + (corner & 1);
    const row = Math.floor(y) + (corner >> 1);
    const weight = (1 - Math.abs(x - column)) * (1 - Math.abs(y - row));
    if (!weight) continue; // also what lies beyond the border
    for (let d = 0; d < 2; d++) {
      const from = mapAt(d, row, column);
      for (let k = 0; k < BASIS; k++) found[d * BASIS + k] += weight * influence[from + k * PER_CELL * AREA];
    }
  }
  return found;
}

/**
 * The forces under which every touched point goes where it shall.
 *
 * @param {Pull[]} pulls
 * @returns {Pair[]}
 */
export function forces(pulls) {
  const count = 2 * pulls.length;
  const there = pulls.map(({ at }) => pulls.map(({ influence }) => coupling(influence, at))); // [whose point][whose touch]
  const system = Array.from({ length: count }, (_, row) =>
    Float64Array.from({ length: count }, (__, column) => there[row >> 1][column >> 1][(row & 1) * BASIS + (column & 1)]),
  );
  const inverse = ridgeInverse(system);
  const most = LARGEST * Math.max(...pulls.map(({ p }) => Math.hypot(...p)), 1e-6);
  let force = pulls.map(({ p }) => p);
  for (let round = 0; round < ROUNDS; round++) {
    const psi = force.map(basis);
    const missing = Float64Array.from({ length: count }, (_, row) => {
      const reached = there[row >> 1].reduce((sum, found, i) => sum + dot(found, (row & 1) * BASIS, psi[i]), 0);
      return pulls[row >> 1].p[row & 1] - reached;
    });
    const change = inverse.map((row) => dot(row, 0, missing));
    force = force.map(([x, y], i) => within([x + change[2 * i], y + change[2 * i + 1]], most));
  }
  return force;
}

/** @param {ArrayLike<number>} values @param {number} from @param {ArrayLike<number>} others */
function dot(values, from, others) {
  let sum = 0;
  for (let k = 0; k < others.length; k++) sum += values[from + k] * others[k];
  return sum;
}

/** @param {Pair} force @param {number} most @returns {Pair} */
function within([x, y], most) {
  const scale = Math.min(most / Math.max(Math.hypot(x, y), 1e-6), 1);
  return [scale * x, scale * y];
}

/**
 * Least squares with a ridge, (S' S + ridge) ^ -1 S': stable also where two touches are one, or where nothing would move.
 *
 * @param {Float64Array[]} system rows of S
 * @returns {Float64Array[]}
 */
function ridgeInverse(system) {
  const n = system.length;
  const rows = system.map((_, i) => {
    const row = new Float64Array(2 * n);
    for (let j = 0; j < n; j++) {
      for (let k = 0; k < n; k++) row[j] += system[k][i] * system[k][j];
      row[n + j] = system[j][i];
    }
    row[i] += RIDGE;
    return row;
  });
  for (let i = 0; i < n; i++) { // it is positive definite, so no row need change its place
    for (let k = 0; k < n; k++) {
      const share = k === i ? 0 : rows[k][i] / rows[i][i];
      if (share) for (let j = i; j < 2 * n; j++) rows[k][j] -= share * rows[i][j];
    }
  }
  return rows.map((row, i) => row.subarray(n).map((value) => value / row[i]));
}

/**
 * u*: how far every pixel of the field goes, in its pixels; zero without pulls.
 *
 * @param {Pull[]} pulls
 * @param {Float32Array} mask o
 * @returns {Float32Array} `2 64 64`
 */
export function response(pulls, mask) {
  const result = new Float32Array(2 * SIZE);
  if (!pulls.length) return result;
  const total = new Float64Array(PER_CELL * AREA);
  forces(pulls).forEach((force, i) => {
    basis(force).forEach((psi, k) => {
      const maps = pulls[i].influence.subarray(k * PER_CELL * AREA, (k + 1) * PER_CELL * AREA);
      for (let j = 0; j < total.length; j++) total[j] += psi * maps[j];
    });
  });
  for (let row = 0, o = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++, o++) {
      const share = gate(mask[o]);
      const from = mapAt(0, row, column);
      result[o] = share * total[from];
      result[SIZE + o] = share * total[from + 4 * AREA];
    }
  }
  return result;
}

/**
 * By how much a touch moves every place, whatever the shift.
 *
 * @param {Float32Array} influence
 * @returns {Float32Array} `64 64`
 */
export function reach(influence) {
  const squares = new Float64Array(PER_CELL * AREA);
  for (let k = 0; k < BASIS; k++) {
    for (let j = 0, i = k * PER_CELL * AREA; j < squares.length; j++, i++) squares[j] += influence[i] * influence[i];
  }
  const result = new Float32Array(SIZE);
  for (let row = 0, o = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++, o++) {
      const from = mapAt(0, row, column);
      result[o] = Math.max(Math.sqrt(squares[from] + squares[from + 4 * AREA]), 1e-6);
    }
  }
  return result;
}
