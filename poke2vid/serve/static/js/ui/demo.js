/** One real poke that plays by itself, once, so that everybody sees what the page is for. */

import { keep, read } from './pages.js';

/** @typedef {import('../player.js').Player} Player */
/** @typedef {import('../script.js').Script} Script */

const LOOK_MS = 100;

export class Demo {
  on = false;

  /** True where it was never shown in this browser, and moving pictures are welcome. */
  get isDue() {
    return read('shown') !== 'yes' && !matchMedia('(prefers-reduced-motion: reduce)').matches;
  }

  /** Plays it; what is done meanwhile ends it and goes on from there. @param {Player} player @param {Script} script */
  async play(player, script) {
    keep('shown', 'yes');
    this.on = true;
    const { picture } = player;
    if (!(await player.replay(script, true))) return this.end();
    while (this.on && player.picture === picture && !(player.asleep && !player.replayed)) {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    if (this.on && player.picture === picture) await player.reset(false);
    this.end();
  }

  /** From now on what is done is the user's. */
  end() {
    this.on = false;
  }
}
