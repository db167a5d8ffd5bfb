/** The poke map that the poke encoder sees, and what may be done to a session: poke2vid/pokes.py and live/session.py, to the bit. */

import { checkStroke } from './brush.js';

/** @typedef {import('./types.js').Action} Action */
/** @typedef {import('./types.js').Pair} Pair */
/** @typedef {import('./types.js').PokeKind} PokeKind */
/** @typedef {{at: Pair, shift: Pair, origin: Pair}} Poke origin: where in x_0 that lies which showed there when it was poked */

/**
 * Touches of the object now. Never written to, so that keeping one is enough to come back to it.
 *
 * @typedef {object} Touch
 * @property {ReadonlyMap<number, Poke>} held shift pokes in force, by pointer, in the order in which they were made
 * @property {readonly Poke[]} impulses that act in the next step
 * @property {{stiffness: number, momentum: number, anchored: boolean}} rest
 */

/**
 * Part of model.json that this module needs.
 *
 * @typedef {{resolution: number, poke_kind: PokeKind, poke_gain: number, patch_radius: number, max_shift: number}} PokeRules
 */

const MAX_MOMENTUM = 0.99;

/** As Python rounds: halves to the even neighbour. @param {number} x */
export function roundHalfEven(x) {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/**
 * (dx, dy) in units of the frame's side times the gain, and a mask; zero but for a patch at each location, cut off at the
 * border. Several pokes are summed, in single precision and in the order given.
 *
 * @param {Iterable<{at: Pair, shift: Pair}>} pokes
 * @param {PokeRules} rules
 * @param {Float32Array} [map] `3 r r` of zeros to paint on
 */
export function rasterise(pokes, rules, map) {
  const { resolution: r, patch_radius: radius, poke_gain: gain } = rules;
  const painted = map ?? new Float32Array(3 * r * r);
  for (const { at, shift } of pokes) {
    const [x, y] = at.map((c) => Math.min(Math.max(roundHalfEven(c), 0), r - 1));
    const values = [(shift[0] * gain) / r, (shift[1] * gain) / r, 1].map(Math.fround);
    for (let row = Math.max(y - radius, 0); row <= Math.min(y + radius, r - 1); row++) {
      for (let column = Math.max(x - radius, 0); column <= Math.min(x + radius, r - 1); column++) {
        values.forEach((value, channel) => (painted[(channel * r + row) * r + column] += value));
      }
    }
  }
  return painted;
}

/**
 * Touches of the object after an action.
 *
 * @param {Touch} touch
 * @param {Action} action
 * @param {PokeRules} rules
 * @param {(at: Pair) => Pair} [originOf] where in x_0 that lies which shows at a location
 * @returns {Touch}
 */
export function applied(touch, action, rules, originOf = (at) => at) {
  switch (action.type) {
    case 'poke':
      return poked(touch, action, rules, originOf);
    case 'drag': {
      const poke = heldBy(touch, action.pointer, 'poke before you drag');
      const moved = { ...poke, shift: /** @type {Pair} */ ([action.to[0] - poke.at[0], action.to[1] - poke.at[1]]) };
      check(moved, rules);
      return { ...touch, held: new Map(touch.held).set(action.pointer, moved) }; // keeps its place in the order
    }
    case 'release':
      heldBy(touch, action.pointer, 'it was released before or never poked');
      return { ...touch, held: without(touch.held, action.pointer) };
    case 'rest':
      return { ...touch, rest: restOf(action) };
    case 'brush': // changes what there is to touch, and no touch
      checkStroke(action, rules);
      return touch;
    default:
      throw new Error(`The action ${JSON.stringify(/** @type {any} */ (action)?.type)} is unknown.`);
  }
}

/**
 * @param {Touch} touch @param {import('./types.js').PokeAction} action @param {PokeRules} rules
 * @param {(at: Pair) => Pair} originOf
 * @returns {Touch}
 */
function poked(touch, action, rules, originOf) {
  const kind = action.kind ?? 'shift';
  if (kind !== 'shift' && kind !== 'impulse') throw new Error(`The poke's kind ${kind} is unknown.`);
  check(action, rules);
  const poke = { at: action.at, shift: action.shift, origin: originOf(action.at) };
  if (kind === 'shift' && rules.poke_kind === 'impulse') {
    throw new Error("This model was trained on impulses and knows no targets; poke with kind 'impulse'.");
  }
  const held = without(touch.held, action.pointer); // the same finger touches anew
  return kind === 'impulse'
    ? { ...touch, held, impulses: [...touch.impulses, poke] }
    : { ...touch, held: held.set(action.pointer, poke) };
}

/** @param {{at: Pair, shift: Pair}} poke @param {{resolution: number, max_shift: number}} rules */
export function check({ at, shift }, { resolution, max_shift: limit }) {
  const numbers = [...at, ...shift];
  if (numbers.length !== 4 || !numbers.every((value) => Math.abs(value) <= limit)) { // also refuses NaN
    throw new Error(`The poke at (${at}) with shift (${shift}) holds a number that is not finite or beyond ${limit}.`);
  }
  if (!at.every((c) => c >= -0.5 && c <= resolution - 0.5)) {
    throw new Error(`The poke at (${at}) lies outside the picture.`);
  }
}

/** @param {{stiffness: number, momentum: number, anchored?: boolean}} action */
function restOf({ stiffness, momentum, anchored = true }) {
  if (!(stiffness >= 0 && stiffness <= 1)) throw new Error(`The stiffness ${stiffness} of rest must lie in 0 ... 1.`);
  if (!(momentum >= 0 && momentum <= MAX_MOMENTUM)) {
    throw new Error(`The momentum ${momentum} of rest must lie in 0 ... ${MAX_MOMENTUM}.`);
  }
  return { stiffness, momentum, anchored };
}

/** @param {Touch} touch @param {number} pointer @param {string} fix */
function heldBy(touch, pointer, fix) {
  const poke = touch.held.get(pointer);
  if (!poke) throw new Error(`Pointer ${pointer} holds nothing; ${fix}.`);
  return poke;
}

/** @param {ReadonlyMap<number, Poke>} held @param {number} pointer */
function without(held, pointer) {
  const left = new Map(held);
  left.delete(pointer);
  return left;
}
