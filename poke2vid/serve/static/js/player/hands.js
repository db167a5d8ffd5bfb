/**
 * Events of fingers on a picture, and what the engine knows of them: they wait here until a step takes them. Sliders count as
 * fingers; they set the law of rest. Pins are pointers that hold without a finger.
 */

import { heldAfter, holdAfter, isDeed, releasesOf, sameRest, withoutLastDeed } from '../script.js';
import { Flicks } from './flicks.js';
import { Grasped } from './grasped.js';

/** @typedef {import('../canvas.js').Canvas} Canvas */
/** @typedef {import('../engine/types.js').Fields} Fields */
/** @typedef {import('../engine/types.js').Pair} Pair */
/** @typedef {import('../engine/types.js').PokeKind} PokeKind */
/** @typedef {import('../engine/types.js').Rest} Rest */
/** @typedef {import('../script.js').Grip} Grip */
/** @typedef {import('../script.js').ScriptEvent} ScriptEvent */

/** An event whose frame is not known before it is felt; `since` is its time stamp. @typedef {ScriptEvent & {since?: number}} Pending */
/** Touches and law that the engine felt at some time. @typedef {{held: Map<number, Grip>, pins: Set<number>, rest: Rest}} Felt */

export class Hands {
  /** @type {Map<number, Grip>} what fingers and pins hold now */
  held = new Map();
  /** @type {Map<number, Grip>} what the engine was told of that */
  felt = new Map();
  /** @type {Set<number>} */
  pins = new Set();
  /** @type {Pending[]} */
  pending = [];
  #flicks = new Flicks();
  #grasped = new Grasped();

  /** @param {Rest} rest as the sliders say @param {Rest} feltRest the engine's at first */
  constructor(rest, feltRest) {
    this.rest = { ...rest };
    this.feltRest = { ...feltRest };
  }

  // What a person does; true where that is an event of its own

  /** @param {{pointer: number, at: Pair, shift: Pair, kind: PokeKind, since?: number}} touch */
  poke(touch) {
    this.#flicks.forget(touch.pointer); // a script may have used the same
    const event = /** @type {const} */ ({ type: 'poke', frame: 0, ...touch, at: /** @type {Pair} */ ([...touch.at]) }); // its grip's own
    this.pending.push(event);
    holdAfter(this.held, event);
    return true;
  }

  /** @param {number} pointer @param {Pair} to @param {number} [since] */
  drag(pointer, to, since) {
    const grip = this.held.get(pointer);
    if (!grip) return false;
    this.held.set(pointer, { ...grip, to });
    const known = this.pending.findLast((event) => 'pointer' in event && event.pointer === pointer);
    if (known?.type === 'drag') {
      Object.assign(known, { at: to });
      return false;
    }
    this.pending.push({ type: 'drag', frame: 0, pointer, at: to, shift: [0, 0], since });
    return true;
  }

  /** @param {number} pointer */
  release(pointer) {
    this.#flicks.forget(pointer);
    this.pins.delete(pointer);
    if (!this.held.delete(pointer)) return false;
    this.pending.push({ type: 'release', frame: 0, pointer });
    return true;
  }

  /** From now on it holds without a finger. @param {number} pointer */
  pin(pointer) {
    if (this.held.has(pointer)) this.pins.add(pointer);
  }

  /** @param {Rest} rest */
  setRest({ stiffness, momentum }) {
    this.rest = { stiffness, momentum };
    const known = this.pending.find((event) => event.type === 'rest');
    if (known) Object.assign(known, { stiffness, momentum });
    else this.pending.push({ type: 'rest', frame: 0, stiffness, momentum });
    return !known;
  }

  /** @param {Pair[]} path @param {number} radius @param {boolean} still */
  brush(path, radius, still) {
    this.pending.push({ type: 'brush', frame: 0, path, radius, still });
    return true;
  }

  /** True where the engine moves by another law than the sliders say. */
  get restDiffers() {
    return !sameRest(this.rest, this.feltRest);
  }

  /** A finger that has dragged something lets go: true where a flick needs more time before. @param {number} pointer @param {number} frame */
  flicks(pointer, frame) {
    return this.#flicks.waits(pointer, frame);
  }

  /** Pointers of flicks that have had their time. @param {number} frame */
  flicked(frame) {
    return this.#flicks.due(frame);
  }

  /** Does what a script says. @param {ScriptEvent[]} events */
  follow(events) {
    for (const event of events) {
      this.pending.push(event);
      holdAfter(this.held, event);
      if (event.type === 'rest') this.rest = { stiffness: event.stiffness, momentum: event.momentum };
    }
  }

  // What the engine is told

  /** All that was done since the last step. */
  take() {
    const events = this.pending;
    this.pending = [];
    return events;
  }

  /** Place where a held point really is, in pixels of the user's picture; null where nobody can tell. @param {number} pointer @param {Fields|null} fields @param {Canvas} canvas */
  placeOf(pointer, fields, canvas) {
    const grip = this.held.get(pointer);
    return grip ? this.#grasped.place(grip, fields, canvas) : null;
  }

  /** Remembers what pokes grab. @param {ScriptEvent[]} events @param {Fields|null} fields what was shown before @param {Canvas} canvas */
  grasp(events, fields, canvas) {
    this.#grasped.grab(events, fields, canvas);
  }

  /** The engine has done these. @param {Pending[]} events @param {number} frame @param {Fields|null} fields what was shown before @param {Canvas} canvas */
  feel(events, frame, fields, canvas) {
    this.grasp(events, fields, canvas);
    for (const event of events) {
      holdAfter(this.felt, event);
      if (event.type === 'poke' && event.kind === 'shift') this.#flicks.grab(event.pointer, frame);
      if (event.type === 'rest') this.feltRest = { stiffness: event.stiffness, momentum: event.momentum };
    }
  }

  /** To what the engine felt at another moment; the sliders stay. @param {Felt} felt */
  restore({ held, pins, rest }) {
    this.pending = [];
    this.feltRest = rest;
    this.felt = held;
    this.pins = pins;
    this.held = new Map(held);
    this.#flicks.forgetAllBut(new Map());
  }

  get hasDeed() {
    return this.pending.some(isDeed);
  }

  /** Forgets the last poke or stroke, which nobody has seen yet, and what its pointer did since. */
  takeBack() {
    this.pending = withoutLastDeed(this.pending);
    this.#holdOnly(heldAfter(this.felt, this.pending));
  }

  /** The engine has failed: all that was on its way is lost, and what no finger holds is let go of. @param {boolean} all also of what a finger holds */
  lose(all) {
    this.pending = releasesOf([...this.felt.keys()].filter((pointer) => all || !this.held.has(pointer)));
    if (this.restDiffers) this.pending.push({ type: 'rest', frame: 0, ...this.rest });
    this.#holdOnly(heldAfter(this.felt, this.pending));
  }

  /** @param {Map<number, Grip>} held */
  #holdOnly(held) {
    this.held = held;
    this.pins = new Set([...this.pins].filter((pin) => held.has(pin)));
    this.#flicks.forgetAllBut(held);
  }
}
