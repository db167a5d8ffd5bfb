/** Moments before pokes, to undo them. */

import { MAX_MARKS } from '../engine/types.js';

/** @typedef {import('../engine/types.js').Fields} Fields */
/** @typedef {import('./hands.js').Felt} Felt */

/** `mark` is the engine's, `events` counts what was recorded before. @typedef {{mark: number, frame: number, events: number, felt: Felt}} Moment */

export class History {
  /** @type {Moment[]} */
  moments = [];

  /** Keeps a moment; those that the engine has forgotten are forgotten here, too. @param {Moment} moment */
  keep(moment) {
    this.moments = [...this.moments.filter(({ mark }) => mark > moment.mark - MAX_MARKS), moment];
  }

  /**
   * The last moment, which is no longer kept, and its fields; null where there is none. Where the engine has lost it, all are
   * forgotten.
   *
   * @param {(mark: number) => Promise<Fields|null>} restore
   */
  async back(restore) {
    const moment = this.moments.pop();
    if (!moment) return null;
    const older = this.moments.splice(0);
    const fields = await restore(moment.mark);
    this.moments = older;
    return { moment, fields };
  }
}
