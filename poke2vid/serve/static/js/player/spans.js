/** Pokes as stretches of time: when each began, when it was pinned, and when it was let go of. */

/** @typedef {import('../script.js').ScriptEvent} ScriptEvent */
/**
 * Frames of one poke; `pinned` is null where a finger held it all the time, `to` null while it is held.
 *
 * @typedef {{pointer: number, from: number, pinned: number|null, to: number|null}} Span
 */

/**
 * @param {readonly ScriptEvent[]} events
 * @param {ReadonlyMap<number, number>} pinned since which frame a pointer holds without a finger
 * @returns {Span[]}
 */
export function spansOf(events, pinned) {
  /** @type {Span[]} */
  const spans = [];
  /** @type {Map<number, Span>} */
  const open = new Map();
  for (const event of events) {
    if (event.type === 'drag' || !('pointer' in event)) continue;
    const before = open.get(event.pointer);
    if (before) before.to = event.frame;
    open.delete(event.pointer);
    if (event.type === 'release') continue;
    const isPush = event.kind === 'impulse';
    const span = { pointer: event.pointer, from: event.frame, pinned: null, to: isPush ? event.frame : null };
    spans.push(span);
    if (!isPush) open.set(event.pointer, span);
  }
  for (const span of spans) {
    const since = pinned.get(span.pointer) ?? Infinity;
    if (since >= span.from && since <= (span.to ?? since)) span.pinned = since;
  }
  return spans;
}
