/**
 * The one who plays: takes pokes in pixels of the user's picture, asks the engine for one step after another and draws what comes.
 * Knows no buttons.
 */

import { Measures } from './measures.js';
import { Hands } from './player/hands.js';
import { History } from './player/history.js';
import { Pace } from './player/pace.js';
import { Sleep, alike } from './player/sleep.js';
import { Timeline } from './player/timeline.js';
import { Turns } from './player/turns.js';
import { View } from './player/view.js';
import { actionOf, isDeed } from './script.js';

/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./engine/types.js').Engine} Engine */
/** @typedef {import('./engine/types.js').Fields} Fields */
/** @typedef {import('./engine/types.js').Pair} Pair */
/** @typedef {import('./engine/types.js').PokeKind} PokeKind */
/** @typedef {import('./engine/types.js').Rest} Rest */
/** @typedef {import('./script.js').Range} Range */
/** @typedef {import('./script.js').Script} Script */
/** Deeds on a picture, to be brought back. @typedef {{script: Script, pins: number[], recording: Range|null}} Past */

export class Player {
  rate = 25; // steps a second
  playing = true;
  measures = new Measures();
  /** @type {View|null} */
  view = null;
  #turns = new Turns((error) => this.#failed(error));
  #pace = new Pace(() => this.playing && !this.asleep && this.view !== null, () => this.#ask());
  #isAsked = false; // for a step that has not begun
  #closed = false;

  // What one picture has seen; #forget makes all of it anew.
  #timeline = new Timeline();
  #history = new History();
  #sleep = new Sleep();
  /** @type {Fields|null} of the last frame; null for the picture at rest */
  fields = null;
  /** @type {Float32Array|null} */
  heatMap = null;
  paints = false; // with a brush: shown are the picture at rest, and what may move
  recalls = false; // what was done: nothing else is done meanwhile
  /** @type {Past|null} what starting over took away */
  #past = null;

  /**
   * @param {Engine} engine
   * @param {{onChange?: () => void, onFrame?: (isFelt: boolean) => void, onError?: (error: Error) => void}} [listeners]
   */
  constructor(engine, { onChange = () => {}, onFrame = () => {}, onError = () => {} } = {}) {
    this.engine = engine;
    this.onChange = onChange;
    this.onFrame = onFrame;
    this.onError = onError;
    this.hands = new Hands(engine.info.defaultRest, engine.info.defaultRest);
  }

