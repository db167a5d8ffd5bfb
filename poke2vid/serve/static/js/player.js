/**
 * The one who plays: takes pokes in pixels of the user's picture, keeps the script, asks the engine for one step after another and
 * draws what comes. Knows no buttons.
 */

import { Canvas } from './canvas.js';
import { createCompositor } from './compositor.js';
import { MAX_FRAMES, Recorder } from './script.js';

/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./compositor.js').Compositor} Compositor */
/** @typedef {import('./engine/types.js').Action} Action */
/** @typedef {import('./engine/types.js').Engine} Engine */
/** @typedef {import('./engine/types.js').Fields} Fields */
/** @typedef {import('./engine/types.js').Pair} Pair */
/** @typedef {import('./engine/types.js').PokeKind} PokeKind */
/** @typedef {import('./engine/types.js').Rest} Rest */
/** @typedef {import('./script.js').Script} Script */
/** @typedef {import('./script.js').ScriptEvent} ScriptEvent */

/** Without a frame; given one when it is felt. @typedef {ScriptEvent & {since?: number}} Pending */
/** @typedef {{at: Pair, to: Pair}} Grip in pixels of the user's picture */
/** @typedef {{mark: number, frame: number, events: number, felt: Map<number, Grip>, pins: Set<number>, rest: Rest}} Past */

export const AS_FAST_AS_POSSIBLE = Infinity;
const MAX_PAST = 60; // pokes that can be undone; the engine keeps a few more marks
const STILL = 0.004; // model pixels from frame to frame: nobody sees less
const STILL_SECONDS = 0.6;
const KEPT_TIMES = 240;
const EARLY_MS = 4; // a screen's next refresh may come a little before a step is due

export class Player {
  /**
   * @param {Engine} engine
   * @param {{onChange?: () => void, onFrame?: () => void, onError?: (error: Error) => void}} [listeners]
   */
  constructor(engine, { onChange = () => {}, onFrame = () => {}, onError = () => {} } = {}) {
    this.engine = engine;
    this.onChange = onChange;
    this.onFrame = onFrame;
    this.onError = onError;
    this.rate = 25;
    this.playing = true;
    this.asleep = true;
    /** @type {Rest} */
    this.rest = { ...engine.info.defaultRest };
    /** @type {Float32Array|null} */
    this.heatMap = null;
    /** @type {Picture|null} */
    this.picture = null;
    /** @type {Canvas|null} */
    this.canvas = null;
    /** @type {Compositor|null} */
    this.compositor = null;
    this.busy = Promise.resolve(); // one thing after another
    this.inFlight = false;
    this.nextDue = 0;
    this.latencies = /** @type {number[]} */ ([]);
    this.stepTimes = /** @type {number[]} */ ([]);
    this.shownAt = /** @type {number[]} */ ([]);
    this.#forget();
    this.tick = this.tick.bind(this);
    requestAnimationFrame(this.tick);
  }

