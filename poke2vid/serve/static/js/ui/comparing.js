/** Before and after, side by side, for as long as a button or a key is held. */

import { grounded } from '../player/view.js';
import { byId } from './pages.js';

/** @typedef {import('../player.js').Player} Player */
/** @typedef {import('./arrows.js').Context} Context */

const KEYS = ['Enter', ' '];

export class Comparing {
  on = false;
  /** @type {HTMLCanvasElement|null} the picture as it was, on the page's ground */
  #before = null;

  /** @param {() => void} refresh draws the overlay anew */
  constructor(refresh) {
    this.refresh = refresh;
    const button = byId('compare');
    button.addEventListener('pointerdown', (/** @type {PointerEvent} */ event) => {
      button.setPointerCapture(event.pointerId);
      this.hold(true);
    });
    for (const name of ['pointerup', 'pointercancel', 'blur']) button.addEventListener(name, () => this.hold(false));
    button.addEventListener('contextmenu', (/** @type {Event} */ event) => event.preventDefault()); // of a long press
    button.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => KEYS.includes(event.key) && this.hold(true));
    button.addEventListener('keyup', () => this.hold(false));
    window.addEventListener('blur', () => this.hold(false)); // a key that is let go of elsewhere
  }

  /** @param {boolean} on */
  hold(on) {
    if (on === this.on) return;
    this.on = on;
    this.#before = null;
    byId('compare').setAttribute('aria-pressed', String(on));
    this.refresh();
  }

  /** @param {Context} context @param {Player} player @param {number} width of the screen's part @param {number} height */
  draw(context, player, width, height) {
    if (!player.picture || !player.compositor) return;
    const { backgroundColor, color } = getComputedStyle(byId('stage'));
    context.fillStyle = backgroundColor;
    context.fillRect(0, 0, width, height);
    this.#before ??= grounded(player.picture);
    const pictures = [this.#before, /** @type {HTMLCanvasElement} */ (byId('picture'))];
    const gap = 2;
    const half = [width / 2 - gap, ((width / 2 - gap) * height) / width];
    pictures.forEach((picture, k) => {
      const [left, top] = [k * (width / 2 + gap), (height - half[1]) / 2];
      context.imageSmoothingQuality = 'high';
      context.drawImage(picture, left, top, half[0], half[1]);
      context.font = '600 14px system-ui, sans-serif';
      context.textAlign = 'center';
      context.textBaseline = 'top';
      context.fillStyle = color;
      const below = Math.min(top + half[1] + 8, height - 20);
      context.fillText(k ? 'Now' : 'Before', left + half[0] / 2, below);
    });
  }
}
