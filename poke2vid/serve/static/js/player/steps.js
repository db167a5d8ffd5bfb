/** Frames of a picture, one after another: asked of the engine with what hands do, drawn, and recorded. */

import { Measures } from '../measures.js';
import { actionOf, isDeed } from '../script.js';
import { Hands } from './hands.js';
import { History } from './history.js';
import { Pace } from './pace.js';
import { Sleep, alike } from './sleep.js';
import { Timeline } from './timeline.js';
import { Turns } from './turns.js';

/** @typedef {import('../engine/types.js').Engine} Engine */
/** @typedef {import('../engine/types.js').Fields} Fields */
/** @typedef {import('../engine/types.js').Pair} Pair */
/** @typedef {import('./history.js').Later} Later */
/** @typedef {import('./view.js').View} View */
/**
 * @typedef {object} Listeners
 * @property {() => void} onChange
 * @property {(isFelt: boolean) => void} onFrame
 * @property {() => void} onBranch an earlier moment became the last one
 * @property {(error: Error) => void} onError
 */

export class Steps {
  rate = 25; // steps a second
  playing = true;
  recalls = false; // what was done: nothing else is done meanwhile
  measures = new Measures();
  /** @type {View|null} */
  view = null;
  /** @protected */
  turns = new Turns((error) => this.#failed(error));
  #pace = new Pace(() => this.playing && !this.asleep && this.view !== null, () => this.#ask());
  #isAsked = false; // for a step that has not begun
  #closed = false;

  // What one picture has seen; `forget` makes all of it anew.
  /** @protected */
  timeline = new Timeline();
  /** @protected */
  history = new History();
  /** @protected */
  sleep = new Sleep();
  /** @type {Fields|null} of the last frame; null for the picture at rest */
  fields = null;
  /** @type {Float32Array|null} */
  heatMap = null;
  paints = false; // with a brush: shown are the picture at rest, and what may move
  /** @type {Later|null} what the next event replaces, which is done at an earlier moment @protected */
  later = null;

  /**
   * @param {Engine} engine
   * @param {Partial<Listeners>} [listeners]
   */
  constructor(engine, { onChange = () => {}, onFrame = () => {}, onBranch = () => {}, onError = () => {} } = {}) {
    this.engine = engine;
    this.onChange = onChange;
    this.onFrame = onFrame;
    this.onBranch = onBranch;
    this.onError = onError;
    this.hands = new Hands(engine.info.defaultRest, engine.info.defaultRest);
  }

  /** @protected */
  forget() {
    this.hands = new Hands(this.rest, this.engine.info.defaultRest);
    this.timeline = new Timeline();
    this.history = new History();
    this.sleep = new Sleep();
    this.fields = this.heatMap = this.later = null;
  }

  // What others look at

  get picture() { return this.view?.picture ?? null; }
  get canvas() { return this.view?.canvas ?? null; }
  get compositor() { return this.view?.compositor ?? null; }
  get held() { return this.hands.held; }
  get felt() { return this.hands.felt; }
  get pins() { return this.hands.pins; }
  get pending() { return this.hands.pending; }
  get rest() { return this.hands.rest; }
  get time() { return this.timeline.time; }
  get end() { return this.timeline.end; }
  get isEarlier() { return this.timeline.isEarlier; }
  get spans() { return this.timeline.spans; }
  get replayed() { return this.timeline.replayed; }
  get recording() { return this.timeline.recording; }
  get asleep() { return this.sleep.asleep; }
  get inFlight() { return this.turns.inFlight; }

  /** Place where a held point really is, in pixels of the user's picture; null where nobody can tell. @param {number} pointer @returns {Pair|null} */
  placeOf(pointer) {
    return this.canvas && this.hands.placeOf(pointer, this.fields, this.canvas);
  }

  close() {
    this.#closed = true;
    this.view?.close();
    this.view = null;
    this.engine.close();
  }

  draw() {
    this.view?.draw(this.paints ? null : this.fields, this.paints ? this.engine.moves : this.heatMap);
  }

  /** Lays a transparent picture on the page's ground, which has changed. */
  reground() {
    this.view?.reground();
    this.draw();
  }

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

  /** @param {boolean} isNew an event waits that did not before @protected */
  did(isNew) {
    if (!isNew) return;
    this.wake();
    this.onChange();
  }

  /** @protected */
  wake() {
    this.sleep.wake();
    this.#pace.go();
  }

  /** Lets go of all that no pin holds: no finger is on it any more. @protected */
  releaseFingers() {
    for (const pointer of [...this.held.keys()]) if (!this.pins.has(pointer)) this.did(this.hands.release(pointer));
  }

  /** Holds what was held at the frame that is shown, and swings as it did there. @protected */
  feel() {
    const { hands } = this;
    hands.restore(this.timeline.feltAt(this.time, this.engine.info.defaultRest));
    hands.rest = { ...hands.feltRest };
  }

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
    const done = await this.turns.run(async () => (isWanted() ? this.stepNow() : null));
    if (!done) return;
    await new Promise((resolve) => setTimeout(resolve)); // the next step begins before this one is drawn
    this.draw();
    this.measures.shown(done.stepMs, done.since);
    this.onFrame(done.since.length > 0);
  }

  /** @protected */
  async stepNow() {
    const { canvas, hands, timeline, time, later } = this;
    if (!canvas) return null;
    // What is done before this frame
    const isAgain = this.isEarlier;
    hands.follow(timeline.due);
    for (const pointer of isAgain ? [] : hands.flicked(time)) this.did(hands.release(pointer));
    const events = hands.take();
    // The engine's step, and the moment before it where a poke begins
    const begins = later !== null || events.some(isDeed);
    const mark = begins ? await this.engine.mark() : null;
    const fields = await this.engine.step(events.map((event) => actionOf(event, canvas)));
    if (mark !== null) {
      this.history.keep(time, mark, later);
      this.later = null;
    }
    hands.feel(events, time, this.fields, canvas);
    const ends = timeline.advance(events);
    if (isAgain) hands.pins = timeline.feltAt(this.time, this.rest).pins;
    // What comes of it
    const plays = !this.recalls && (this.replayed !== null || this.isEarlier || ends);
    const moves = hands.held.size > hands.pins.size || hands.pending.length > 0 || plays;
    this.sleep.settle(moves || !alike(this.fields, fields), this.rate);
    this.fields = fields;
    if (ends) this.releaseFingers(); // it may end with something held
    if (mark !== null || ends || this.asleep) this.onChange();
    return { stepMs: fields.stepMs, since: events.map(({ since }) => since) };
  }

  /** @param {Error} error */
  #failed(error) {
    if (this.#closed) return;
    this.sleep.fall();
    if (this.isEarlier) this.feel();
    else this.hands.lose(this.replayed !== null);
    this.timeline.replayed = null;
    this.onChange();
    this.onError(error);
  }
}
