/** The picture under fingers and keys: what they do becomes pokes, and what is held is drawn over it. */

import { colourOf, drawCross, drawHold, drawMark, drawPoke } from './arrows.js';
import { Brushing } from './brushing.js';
import { Comparing } from './comparing.js';

/** @typedef {import('../engine/types.js').Pair} Pair */
/** @typedef {import('../player.js').Player} Player */
/** @typedef {'pull'|'pin'|'push'|'brush'} Mode */

/**
 * Grip of one finger, or of the keys.
 *
 * @typedef {object} Finger
 * @property {number} pointer of the poke
 * @property {Pair} at what was grabbed, in pixels of the user's picture
 * @property {Pair} to where it shall go
 * @property {Pair} began where the finger came down, in pixels of the user's picture
 * @property {Pair} base where it went then: a pin is not where it was grabbed
 * @property {Pair} from where the finger went down, in pixels of the screen
 * @property {boolean} moved
 * @property {boolean} pushes pokes once, when it lets go
 * @property {boolean} pinned took a pin that was there
 */

const KEYS = -1; // their place among the fingers
const KEY_STEP = 0.02; // of the picture's longer side
const FAR = 4; // key steps with Shift
const TAP_PX = 6; // a finger that moves less on the screen tapped
const PIN_REACH_PX = 26;
// Browsers keep moves back until the screen's next refresh; a step that begins before it would not know of them.
const MOVES = 'onpointerrawupdate' in window ? 'pointerrawupdate' : 'pointermove';

