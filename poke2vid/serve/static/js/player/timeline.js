/**
 * Frames since the picture was opened: what was done in them, what is recorded of them, and a script that is replayed. An
 * earlier one may be shown; what was done after it then happens again.
 */

import { Recorder, heldAfter, shortened, spanOf, toggled } from '../script.js';
import { spansOf } from './spans.js';

/** @typedef {import('../engine/types.js').Rest} Rest */
/** @typedef {import('../script.js').Range} Range */
/** @typedef {import('../script.js').Script} Script */
/** @typedef {import('../script.js').ScriptEvent} ScriptEvent */
/** @typedef {import('./hands.js').Felt} Felt */
/** @typedef {import('./hands.js').Pending} Pending */
/**
 * Frames after one.
 *
 * @typedef {{events: ScriptEvent[], end: number, pinned: Map<number, number>, recording: Range|null}} Tail
 */

export class Timeline {
  time = 0; // number of frames until the one that is shown
  end = 0; // number of frames so far
  replayed = /** @type {Script|null} */ (null);
  recording = /** @type {Range|null} */ (null);
  #recorder = new Recorder();
  /** @type {Map<number, number>} since which frame a pointer holds without a finger */
  #pinned = new Map();

  /** True where frames follow that were there before. */
  get isEarlier() {
    return this.time < this.end;
  }

  /** Events that are due: of the frames that were there before, or of the replayed script. @returns {ScriptEvent[]} */
  get due() {
    if (this.isEarlier) return this.eventsAt(this.time);
    return this.replayed?.events.filter(({ frame }) => frame === this.time) ?? [];
  }

  /** @param {number} time @returns {ScriptEvent[]} */
  eventsAt(time) {
    return this.#recorder.events.filter(({ frame }) => frame === time);
  }

  /** Pokes so far, for how long each was held. */
  get spans() {
    return spansOf(this.#recorder.events, this.#pinned);
  }

  /** One frame more, in which this was done; true where what plays by itself ends with it. @param {Pending[]} events */
  advance(events) {
    if (this.isEarlier) return ++this.time === this.end;
    for (const { since, ...event } of events) {
      this.#recorder.add({ .../** @type {ScriptEvent} */ (event), frame: this.time });
    }
    this.end = ++this.time;
    if (!this.replayed || this.time < this.replayed.frames) return false;
    this.replayed = null;
    return true;
  }

  /** Counts what is to come of a replayed script as done, so that an earlier frame can be shown and nothing is lost. */
  adoptReplayed() {
    if (!this.replayed) return;
    for (const event of this.replayed.events) if (event.frame >= this.time) this.#recorder.add(event);
    this.end = Math.max(this.time, this.replayed.frames);
    this.replayed = null;
  }

  /** It holds without a finger from a frame on. @param {number} pointer @param {number} [time] */
  pin(pointer, time = this.time) {
    this.#pinned.set(pointer, time);
  }

  /**
   * Touches that hold at a frame, and the law of rest there.
   *
   * @param {number} time
   * @param {Rest} usual the law at first
   * @returns {Felt}
   */
  feltAt(time, usual) {
    const events = this.#recorder.events.filter(({ frame }) => frame < time);
    const held = heldAfter(new Map(), events);
    const pins = new Set([...held.keys()].filter((pointer) => (this.#pinned.get(pointer) ?? Infinity) <= time));
    const rest = events.findLast((event) => event.type === 'rest');
    return { held, pins, rest: rest?.type === 'rest' ? { stiffness: rest.stiffness, momentum: rest.momentum } : usual };
  }

  /** Forgets the frames after one; what they were, to be brought back. @param {number} time @returns {Tail} */
  cut(time) {
    const { end, recording } = this;
    const tail = { events: this.#recorder.cut(time), end, pinned: new Map(this.#pinned), recording };
    for (const [pointer, since] of this.#pinned) if (since > time) this.#pinned.delete(pointer);
    this.end = time;
    this.time = Math.min(this.time, time);
    this.replayed = null;
    this.recording = shortened(recording, time);
    return tail;
  }

  /** Brings back what was cut off there. @param {Tail} tail */
  append({ events, end, pinned, recording }) {
    for (const event of events) this.#recorder.add(event);
    this.end = end;
    this.#pinned = pinned;
    this.recording = recording;
  }

  /** Begins a recording, or ends the one that goes on. */
  record() {
    this.recording = toggled(this.recording, this.time);
  }

  /** Frames that a recording or, without one, all that was done spans. */
  range(recorded = this.recording !== null) {
    return spanOf(recorded ? this.recording : null, this.end);
  }

  /** Script of what was done in some frames; null where there is none. @param {string|null} image @param {{from: number, to: number}} range */
  script(image, { from, to }) {
    return to > from ? this.#recorder.script(image, from, to) : null;
  }

  /** Script of some frames, and of one more for what waits for it. @param {string|null} image @param {{from: number, to: number}} range @param {Pending[]} pending */
  whole(image, { from, to }, pending) {
    if (!pending.length) return this.script(image, { from, to });
    const recorder = this.#recorder.copy();
    for (const { since, ...event } of pending) recorder.add({ .../** @type {ScriptEvent} */ (event), frame: to });
    return recorder.script(image, from, to + 1);
  }
}
