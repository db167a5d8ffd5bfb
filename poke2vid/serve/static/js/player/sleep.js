/** No frames are asked for where nobody would see them move. */

/** @typedef {import('../engine/types.js').Fields} Fields */

const STILL_SECONDS = 0.6;
const STILL = 0.004; // model pixels from frame to frame: nobody sees less

export class Sleep {
  asleep = true;
  #stillFor = 0; // frames

  wake() {
    this.asleep = false;
    this.#stillFor = 0;
  }

  fall() {
    this.asleep = true;
  }

  /** After a frame: falls asleep once nothing has moved for long. @param {boolean} moves @param {number} rate steps a second */
  settle(moves, rate) {
    this.#stillFor = moves ? 0 : this.#stillFor + 1;
    if (this.isDue(rate)) this.asleep = true;
  }

  /** True where nothing has moved for long. @param {number} rate steps a second */
  isDue(rate) {
    return this.#stillFor > STILL_SECONDS * (Number.isFinite(rate) ? rate : 60);
  }
}

/** True where nobody could tell two frames apart. @param {Fields|null} before null for the picture at rest @param {Fields} after */
export function alike(before, after) {
  for (const [part, unit] of /** @type {const} */ ([['flow', 1], ['repaint', 0.1], ['xHat', 0.1]])) {
    const [a, b] = [before?.[part], after[part]];
    if (!b) continue;
    for (let i = 0; i < b.length; i++) if (Math.abs(b[i] - (a ? a[i] : 0)) > STILL * unit) return false;
  }
  return true;
}
