/**
 * An exhibit (`?demo` in the address): the examples move by themselves until somebody touches, and again once nobody has for a
 * while. Nothing leads out of the page, and nothing is kept of who was there.
 */

import { byId, toast } from './pages.js';

const ALONE_SECONDS = 60; // `?demo=5` says another number
const BETWEEN_MS = 1200; // one example and the next
const RESTART_MS = 5000; // after a failure that nobody is there to mend
const TOUCHES = ['pointerdown', 'keydown', 'wheel']; // that end the loop; else a hand beside the screen would
const LEAVING_KEYS = new Set(['o', 's', 'BrowserBack', 'BrowserForward', 'BrowserHome']);

/**
 * @typedef {object} Show
 * @property {(number: number) => Promise<void>} play an example to its end, or until somebody touches
 * @property {() => Promise<unknown>} clear what a visitor did
 * @property {() => boolean} isHeld by a finger that does not move
 */

export class Exhibit {
  #turn = 0; // of the loop; the next one ends it
  #number = 0; // of the example that comes next
  #isAlone = true;
  #timer = 0;
  #ms = 1000 * ALONE_SECONDS;

  /** @param {Show} show */
  constructor(show) {
    this.show = show;
    const said = new URLSearchParams(location.search).get('demo');
    if (Number(said) > 0) this.#ms = 1000 * Number(said);
    else if (said) toast(`The address says demo=${said}; give the seconds after which the loop comes back, such as demo=60.`);
    for (const name of [...TOUCHES, 'pointermove']) {
      window.addEventListener(name, () => this.#somebody(TOUCHES.includes(name)), { capture: true, passive: true });
    }
    closeWaysOut();
  }

  /** Plays one example after another. */
  async loop() {
    const mine = ++this.#turn;
    this.#isAlone = true;
    clearTimeout(this.#timer);
    while (mine === this.#turn) {
      await this.show.play(this.#number++).catch(() => {}); // the next one may do
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
    }
  }

  /** Begins anew by itself. @param {() => void} start */
  recover(start) {
    setTimeout(start, RESTART_MS);
  }

  /** @param {boolean} isTouch */
  #somebody(isTouch) {
    if (this.#isAlone && !isTouch) return;
    if (this.#isAlone) this.#turn++;
    this.#isAlone = false;
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => void this.#nobody(), this.#ms);
  }

  async #nobody() {
    if (this.show.isHeld()) return this.#somebody(true);
    tidy();
    await this.show.clear();
    await this.loop();
  }
}

/** The page as the next visitor shall find it: nothing open, and every setting as usual. */
function tidy() {
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  /** @type {HTMLElement|null} */ (document.activeElement)?.blur();
  for (const [id, isOther] of /** @type {[string, boolean][]} */ ([
    ['panel-close', byId('panel').classList.contains('open')], ['feel-reset', !byId('feel-reset').hidden],
    ['numbers', byId('numbers').checked], ['info', !byId('readout').hidden], ['mode-pull', true],
    ['theme', isOtherTheme()], ['brush-still', byId('brush-still').getAttribute('aria-pressed') !== 'true'], ['single-keys', !byId('single-keys').checked],
  ])) if (isOther) byId(id).click();
  byId('brush-size').value = byId('brush-size').defaultValue;
  byId('brush-size').dispatchEvent(new Event('input'));
  byId('toast').hidden = true;
}

function isOtherTheme() {
  const { theme } = document.documentElement.dataset;
  return Boolean(theme) && (theme === 'dark') !== matchMedia('(prefers-color-scheme: dark)').matches;
}

function closeWaysOut() {
  for (const link of document.querySelectorAll('a[href]')) link.removeAttribute('href');
  const never = (/** @type {Event} */ event) => {
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  for (const name of ['contextmenu', 'dragstart', 'dragover', 'drop', 'paste', 'copy', 'gesturestart']) {
    window.addEventListener(name, never, { capture: true });
  }
  window.addEventListener('wheel', (event) => event.ctrlKey && never(event), { capture: true, passive: false }); // zooms
  window.addEventListener('keydown', (event) => leads(event) && never(event), { capture: true });
}

/** True for keys by which the page or its browser would be left, saved or zoomed. @param {KeyboardEvent} event */
function leads({ key, ctrlKey, metaKey, altKey }) {
  return ctrlKey || metaKey || altKey || /^F\d/.test(key) || LEAVING_KEYS.has(key.length === 1 ? key.toLowerCase() : key);
}
