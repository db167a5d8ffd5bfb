/**
 * A flick is over before the model has begun to follow, and would hardly be seen: what a finger lets go of that early stays held
 * until the object has had time to move.
 */

export const FLICK_FRAMES = 8; // a model takes about ten to bring what is pulled to where it shall go

export class Flicks {
  constructor() {
    /** @type {Map<number, number>} */
    this.grabbed = new Map(); // frame of every poke that may still become a flick
    /** @type {Map<number, number>} */
    this.leaving = new Map(); // frame at which it is let go of
  }

  /** A finger has poked. @param {number} pointer @param {number} frame */
  grab(pointer, frame) {
    this.grabbed.set(pointer, frame);
  }

  /** A finger lets go: whether that has to wait. @param {number} pointer @param {number} frame */
  waits(pointer, frame) {
    const due = (this.grabbed.get(pointer) ?? -Infinity) + FLICK_FRAMES;
    if (due > frame) this.leaving.set(pointer, due);
    return due > frame;
  }

  /** Who is let go of now. @param {number} frame */
  due(frame) {
    return [...this.leaving].filter(([, due]) => due <= frame).map(([pointer]) => pointer);
  }

  /** @param {number} pointer */
  forget(pointer) {
    this.grabbed.delete(pointer);
    this.leaving.delete(pointer);
  }
}
