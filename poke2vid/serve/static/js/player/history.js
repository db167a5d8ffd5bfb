/** Moments before pokes, to undo them. */

import { MAX_MARKS } from '../engine/types.js';

/** @typedef {import('./timeline.js').Tail} Tail */

/**
 * Moment before a poke. Of the latest ones the engine keeps its state at a mark, the others are computed anew; `later` is what
 * the poke replaced, where it was done at an earlier moment.
 *
 * @typedef {{frame: number, mark: number, session: number, later: Later|null}} Moment
 * @typedef {{tail: Tail, moments: Moment[]}} Later
 * @typedef {{frame: number, later: Later}[]} Aside all that pokes replaced, by the frame of each poke
 */

const ANOTHER = -1; // session, of marks that no engine has

export class History {
  /** @type {Moment[]} in the order of their frames */
  moments = [];
  #newest = 0; // mark
  #session = 0; // of the engine, which begins anew with no marks

  /** @param {number} frame @param {number} mark @param {Later|null} later */
  keep(frame, mark, later) {
    this.#newest = mark;
    const [before, ...others] = this.cut(frame);
    const isKnown = before?.frame === frame;
    if (before && !isKnown) others.unshift(before);
    const kept = later ?? (isKnown ? before.later : null);
    this.add([{ frame, mark, session: this.#session, later: kept }, ...others]);
  }

  /** @param {Moment[]} moments after those that are kept */
  add(moments) {
    this.moments = [...this.moments, ...moments];
  }

  get last() {
    return this.moments.at(-1) ?? null;
  }

  /** The moments from a frame on, which are no longer kept. @param {number} frame */
  cut(frame) {
    const cut = this.moments.filter((moment) => moment.frame >= frame);
    this.moments = this.moments.filter((moment) => moment.frame < frame);
    return cut;
  }

  /** The last moment until a frame whose state the engine still has. @param {number} frame */
  marked(frame) {
    return this.moments.findLast((moment) => moment.frame <= frame && this.#isMarked(moment)) ?? null;
  }

  /** True for a moment whose state the engine has no longer. @param {number} frame */
  isLost(frame) {
    return this.moments.some((moment) => moment.frame === frame && !this.#isMarked(moment));
  }

  /** @param {Moment} moment */
  #isMarked({ session, mark }) {
    return session === this.#session && mark > this.#newest - MAX_MARKS;
  }

  /** All that pokes replaced, to be put back into the history of another engine. @returns {Aside} */
  get aside() {
    return this.moments.flatMap(({ frame, later }) => (later ? [{ frame, later: unmarked(later) }] : []));
  }

  /** @param {Aside} aside */
  setAside(aside) {
    for (const { frame, later } of aside) {
      const known = this.moments.find((moment) => moment.frame === frame);
      if (known) known.later = later;
      else this.moments.push({ frame, mark: 0, session: ANOTHER, later });
    }
    this.moments.sort((a, b) => a.frame - b.frame);
  }

  /** The engine has begun anew. */
  forgetMarks() {
    this.#session++;
    this.#newest = 0;
  }
}

/** Deeds that a poke replaced, without marks. @param {Later} replaced @returns {Later} */
export const unmarked = ({ tail, moments }) => ({
  tail,
  moments: moments.map((moment) => ({ ...moment, session: ANOTHER, later: moment.later && unmarked(moment.later) })),
});

/** Events of what a poke replaced, and of what they had replaced. @param {Later} replaced @returns {import('../script.js').ScriptEvent[]} */
export const eventsIn = ({ tail, moments }) => [...tail.events, ...moments.flatMap(({ later }) => (later ? eventsIn(later) : []))];