export class Stage {
  /**
   * @param {{stage: HTMLElement, picture: HTMLCanvasElement, overlay: HTMLCanvasElement}} elements
   * @param {() => Player|null} player
   * @param {{onFirstTouch: () => void, onHeatPoint: (at: Pair) => void, onTap: () => void, say: (text: string) => void}} listeners
   */
  constructor({ stage, picture, overlay }, player, listeners) {
    this.stage = stage;
    this.picture = picture;
    this.overlay = overlay;
    this.player = player;
    this.listeners = listeners;
    /** @type {Mode} */
    this.mode = 'pull';
    this.strength = 1;
    this.choosesHeat = false;
    /** @type {Pair|null} */
    this.marked = null; // whose heat is shown, in pixels of the picture
    this.brushing = new Brushing(player, () => this.refresh(), listeners.say);
    this.comparing = new Comparing(() => this.refresh());
    this.nextPointer = 0;
    /** @type {Map<number, Finger>} */
    this.fingers = new Map();
    /** @type {Pair|null} */
    this.cross = null; // in pixels of the picture, once keys are used
    this.drawing = false;
    stage.addEventListener('pointerdown', (event) => this.#down(event));
    stage.addEventListener(MOVES, (event) => this.#move(/** @type {PointerEvent} */ (event)));
    for (const name of ['pointerup', 'pointercancel']) {
      stage.addEventListener(name, (event) => this.#up(/** @type {PointerEvent} */ (event)));
    }
    stage.addEventListener('contextmenu', (event) => event.preventDefault());
    stage.addEventListener('focus', () => this.refresh());
    stage.addEventListener('blur', () => this.letGoOfKeys());
    document.addEventListener('keydown', () => stage.classList.remove('by-pointer'));
  }

  /** Another canvas for another picture, and nothing held. @param {HTMLCanvasElement} element */
  replace(element) {
    this.picture.replaceWith(element);
    this.picture = element;
    this.clear();
  }

  /** Forgets what fingers did. */
  clear() {
    this.fingers.clear();
    this.cross = null;
    this.refresh();
  }

  get size() {
    const picture = this.player()?.picture;
    return picture ? { width: picture.width, height: picture.height } : { width: 1, height: 1 };
  }

  get pushes() {
    return this.mode === 'push' || this.player()?.engine.info.pokeKind === 'impulse';
  }

  /** Pixels of the user's picture under a point of the screen. @param {{clientX: number, clientY: number}} event @returns {Pair} */
  at({ clientX, clientY }) {
    const box = this.picture.getBoundingClientRect();
    const { width, height } = this.size;
    return [((clientX - box.left) / box.width) * width - 0.5, ((clientY - box.top) / box.height) * height - 0.5];
  }

  /** @param {PointerEvent} event */
  #down(event) {
    const player = this.player();
    if (!player?.canvas || event.button > 0) return;
    event.preventDefault();
    this.stage.classList.add('by-pointer'); // a ring is for who uses keys
    this.stage.focus({ preventScroll: true });
    const at = this.at(event);
    this.letGoOfKeys();
    this.cross = null;
    if (this.choosesHeat) {
      if (player.canvas.contains(at)) this.listeners.onHeatPoint(at);
      return;
    }
    if (this.brushing.on) {
      this.listeners.onFirstTouch();
      this.stage.setPointerCapture(event.pointerId);
      return this.brushing.down(event.pointerId, at);
    }
    const pin = this.#pinNear(event);
    if (pin === null && !player.canvas.contains(at)) return;
    this.listeners.onFirstTouch();
    this.stage.setPointerCapture(event.pointerId);
    const grip = pin === null ? null : player.held.get(pin);
    const pointer = pin ?? this.nextPointer++;
    const finger = {
      pointer, at: grip?.at ?? at, to: grip?.to ?? at, from: /** @type {Pair} */ ([event.clientX, event.clientY]),
      began: at, base: grip?.to ?? at,
      moved: false, pushes: this.pushes && pin === null, pinned: pin !== null,
    };
    this.fingers.set(event.pointerId, finger);
    if (pin === null && !finger.pushes) player.poke(pointer, at, [0, 0], 'shift', event.timeStamp);
    this.refresh();
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const finger = this.fingers.get(event.pointerId);
    if (this.brushing.on && !finger) return this.brushing.move(event.pointerId, this.at(event));
    const player = this.player();
    if (!finger || !player) return;
    event.preventDefault();
    const [x, y] = finger.from;
    finger.moved ||= Math.hypot(event.clientX - x, event.clientY - y) > TAP_PX;
    if (finger.pinned && !finger.moved) return; // it may still be a tap
    const now = this.at(event);
    const { base, began } = finger;
    finger.to = [base[0] + this.strength * (now[0] - began[0]), base[1] + this.strength * (now[1] - began[1])];
    if (!finger.pushes) player.drag(finger.pointer, finger.to, event.timeStamp);
    this.refresh();
  }

  /** @param {PointerEvent} event */
  #up(event) {
    const finger = this.fingers.get(event.pointerId);
    if (this.brushing.on && !finger) return this.brushing.up(event.pointerId, event.type === 'pointerup');
    if (!finger) return;
    this.fingers.delete(event.pointerId);
    this.#letGo(finger, event.type === 'pointerup', event.timeStamp);
  }

  /** @param {Finger} finger @param {boolean} meant not taken away by the browser @param {number} [since] */
  #letGo({ pointer, at, to, moved, pushes, pinned }, meant, since) {
    const player = this.player();
    if (!player) return;
    const shift = /** @type {Pair} */ ([to[0] - at[0], to[1] - at[1]]);
    if (pushes) {
      if (meant && moved) player.poke(pointer, at, shift, 'impulse', since);
      else if (meant) this.listeners.onTap();
    } else if (pinned && !moved) player.release(pointer); // a tap takes a pin out
    else if (!pinned && this.mode === 'pin' && moved && meant) player.pin(pointer);
    else if (!pinned && moved && meant) player.letGo(pointer);
    else if (!pinned) player.release(pointer);
    this.refresh();
  }

