/** The live state of one picture: what poke2vid/live/session.py does, step by step, on exported graphs. */

import { gated, painted } from './brush.js';
import { disposeStart, disposeState } from './graphs.js';
import { applied, rasterise } from './pokes.js';
import { MAX_MARKS } from './types.js';

/** @typedef {import('./graphs.js').Graphs} Graphs */
/** @typedef {import('./graphs.js').Start} Start */
/** @typedef {import('./graphs.js').StateTensors} StateTensors */
/** @typedef {import('./graphs.js').Tensor} Tensor */
/** @typedef {import('./pokes.js').Touch} Touch */
/** @typedef {import('./types.js').Action} Action */
/** @typedef {import('./types.js').Fields} Fields */

/** Tensors that several moments may share; released with the last of them. */
class Shared {
  /** @param {StateTensors} tensors @param {boolean} owned false for sigma_0, which the session keeps */
  constructor(tensors, owned) {
    this.tensors = tensors;
    this.owned = owned;
    this.users = 1;
  }

  keep() {
    this.users++;
    return this;
  }

  release() {
    if (--this.users === 0 && this.owned) disposeState(this.tensors);
  }
}

/**
 * All of a session that changes; nothing in it is ever written to.
 *
 * @typedef {object} Moment
 * @property {Shared} state
 * @property {Touch} touch
 * @property {Float32Array|null} moves what strokes of a brush let move, `r r` in 0 ... 1; null without any
 * @property {number} time
 * @property {number} unchanged for how many frames the same has touched the object, or nothing
 * @property {Fields|null} fields the last prediction
 */

export class LiveState {
  /** @param {Graphs} graphs @param {Start} start @param {Float32Array} x0 */
  constructor(graphs, start, x0) {
    this.graphs = graphs;
    this.start = start;
    this.x0 = x0;
    /** @type {Moment} */
    this.now = {
      state: new Shared(start.state, false),
      touch: { held: new Map(), impulses: [], rest: { ...graphs.model.default_rest, anchored: true } },
      moves: null,
      time: 0,
      unchanged: 0,
      fields: null,
    };
    /** @type {Map<number, Moment>} */
    this.marks = new Map();
    this.nextMark = 1;
    /** @type {Tensor} */
    this.driven = start.restDrive;
    this.driveIsCurrent = true;
    /** @type {{key: string, tensors: Record<string, Tensor>}} */
    this.manner = { key: '', tensors: {} };
  }

  /** A new session on a picture. @param {Graphs} graphs @param {Float32Array} x0 `3 r r` in [-1, 1] */
  static async open(graphs, x0) {
    if (x0.length !== 3 * graphs.resolution ** 2) {
      throw new Error(`The picture has ${x0.length} numbers instead of ${3 * graphs.resolution ** 2}.`);
    }
    return new LiveState(graphs, await graphs.encodeImage(x0, 1), x0);
  }

  /** No layer: what these models say moves the whole picture. @returns {Float32Array|null} */
  get mask() {
    return null;
  }

  /** Map of what strokes of a brush let move; null without any. @returns {Float32Array|null} */
  get moves() {
    return this.now.moves;
  }

  /** Does the actions, then one step; all of them or, if one cannot be done, nothing. @param {Action[]} actions */
  async step(actions) {
    const began = performance.now();
    const before = this.now;
    const touch = actions.reduce((t, action) => applied(t, action, this.graphs.model), before.touch);
    if (actions.length) this.driveIsCurrent = false;
    const unchanged = actions.some(({ type }) => type !== 'rest') ? 0 : before.unchanged;
    const touched = touch.held.size + touch.impulses.length > 0;
    const drive = await this.drive(touch);
    const manner = this.mannerOf(touched || !touch.rest.anchored, touch.rest, unchanged);
    const moves = this.#brushed(actions);
    const { state, ...fields } = await this.graphs.step(this.start, before.state.tensors, drive, manner);
    before.state.release();
    this.driveIsCurrent = touch.impulses.length === 0;
    const time = before.time + 1;
    this.now = {
      state: new Shared(state, true),
      touch: touch.impulses.length ? { ...touch, impulses: [] } : touch,
      time,
      unchanged: touch.impulses.length ? 0 : unchanged + 1,
      moves,
      fields: { time, ...gated(fields, this.x0, moves), mask: null, stepMs: performance.now() - began },
    };
    return copied(this.now.fields);
  }

  /** Map of what moves after the strokes among some actions. @param {Action[]} actions */
  #brushed(actions) {
    const r = this.graphs.resolution;
    let { moves } = this.now;
    for (const action of actions) if (action.type === 'brush') moves = painted(moves ?? new Float32Array(r * r).fill(1), r, action);
    return moves;
  }

  mark() {
    const mark = this.nextMark++;
    this.marks.set(mark, { ...this.now, state: this.now.state.keep() });
    for (const [oldest, moment] of this.marks) {
      if (this.marks.size <= MAX_MARKS) break;
      moment.state.release();
      this.marks.delete(oldest);
    }
    return mark;
  }

  /** @param {number} mark */
  restore(mark) {
    const moment = this.marks.get(mark);
    if (!moment) throw new Error(`The moment ${mark} is no longer kept; only the last ${MAX_MARKS} are.`);
    const state = moment.state.keep();
    this.now.state.release();
    this.now = { ...moment, state };
    this.driveIsCurrent = false;
    return copied(moment.fields);
  }

  close() {
    for (const { state } of [this.now, ...this.marks.values()]) state.release();
    this.marks.clear();
    this.setDrive(this.start.restDrive);
    disposeStart(this.start);
  }

  /** The drive of all that touches the object; computed anew only when that changed. @param {Touch} touch */
  async drive({ held, impulses }) {
    if (!this.driveIsCurrent) {
      const active = [...held.values(), ...impulses];
      const map = rasterise(active, this.graphs.model);
      this.setDrive(active.length ? await this.graphs.encodePoke(map, 1) : this.start.restDrive);
    }
    return this.driven;
  }

  /** @param {Tensor} drive */
  setDrive(drive) {
    if (this.driven !== this.start.restDrive && this.driven !== drive) this.driven.dispose();
    this.driven = drive;
  }

  /** @param {boolean} touched @param {Touch['rest']} rest @param {number} unchanged */
  mannerOf(touched, rest, unchanged) {
    const pace = paceOf(unchanged, rest, this.graphs.model.pace);
    const key = `${touched} ${pace} ${rest.stiffness} ${rest.momentum}`;
    if (key !== this.manner.key) this.manner = { key, tensors: this.graphs.manner(1, touched, rest, pace) };
    return this.manner.tensors;
  }
}

/**
 * Share of a step that is taken when the same has touched the object for some frames (poke2vid/live/law_of_rest.py, pace).
 *
 * @param {number} unchanged
 * @param {Touch['rest']} rest
 * @param {{steady: number, fading: number, stopped: number}} law
 */
export function paceOf(unchanged, { anchored }, { steady, fading, stopped }) {
  const faded = fading ** Math.max(0, unchanged - steady + 1);
  return !anchored ? 1 : faded >= stopped ? faded : 0;
}

/** For the page, whose arrays are handed over; the originals may have to be shown again. @param {Fields|null} fields */
function copied(fields) {
  if (!fields) return null;
  const copy = (/** @type {Float32Array|null} */ values) => values && values.slice();
  return { ...fields, flow: copy(fields.flow), repaint: copy(fields.repaint), xHat: copy(fields.xHat) };
}