  #forget() {
    this.hands = new Hands(this.rest, this.engine.info.defaultRest);
    this.#timeline = new Timeline();
    this.#history = new History();
    this.#sleep = new Sleep();
    this.fields = this.heatMap = null;
  }

  // What others look at

  get picture() { return this.view?.picture ?? null; }
  get canvas() { return this.view?.canvas ?? null; }
  get compositor() { return this.view?.compositor ?? null; }
  get held() { return this.hands.held; }
  get felt() { return this.hands.felt; }
  get pins() { return this.hands.pins; }
  get rest() { return this.hands.rest; }
  get time() { return this.#timeline.time; }
  get replayed() { return this.#timeline.replayed; }
  get recording() { return this.#timeline.recording; }
  get asleep() { return this.#sleep.asleep; }
  get inFlight() { return this.#turns.inFlight; }
  get canUndo() { return this.#history.moments.length > 0 || this.hands.hasDeed || this.#past !== null; }

  /** Place where a held point really is, in pixels of the user's picture; null where nobody can tell. @param {number} pointer @returns {Pair|null} */
  placeOf(pointer) {
    return this.canvas && this.hands.placeOf(pointer, this.fields, this.canvas);
  }

  // The picture

  /**
   * A new picture at rest, on a canvas element of its own. Where that fails nothing has changed.
   *
   * @param {Picture} picture
   * @param {HTMLCanvasElement} element
   */
  async open(picture, element) {
    const view = new View(picture, element, this.engine.info.resolution);
    /** @type {Error|null} */
    let failure = null;
    await this.#turns.run(async () => {
      try {
        await this.engine.open(view.canvas.x0);
        view.compositor.prepare(this.engine.mask);
      } catch (error) {
        view.close();
        failure = /** @type {Error} */ (error);
        return;
      }
      this.view?.close();
      this.view = view;
      this.#startOver();
    });
    if (failure) throw failure;
  }

  /**
   * The same picture at rest; whether it is.
   *
   * @param {boolean} [keeps] so that undo brings back what was done
   * @returns {Promise<boolean>}
   */
  async reset(keeps = true) {
    const done = this.#turns.run(async () => {
      const past = keeps ? this.past() ?? this.#past : null;
      if (this.canvas) await this.engine.open(this.canvas.x0);
      this.#startOver(past);
      return true;
    });
    return (await done) ?? false;
  }

  /** @param {Past|null} [past] what undoing it brings back */
  #startOver(past = null) {
    this.#forget();
    this.#past = past;
    if (this.hands.restDiffers) this.setRest(this.rest);
    this.#sleep.fall(); // until it is touched
    this.draw();
    this.onChange();
  }

  close() {
    this.#closed = true;
    this.view?.close();
    this.view = null;
    this.engine.close();
  }

  draw() { this.view?.draw(this.paints ? null : this.fields, this.paints ? this.engine.mask : this.heatMap); }

  /** Shows the picture at rest and what may move, for a brush; or what moves, again. @param {boolean} paints */
  show(paints) {
    this.paints = paints;
    this.draw();
    this.onChange();
  }

  /** Shows the map of what moves together with a point; null takes it away. @param {Float32Array|null} map */
  showHeat(map) {
    this.heatMap = map;
    this.draw();
    this.onChange();
  }

  // What a person does

  /** @param {number} pointer @param {Pair} at @param {Pair} shift @param {PokeKind} [kind] @param {number} [since] the event's time stamp */
  poke(pointer, at, shift, kind = 'shift', since = performance.now()) {
    if (this.recalls) return;
    this.stopReplay();
    this.#did(this.hands.poke({ pointer, at, shift, kind, since: this.#stamp(since) }));
  }

  /** A stroke of the brush on the picture at rest, seen at once. @param {Pair[]} path @param {number} radius @param {boolean} still */
  brush(path, radius, still) {
    if (this.recalls) return;
    this.stopReplay();
    this.#did(this.hands.brush(path, radius, still));
    if (!this.playing) void this.step();
  }

  /** @param {number} pointer @param {Pair} to @param {number} [since] */
  drag(pointer, to, since = performance.now()) { this.#did(this.hands.drag(pointer, to, this.#stamp(since))); }

  /** By a finger that has dragged it: at once, or when a flick has had its time. @param {number} pointer */
  letGo(pointer) {
    if (!this.hands.flicks(pointer, this.time)) this.release(pointer);
  }

  /** @param {number} pointer */
  release(pointer) { this.#did(this.hands.release(pointer)); }

  /** From now on it holds without a finger. @param {number} pointer */
  pin(pointer) {
    this.hands.pin(pointer);
    this.onChange();
  }

  releaseAll() {
    for (const pointer of [...this.held.keys()]) this.release(pointer);
  }

  /** @param {Rest} rest */
  setRest(rest) {
    if (this.hands.setRest(rest)) this.#wake();
    this.onChange();
  }

  /** A time stamp, where it will measure latency; a pause is none. @param {number} since */
  #stamp(since) { return this.playing ? since : undefined; }

  /** @param {boolean} isNew an event waits that did not before */
  #did(isNew) {
    if (!isNew) return;
    this.#wake();
    this.onChange();
  }

  #wake() {
    this.#sleep.wake();
    this.#pace.go();
  }

  /** @param {boolean} playing */
  play(playing) {
    this.playing = playing;
    this.#wake();
    this.onChange();
  }

  /** Back to the moment before the last poke, or before it was started over. */
  async undo() {
    await this.#turns.run(async () => {
      const { hands } = this;
      if (hands.hasDeed) return hands.takeBack(); // nobody has seen it yet
      const found = await this.#history.back((mark) => this.engine.restore(mark));
      if (!found) return this.#past && this.#recall(this.#past);
      const { moment, fields } = found;
      this.fields = fields;
      this.#timeline.cut(moment.frame, moment.events);
      hands.restore(moment.felt);
      for (const pointer of hands.felt.keys()) if (!hands.pins.has(pointer)) this.release(pointer); // no finger is on it any more
      if (hands.restDiffers) this.setRest(hands.rest);
      if (fields) this.#wake(); // it may swing on from there
      this.draw();
    });
    this.onChange();
  }

  // Recordings and scripts

  /** Begins a recording, or ends the one that goes on. */
  record() {
    this.#timeline.record();
    this.onChange();
  }

  /** Frames that a recording or, without one, all that was done spans. @param {boolean} [recorded] */
  range(recorded) {
    return this.#timeline.range(recorded);
  }

  /** Script of what was done in some frames, all unless given; null where there is none. @param {{from: number, to: number}} [range] @returns {Script|null} */
  script(range = this.range(false)) {
    return this.#timeline.script(this.picture?.name ?? null, range);
  }

  /** Plays a script on the picture, visibly; whether it begins. @param {Script} script */
  async replay(script) {
    const feel = this.rest;
    this.hands.rest = { ...this.engine.info.defaultRest };
    if (!(await this.reset())) {
      this.hands.rest = feel;
      this.onChange();
      return false;
    }
    this.#timeline.replayed = script;
    this.play(true);
    return true;
  }

  /** Lets go of what a script holds and ends it. */
  stopReplay() {
    if (!this.replayed || this.recalls) return;
    this.#timeline.replayed = null;
    this.releaseAll();
    this.onChange();
  }

  /** All that was done; null where nothing was poked. @returns {Past|null} */
  past() {
    const range = this.range(false);
    const script = this.script(range);
    if (!script?.events.some(isDeed)) return null;
    return { script, pins: [...this.pins], recording: range.from ? null : this.recording };
  }

  /**
   * Brings back what was done, unseen on the way; whether it is there. Fingers are gone, pins hold, and it can be undone.
   *
   * @param {Past} past @param {(share: number) => void} [onProgress]
   */
  async recall(past, onProgress) {
    this.recalls = true;
    return (await this.#turns.run(() => this.#recall(past, onProgress))) ?? false;
  }

  /** @param {Past} past @param {(share: number) => void} [onProgress] */
  async #recall({ script, pins, recording }, onProgress = () => {}) {
    this.recalls = true;
    try {
      if (!this.canvas) return false;
      await this.engine.open(this.canvas.x0);
      this.hands.rest = { ...this.engine.info.defaultRest };
      this.#startOver();
      this.hands.pins = new Set(pins);
      this.#timeline.replayed = script;
      for (; this.replayed; onProgress(this.time / script.frames)) await this.#step();
    } finally {
      this.recalls = false;
    }
    this.#timeline.recording = recording;
    this.#wake();
    this.draw();
    this.onChange();
    return true;
  }

  // Steps

  /** One step more, which waits for the one that goes on, but takes what was done until it begins. */
  #ask() {
    if (this.#isAsked) return;
    this.#isAsked = true;
    this.#pace.took(this.rate);
    void this.step(() => {
      this.#isAsked = false;
      return this.playing && !this.asleep;
    });
  }

  /** Also while paused. @param {() => boolean} [isWanted] when its turn comes */
  async step(isWanted = () => true) {
    const done = await this.#turns.run(async () => (isWanted() ? this.#step() : null));
    if (!done) return;
    await new Promise((resolve) => setTimeout(resolve)); // the next step begins before this one is drawn
    this.draw();
    this.measures.shown(done.stepMs, done.since);
    this.onFrame(done.since.length > 0);
  }

  async #step() {
    const { canvas, hands } = this;
    const timeline = this.#timeline;
    if (!canvas) return null;
    // What is done before this frame
    hands.follow(timeline.due);
    for (const pointer of hands.flicked(this.time)) this.release(pointer);
    const events = hands.take();
    // The engine's step, and the moment before it where a poke begins
    const before = events.some(isDeed) ? await this.#present() : null;
    const fields = await this.engine.step(events.map((event) => actionOf(event, canvas)));
    if (before) this.#history.keep(before);
    hands.feel(events, this.time, this.fields, canvas);
    const ends = timeline.advance(events);
    // What comes of it
    const moves = hands.held.size > hands.pins.size || hands.pending.length > 0 || this.replayed !== null || ends;
    this.#sleep.settle(moves || !alike(this.fields, fields), this.rate);
    this.fields = fields;
    if (before) this.onChange();
    if (ends) {
      // It may end with something held.
      for (const pointer of [...this.held.keys()]) if (!this.pins.has(pointer)) this.release(pointer);
      this.onChange();
    }
    if (this.asleep) this.onChange();
    return { stepMs: fields.stepMs, since: events.map(({ since }) => since) };
  }

  /** This moment, to come back to. */
  async #present() {
    const { time: frame, hands } = this;
    const mark = await this.engine.mark();
    return { mark, frame, events: this.#timeline.events, felt: hands.remember() };
  }

  /** @param {Error} error */
  #failed(error) {
    if (this.#closed) return;
    this.#sleep.fall();
    this.hands.lose(this.replayed !== null);
    this.#timeline.replayed = null;
    this.onChange();
    this.onError(error);
  }
}
