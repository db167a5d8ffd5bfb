/** Frames since the picture was opened: what was done in them, what is recorded of them, and a script that is replayed. */

import { Recorder, shortened, spanOf, toggled } from '../script.js';

/** @typedef {import('../script.js').Range} Range */
/** @typedef {import('../script.js').Script} Script */
/** @typedef {import('../script.js').ScriptEvent} ScriptEvent */
/** @typedef {import('./hands.js').Pending} Pending */

export class Timeline {
  time = 0; // number of frames so far
  replayed = /** @type {Script|null} */ (null);
  recording = /** @type {Range|null} */ (null);
  #recorder = new Recorder();

  /** Number of events so far. */
  get events() {
    return this.#recorder.events.length;
  }

  /** Events of the replayed script that are due. @returns {ScriptEvent[]} */
  get due() {
    return this.replayed?.events.filter(({ frame }) => frame === this.time) ?? [];
  }

  /** One frame more, in which this was done; true where a replayed script ends with it. @param {Pending[]} events */
  advance(events) {
    for (const { since, ...event } of events) {
      this.#recorder.add({ .../** @type {ScriptEvent} */ (event), frame: this.time });
    }
    this.time++;
    if (!this.replayed || this.time < this.replayed.frames) return false;
    this.replayed = null;
    return true;
  }

  /** Forgets the frames after one. @param {number} time @param {number} events number of events before it */
  cut(time, events) {
    this.time = time;
    this.#recorder.cut(events);
    this.replayed = null;
    this.recording = shortened(this.recording, time);
  }

  /** Begins a recording, or ends the one that goes on. */
  record() {
    this.recording = toggled(this.recording, this.time);
  }

  /** Frames that a recording or, without one, all that was done spans. */
  range(recorded = this.recording !== null) {
    return spanOf(recorded ? this.recording : null, this.time);
  }

  /** Script of what was done in some frames; null where there is none. @param {string|null} image @param {{from: number, to: number}} range */
  script(image, { from, to }) {
    return to > from ? this.#recorder.script(image, from, to) : null;
  }
}
