/**
 * Poke scripts, version 1: what is done to a picture, frame by frame, in pixels of the original picture. The same format as
 * poke2vid/live/script.py reads; poke-script.schema.json describes it.
 */

/** @typedef {import('./canvas.js').Canvas} Canvas */
/** @typedef {import('./engine/types.js').Action} Action */
/** @typedef {import('./engine/types.js').Pair} Pair */
/** @typedef {import('./engine/types.js').PokeKind} PokeKind */

/**
 * @typedef {{type: 'poke', frame: number, pointer: number, at: Pair, shift: Pair, kind: PokeKind}} PokeEvent
 * @typedef {{type: 'drag', frame: number, pointer: number, at: Pair, shift: Pair}} DragEvent
 * @typedef {{type: 'release', frame: number, pointer: number}} ReleaseEvent
 * @typedef {{type: 'rest', frame: number, stiffness: number, momentum: number, anchored?: boolean}} RestEvent
 * @typedef {{type: 'brush', frame: number, path: Pair[], radius: number, still: boolean}} BrushEvent
 * @typedef {PokeEvent|DragEvent|ReleaseEvent|RestEvent|BrushEvent} ScriptEvent
 * @typedef {{version: 1, image: string|null, frames: number, events: ScriptEvent[]}} Script
 * @typedef {{at: Pair, to: Pair}} Grip what is held and where it shall go, in pixels of the user's picture
 * @typedef {{from: number, to: number|null}} Range frames of a recording; `to` is null while it goes on
 */

export const MAX_FRAMES = 10000;

/** Target of something grabbed. @param {{at: Pair, shift: Pair}} event @returns {Pair} */
export const targetOf = ({ at, shift }) => [at[0] + shift[0], at[1] + shift[1]];

/** @param {{at: Pair, shift: Pair}} event @returns {Grip} */
export const gripOf = (event) => ({ at: event.at, to: targetOf(event) });

/**
 * Applies an event to what is held; changes `held`. A finger that touches anew lets go first, also for a push.
 *
 * @param {Map<number, Grip>} held @param {ScriptEvent} event
 */
export function holdAfter(held, event) {
  if (!('pointer' in event)) return;
  const before = held.get(event.pointer);
  if (event.type === 'drag') {
    if (before) held.set(event.pointer, { ...before, to: targetOf(event) });
    return;
  }
  held.delete(event.pointer);
  if (event.type === 'poke' && event.kind === 'shift') held.set(event.pointer, gripOf(event));
}

/** Grips after more was done. @param {Map<number, Grip>} held @param {ScriptEvent[]} events */
export function heldAfter(held, events) {
  const after = new Map(held);
  for (const event of events) holdAfter(after, event);
  return after;
}

/** @param {number[]} pointers @returns {ReleaseEvent[]} */
export const releasesOf = (pointers) => pointers.map((pointer) => ({ type: 'release', frame: 0, pointer }));

/** @typedef {import('./engine/types.js').Rest} Rest @param {Rest} a @param {Rest} b */
export const sameRest = (a, b) => a.stiffness === b.stiffness && a.momentum === b.momentum;

/** True of what undo takes back, with what follows from it. @param {ScriptEvent} event */
export const isDeed = ({ type }) => type === 'poke' || type === 'brush';

/** All but the last poke and what its pointer did since, or but the last stroke. @template {ScriptEvent} T @param {T[]} events @returns {T[]} */
export function withoutLastDeed(events) {
  const last = events.findLastIndex(isDeed);
  const deed = /** @type {ScriptEvent} */ (events[last]);
  if (!('pointer' in deed)) return events.filter((_, i) => i !== last);
  return events.filter((event, i) => i < last || !('pointer' in event) || event.pointer !== deed.pointer);
}

/** A pointer that no event has. @param {ScriptEvent[]} events */
export const nextPointerOf = (events) => 1 + Math.max(-1, ...events.map((event) => ('pointer' in event ? event.pointer : -1)));

/** An event as an engine takes it: in the model's pixels. @param {ScriptEvent} event @param {Canvas} canvas @returns {Action} */
export function actionOf(event, canvas) {
  switch (event.type) {
    case 'poke':
      return { type: 'poke', pointer: event.pointer, kind: event.kind, ...canvas.modelled(event.at, event.shift) };
    case 'drag':
      return { type: 'drag', pointer: event.pointer, to: canvas.target(targetOf(event)) };
    case 'release':
      return { type: 'release', pointer: event.pointer };
    case 'brush':
      return { type: 'brush', still: event.still, ...canvas.strokeOf(event) };
    case 'rest':
      return { type: 'rest', stiffness: event.stiffness, momentum: event.momentum, anchored: event.anchored ?? true };
  }
}

/** A recording that begins, or ends: null where nothing moved meanwhile. @param {Range|null} range @param {number} now @returns {Range|null} */
export function toggled(range, now) {
  if (range?.to !== null) return { from: now, to: null };
  return range.from < now ? { ...range, to: now } : null;
}

/** Rest of a recording where the frames after `now` are taken back. @param {Range|null} range @param {number} now @returns {Range|null} */
export function shortened(range, now) {
  if (!range || range.to === null) return range && { ...range, from: Math.min(range.from, now) };
  return range.from < now ? { ...range, to: Math.min(range.to, now) } : null;
}

/** The frames of a recording, or all of them; the last ones where there are more than a script may have. @param {Range|null} range @param {number} now */
export function spanOf(range, now) {
  const to = range?.to ?? now;
  return { from: Math.max(range?.from ?? 0, to - MAX_FRAMES), to };
}

/** Record of what is done, as it is done. */
export class Recorder {
  constructor() {
    /** @type {ScriptEvent[]} */
    this.events = [];
  }

  /** @param {ScriptEvent} event */
  add(event) {
    this.events.push(event);
  }

  /** Another one that has recorded the same. */
  copy() {
    const other = new Recorder();
    other.events = [...this.events];
    return other;
  }

  /** The events from a frame on, which are forgotten. @param {number} frame */
  cut(frame) {
    const cut = this.events.filter((event) => event.frame >= frame);
    this.events = this.events.filter((event) => event.frame < frame);
    return cut;
  }

  /**
   * The part between two frames as a script of its own: what is held at its start is grabbed there anew.
   *
   * @param {string|null} image
   * @param {number} from
   * @param {number} to
   * @returns {Script}
   */
  script(image, from, to) {
    /** @type {Map<number, Grip>} */
    const held = new Map();
    const earlier = this.events.filter(({ frame }) => frame < from);
    for (const event of earlier) holdAfter(held, event);
    const rest = earlier.findLast(({ type }) => type === 'rest');
    const kept = [...earlier.filter(({ type }) => type === 'brush'), ...(rest ? [rest] : [])];
    const before = kept.map((event) => ({ ...event, frame: 0 }));
    for (const [pointer, { at, to }] of held) {
      before.push({ type: 'poke', frame: 0, pointer, at, shift: [to[0] - at[0], to[1] - at[1]], kind: 'shift' });
    }
    const during = this.events.filter(({ frame }) => frame >= from && frame < to);
    return {
      version: 1, image, frames: to - from,
      events: [...before, ...during.map((event) => ({ ...event, frame: event.frame - from }))],
    };
  }
}
