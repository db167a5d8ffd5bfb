/**
 * Map of what moves together with a point (Sec. 4.2, Fig. 5 of the paper; poke2vid/measures/correlation.py): many pokes at
 * one point of the picture at rest, and for every pixel the mean square of how far its motion is from the poke, in
 * [magnitude, angle]. A still pixel's is the zero of the map, the poke's own motion its one.
 *
 * The paper takes the variance, which also is small where a background is always dragged along by some wrong but constant
 * share, or the other way; of a blossom's petals it shows the poked spot, the mean square the blossom.
 */

import { gated } from './brush.js';
import { disposeStart, disposeState } from './graphs.js';
import { rasterise } from './pokes.js';

/** @typedef {import('./graphs.js').Graphs} Graphs */
/** @typedef {import('./graphs.js').Start} Start */
/** @typedef {import('./live.js').LiveState} LiveState */
/** @typedef {import('./types.js').Pair} Pair */

export const POKES = 32;
const STEPS = 10; // what models are trained on
const LONGEST = 0.1; // of the frame's side: real clips' pokes go no farther
const SHORTEST = 0.1; // of the longest
const STILL = 0.05; // of the longest: what moves less has no direction
const INVERSIONS = 6; // fixed-point iterations that turn a backward flow into a forward one
const SEED = 0;

/** Number of pokes that are predicted at once; one step of them must not hold up the live picture for long. @param {number} r */
const batchOf = (r) => (r <= 64 ? 8 : r <= 128 ? 4 : 2);

/**
 * @param {LiveState} state whose picture at rest is poked
 * @param {Pair} at in model pixels
 * @param {<T>(job: () => Promise<T>) => Promise<T>} inTurn runs a short job between the steps of the live session
 * @param {(share: number) => void} onProgress
 * @returns {Promise<Float32Array>} `r r`, in 0 ... 1
 */
export async function heat({ graphs, x0, moves }, at, inTurn, onProgress) {
  const r = graphs.resolution;
  const batch = batchOf(r);
  const shifts = randomShifts(POKES, LONGEST * r, SEED);
  const x0s = new Float32Array(batch * x0.length);
  for (let k = 0; k < batch; k++) x0s.set(x0, k * x0.length);
  const start = await inTurn(() => graphs.encodeImage(x0s, batch));
  const statistic = graphs.warps ? new Disagreement(shifts, r) : new Energy(x0, r);
  try {
    for (let first = 0; first < POKES; first += batch) {
      const pokes = shifts.slice(first, first + batch).map((shift) => ({ at, shift }));
      const last = await respond(graphs, start, pokes, inTurn, (share) => onProgress((first + batch * share) / POKES));
      const { flow, xHat } = gated({ ...last, repaint: null }, x0, moves);
      await inTurn(async () => statistic.add(/** @type {Float32Array} */ (flow ?? xHat)));
    }
  } finally {
    disposeStart(start);
  }
  return statistic.map();
}

/**
 * The last frames of a batch of pokes, shifts held to the end and impulses let go of after one step.
 *
 * @param {Graphs} graphs
 * @param {Start} start
 * @param {{at: Pair, shift: Pair}[]} pokes
 * @param {<T>(job: () => Promise<T>) => Promise<T>} inTurn
 * @param {(share: number) => void} onProgress
 */
async function respond(graphs, start, pokes, inTurn, onProgress) {
  const rules = graphs.model;
  const size = 3 * graphs.resolution ** 2;
  const maps = new Float32Array(pokes.length * size);
  pokes.forEach((poke, k) => rasterise([poke], rules, maps.subarray(k * size, (k + 1) * size)));
  const poked = await inTurn(() => graphs.encodePoke(maps, pokes.length));
  const manner = graphs.manner(pokes.length, true, rules.default_rest); // as trained, also where nothing touches
  let state = start.state;
  /** @type {{flow: Float32Array|null, xHat: Float32Array|null}} */
  let last = { flow: null, xHat: null };
  try {
    for (let i = 0; i < STEPS; i++) {
      const drive = i === 0 || rules.poke_kind === 'shift' ? poked : start.restDrive;
      const done = await inTurn(() => graphs.step(start, state, drive, manner));
      if (state !== start.state) disposeState(state);
      state = done.state;
      last = done;
      onProgress((i + 1) / STEPS);
    }
  } finally {
    if (state !== start.state) disposeState(state);
    poked.dispose();
  }
  return last;
}

/** Of models that say how pixels move: 1 minus the mean square of the difference to the poke, over a still pixel's. */
class Disagreement {
  /** @param {Pair[]} shifts @param {number} r */
  constructor(shifts, r) {
    this.shifts = shifts;
    this.r = r;
    this.longest = Math.max(...shifts.map(([dx, dy]) => Math.hypot(dx, dy)));
    this.squares = new Float64Array(r * r);
    this.count = 0;
  }