  #forget() {
    this.recorder = new Recorder();
    this.time = 0;
    /** @type {Fields|null} */
    this.fields = null;
    /** @type {Map<number, Grip>} what fingers and pins hold now */
    this.held = new Map();
    /** @type {Map<number, Grip>} what the engine was told of that */
    this.felt = new Map();
    /** @type {Set<number>} pointers that hold without a finger */
    this.pins = new Set();
    /** @type {Pending[]} */
    this.pending = [];
    /** @type {Past[]} */
    this.past = [];
    /** @type {Script|null} */
    this.replayed = null;
    this.stillFor = 0;
    this.recordFrom = 0;
    this.asleep = true;
    this.heatMap = null;
  }

  /** A new picture on a canvas element, at rest. @param {Picture} picture @param {HTMLCanvasElement} element */
  async open(picture, element) {
    const canvas = new Canvas(picture, this.engine.info.resolution);
    await this.inTurn(async () => {
      await this.engine.open(canvas.x0);
      this.compositor?.close();
      const prefer = new URLSearchParams(location.search).get('compositor') === 'plain' ? 'plain' : 'webgl';
      this.compositor = createCompositor(element, picture, canvas, { prefer });
      this.picture = picture;
      this.canvas = canvas;
      this.#startOver();
    });
  }

  /** The same picture at rest. */
  async reset() {
    await this.inTurn(async () => {
      if (this.canvas) await this.engine.open(this.canvas.x0);
      this.#startOver();
    });
  }

  #startOver() {
    const { stiffness, momentum } = this.rest;
    this.#forget();
    const usual = this.engine.info.defaultRest;
    if (stiffness !== usual.stiffness || momentum !== usual.momentum) this.setRest({ stiffness, momentum });
    this.asleep = true;
    this.draw();
    this.onChange();
  }

  /** @param {number} pointer @param {Pair} at @param {Pair} shift @param {PokeKind} [kind] @param {number} [since] the event's time stamp */
  poke(pointer, at, shift, kind = 'shift', since = performance.now()) {
    this.replayed = null;
    this.#do({ type: 'poke', frame: 0, pointer, at, shift, kind, since });
    if (kind === 'shift') this.held.set(pointer, { at, to: [at[0] + shift[0], at[1] + shift[1]] });
  }

  /** @param {number} pointer @param {Pair} to @param {number} [since] */
  drag(pointer, to, since = performance.now()) {
    const grip = this.held.get(pointer);
    if (!grip) return;
    this.held.set(pointer, { ...grip, to });
    const known = this.pending.findLast((event) => event.type !== 'rest' && event.pointer === pointer);
    if (known?.type === 'drag') Object.assign(known, { at: to });
    else this.#do({ type: 'drag', frame: 0, pointer, at: to, shift: [0, 0], since });
  }

  /** @param {number} pointer */
  release(pointer) {
    this.pins.delete(pointer);
    if (this.held.delete(pointer)) this.#do({ type: 'release', frame: 0, pointer });
  }

  releaseAll() {
    for (const pointer of [...this.held.keys()]) this.release(pointer);
  }

  /** @param {Rest} rest */
  setRest({ stiffness, momentum }) {
    this.rest = { stiffness, momentum };
    const known = this.pending.find((event) => event.type === 'rest');
    if (known) Object.assign(known, { stiffness, momentum });
    else this.#do({ type: 'rest', frame: 0, stiffness, momentum });
  }

  /** @param {Pending} event */
  #do(event) {
    this.pending.push(event);
    this.asleep = false;
    this.stillFor = 0;
    this.onChange();
  }

  /** @param {boolean} playing */
  play(playing) {
    this.playing = playing;
    this.asleep = false;
    this.stillFor = 0;
    this.onChange();
  }

  /** One step, also while paused. */
  step() {
    return this.inTurn(() => this.#step());
  }

  get canUndo() {
    return this.past.length > 0;
  }

  /** Back to the moment before the last poke. */
  async undo() {
    await this.inTurn(async () => {
      const past = this.past.pop();
      if (!past) return;
      this.fields = await this.engine.restore(past.mark);
      this.time = past.frame;
      this.recorder.cut(past.events);
      this.pending = [];
      this.replayed = null;
      this.rest = past.rest;
      this.recordFrom = Math.min(this.recordFrom, this.time);
      this.felt = past.felt;
      this.pins = past.pins;
      this.held = new Map(past.felt);
      for (const pointer of past.felt.keys()) if (!past.pins.has(pointer)) this.release(pointer); // no finger is on it any more
      this.draw();
    });
    this.onChange();
  }

  /** Plays a script on the picture, visibly. @param {Script} script */
  async replay(script) {
    this.rest = { ...this.engine.info.defaultRest };
    await this.reset();
    this.replayed = script;
    this.play(true);
  }

  /** @param {Pair} at in the user's pixels @param {(share: number) => void} onProgress */
  async showHeat(at, onProgress) {
    if (!this.canvas) return;
    this.heatMap = await this.engine.heat(this.canvas.modelled(at).at, onProgress);
    this.draw();
    this.onChange();
  }

  hideHeat() {
    this.heatMap = null;
    this.draw();
    this.onChange();
  }

  /** What was done since the start, or since the recording began; null before the first frame. @returns {Script|null} */
  script() {
    const to = Math.min(this.time, this.recordFrom + MAX_FRAMES);
    return to > this.recordFrom ? this.recorder.script(this.picture?.name ?? null, this.recordFrom, to) : null;
  }

  /** Frames a second, milliseconds a step, and from a poke to the frame that shows it. */
  stats() {
    const now = performance.now();
    return {
      fps: this.shownAt.filter((at) => now - at < 1000).length,
      stepMs: quantile(this.stepTimes, 0.5),
      latencyP50: quantile(this.latencies, 0.5),
      latencyP95: quantile(this.latencies, 0.95),
      latencies: this.latencies.length,
      frames: this.time,
      asleep: this.asleep,
      backend: this.engine.info.backend,
      threads: this.engine.info.threads,
      compositor: this.compositor?.kind ?? null,
    };
  }

  /** @param {number} now */
  tick(now) {
    requestAnimationFrame(this.tick);
    if (!this.playing || this.asleep || this.inFlight || !this.compositor || now < this.nextDue - EARLY_MS) return;
    const interval = 1000 / this.rate;
    this.nextDue = Math.max(this.nextDue + interval, now); // what is late is not made up for
    void this.step();
  }

  /** @template T @param {() => Promise<T>} job @returns {Promise<T|undefined>} */
  inTurn(job) {
    this.inFlight = true;
    const turn = this.busy.then(job).catch((error) => void this.#failed(error)).finally(() => {
      if (this.busy === last) this.inFlight = false;
    });
    const last = turn.then(() => {});
    this.busy = last;
    return /** @type {Promise<T|undefined>} */ (turn);
  }

  /** @param {Error} error */
  #failed(error) {
    this.asleep = true;
    this.pending = [];
    this.held = new Map(this.felt);
    this.onError(error);
  }

  async #step() {
    if (!this.canvas) return;
    if (this.replayed) this.#takeFromScript(this.replayed);
    const events = this.pending;
    this.pending = [];
    if (events.some((event) => event.type === 'poke')) await this.#keep();
    const fields = await this.engine.step(events.map((event) => this.#action(event)));
    for (const { since, ...event } of events) this.recorder.add({ .../** @type {ScriptEvent} */ (event), frame: this.time });
    this.#settle(this.fields, fields);
    this.fields = fields;
    this.time++;
    this.draw();
    const now = performance.now();
    for (const { since } of events) if (since !== undefined) push(this.latencies, now - since);
    if (this.replayed && this.time >= this.replayed.frames) {
      this.replayed = null;
      this.releaseAll(); // a script may end with something held
      this.onChange();
    }
    push(this.stepTimes, fields.stepMs);
    push(this.shownAt, now);
    this.onFrame();
  }

  /** For undo. */
  async #keep() {
    this.past.push({
      mark: await this.engine.mark(), frame: this.time, events: this.recorder.events.length,
      felt: new Map(this.felt), pins: new Set(this.pins), rest: { ...this.rest },
    });
    if (this.past.length > MAX_PAST) this.past.shift();
    this.onChange();
  }

  /** @param {Script} script */
  #takeFromScript(script) {
    for (const event of script.events) {
      if (event.frame !== this.time) continue;
      this.pending.push(event);
      if (event.type === 'poke' && event.kind === 'shift') this.held.set(event.pointer, gripOf(event));
      else if (event.type === 'drag') {
        const grip = this.held.get(event.pointer);
        if (grip) this.held.set(event.pointer, { ...grip, to: targetOf(event) });
      } else if (event.type === 'release') this.held.delete(event.pointer);
      else if (event.type === 'rest') this.rest = { stiffness: event.stiffness, momentum: event.momentum };
    }
  }

  /** In the model's pixels. @param {Pending} event @returns {Action} */
  #action(event) {
    const canvas = /** @type {Canvas} */ (this.canvas);
    switch (event.type) {
      case 'poke':
        if (event.kind === 'shift') this.felt.set(event.pointer, gripOf(event));
        return { type: 'poke', pointer: event.pointer, kind: event.kind, ...canvas.modelled(event.at, event.shift) };
      case 'drag': {
        const to = targetOf(event);
        this.felt.set(event.pointer, { .../** @type {Grip} */ (this.felt.get(event.pointer)), to });
        return { type: 'drag', pointer: event.pointer, to: canvas.target(to) };
      }
      case 'release':
        this.felt.delete(event.pointer);
        return { type: 'release', pointer: event.pointer };
      case 'rest': {
        const { type, stiffness, momentum, anchored = true } = event;
        return { type, stiffness, momentum, anchored };
      }
    }
  }

  /** Falls asleep where nobody would see the next frames. @param {Fields|null} before @param {Fields} after */
  #settle(before, after) {
    const moves = this.held.size > 0 || this.pending.length > 0 || this.replayed !== null || !alike(before, after);
    this.stillFor = moves ? 0 : this.stillFor + 1;
    const usual = Number.isFinite(this.rate) ? this.rate : 60;
    if (this.stillFor > STILL_SECONDS * usual) this.asleep = true;
  }

  draw() {
    this.compositor?.draw(this.fields, { heat: this.heatMap });
  }
}

/** @param {{at: Pair, shift: Pair}} event @returns {Pair} */
const targetOf = ({ at, shift }) => [at[0] + shift[0], at[1] + shift[1]];

/** @param {{at: Pair, shift: Pair}} event @returns {Grip} */
const gripOf = (event) => ({ at: event.at, to: targetOf(event) });

/** @param {number[]} values @param {number} value */
function push(values, value) {
  values.push(value);
  if (values.length > KEPT_TIMES) values.shift();
}

/** @param {number[]} values @param {number} share */
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : null;
}

/** @param {Fields|null} before @param {Fields} after */
function alike(before, after) {
  for (const [part, unit] of /** @type {const} */ ([['flow', 1], ['repaint', 0.1], ['xHat', 0.1]])) {
    const [a, b] = [before?.[part], after[part]];
    if (!b) continue;
    for (let i = 0; i < b.length; i++) if (Math.abs(b[i] - (a ? a[i] : 0)) > STILL * unit) return false;
  }
  return true;
}
