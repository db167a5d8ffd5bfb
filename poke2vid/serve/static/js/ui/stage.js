/** The picture under fingers and keys: what they do becomes pokes, and what is held is drawn over it. */

/** @typedef {import('../engine/types.js').Pair} Pair */
/** @typedef {import('../player.js').Player} Player */
/** @typedef {'pull'|'pin'|'push'} Mode */

const COLOURS = ['#ff5d73', '#3ec9a7', '#ffb84d', '#6aa8ff', '#c58bff'];
const KEY_POINTER = 900; // fingers count from 0
const KEY_STEP = 0.02; // of the picture's longer side
const TAP_PX = 6; // a finger that moves less on the screen tapped
const PIN_REACH_PX = 26;

/** One a finger. @param {number} pointer */
export const colourOf = (pointer) => COLOURS[Math.abs(pointer) % COLOURS.length];

export class Stage {
  /**
   * @param {{stage: HTMLElement, picture: HTMLCanvasElement, overlay: HTMLCanvasElement}} elements
   * @param {() => Player|null} player
   * @param {{onFirstTouch: () => void, onHeatPoint: (at: Pair) => void, say: (text: string) => void}} listeners
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
    this.nextPointer = 0;
    /** @type {Map<number, {pointer: number, at: Pair, to: Pair, from: Pair, moved: boolean, pushes: boolean, pinned: boolean}>} */
    this.fingers = new Map();
    /** @type {Pair|null} */
    this.cross = null; // in pixels of the picture, once keys are used
    stage.addEventListener('pointerdown', (event) => this.#down(event));
    stage.addEventListener('pointermove', (event) => this.#move(event));
    for (const name of ['pointerup', 'pointercancel']) {
      stage.addEventListener(name, (event) => this.#up(/** @type {PointerEvent} */ (event)));
    }
    stage.addEventListener('contextmenu', (event) => event.preventDefault());
    stage.addEventListener('blur', () => this.#releaseKey());
    document.addEventListener('keydown', () => stage.classList.remove('by-pointer'));
    this.draw = this.draw.bind(this);
    requestAnimationFrame(this.draw);
  }

  /** Forgets what fingers did to another picture. */
  clear() {
    this.fingers.clear();
    this.cross = null;
  }

  get size() {
    const picture = this.player()?.picture;
    return picture ? { width: picture.width, height: picture.height } : { width: 1, height: 1 };
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
    this.cross = null;
    if (this.choosesHeat) {
      if (player.canvas.contains(at)) this.listeners.onHeatPoint(at);
      return;
    }
    const pin = this.#pinNear(event);
    if (pin === null && !player.canvas.contains(at)) return;
    this.listeners.onFirstTouch();
    this.stage.setPointerCapture(event.pointerId);
    const pushes = this.mode === 'push' || player.engine.info.pokeKind === 'impulse';
    const pointer = pin ?? this.nextPointer++;
    const grip = pin === null ? null : player.held.get(pin);
    this.fingers.set(event.pointerId, {
      pointer, at: grip?.at ?? at, to: grip?.to ?? at, from: [event.clientX, event.clientY], moved: false, pushes: pushes && pin === null,
      pinned: pin !== null,
    });
    if (pin === null && !pushes) player.poke(pointer, at, [0, 0], 'shift', event.timeStamp);
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const finger = this.fingers.get(event.pointerId);
    const player = this.player();
    if (!finger || !player) return;
    event.preventDefault();
    const [x, y] = finger.from;
    finger.moved ||= Math.hypot(event.clientX - x, event.clientY - y) > TAP_PX;
    const now = this.at(event);
    finger.to = [finger.at[0] + this.strength * (now[0] - finger.at[0]), finger.at[1] + this.strength * (now[1] - finger.at[1])];
    if (!finger.pushes) player.drag(finger.pointer, finger.to, event.timeStamp);
  }

  /** @param {PointerEvent} event */
  #up(event) {
    const finger = this.fingers.get(event.pointerId);
    const player = this.player();
    if (!finger || !player) return;
    this.fingers.delete(event.pointerId);
    const { pointer, at, to } = finger;
    if (finger.pushes) {
      if (event.type === 'pointerup') player.poke(pointer, at, [to[0] - at[0], to[1] - at[1]], 'impulse', event.timeStamp);
    } else if (finger.pinned && !finger.moved) player.release(pointer); // a tap takes a pin out
    else if (this.mode === 'pin' && finger.moved && event.type === 'pointerup') player.pins.add(pointer);
    else if (!finger.pinned) player.release(pointer);
  }

  /** The pin under a finger. @param {PointerEvent} event @returns {number|null} */
  #pinNear({ clientX, clientY }) {
    const player = this.player();
    const box = this.picture.getBoundingClientRect();
    const { width } = this.size;
    for (const pointer of player?.pins ?? []) {
      const grip = player?.held.get(pointer);
      if (!grip) continue;
      const [x, y] = this.#onScreen(grip.to, box.width / width);
      if (Math.hypot(box.left + x - clientX, box.top + y - clientY) < PIN_REACH_PX) return pointer;
    }
    return null;
  }

  /** @param {Pair} at @param {number} scale @returns {Pair} */
  #onScreen([x, y], scale) {
    return [(x + 0.5) * scale, (y + 0.5) * scale];
  }

