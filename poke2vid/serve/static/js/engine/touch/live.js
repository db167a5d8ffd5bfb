/** The live state of one picture under a model that sees what it touches: what poke2vid/live/session.py does, step by step. */

import { between, enlarged } from '../../fields.js';
import { painted } from '../brush.js';
import { applied } from '../pokes.js';
import { pattern } from '../runtime.js';
import { MAX_MARKS } from '../types.js';
import { backward, opacity } from './carry.js';
import { driveOf, touchedOf } from './drive.js';
import { forget } from './encoder.js';
import { SIDE, SIZE, toField } from './field.js';
import { advanced, causesOf, lawOf, still } from './swing.js';

/** @typedef {import('./drive.js').Drive} Drive */
/** @typedef {import('./drive.js').Felt} Felt */
/** @typedef {import('./drive.js').Touched} Touched */
/** @typedef {import('./encoder.js').Seen} Seen */
/** @typedef {import('./encoder.js').TouchEncoder} TouchEncoder */
/** @typedef {import('./swing.js').Law} Law */
/** @typedef {import('./swing.js').Motion} Motion */
/** @typedef {import('../pokes.js').Poke} Poke */
/** @typedef {import('../pokes.js').Touch} Touch */
/** @typedef {import('../types.js').Action} Action */
/** @typedef {import('../types.js').Fields} Fields */
/** @typedef {import('../types.js').Pair} Pair */

/**
 * All of a session that changes; nothing in it is ever written to, so that moments share what is the same in both.
 *
 * @typedef {object} Moment
 * @property {Float32Array} mask o, as the encoder sees it until a brush changes it
 * @property {Float32Array} layer opacity of the object's layer
 * @property {Motion} motion
 * @property {Touch} touch
 * @property {ReadonlyMap<string, Touched>} touched by where in x_0; each is encoded once for as long as it is held
 * @property {Drive|null|undefined} drive of all touches, null for none; undefined where they have changed
 * @property {number} time
 * @property {Fields|null} fields the last prediction
 */

export class TouchState {
  /** @param {TouchEncoder} encoder @param {Seen} seen @param {Float32Array} x0 */
  constructor(encoder, seen, x0) {
    this.encoder = encoder;
    this.seen = seen;
    this.x0 = x0;
    /** @type {Moment} */
    this.now = {
      mask: seen.mask,
      layer: seen.mask.map(opacity),
      motion: still(),
      touch: { held: new Map(), impulses: [], rest: { ...encoder.model.default_rest, anchored: true } },
      touched: new Map(),
      drive: null,
      time: 0,
      fields: null,
    };
    /** @type {Map<number, Moment>} */
    this.marks = new Map();
    this.nextMark = 1;
    /** @type {{maps: Float32Array|null, told: string, law: Law|null}} */
    this.known = { maps: null, told: '', law: null };
  }

  /** A new session on a picture. @param {TouchEncoder} encoder @param {Float32Array} x0 `3 r r` in [-1, 1] */
  static async open(encoder, x0) {
    if (x0.length !== 3 * encoder.resolution ** 2) {
      throw new Error(`The picture has ${x0.length} numbers instead of ${3 * encoder.resolution ** 2}.`);
    }
    return new TouchState(encoder, await encoder.see(x0), x0);
  }

  /** Extent of the object's layer in x_0, `r r` in 0 ... 1. */
  get mask() {
    return enlarged(this.now.mask, 1, SIDE, this.encoder.resolution).map(opacity);
  }

  /** The same: what a model sees as its object is what may move. */
  get moves() {
    return this.mask;
  }

  /** Does the actions, then one step; all of them or, if one cannot be done, nothing. @param {Action[]} actions */
  async step(actions) {
    const began = performance.now();
    const before = this.#brushed(actions);
    const origin = (/** @type {Pair} */ at) => this.#origin(at, before.fields);
    const touch = actions.reduce((t, action) => applied(t, action, this.encoder.model, origin), before.touch);
    const changed = before.drive === undefined || actions.some(({ type }) => type !== 'rest');
    const { touched, drive } = changed ? await this.#felt(touch, before) : before;
    const maps = drive?.touched ? drive.maps : before.motion.maps;
    const motion = advanced(before.motion, drive ?? null, this.#lawOf(maps, touch.rest));
    const time = before.time + 1;
    const flow = this.#flowOf(motion, before.layer);
    this.now = {
      ...before,
      motion,
      touch: touch.impulses.length ? { ...touch, impulses: [] } : touch,
      touched,
      drive: touch.impulses.length ? undefined : drive,
      time,
      fields: { time, flow, repaint: null, xHat: null, mask: null, stepMs: performance.now() - began },
    };
    return copied(this.now.fields);
  }

  mark() {
    const mark = this.nextMark++;
    this.marks.set(mark, this.now);
    for (const oldest of this.marks.keys()) {
      if (this.marks.size <= MAX_MARKS) break;
      this.marks.delete(oldest);
    }
    return mark;
  }

  /** @param {number} mark */
  restore(mark) {
    const moment = this.marks.get(mark);
    if (!moment) throw new Error(`The moment ${mark} is no longer kept; only the last ${MAX_MARKS} are.`);
    this.now = moment;
    return copied(moment.fields);
  }

  close() {
    this.marks.clear();
    forget(this.seen);
  }

  /** This moment after the strokes among some actions; it is not changed. @param {Action[]} actions @returns {Moment} */
  #brushed(actions) {
    const scale = SIDE / this.encoder.resolution;
    const mask = actions.reduce((moves, action) => {
      if (action.type !== 'brush') return moves;
      const path = action.path.map((at) => toField(at, this.encoder.resolution));
      return painted(moves, SIDE, { path, radius: scale * action.radius, still: action.still });
    }, this.now.mask);
    if (mask === this.now.mask) return this.now;
    return { ...this.now, mask, layer: mask.map(opacity), touched: new Map(), drive: undefined };
  }

