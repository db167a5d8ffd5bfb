/**
 * The one who plays: takes pokes in pixels of the user's picture, asks the engine for one step after another and draws what comes.
 * Knows no buttons.
 */

import { eventsIn, unmarked } from './player/history.js';
import { rewound } from './player/rewind.js';
import { Steps } from './player/steps.js';
import { View } from './player/view.js';
import { isDeed } from './script.js';

/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./engine/types.js').Pair} Pair */
/** @typedef {import('./engine/types.js').PokeKind} PokeKind */
/** @typedef {import('./engine/types.js').Rest} Rest */
/** @typedef {import('./player/history.js').Aside} Aside */
/** @typedef {import('./player/history.js').Later} Later */
/** @typedef {import('./script.js').Range} Range */
/** @typedef {import('./script.js').Script} Script */
/** Deeds on a picture, to be brought back; what they replaced with them. @typedef {{script: Script, pins: number[], recording: Range|null, aside?: Aside, later?: Later|null}} Past */

export class Player extends Steps {
  nobodys = false; // what is done, by a script that shows what the page can
  /** @type {Past|null} what starting over took away */
  #past = null;
  #sought = /** @type {number|null} */ (null); // frame that shall be shown, the last of those that were asked for
  #deeds = /** @type {(() => void)[]} */ ([]); // done while it is sought, and meant for it
  #resumes = false; // plays on once something is done: it was paused only to show an earlier moment

  get canUndo() {
    return this.history.last !== null || this.later !== null || this.hands.hasDeed || this.#past !== null;
  }

