/** Poke scripts from files: read, and refused by the names of all their wrong fields. */

import { MAX_POINTS } from './engine/brush.js';
import { MAX_FRAMES } from './script.js';

/** @typedef {import('./script.js').Script} Script */
/** @typedef {{width: number, height: number}} Size */

const MAX_MOMENTUM = 0.99;
const MAX_POINTER = 2 ** 31;
const FARTHEST = 1e6; // pixels, of a brush's path and its radius
const KNOWN = ['version', 'image', 'frames', 'events'];

/** @type {Record<string, {needs: string[], may: string[]}>} */
const FIELDS = {
  poke: { needs: ['frame', 'at', 'shift'], may: ['pointer', 'kind'] },
  drag: { needs: ['frame', 'at', 'shift'], may: ['pointer'] },
  release: { needs: ['frame'], may: ['pointer'] },
  rest: { needs: ['frame', 'stiffness', 'momentum'], may: ['anchored'] },
  brush: { needs: ['frame', 'path', 'radius'], may: ['still'] },
};

/** Error of a script, with all that is wrong in it. */
export class ScriptFaults extends Error {
  /** @param {string[]} faults */
  constructor(faults) {
    super(`The poke script is wrong: ${faults.join('; ')}.`);
    this.faults = faults;
  }
}

/**
 * A script from a file's text.
 *
 * @param {string} text
 * @param {Size|null} [picture] that it shall be played on; null leaves open where that ends
 * @returns {Script}
 */
export function parseScript(text, picture = null) {
  /** @type {any} */
  let value;
  try {
    value = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    throw new Error('The file is not JSON; choose a poke script.');
  }
  const faults = faultsOf(value, picture);
  if (faults.length) throw new ScriptFaults(faults);
  return {
    version: 1, image: value.image ?? null, frames: value.frames,
    events: value.events.map((/** @type {any} */ event) => ({
      ...(FIELDS[event.type].may.includes('pointer') ? { pointer: 0 } : {}),
      ...(event.type === 'poke' ? { kind: 'shift' } : {}),
      ...(event.type === 'brush' ? { still: true } : {}),
      ...event,
    })),
  };
}

/** All that is wrong, each by the name of its field. @param {any} value @param {Size|null} picture @returns {string[]} */
function faultsOf(value, picture) {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return ['it is not an object'];
  const faults = [];
  if (value.version !== 1) faults.push(`version: must be 1, not ${JSON.stringify(value.version) ?? 'missing'}`);
  for (const key of Object.keys(value)) if (!KNOWN.includes(key)) faults.push(`${key}: there is no such field`);
  const { frames, image, events } = value;
  const counts = Number.isInteger(frames) && frames >= 1 && frames <= MAX_FRAMES;
  if (!counts) faults.push(`frames: must be a whole number from 1 to ${MAX_FRAMES}`);
  const isName = ['string', 'object', 'undefined'].includes(typeof image) && !Array.isArray(image);
  if (!isName) faults.push('image: must be a name or null');
  if (!Array.isArray(events)) return [...faults, 'events: must be a list'];
  const end = counts ? frames : Infinity;
  const wrong = events.map((event, n) => eventFaults(event, end, picture).map((fault) => `events.${n}${fault}`));
  faults.push(...wrong.flat());
  return wrong.some(({ length }) => length) ? faults : [...faults, ...looseEnds(events)];
}

/** Events whose pointer holds nothing. @param {any[]} events each right by itself */
function looseEnds(events) {
  const held = new Set();
  const faults = [];
  const inOrder = events.map((event, n) => ({ event, n })).sort((a, b) => a.event.frame - b.event.frame);
  for (const { event, n } of inOrder) {
    const pointer = event.pointer ?? 0;
    if (event.type === 'poke') held[(event.kind ?? 'shift') === 'shift' ? 'add' : 'delete'](pointer);
    else if (FIELDS[event.type].may.includes('pointer') && !held.has(pointer)) {
      faults.push(`events.${n}: pointer ${pointer} holds nothing at frame ${event.frame}; poke first`);
    } else if (event.type === 'release') held.delete(pointer);
  }
  return faults;
}

/** @param {any} event @param {number} frames @param {Size|null} picture @returns {string[]} */
function eventFaults(event, frames, picture) {
  const rule = FIELDS[event?.type];
  if (!rule) return [`.type: must be one of ${Object.keys(FIELDS).join(', ')}`];
  const faults = rule.needs.filter((key) => !(key in event)).map((key) => `.${key}: is missing`);
  const known = ['type', ...rule.needs, ...rule.may];
  for (const key of Object.keys(event)) if (!known.includes(key)) faults.push(`.${key}: there is no such field`);
  const unless = (/** @type {string} */ key, /** @type {boolean} */ right, /** @type {string} */ what) => {
    if (key in event && known.includes(key) && !right) faults.push(`.${key}: ${what}`);
  };
  const isPair = (/** @type {any} */ pair) => Array.isArray(pair) && pair.length === 2 && pair.every(Number.isFinite);
  const { frame, at, path, stiffness, momentum } = event;
  const isFrame = Number.isInteger(frame) && frame >= 0;
  unless('frame', isFrame, 'must be a whole number from 0 up');
  unless('frame', !isFrame || frame < frames, `is ${frame}, but the script ends after ${frames} frames`);
  unless('pointer', Number.isInteger(event.pointer) && Math.abs(event.pointer) <= MAX_POINTER, `must be a whole number within ${MAX_POINTER}`);
  unless('at', isPair(at), 'must be two numbers');
  unless('shift', isPair(event.shift), 'must be two numbers');
  unless('kind', ['shift', 'impulse'].includes(event.kind), 'must be shift or impulse');
  unless('stiffness', stiffness >= 0 && stiffness <= 1, 'must lie in 0 ... 1');
  unless('momentum', momentum >= 0 && momentum <= MAX_MOMENTUM, `must lie in 0 ... ${MAX_MOMENTUM}`);
  const isPath = Array.isArray(path) && path.length >= 1 && path.length <= MAX_POINTS && path.every(isPair);
  const isNear = isPath && path.flat().every((/** @type {number} */ c) => Math.abs(c) <= FARTHEST);
  unless('path', isNear, `must be 1 to ${MAX_POINTS} pairs of numbers within ${FARTHEST} pixels`);
  unless('radius', event.radius > 0 && event.radius <= FARTHEST, `must be a number of pixels above 0, ${FARTHEST} at most`);
  unless('still', typeof event.still === 'boolean', 'must be true or false');
  unless('anchored', typeof event.anchored === 'boolean', 'must be true or false');
  if (picture && event.type === 'poke' && isPair(at)) {
    const { width, height } = picture;
    const isInside = at[0] >= -0.5 && at[1] >= -0.5 && at[0] <= width - 0.5 && at[1] <= height - 0.5;
    unless('at', isInside, `(${at.join(', ')}) lies outside the picture, which is ${width} x ${height} pixels`);
  }
  return faults;
}
