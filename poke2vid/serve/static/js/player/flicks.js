/**
 * A flick is over before the model has begun to follow, and would hardly be seen: what a finger lets go of that early stays held
 * until the object has had time to move.
 */

export const FLICK_FRAMES = 8; // a model takes about ten to bring what is pulled to where it shall go

export class Flicks {
  constructor() {
    /** @type {Map<number, number>} */
    this.grabbed = new Map(); // since which frame a poke is felt
    /** @type {Set<number>} */
    this.leaving = new Set();
  }

  /** A poke is felt. @param {number} pointer @param {number} frame */
  grab(pointer, frame) {
    this.grabbed.set(pointer, frame);
  }

  /** A finger lets go: whether that has to wait. @param {number} pointer @param {number} frame */
  waits(pointer, frame) {
    if (this.#isDue(pointer, frame)) return false;
    this.leaving.add(pointer);
    return true;
  }

  /** Pointers that are let go of now. @param {number} frame */
  due(frame) {
    return [...this.leaving].filter((pointer) => this.#isDue(pointer, frame));
  }

  /** @param {ReadonlyMap<number, unknown>} held */
  forgetAllBut(held) {
    for (const pointer of [...this.grabbed.keys(), ...this.leaving]) if (!held.has(pointer)) this.forget(pointer);
  }

  /** @param {number} pointer @param {number} frame */
  #isDue(pointer, frame) {
    return frame >= (this.grabbed.get(pointer) ?? Infinity) + FLICK_FRAMES; // none yet: it is on its way
  }

  /** @param {number} pointer */
  forget(pointer) {
    this.grabbed.delete(pointer);
    this.leaving.delete(pointer);
  }
}
