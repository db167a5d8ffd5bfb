/** Places of grabbed points: where the object has really gone with them, which may be less far than a finger. */

import { between } from '../fields.js';

/** @typedef {import('../canvas.js').Canvas} Canvas */
/** @typedef {import('../engine/types.js').Fields} Fields */
/** @typedef {import('../engine/types.js').Pair} Pair */
/** @typedef {import('../script.js').Grip} Grip */
/** @typedef {import('../script.js').ScriptEvent} ScriptEvent */

const ROUNDS = 12; // of the fixed-point iteration that turns a backward flow into a forward one
const SURE = 1; // model pixels by which a place found may miss

export class Grasped {
  /** @type {WeakMap<Pair, Pair>} by the place that a poke names and its grip keeps, the grabbed point of x_0 in model pixels */
  #origins = new WeakMap();

  /** Remembers what pokes grab. @param {ScriptEvent[]} events @param {Fields|null} fields what is shown @param {Canvas} canvas */
  grab(events, fields, canvas) {
    for (const event of events) {
      if (event.type !== 'poke' || event.kind !== 'shift') continue;
      this.#origins.set(event.at, originOf(event.at, fields, canvas));
    }
  }

  /**
   * Place of a held point now, in pixels of the user's picture; null where no flow tells.
   *
   * @param {Grip} grip @param {Fields|null} fields @param {Canvas} canvas
   * @returns {Pair|null}
   */
  place({ at, to }, fields, canvas) {
    const origin = this.#origins.get(at);
    if (!origin || !fields?.flow) return null;
    for (const start of [canvas.target(to), origin]) {
      let place = start;
      for (let round = 0; round < ROUNDS; round++) {
        const [dx, dy] = flowAt(fields, canvas.resolution, place);
        place = [origin[0] - dx, origin[1] - dy];
      }
      const [dx, dy] = flowAt(fields, canvas.resolution, place);
      if (Math.hypot(place[0] + dx - origin[0], place[1] + dy - origin[1]) < SURE) return canvas.original(place);
    }
    return null;
  }
}

/** Point of x_0, in model pixels, that shows at a place. @param {Pair} place in pixels of the user's picture @param {Fields|null} fields @param {Canvas} canvas @returns {Pair} */
export function originOf(place, fields, canvas) {
  const { at } = canvas.modelled(place);
  const [dx, dy] = flowAt(fields, canvas.resolution, at);
  return [at[0] + dx, at[1] + dy];
}

/** @param {Fields|null} fields @param {number} r @param {Pair} at @returns {Pair} */
function flowAt(fields, r, at) {
  const flow = fields?.flow;
  return flow ? [between(flow, 0, r, ...at), between(flow, r * r, r, ...at)] : [0, 0];
}