  /** Frame that is shown, or will be. */
  get playhead() {
    return Math.min(this.#sought ?? this.time, this.end);
  }

  /** Deeds that starting over took away, and undo brings back. */
  get taken() {
    return this.#past;
  }

  /** @param {Past|null} past of an earlier visit, on the same picture */
  set taken(past) {
    this.#past = past;
    this.onChange();
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
    await this.turns.run(async () => {
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
    const done = this.turns.run(async () => {
      const past = keeps ? this.past() ?? this.#past : null;
      if (this.canvas) await this.engine.open(this.canvas.x0);
      this.#startOver(past);
      return true;
    });
    return (await done) ?? false;
  }

  /** @param {Past|null} [past] what undoing it brings back */
  #startOver(past = null) {
    this.forget();
    this.#seekNothing();
    this.nobodys = false;
    this.#past = past;
    this.resume();
    if (this.hands.restDiffers) this.#rest(this.rest);
    this.sleep.fall(); // until it is touched
    this.draw();
    this.onChange();
  }

  // What a person does

  /** @param {number} pointer @param {Pair} at @param {Pair} shift @param {PokeKind} [kind] @param {number} [since] the event's time stamp */
  poke(pointer, at, shift, kind = 'shift', since = performance.now()) {
    if (this.recalls || this.#waits(() => this.poke(pointer, at, shift, kind, since))) return;
    this.stopReplay();
    this.nobodys = false;
    this.#branch();
    this.resume(); // also where single steps led to the end
    this.did(this.hands.poke({ pointer, at, shift, kind, since: this.#stamp(since) }));
  }

  /** A stroke of the brush on the picture at rest, seen at once. @param {Pair[]} path @param {number} radius @param {boolean} still */
  brush(path, radius, still) {
    if (this.recalls || this.#waits(() => this.brush(path, radius, still))) return;
    this.stopReplay();
    this.nobodys = false;
    this.#branch();
    this.resume();
    this.did(this.hands.brush(path, radius, still));
    if (!this.playing) void this.step();
  }

  /** @param {number} pointer @param {Pair} to @param {number} [since] */
  drag(pointer, to, since = performance.now()) {
    if (this.#waits(() => this.drag(pointer, to, since))) return;
    if (this.held.has(pointer)) this.#branch();
    this.did(this.hands.drag(pointer, to, this.#stamp(since)));
  }

  /** By a finger that has dragged it: at once, or when a flick has had its time. @param {number} pointer */
  letGo(pointer) {
    if (this.#waits(() => this.letGo(pointer))) return;
    if (!this.hands.flicks(pointer, this.time)) this.release(pointer);
  }

  /** @param {number} pointer */
  release(pointer) {
    if (this.#waits(() => this.release(pointer))) return;
    if (this.held.has(pointer)) this.#branch();
    this.did(this.hands.release(pointer));
  }

  /** From now on it holds without a finger. @param {number} pointer */
  pin(pointer) {
    if (this.#waits(() => this.pin(pointer))) return;
    this.hands.pin(pointer);
    this.timeline.pin(pointer);
    this.onChange();
  }

  releaseAll() {
    if (this.#waits(() => this.releaseAll())) return;
    for (const pointer of [...this.held.keys()]) this.release(pointer);
  }

  /** @param {Rest} rest */
  setRest(rest) {
    if (!this.#waits(() => this.setRest(rest))) this.#rest(rest);
  }

  /** @param {Rest} rest */
  #rest(rest) {
    this.#branch();
    if (this.hands.setRest(rest)) this.wake();
    this.onChange();
  }

  /** True where a deed waits for the moment that shall be shown. @param {() => void} deed */
  #waits(deed) {
    if (this.#sought === null) return false;
    this.#deeds.push(deed);
    return true;
  }

  /** A time stamp, where it will measure latency; a pause is none. @param {number} since */
  #stamp(since) {
    return this.playing ? since : undefined;
  }

  /** @param {boolean} playing */
  play(playing) {
    this.playing = playing;
    this.#resumes = false;
    this.wake();
    this.onChange();
  }

  /** Back to the moment before the last poke, or before it was started over. */
  async undo() {
    await this.turns.run(async () => {
      const { hands, timeline } = this;
      const { rest } = hands;
      const isUnseen = hands.hasDeed || this.later !== null;
      if (hands.hasDeed) hands.takeBack();
      if (this.later && !hands.hasDeed) this.#bringBack(this.later);
      if (isUnseen) return;
      const moment = this.history.last;
      if (!moment) return this.#past && this.#recall(this.#past);
      const isShown = moment.frame < this.time; // else an earlier moment is, and stays
      if (isShown) await this.#goTo(moment.frame);
      this.history.cut(moment.frame);
      timeline.cut(moment.frame);
      if (moment.later) return this.#bringBack(moment.later);
      if (timeline.isEarlier) return;
      this.feel();
      this.releaseFingers();
      hands.rest = rest; // the sliders stay
      if (hands.restDiffers) this.#rest(rest);
      if (this.fields) this.wake(); // it may swing on from there
    });
    this.resume();
    this.draw();
    this.onChange();
  }

  // Earlier moments

  /** Shows an earlier moment, paused, or the last one. @param {number} frame */
  async seek(frame) {
    const isThere = frame >= this.time && !this.isEarlier && !this.replayed;
    if (this.recalls || (isThere && this.#sought === null)) return;
    this.#sought = frame;
    this.#deeds = []; // meant for another moment
    this.#resumes ||= this.playing;
    this.playing = false;
    const isWanted = () => this.#sought === frame;
    const done = await this.turns.run(async () => {
      if (!isWanted()) return false;
      const { timeline } = this;
      if (this.replayed) timeline.adoptReplayed();
      else if (!this.isEarlier) {
        this.releaseFingers();
        if (this.pending.length) await this.stepNow(); // what nobody has seen yet was done all the same
      }
      await this.#goTo(Math.min(frame, timeline.end), isWanted);
      this.sleep.fall(); // until it plays on
      return true;
    });
    if (!isWanted()) return;
    const deeds = done ? this.#deeds : [];
    this.#seekNothing();
    this.draw();
    this.onChange();
    for (const deed of deeds) deed();
  }

  #seekNothing() {
    this.#sought = null;
    this.#deeds = [];
  }

  /** @override */
  close() {
    this.#seekNothing();
    super.close();
  }

  /** Plays on where the last moment is shown again and only looking at earlier ones paused it. */
  resume() {
    if (!this.#resumes || this.isEarlier) return;
    this.playing = true;
    this.#resumes = false;
    if (this.fields) this.wake(); // it may swing on from there
    this.onChange();
  }

  /** @param {number} frame @param {() => boolean} [isWanted] */
  async #goTo(frame, isWanted) {
    const { engine, canvas, timeline, history } = this;
    if (!canvas) return;
    const { hands } = this;
    this.fields = await rewound(frame, this.fields, { engine, canvas, timeline, history, hands }, isWanted);
    this.feel();
  }

  /** An earlier moment becomes the last one; what came later is brought back by undo. */
  #branch() {
    const { timeline } = this;
    if (!timeline.isEarlier) return;
    this.later = { moments: this.history.cut(this.time), tail: timeline.cut(this.time) };
    this.releaseFingers();
    if (this.#resumes) this.play(true);
    this.onBranch();
  }

  /** @param {Later} later */
  #bringBack({ tail, moments }) {
    this.timeline.append(tail);
    this.history.add(moments);
    this.later = null;
    this.#resumes ||= this.playing;
    this.playing = false;
    this.feel();
  }

  // Recordings and scripts

  /** Begins a recording, or ends the one that goes on. */
  record() {
    this.timeline.record();
    this.onChange();
  }

  /** Frames that a recording or, without one, all that was done spans. @param {boolean} [recorded] */
  range(recorded) {
    return this.timeline.range(recorded);
  }

  /** Script of what was done in some frames, all unless given; null where there is none. @param {{from: number, to: number}} [range] @returns {Script|null} */
  script(range = this.range(false)) {
    return this.timeline.script(this.picture?.name ?? null, range);
  }

  /** Plays a script on the picture, visibly; whether it begins. @param {Script} script @param {boolean} [nobodys] only to show what it does */
  async replay(script, nobodys = false) {
    const feel = this.rest;
    this.hands.rest = { ...this.engine.info.defaultRest };
    if (!(await this.reset())) {
      this.hands.rest = feel;
      this.onChange();
      return false;
    }
    this.nobodys = nobodys;
    this.timeline.replayed = script;
    this.play(true);
    return true;
  }

  /** Lets go of what a script holds and ends it. */
  stopReplay() {
    if (!this.replayed || this.recalls) return;
    this.timeline.replayed = null;
    this.releaseAll();
    this.onChange();
  }

  /** All that was done, also what no frame has shown yet; null where nothing was poked or replaced. @returns {Past|null} */
  past() {
    const range = this.range(false);
    const script = this.isEarlier || this.replayed ? this.script(range) : this.timeline.whole(this.picture?.name ?? null, range, this.pending);
    const { aside } = this.history;
    if (this.nobodys || !script || !(script.events.some(isDeed) || aside.length || this.later)) return null;
    const pins = this.isEarlier ? this.timeline.feltAt(this.end, this.rest).pins : this.pins;
    const known = { script, pins: [...pins] };
    if (range.from) return { ...known, recording: null }; // the first frames of many are left out
    return { ...known, recording: this.recording, aside, later: this.later && unmarked(this.later) };
  }

  /**
   * Brings back what was done, unseen on the way; whether it is there. Fingers are gone, pins hold, and it can be undone.
   *
   * @param {Past} past @param {(share: number) => void} [onProgress]
   */
  async recall(past, onProgress) {
    this.recalls = true;
    return (await this.turns.run(() => this.#recall(past, onProgress))) ?? false;
  }

  /** @param {Past} past @param {(share: number) => void} [onProgress] */
  async #recall({ script, pins, recording, aside = [], later = null }, onProgress = () => {}) {
    this.recalls = true;
    try {
      if (!this.canvas) return false;
      await this.engine.open(this.canvas.x0);
      this.hands.rest = { ...this.engine.info.defaultRest };
      this.#startOver();
      this.hands.pins = new Set(pins);
      this.timeline.replayed = script;
      for (const pin of pins) this.timeline.pin(pin, lastFrameOf(script, pin));
      for (; this.replayed; onProgress(this.time / script.frames)) await this.stepNow();
    } finally {
      this.recalls = false;
    }
    this.timeline.recording = recording;
    this.history.setAside(aside);
    this.later = later;
    if (this.sleep.isDue(this.rate)) this.sleep.fall(); // as it was left
    else this.wake();
    this.draw();
    this.onChange();
    return true;
  }
}

/** Frame of a pointer's last event. @param {Script} script @param {number} pointer */
const lastFrameOf = ({ events }, pointer) => events.findLast((event) => 'pointer' in event && event.pointer === pointer)?.frame ?? 0;

/** Events of all that was done, and of what they replaced. @param {Past} past */
export const eventsOf = ({ script, aside = [], later = null }) => [
  ...script.events, ...aside.flatMap((one) => eventsIn(one.later)), ...(later ? eventsIn(later) : []),
];