  /** @param {Float32Array} flows `b 2 r r`, backward */
  add(flows) {
    const size = this.r * this.r;
    for (let offset = 0; offset < flows.length && this.count < this.shifts.length; offset += 2 * size) {
      const forward = inverted(flows.subarray(offset, offset + 2 * size), this.r);
      const shift = this.shifts[this.count++];
      for (let i = 0; i < size; i++) this.squares[i] += this.difference(forward[i], forward[size + i], shift) ** 2;
    }
  }

  /** Distance of a motion from a poke in [magnitude, angle]. @param {number} dx @param {number} dy @param {Pair} shift */
  difference(dx, dy, shift) {
    const moved = Math.hypot(dx, dy);
    const angle = moved < STILL * this.longest ? 0 : Math.atan2(dy, dx);
    const turned = angle - Math.atan2(shift[1], shift[0]);
    const wrapped = turned - 2 * Math.PI * Math.round(turned / (2 * Math.PI));
    return Math.hypot((moved - Math.hypot(...shift)) / this.longest, wrapped / Math.PI);
  }

  map() {
    const still = this.shifts.reduce((sum, shift) => sum + this.difference(0, 0, shift) ** 2, 0);
    return Float32Array.from(this.squares, (sum) => Math.max(1 - sum / still, 0));
  }
}

/** Of models that paint: how much a pixel changes on average, over what the busiest hundredth does. */
class Energy {
  /** @param {Float32Array} x0 @param {number} r */
  constructor(x0, r) {
    this.x0 = x0;
    this.size = r * r;
    this.sum = new Float32Array(r * r);
  }

  /** @param {Float32Array} frames `b 3 r r` */
  add(frames) {
    frames.forEach((value, i) => (this.sum[i % this.size] += Math.abs(value - this.x0[i % this.x0.length])));
  }

  map() {
    const busiest = [...this.sum].sort((a, b) => a - b)[Math.floor(0.99 * (this.size - 1))];
    return this.sum.map((value) => Math.min(value / Math.max(busiest, 1e-6), 1));
  }
}

/**
 * Displacement of every pixel of x_0, D(x) = -flow(x + D(x)), from where every pixel of the frame comes.
 *
 * @param {Float32Array} flow `2 r r`, backward
 * @param {number} r
 */
export function inverted(flow, r) {
  const size = r * r;
  const forward = new Float32Array(2 * size);
  for (let y = 0; y < r; y++) {
    for (let x = 0; x < r; x++) {
      const i = y * r + x;
      let dx = -flow[i];
      let dy = -flow[size + i];
      for (let k = 0; k < INVERSIONS; k++) {
        const sx = Math.min(Math.max(x + dx, 0), r - 1);
        const sy = Math.min(Math.max(y + dy, 0), r - 1);
        const left = Math.min(Math.floor(sx), r - 2);
        const top = Math.min(Math.floor(sy), r - 2);
        const fx = sx - left;
        const fy = sy - top;
        const j = top * r + left;
        dx = -between(flow, j, r, fx, fy);
        dy = -between(flow, size + j, r, fx, fy);
      }
      forward[i] = dx;
      forward[size + i] = dy;
    }
  }
  return forward;
}

/**
 * Bilinear, between a cell and its neighbours to the right and below.
 *
 * @param {Float32Array} values @param {number} i the cell @param {number} r @param {number} fx @param {number} fy
 */
function between(values, i, r, fx, fy) {
  const upper = values[i] * (1 - fx) + values[i + 1] * fx;
  const lower = values[i + r] * (1 - fx) + values[i + r + 1] * fx;
  return upper * (1 - fy) + lower * fy;
}

/**
 * Lengths even over SHORTEST ... 1 times the longest, directions even over the circle, both drawn in strata so that a still
 * pixel's variance hardly depends on the seed.
 *
 * @param {number} count
 * @param {number} longest
 * @param {number} seed
 * @returns {Pair[]}
 */
export function randomShifts(count, longest, seed) {
  const random = mulberry32(seed);
  const strata = () => {
    const order = Array.from({ length: count }, (_, k) => k);
    for (let k = count - 1; k > 0; k--) {
      const other = Math.floor(random() * (k + 1));
      [order[k], order[other]] = [order[other], order[k]];
    }
    return order.map((k) => (k + random()) / count);
  };
  const turns = strata();
  return strata().map((share, k) => {
    const length = longest * (SHORTEST + (1 - SHORTEST) * share);
    const angle = 2 * Math.PI * turns[k];
    return [length * Math.cos(angle), length * Math.sin(angle)];
  });
}

/** A small generator of even numbers in [0, 1). @param {number} seed */
function mulberry32(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