  /**
   * Output of the encoder for a point of x_0.
   *
   * @param {Pair} at in pixels of the model @param {Float32Array} [mask] o
   * @returns {Promise<Touched>}
   */
  async touchAt(at, mask = this.now.mask) {
    const place = toField(at, this.encoder.resolution);
    return touchedOf(await this.encoder.touch(this.seen, place), place, mask);
  }

  /**
   * Drive of all touches together, and the touches; those of before are known.
   *
   * @param {Touch} touch @param {Moment} before
   * @returns {Promise<{touched: ReadonlyMap<string, Touched>, drive: Drive|null}>}
   */
  async #felt({ held, impulses }, { mask, touched: known }) {
    /** @type {Map<string, Touched>} */
    const touched = new Map();
    const feel = async (/** @type {Poke} */ { origin }, /** @type {Pair} */ shift) => {
      const place = origin.join(' ');
      const found = touched.get(place) ?? known.get(place) ?? (await this.touchAt(origin, mask));
      touched.set(place, found);
      const scale = SIDE / this.encoder.resolution;
      return /** @type {Felt} */ ({ touched: found, shift: [scale * shift[0], scale * shift[1]] });
    };
    const [shifts, thrown] = /** @type {Felt[][]} */ ([[], []]);
    for (const poke of held.values()) shifts.push(await feel(poke, fromRest(poke)));
    for (const poke of impulses) thrown.push(await feel(poke, poke.shift));
    return { touched, drive: touched.size ? driveOf(shifts, thrown, mask) : null };
  }

  /**
   * Point of x_0 that shows at a location.
   *
   * @param {Pair} at @param {Fields|null} fields what is shown
   * @returns {Pair}
   */
  #origin(at, fields) {
    const r = this.encoder.resolution;
    const { flow = null } = fields ?? {};
    if (!flow) return at;
    const moved = [0, 1].map((d) => at[d] + between(flow, d * r * r, r, ...at));
    return /** @type {Pair} */ (moved.map((c) => Math.min(Math.max(c, -0.5), r - 0.5)));
  }

  /**
   * Laws are computed anew only where what they follow from changed.
   *
   * @param {Float32Array} maps
   * @param {Touch['rest']} rest
   * @returns {Law}
   */
  #lawOf(maps, { stiffness, momentum, anchored }) {
    const usual = this.encoder.model.default_rest;
    const isTold = anchored && (stiffness !== usual.stiffness || momentum !== usual.momentum);
    const told = isTold ? `${stiffness} ${momentum}` : '';
    if (this.known.maps !== maps || this.known.told !== told || !this.known.law) {
      this.known = { maps, told, law: lawOf(maps, isTold ? causesOf({ stiffness, momentum }) : null) };
    }
    return /** @type {Law} */ (this.known.law);
  }

  /** The backward flow at the model's size, in its pixels. @param {Motion} motion @param {Float32Array} layer */
  #flowOf({ u }, layer) {
    const r = this.encoder.resolution;
    return enlarged(backward(u, layer), 2, SIDE, r, r / SIDE);
  }
}

/**
 * People count shifts from where a point showed when it was grabbed, a response from where it is in x_0.
 *
 * @param {Poke} poke
 * @returns {Pair}
 */
const fromRest = ({ at, shift, origin }) => [at[0] + shift[0] - origin[0], at[1] + shift[1] - origin[1]];

/** For the page, whose arrays are handed over; the originals may have to be shown again. @param {Fields|null} fields */
const copied = (fields) => fields && { ...fields, flow: fields.flow && fields.flow.slice() };

const WARM_UP_STEPS = 30;

/**
 * A session that nobody sees, of an object that is everywhere: what a first touch needs is compiled.
 *
 * @param {TouchEncoder} encoder
 */
export async function warmUp(encoder) {
  const r = encoder.resolution;
  const x0 = pattern(r);
  const seen = { ...(await encoder.see(x0)), mask: new Float32Array(SIZE).fill(1) };
  const state = new TouchState(encoder, seen, x0);
  const at = /** @type {Pair} */ ([r / 2, r / 2]);
  await state.step([{ type: 'poke', pointer: 0, at, shift: [0, 0] }]);
  for (let i = 0; i < WARM_UP_STEPS; i++) await state.step([{ type: 'drag', pointer: 0, to: [at[0] + (i * r) / 300, at[1]] }]);
  await state.step([{ type: 'release', pointer: 0 }]);
  for (let i = 0; i < WARM_UP_STEPS; i++) await state.step([]);
  state.close();
}
