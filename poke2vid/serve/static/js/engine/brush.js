/** Brush strokes: what a person says must stay still, or may move (poke2vid/live/brush.py). */

/** @typedef {import('./types.js').BrushAction} BrushAction */
/** @typedef {import('./types.js').Pair} Pair */
/** @typedef {Pick<BrushAction, 'path'|'radius'|'still'>} Stroke in pixels of the map that is painted */

export const MAX_POINTS = 256; // of one stroke

/** @param {BrushAction} action @param {{max_shift: number}} rules */
export function checkStroke({ path, radius }, { max_shift: limit }) {
  if (!(path.length >= 1 && path.length <= MAX_POINTS)) {
    throw new Error(`The stroke has ${path.length} points; a brush takes 1 to ${MAX_POINTS}.`);
  }
  if (!(radius > 0 && radius <= limit && path.flat().every((c) => Math.abs(c) <= limit))) { // also refuses NaN
    throw new Error(`The stroke holds a number that is not finite or beyond ${limit}.`);
  }
}

/**
 * Map of what moves, 0 ... 1, after one stroke more: 0 where it keeps still, 1 where it lets move; the rim is a pixel wide.
 *
 * @param {Float32Array} moves `side side` @param {number} side @param {Stroke} stroke
 * @returns {Float32Array}
 */
export function painted(moves, side, { path, radius, still }) {
  const after = moves.slice();
  const [left, right] = spanOf(path.map(([x]) => x), radius, side);
  const [top, bottom] = spanOf(path.map(([, y]) => y), radius, side);
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) {
      const share = Math.min(Math.max(radius - distance(path, x, y) + 0.5, 0), 1);
      const i = y * side + x;
      after[i] += share * ((still ? 0 : 1) - after[i]);
    }
  }
  return after;
}

/**
 * Frames of a model that moves the whole picture, where what does not move shows x_0.
 *
 * @template {{flow: Float32Array|null, repaint: Float32Array|null, xHat: Float32Array|null}} T
 * @param {T} fields @param {Float32Array} x0 @param {Float32Array|null} moves null where no brush was used
 * @returns {T}
 */
export function gated(fields, x0, moves) {
  if (!moves) return fields;
  const { flow, repaint, xHat } = fields;
  const share = (/** @type {Float32Array|null} */ part) => part && part.map((value, i) => value * moves[i % moves.length]);
  const still = (/** @type {number} */ i) => x0[i % x0.length];
  const shown = xHat && xHat.map((value, i) => still(i) + moves[i % moves.length] * (value - still(i)));
  return { ...fields, flow: share(flow), repaint: share(repaint), xHat: shown };
}

/** Rows or columns that a stroke may cover. @param {number[]} along @param {number} radius @param {number} side */
function spanOf(along, radius, side) {
  const [low, high] = [Math.min(...along) - radius - 1, Math.max(...along) + radius + 1];
  return [Math.max(Math.floor(low), 0), Math.min(Math.ceil(high), side - 1)];
}

/** Distance of a place from a path. @param {Pair[]} path @param {number} x @param {number} y */
function distance(path, x, y) {
  let nearest = Infinity;
  for (let k = 0; k < Math.max(path.length - 1, 1); k++) {
    const [ax, ay] = path[k];
    const [bx, by] = path[Math.min(k + 1, path.length - 1)];
    const [dx, dy] = [bx - ax, by - ay];
    const share = ((x - ax) * dx + (y - ay) * dy) / Math.max(dx * dx + dy * dy, 1e-9);
    const t = Math.min(Math.max(share, 0), 1);
    nearest = Math.min(nearest, Math.hypot(x - ax - t * dx, y - ay - t * dy));
  }
  return nearest;
}
