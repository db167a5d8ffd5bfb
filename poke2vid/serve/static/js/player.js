/**
 * The one who plays: takes pokes in pixels of the user's picture, keeps the script, asks the engine for one step after another and
 * draws what comes. Knows no buttons.
 */

import { Canvas } from './canvas.js';
import { createCompositor } from './compositor.js';
import { Flicks } from './flick.js';
import { MAX_MARKS } from './engine/types.js';
import { Measures, alike } from './measures.js';
import { Pace } from './pace.js';
import { Recorder, actionOf, heldAfter, holdAfter, releasesOf, sameRest, shortened, spanOf, toggled, withoutLastPoke } from './script.js';

/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./compositor.js').Compositor} Compositor */
/** @typedef {import('./engine/types.js').Engine} Engine */
/** @typedef {import('./engine/types.js').Fields} Fields */
/** @typedef {import('./engine/types.js').Pair} Pair */
/** @typedef {import('./engine/types.js').PokeKind} PokeKind */
/** @typedef {import('./engine/types.js').Rest} Rest */
/** @typedef {import('./script.js').Grip} Grip */
/** @typedef {import('./script.js').Range} Range */
/** @typedef {import('./script.js').Script} Script */
/** @typedef {import('./script.js').ScriptEvent} ScriptEvent */

/** Without a frame; given one when it is felt. @typedef {ScriptEvent & {since?: number}} Pending */
/** @typedef {{mark: number, frame: number, events: number, felt: Map<number, Grip>, pins: Set<number>, rest: Rest}} Past */

export const AS_FAST_AS_POSSIBLE = Infinity;
const STILL_SECONDS = 0.6;

export class Player {
  rate = 25; // steps a second
  playing = true;
  /** @type {Picture|null} */
  picture = null;
  /** @type {Canvas|null} */
  canvas = null;
  /** @type {Compositor|null} */
  compositor = null;
  measures = new Measures();
  busy = Promise.resolve(); // one thing after another
  inFlight = false;
  isAsked = false; // for a step that has not begun
  closed = false;
  pace = new Pace(() => this.playing && !this.asleep && !this.closed && this.compositor !== null, () => this.#ask());

  // What one picture has seen; #forget makes all of it anew.
  recorder = new Recorder();
  time = 0;
  asleep = true;
  stillFor = 0;
  /** @type {Fields|null} */
  fields = null;
  /** @type {Map<number, Grip>} what fingers and pins hold now */
  held = new Map();
  /** @type {Map<number, Grip>} what the engine was told of that */
  felt = new Map();
  /** @type {Set<number>} pointers that hold without a finger */
  pins = new Set();
  flicks = new Flicks();
  /** @type {Pending[]} */
  pending = [];
  /** @type {Past[]} */
  past = [];
  replayed = /** @type {Script|null} */ (null);
  recording = /** @type {Range|null} */ (null);
  /** @type {Float32Array|null} */
  heatMap = null;

  /**
   * @param {Engine} engine
   * @param {{onChange?: () => void, onFrame?: () => void, onError?: (error: Error) => void}} [listeners]
   */
  constructor(engine, { onChange = () => {}, onFrame = () => {}, onError = () => {} } = {}) {
    this.engine = engine;
    this.onChange = onChange;
    this.onFrame = onFrame;
    this.onError = onError;
    this.rest = this.feltRest = { ...engine.info.defaultRest };
  }

  #forget() {
    this.recorder = new Recorder();
    this.time = this.stillFor = 0;
    this.asleep = true;
    [this.held, this.felt, this.pins, this.pending, this.past] = [new Map(), new Map(), new Set(), [], []];
    this.flicks = new Flicks();
    this.fields = this.replayed = this.recording = this.heatMap = null;
    this.feltRest = { ...this.engine.info.defaultRest };
  }

  /**
   * A new picture at rest, on a canvas element of its own. Where that fails nothing has changed.
   *
   * @param {Picture} picture
   * @param {HTMLCanvasElement} element
   */
  async open(picture, element) {
    const canvas = new Canvas(picture, this.engine.info.resolution);
    const prefer = new URLSearchParams(location.search).get('compositor') === 'plain' ? 'plain' : 'webgl';
    const compositor = createCompositor(element, picture, canvas, { prefer });
    /** @type {Error|null} */
    let failure = null;
    await this.inTurn(async () => {
      try {
        await this.engine.open(canvas.x0);
        compositor.prepare(this.engine.mask);
      } catch (error) {
        compositor.close();
        failure = /** @type {Error} */ (error);
        return;
      }
      this.compositor?.close();
      Object.assign(this, { compositor, picture, canvas });
      this.#startOver();
    });
    if (failure) throw failure;
  }

