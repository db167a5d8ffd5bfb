/** The brush: paints on the picture at rest what shall stay still, or may move. */

import { MAX_POINTS } from '../engine/brush.js';
import { byId, keep, read } from './pages.js';

/** @typedef {import('../engine/types.js').Pair} Pair */
/** @typedef {import('../player.js').Player} Player */
/** @typedef {import('./arrows.js').Context} Context */

const PAINT = { still: 'rgb(12 16 24 / .6)', loose: 'rgb(255 214 120 / .6)' };
const STEP = 0.25; // of the radius, between two points of a path

export class Brushing {
  on = false;
  still = true;
  /** @type {number|null} the finger that paints */
  #finger = null;
  /** @type {Pair[]} */
  #path = [];
  /** @type {Pair|null} where the brush is, painting or not */
  #over = null;

  /** @param {() => Player|null} player @param {() => void} refresh draws the overlay anew @param {(text: string) => void} say */
  constructor(player, refresh, say) {
    this.player = player;
    this.refresh = refresh;
    this.say = say;
    for (const still of [true, false]) byId(still ? 'brush-still' : 'brush-loose').addEventListener('click', () => this.#choose(still));
    byId('brush-size').value = read('brush-size') ?? byId('brush-size').value;
    byId('brush-size').addEventListener('input', () => {
      keep('brush-size', byId('brush-size').value);
      this.refresh();
    });
  }

  /** In pixels of the user's picture. */
  get radius() {
    const picture = this.player()?.picture;
    return Number(byId('brush-size').value) * Math.max(picture?.width ?? 1, picture?.height ?? 1);
  }

  /** Takes the brush, or lays it down. @param {boolean} on */
  take(on) {
    if (on === this.on) return;
    this.on = on;
    this.#finger = this.#over = null;
    this.#path = [];
    byId('brush-pill').hidden = !on;
    const player = this.player();
    if (player) player.show(on);
  }

  /** @param {boolean} still */
  #choose(still) {
    this.still = still;
    byId('brush-still').setAttribute('aria-pressed', String(still));
    byId('brush-loose').setAttribute('aria-pressed', String(!still));
    this.refresh();
  }

  /** @param {number} finger @param {Pair} at in pixels of the user's picture */
  down(finger, at) {
    if (this.#finger !== null) return; // one hand paints
    this.#finger = finger;
    this.#path = [at];
    this.#over = at;
    this.refresh();
  }

  /** @param {number} finger @param {Pair} at */
  move(finger, at) {
    this.#over = at;
    this.refresh();
    const last = this.#path.at(-1);
    if (finger !== this.#finger || !last) return;
    if (Math.hypot(at[0] - last[0], at[1] - last[1]) > STEP * this.radius) this.#path.push(at);
    if (this.#path.length < MAX_POINTS) return;
    this.dab(this.#path);
    this.#path = [at]; // a long stroke goes on as another
  }

  /** @param {number} finger @param {boolean} meant not taken away by the browser */
  up(finger, meant) {
    if (finger !== this.#finger) return;
    if (meant) this.dab(this.#path);
    this.#finger = null;
    this.#path = [];
    this.refresh();
  }

  /** Paints along a path. @param {Pair[]} path */
  dab(path) {
    this.player()?.brush(path, this.radius, this.still);
    this.say(this.still ? 'that stays still now' : 'that may move now');
  }

  /** @param {Context} context @param {(at: Pair) => Pair} place on the screen @param {number} scale of the picture there */
  draw(context, place, scale) {
    if (!this.on) return;
    const radius = this.radius * scale;
    context.lineCap = context.lineJoin = 'round';
    context.strokeStyle = this.still ? PAINT.still : PAINT.loose;
    context.lineWidth = 2 * radius;
    context.beginPath();
    for (const at of this.#path.length === 1 ? [this.#path[0], this.#path[0]] : this.#path) context.lineTo(...place(at));
    context.stroke();
    if (!this.#over) return;
    for (const [colour, width] of /** @type {[string, number][]} */ ([['rgb(10 12 16 / .6)', 4], ['#fff', 2]])) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.beginPath();
      context.arc(...place(this.#over), radius, 0, 2 * Math.PI);
      context.stroke();
    }
  }
}