  // Keys

  /** @param {string} key an arrow's @param {boolean} far */
  arrow(key, far) {
    const player = this.player();
    if (!player?.canvas) return;
    const { width, height } = this.size;
    const step = KEY_STEP * Math.max(width, height) * (far ? 4 : 1);
    const [dx, dy] = /** @type {Record<string, Pair>} */ ({
      ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step],
    })[key];
    const [x, y] = this.cross ?? [(width - 1) / 2, (height - 1) / 2];
    const grip = player.held.get(KEY_POINTER);
    const bound = (/** @type {number} */ value, /** @type {number} */ size) => Math.min(Math.max(value, 0), size - 1);
    this.cross = grip ? [x + dx, y + dy] : [bound(x + dx, width), bound(y + dy, height)];
    if (grip) player.drag(KEY_POINTER, this.cross);
  }

  /** Grabs what is under the cross, or lets go of it. */
  grab() {
    const player = this.player();
    if (!player?.canvas) return;
    const { width, height } = this.size;
    this.cross ??= [(width - 1) / 2, (height - 1) / 2];
    const place = this.cross.map(Math.round).join(', ');
    if (this.choosesHeat) this.listeners.onHeatPoint(this.cross);
    else if (player.held.has(KEY_POINTER)) this.#releaseKey();
    else if (player.engine.info.pokeKind === 'impulse' || this.mode === 'push') {
      player.poke(KEY_POINTER, this.cross, [0.05 * width, 0], 'impulse');
      this.listeners.say(`pushed at ${place}`);
    } else {
      this.listeners.onFirstTouch();
      player.poke(KEY_POINTER, this.cross, [0, 0]);
      this.listeners.say(`grabbed at ${place}; pull with the arrow keys`);
    }
  }

  #releaseKey() {
    const player = this.player();
    if (!player?.held.has(KEY_POINTER)) return;
    player.release(KEY_POINTER);
    this.listeners.say('let go');
  }

  // Drawing

  draw() {
    requestAnimationFrame(this.draw);
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
    const scale = box.width / player.picture.width;
    for (const [pointer, { at, to }] of player.held) {
      drawPoke(context, this.#onScreen(at, scale), this.#onScreen(to, scale), colourOf(pointer), player.pins.has(pointer));
    }
    for (const { pushes, at, to, pointer } of this.fingers.values()) {
      if (pushes) drawPoke(context, this.#onScreen(at, scale), this.#onScreen(to, scale), colourOf(pointer), false);
    }
    if (this.cross && document.activeElement === this.stage) drawCross(context, this.#onScreen(this.cross, scale));
  }
}

/**
 * An arrow from what was grabbed to where it shall go.
 *
 * @param {CanvasRenderingContext2D|OffscreenCanvasRenderingContext2D} context
 * @param {Pair} from @param {Pair} to @param {string} colour @param {boolean} pinned @param {number} [unit] of lines, in pixels
 */
export function drawPoke(context, from, to, colour, pinned, unit = 1) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = Math.hypot(dx, dy);
  context.lineCap = context.lineJoin = 'round';
  const head = Math.min(11 * unit, length * 0.6);
  const angle = Math.atan2(dy, dx);
  for (const [stroke, width] of /** @type {[string, number][]} */ ([['rgba(10,12,16,.55)', 6.5], [colour, 3.5]])) {
    context.strokeStyle = stroke;
    context.lineWidth = width * unit;
    context.beginPath();
    if (length > 4 * unit) {
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
      for (const side of [-0.5, 0.5]) {
        context.moveTo(to[0], to[1]);
        context.lineTo(to[0] - head * Math.cos(angle + side), to[1] - head * Math.sin(angle + side));
      }
    }
    context.stroke();
  }
  for (const [radius, fill] of /** @type {[number, string][]} */ ([[7.5, 'rgba(10,12,16,.55)'], [6, '#fff'], [4, colour]])) {
    context.fillStyle = fill;
    context.beginPath();
    context.arc(from[0], from[1], radius * unit, 0, 7);
    context.fill();
  }
  if (pinned) {
    context.fillStyle = colour;
    context.strokeStyle = '#fff';
    context.lineWidth = 2 * unit;
    context.beginPath();
    context.arc(to[0], to[1], 7 * unit, 0, 7);
    context.fill();
    context.stroke();
  }
}

/** @param {CanvasRenderingContext2D} context @param {Pair} at */
function drawCross(context, [x, y]) {
  for (const [colour, width] of /** @type {[string, number][]} */ ([['rgba(10,12,16,.6)', 4], ['#fff', 1.8]])) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 5 * dx, y + 5 * dy);
      context.lineTo(x + 14 * dx, y + 14 * dy);
    }
    context.stroke();
  }
}