  /** The pin under a finger. @param {PointerEvent} event @returns {number|null} */
  #pinNear({ clientX, clientY }) {
    const player = this.player();
    const box = this.picture.getBoundingClientRect();
    const { width } = this.size;
    for (const pointer of player?.pins ?? []) {
      const grip = player?.held.get(pointer);
      if (!grip) continue;
      const [x, y] = onScreen(grip.to, box.width / width);
      if (Math.hypot(box.left + x - clientX, box.top + y - clientY) < PIN_REACH_PX) return pointer;
    }
    return null;
  }

  // Keys

  /** @param {string} key an arrow's @param {boolean} far */
  arrow(key, far) {
    const player = this.player();
    if (!player?.canvas) return;
    const { width, height } = this.size;
    const step = KEY_STEP * Math.max(width, height) * (far ? FAR : 1);
    const [dx, dy] = /** @type {Record<string, Pair>} */ ({
      ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step],
    })[key];
    const [x, y] = this.cross ?? this.#middle();
    const finger = this.fingers.get(KEYS);
    const bound = (/** @type {number} */ value, /** @type {number} */ size) => Math.min(Math.max(value, 0), size - 1);
    this.cross = finger ? [x + dx, y + dy] : [bound(x + dx, width), bound(y + dy, height)];
    if (finger) {
      finger.to = this.cross;
      finger.moved = true;
      if (!finger.pushes) player.drag(finger.pointer, finger.to);
    }
    this.refresh();
  }

  /** @returns {Pair} */
  #middle() {
    const { width, height } = this.size;
    return [(width - 1) / 2, (height - 1) / 2];
  }

  /** Grabs what is under the cross, or lets go of it. */
  grab() {
    const player = this.player();
    if (!player?.canvas) return;
    const at = (this.cross ??= this.#middle());
    if (this.choosesHeat) this.listeners.onHeatPoint(at);
    else if (this.brushing.on) {
      this.listeners.onFirstTouch();
      this.brushing.dab([at]);
    }
    else if (this.fingers.has(KEYS)) this.letGoOfKeys(true);
    else {
      this.listeners.onFirstTouch();
      const place = at.map(Math.round).join(', ');
      const { pushes } = this;
      const pointer = this.nextPointer++;
      this.fingers.set(KEYS, { pointer, at, to: at, from: [0, 0], began: at, base: at, moved: false, pushes, pinned: false });
      if (!pushes) player.poke(pointer, at, [0, 0]);
      this.listeners.say(pushes ? `aim from ${place} with the arrow keys, Enter pushes` : `grabbed at ${place}; pull with the arrow keys`);
    }
    this.refresh();
  }

  /** @param {boolean} [meant] by its own key, so that a push is done and a pin stays */
  letGoOfKeys(meant = false) {
    const finger = this.fingers.get(KEYS);
    this.fingers.delete(KEYS);
    if (finger) {
      this.#letGo(finger, meant);
      const stays = this.player()?.pins.has(finger.pointer);
      this.listeners.say(stays ? 'pinned' : finger.pushes && meant && finger.moved ? 'pushed' : 'let go');
    }
    this.refresh();
  }

  // Drawing

  /** Draws the overlay anew before the next frame of the screen. */
  refresh() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      this.#draw();
    });
  }

  #draw() {
    const player = this.player();
    const box = this.picture.getBoundingClientRect();
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(box.width * ratio), Math.round(box.height * ratio)];
    if (this.overlay.width !== width || this.overlay.height !== height) {
      this.overlay.width = width;
      this.overlay.height = height;
    }
    const context = this.overlay.getContext('2d');
    if (!context || !player?.picture || !width) return;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, box.width, box.height);
    if (this.comparing.on) return this.comparing.draw(context, player, box.width, box.height);
    const scale = box.width / player.picture.width;
    this.brushing.draw(context, (at) => onScreen(at, scale), scale);
    if (this.marked && player.heatMap && !player.paints) drawMark(context, onScreen(this.marked, scale));
    for (const [pointer, { at, to }] of player.held) {
      const reached = player.placeOf(pointer);
      const there = reached && onScreen(reached, scale);
      drawHold(context, onScreen(at, scale), there, onScreen(to, scale), colourOf(pointer), player.pins.has(pointer));
    }
    for (const { pushes, at, to, pointer } of this.fingers.values()) {
      if (pushes) drawPoke(context, onScreen(at, scale), onScreen(to, scale), colourOf(pointer), false);
    }
    if (this.cross && document.activeElement === this.stage) drawCross(context, onScreen(this.cross, scale));
  }
}

/** @param {Pair} at @param {number} scale @returns {Pair} */
function onScreen([x, y], scale) {
  return [(x + 0.5) * scale, (y + 0.5) * scale];
}
