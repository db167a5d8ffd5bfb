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
 * @typedef {PokeEvent|DragEvent|ReleaseEvent|RestEvent} ScriptEvent
 * @typedef {{version: 1, image: string|null, frames: number, events: ScriptEvent[]}} Script
 * @typedef {{at: Pair, to: Pair}} Grip what is held and where it shall go, in pixels of the user's picture
 * @typedef {{from: number, to: number|null}} Range frames of a recording; `to` is null while it goes on
 */

export const MAX_FRAMES = 10000;
const MAX_MOMENTUM = 0.99;

/** @type {Record<string, {needs: string[], may: string[]}>} */
const FIELDS = {
  poke: { needs: ['frame', 'at', 'shift'], may: ['pointer', 'kind'] },
  drag: { needs: ['frame', 'at', 'shift'], may: ['pointer'] },
  release: { needs: ['frame'], may: ['pointer'] },
  rest: { needs: ['frame', 'stiffness', 'momentum'], may: ['anchored'] },
};

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
  if (event.type === 'rest') return;
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

/** All but the last poke, and what its pointer did since. @template {ScriptEvent} T @param {T[]} events @returns {T[]} */
export function withoutLastPoke(events) {
  const last = events.findLastIndex(({ type }) => type === 'poke');
  const { pointer } = /** @type {PokeEvent} */ (/** @type {ScriptEvent} */ (events[last]));
  return events.filter((event, i) => i < last || event.type === 'rest' || event.pointer !== pointer);
}

/** An event as an engine takes it: in the model's pixels. @param {ScriptEvent} event @param {Canvas} canvas @returns {Action} */
export function actionOf(event, canvas) {
  switch (event.type) {
    case 'poke':
      return { type: 'poke', pointer: event.pointer, kind: event.kind, ...canvas.modelled(event.at, event.shift) };
    case 'drag':
      return { type: 'drag', pointer: event.pointer, to: canvas.target(targetOf(event)) };
    case 'release':
      return { type: 'release', pointer: event.pointer };
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

  /** Forgets all but the first events. @param {number} count */
  cut(count) {
    this.events.length = count;
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
    /** @type {RestEvent|null} */
    let rest = null;
    for (const event of this.events.filter(({ frame }) => frame < from)) {
      holdAfter(held, event);
      if (event.type === 'rest') rest = event;
    }
    /** @type {ScriptEvent[]} */
    const before = rest ? [{ .../** @type {RestEvent} */ (rest), frame: 0 }] : [];
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

/**
 * A script from a file's text.
 *
 * @param {string} text
 * @param {{width: number, height: number}} picture that it shall be played on
 * @returns {Script}
 */
export function parseScript(text, picture) {
  /** @type {any} */
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Error('The file is not JSON; choose a poke script.');
  }
  const wrong = firstFault(value, picture);
  if (wrong) throw new Error(`The poke script is wrong: ${wrong}.`);
  return {
    version: 1, image: value.image ?? null, frames: value.frames,
    events: value.events.map((/** @type {any} */ event) => ({
      ...('pointer' in event || event.type === 'rest' ? {} : { pointer: 0 }),
      ...(event.type === 'poke' && !('kind' in event) ? { kind: 'shift' } : {}),
      ...event,
    })),
  };
}

/** The first thing that is wrong, by the name of its field. @param {any} value @param {{width: number, height: number}} picture */
function firstFault(value, picture) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'it is not an object';
  if (value.version !== 1) return `version: must be 1, not ${JSON.stringify(value.version)}`;
  const unknown = Object.keys(value).find((key) => !['version', 'image', 'frames', 'events'].includes(key));
  if (unknown) return `${unknown}: there is no such field`;
  if (!Number.isInteger(value.frames) || value.frames < 1 || value.frames > MAX_FRAMES) {
    return `frames: must be a whole number from 1 to ${MAX_FRAMES}`;
  }
  if (!['string', 'object', 'undefined'].includes(typeof value.image) || Array.isArray(value.image)) return 'image: must be a name or null';
  if (!Array.isArray(value.events)) return 'events: must be a list';
  const held = new Set();
  const inOrder = value.events.map((/** @type {any} */ event, /** @type {number} */ n) => ({ event, n }));
  for (const { event, n } of inOrder) {
    const fault = eventFault(event, value.frames, picture);
    if (fault) return `events.${n}${fault}`;
  }
  inOrder.sort((/** @type {any} */ a, /** @type {any} */ b) => a.event.frame - b.event.frame);
  for (const { event, n } of inOrder) {
    const pointer = event.pointer ?? 0;
    if (event.type === 'poke') held[(event.kind ?? 'shift') === 'shift' ? 'add' : 'delete'](pointer);
    else if (event.type !== 'rest' && !held.has(pointer)) {
      return `events.${n}: pointer ${pointer} holds nothing at frame ${event.frame}; poke first`;
    } else if (event.type === 'release') held.delete(pointer);
  }
  return null;
}

/** @param {any} event @param {number} frames @param {{width: number, height: number}} picture */
function eventFault(event, frames, { width, height }) {
  const rule = FIELDS[event?.type];
  if (!rule) return `.type: must be one of ${Object.keys(FIELDS).join(', ')}`;
  const missing = rule.needs.find((key) => !(key in event));
  if (missing) return `.${missing}: is missing`;
  const unknown = Object.keys(event).find((key) => !['type', ...rule.needs, ...rule.may].includes(key));
  if (unknown) return `.${unknown}: there is no such field`;
  if (!Number.isInteger(event.frame) || event.frame < 0) return '.frame: must be a whole number from 0 up';
  if (event.frame >= frames) return `.frame: is ${event.frame}, but the script ends after ${frames} frames`;
  if ('pointer' in event && !Number.isInteger(event.pointer)) return '.pointer: must be a whole number';
  for (const key of ['at', 'shift']) {
    if (key in event && !(Array.isArray(event[key]) && event[key].length === 2 && event[key].every(Number.isFinite))) {
      return `.${key}: must be two numbers`;
    }
  }
  if (event.type === 'poke') {
    if (!['shift', 'impulse', undefined].includes(event.kind)) return '.kind: must be shift or impulse';
    const [x, y] = event.at;
    if (x < -0.5 || y < -0.5 || x > width - 0.5 || y > height - 0.5) {
      return `.at: (${x}, ${y}) lies outside the picture, which is ${width} x ${height} pixels`;
    }
  }
  if (event.type === 'rest') {
    if (!(event.stiffness >= 0 && event.stiffness <= 1)) return '.stiffness: must lie in 0 ... 1';
    if (!(event.momentum >= 0 && event.momentum <= MAX_MOMENTUM)) return `.momentum: must lie in 0 ... ${MAX_MOMENTUM}`;
    if ('anchored' in event && typeof event.anchored !== 'boolean') return '.anchored: must be true or false';
  }
  return null;
}
