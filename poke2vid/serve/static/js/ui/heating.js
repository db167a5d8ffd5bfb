/** The mode that shows what moves together with a point. */

import { endBrush, show } from './controls.js';
import { originOf } from '../player/grasped.js';
import { byId, say, toast } from './pages.js';

/** @typedef {import('../engine/types.js').Pair} Pair */
/** @typedef {import('../player.js').Player} Player */
/** @typedef {import('./stage.js').Stage} Stage */

const FAINT = 0.5; // of the heat at the point itself, as of `poke2vid correlate`

export class Heating {
  /** @param {() => Player|null} player @param {Stage} stage */
  constructor(player, stage) {
    this.player = player;
    this.stage = stage;
    this.asked = 0; // whoever asked last gets the map
    byId('heat-off').addEventListener('click', () => this.end());
    byId('heat-cancel').addEventListener('click', () => this.end());
  }

  get on() {
    return this.stage.choosesHeat || !byId('heat-pill').hidden || Boolean(this.player()?.heatMap) || this.stage.marked !== null;
  }

  /** The button: into the mode, or out of it. */
  toggle() {
    if (this.end() || !this.player()?.picture) return;
    endBrush(this.stage);
    this.stage.choosesHeat = true;
    byId('stage').classList.add('choosing');
    this.#tell('Tap a point to see what follows it', null);
    this.#show();
  }

  /** Ends it; true if there was something to end. */
  end() {
    if (!this.on) return false;
    this.asked++;
    this.stage.marked = null;
    byId('faint').hidden = true;
    this.#quiet();
    this.player()?.showHeat(null);
    say('heat map off');
    return true;
  }

  /** @param {Pair} at in pixels of the user's picture */
  async at(at) {
    const player = this.player();
    if (!player?.canvas) return;
    const { canvas } = player;
    const mine = ++this.asked;
    this.stage.choosesHeat = false;
    byId('stage').classList.remove('choosing');
    byId('stage').classList.add('busy');
    const doing = player.engine.info.decoder === 'layers' ? 'Looking…' : 'Poking all around…';
    this.#tell(doing, 0);
    say('computing what moves together');
    try {
      const tell = (/** @type {number} */ share) => mine === this.asked && this.#tell(doing, share);
      const origin = originOf(at, player.fields, canvas);
      const map = await player.engine.heat(origin, tell);
      if (mine !== this.asked || canvas !== player.canvas) return; // nobody waits for it any more
      this.stage.marked = at;
      const isFaint = heatAt(map, canvas.resolution, origin) < FAINT;
      byId('faint').hidden = !isFaint;
      player.showHeat(map);
      say(isFaint ? byId('faint').textContent : 'The map shows what moves along with this point. Escape removes it.');
    } catch (error) {
      if (mine === this.asked) toast(/** @type {Error} */ (error).message);
    } finally {
      if (mine === this.asked) this.#quiet();
    }
  }

  /** @param {string} text @param {number|null} share */
  #tell(text, share) {
    byId('heat-text').textContent = text;
    byId('heat-bar').hidden = share === null;
    byId('heat-bar').value = share ?? 0;
    byId('heat-pill').hidden = false;
    byId('hint').hidden = true;
  }

  #quiet() {
    this.stage.choosesHeat = false;
    byId('stage').classList.remove('busy', 'choosing');
    byId('heat-pill').hidden = true;
    this.#show();
  }

  #show() {
    const player = this.player();
    if (player) show(player, this.stage);
  }
}

/** The most heat about a point: a finger is no needle. @param {Float32Array} map `r r` @param {number} r @param {Pair} at in model pixels */
function heatAt(map, r, [x, y]) {
  const reach = Math.ceil(r / 64);
  let most = 0;
  for (let row = Math.round(y) - reach; row <= Math.round(y) + reach; row++) {
    for (let column = Math.round(x) - reach; column <= Math.round(x) + reach; column++) {
      if (row >= 0 && row < r && column >= 0 && column < r) most = Math.max(most, map[row * r + column]);
    }
  }
  return most;
}