  /** The same picture at rest; whether it is. @returns {Promise<boolean>} */
  async reset() {
    const done = this.inTurn(async () => {
      if (this.canvas) await this.engine.open(this.canvas.x0);
      this.#startOver();
      return true;
    });
    return (await done) ?? false;
  }

  #startOver() {
    this.#forget();
    if (!sameRest(this.rest, this.feltRest)) this.setRest(this.rest);
    this.asleep = true; // until it is touched
    this.draw();
    this.onChange();
  }

  close() {
    this.closed = true;
    this.compositor?.close();
    this.compositor = null;
    this.engine.close();
  }

  /** @param {number} pointer @param {Pair} at @param {Pair} shift @param {PokeKind} [kind] @param {number} [since] the event's time stamp */
  poke(pointer, at, shift, kind = 'shift', since = performance.now()) {
    this.stopReplay();
    this.flicks.forget(pointer); // a script may have used the same
    this.#do({ type: 'poke', frame: 0, pointer, at, shift, kind, since });
    holdAfter(this.held, { type: 'poke', frame: 0, pointer, at, shift, kind });
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

  /** By a finger that has dragged it: at once, or when a flick has had its time. @param {number} pointer */
  letGo(pointer) {
    if (!this.flicks.waits(pointer, this.time)) this.release(pointer);
  }

  /** @param {number} pointer */
  release(pointer) {
    this.flicks.forget(pointer);
    this.pins.delete(pointer);
    if (this.held.delete(pointer)) this.#do({ type: 'release', frame: 0, pointer });
  }

  /** From now on it holds without a finger. @param {number} pointer */
  pin(pointer) {
    if (this.held.has(pointer)) this.pins.add(pointer);
    this.onChange();
  }

  releaseAll() {
    for (const pointer of [...this.held.keys()]) this.release(pointer);
  }

  /** @param {Rest} rest */
  setRest({ stiffness, momentum }) {
    this.rest = { stiffness, momentum };
    const known = this.pending.find((event) => event.type === 'rest');
    if (!known) return this.#do({ type: 'rest', frame: 0, stiffness, momentum });
    Object.assign(known, { stiffness, momentum });
    this.onChange();
  }

  /** @param {Pending} event */
  #do(event) {
    this.pending.push(this.playing ? event : { ...event, since: undefined }); // a pause is no latency
    this.#wake();
    this.onChange();
  }

  #wake() {
    this.asleep = false;
    this.stillFor = 0;
    this.pace.go();
  }

  /** @param {boolean} playing */
  play(playing) {
    this.playing = playing;
    this.#wake();
    this.onChange();
  }

  /** Also while paused. @param {() => boolean} [isWanted] when its turn comes */
  async step(isWanted = () => true) {
    const done = await this.inTurn(async () => (isWanted() ? this.#step() : null));
    if (!done) return;
    await new Promise((resolve) => setTimeout(resolve)); // the next step begins before this one is drawn
    this.draw();
    this.measures.shown(done.stepMs, done.since);
    this.onFrame();
  }

  get canUndo() {
    return this.past.length > 0 || this.pending.some(({ type }) => type === 'poke');
  }

  /** Back to the moment before the last poke. */
  async undo() {
    await this.inTurn(async () => {
      if (this.pending.some(({ type }) => type === 'poke')) {
        this.pending = withoutLastPoke(this.pending); // nobody has seen it yet
        return this.#holdOnly(heldAfter(this.felt, this.pending));
      }
      const past = this.past.pop();
      if (!past) return;
      const feel = this.rest;
      const older = this.past.splice(0); // forgotten, too, where the engine forgot this one
      this.fields = await this.engine.restore(past.mark);
      this.past = older;
      this.time = past.frame;
      this.recorder.cut(past.events);
      this.pending = [];
      this.replayed = null;
      this.rest = this.feltRest = past.rest;
      this.recording = shortened(this.recording, this.time);
      this.felt = past.felt;
      this.pins = past.pins;
      this.held = new Map(past.felt);
      for (const pointer of past.felt.keys()) if (!past.pins.has(pointer)) this.release(pointer); // no finger is on it any more
      if (!sameRest(feel, past.rest)) this.setRest(feel); // the sliders' own
      if (this.fields) this.#wake(); // it may swing on from there
      this.draw();
    });
    this.onChange();
  }

  /** @param {Map<number, Grip>} held */
  #holdOnly(held) {
    this.held = held;
    this.pins = new Set([...this.pins].filter((pin) => held.has(pin)));
    this.flicks.forgetAllBut(held);
  }

  /** Begins a recording, or ends the one that goes on. */
  record() {
    this.recording = toggled(this.recording, this.time);
    this.onChange();
  }

  /** Frames that a recording or, without one, all that was done spans. */
  range(recorded = this.recording !== null) {
    return spanOf(recorded ? this.recording : null, this.time);
  }

  /** Plays a script on the picture, visibly; whether it begins. @param {Script} script */
  async replay(script) {
    const feel = this.rest;
    this.rest = { ...this.engine.info.defaultRest };
    if (!(await this.reset())) {
      this.rest = feel;
      this.onChange();
      return false;
    }
    this.replayed = script;
    this.play(true);
    return true;
  }

  /** What a script holds is let go of, and it goes no further. */
  stopReplay() {
    if (!this.replayed) return;
    this.replayed = null;
    this.releaseAll();
    this.onChange();
  }

  /** What moves together with a point; null takes the map away. @param {Float32Array|null} map */
  showHeat(map) {
    this.heatMap = map;
    this.draw();
    this.onChange();
  }

  /** What was done in some frames, all unless given; null where there is none. @param {{from: number, to: number}} [range] @returns {Script|null} */
  script({ from, to } = this.range(false)) {
    return to > from ? this.recorder.script(this.picture?.name ?? null, from, to) : null;
  }

  /** One step more, which waits for the one that goes on, but takes what was done until it begins. */
  #ask() {
    if (this.isAsked) return;
    this.isAsked = true;
    this.pace.took(this.rate);
    void this.step(() => {
      this.isAsked = false;
      return this.playing && !this.asleep;
    });
  }

  /** @template T @param {() => Promise<T>} job @returns {Promise<T|undefined>} */
  inTurn(job) {
    this.inFlight = true;
    const turn = this.busy.then(job).catch((error) => void this.#failed(error)).finally(() => {
      if (this.busy === last) this.inFlight = false;
    });
    const last = (this.busy = turn.then(() => {}));
    return /** @type {Promise<T|undefined>} */ (turn);
  }

  /** @param {Error} error */
  #failed(error) {
    if (this.closed) return;
    this.asleep = true;
    this.pending = releasesOf([...this.felt.keys()].filter((pointer) => this.replayed || !this.held.has(pointer)));
    if (!sameRest(this.rest, this.feltRest)) this.pending.push({ type: 'rest', frame: 0, ...this.rest });
    this.replayed = null;
    this.#holdOnly(heldAfter(this.felt, this.pending)); // what else was on its way is lost
    this.onChange();
    this.onError(error);
  }

  async #step() {
    const { canvas } = this;
    if (!canvas) return null;
    if (this.replayed) this.#takeFromScript(this.replayed);
    for (const pointer of this.flicks.due(this.time)) this.release(pointer);
    const events = this.pending;
    this.pending = [];
    const past = events.some((event) => event.type === 'poke') ? await this.#present() : null;
    const fields = await this.engine.step(events.map((event) => actionOf(event, canvas)));
    if (past) this.past = [...this.past.filter(({ mark }) => mark > past.mark - MAX_MARKS), past]; // the engine forgot the others
    for (const event of events) {
      holdAfter(this.felt, event);
      if (event.type === 'poke' && event.kind === 'shift') this.flicks.grab(event.pointer, this.time);
      if (event.type === 'rest') this.feltRest = { stiffness: event.stiffness, momentum: event.momentum };
    }
    for (const { since, ...event } of events) this.recorder.add({ .../** @type {ScriptEvent} */ (event), frame: this.time });
    this.#settle(this.fields, fields);
    this.fields = fields;
    this.time++;
    if (past) this.onChange();
    if (this.replayed && this.time >= this.replayed.frames) {
      this.replayed = null;
      this.releaseAll(); // a script may end with something held
      this.onChange();
    }
    if (this.asleep) this.onChange();
    return { stepMs: fields.stepMs, since: events.map(({ since }) => since) };
  }

  /** This moment, to come back to. @returns {Promise<Past>} */
  async #present() {
    const mark = await this.engine.mark();
    const { time: frame, felt, pins, feltRest: rest } = this;
    return { mark, frame, events: this.recorder.events.length, felt: new Map(felt), pins: new Set(pins), rest };
  }

  /** @param {Script} script */
  #takeFromScript(script) {
    for (const event of script.events.filter(({ frame }) => frame === this.time)) {
      this.pending.push(event);
      holdAfter(this.held, event);
      if (event.type === 'rest') this.rest = { stiffness: event.stiffness, momentum: event.momentum };
    }
  }

  /** Falls asleep where nobody would see the next frames. @param {Fields|null} before @param {Fields} after */
  #settle(before, after) {
    const moves = this.held.size > this.pins.size || this.pending.length > 0 || this.replayed !== null || !alike(before, after);
    this.stillFor = moves ? 0 : this.stillFor + 1;
    const usual = Number.isFinite(this.rate) ? this.rate : 60;
    if (this.stillFor > STILL_SECONDS * usual) this.asleep = true;
  }

  draw() {
    this.compositor?.draw(this.fields, { heat: this.heatMap });
  }
}
