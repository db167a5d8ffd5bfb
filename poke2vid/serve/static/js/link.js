/**
 * Links that carry what was done, and the picture, in the part of an address that no server ever sees: JSON, deflated, in the
 * letters that addresses may have.
 */

import { blobOf } from './compositor/plain.js';
import { within } from './picture/decode.js';
import { lay } from './picture/pixels.js';

/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./engine/types.js').Pair} Pair */
/** @typedef {import('./script.js').Script} Script */
/** @typedef {import('./script.js').ScriptEvent} ScriptEvent */
/**
 * A link's content: an example by its file, or a picture of its own.
 *
 * @typedef {object} Carried
 * @property {1} version
 * @property {string} name of the picture
 * @property {string} [example]
 * @property {string} [picture] a file
 * @property {Script} script in pixels of that picture
 */
/** A picture as a file, as small as it had to become. @typedef {{file: Blob, width: number, height: number}} Small */

export const MAX_LINK = 16_000; // characters of an address: Telegram cuts off earlier, other messengers and mail later
const KEY = '#poke=';
const SIDES = [640, 512, 400, 320, 256, 200, 160]; // pixels of a picture that must become small, from the best on
const QUALITIES = [0.8, 0.6, 0.4];
const FIRST = 0.75; // of the room that is left: letters carry three quarters of what bytes do
const MAX_CARRIED = 4e6; // characters that a link may unpack to
const MAX_NAME = 80;
const DAMAGED = 'This link is damaged, so the page opens as usual; ask for it again.';
const FOREIGN = 'The end of this address is not from poke2vid, so the page opens as usual.';

/**
 * A link to a page, and the size that the picture has in it: null where that is its own.
 *
 * @param {string} page its address @param {Script} script @param {Picture} picture
 * @param {string|null} example file of the example that it is
 * @returns {Promise<{link: string, size: [number, number]|null}>}
 */
export async function linkOf(page, script, picture, example) {
  const { name, width } = picture;
  const basis = { version: /** @type {const} */ (1), name: name.slice(0, MAX_NAME) };
  if (example) {
    const link = page + (await packed({ ...basis, example, script: brief(script, picture) }));
    if (link.length > MAX_LINK) throw new Error('You did too much for one link; record a part of it, or save a video.');
    return { link, size: null };
  }
  const bare = page + (await packed({ ...basis, script: brief(script, picture) }));
  const room = FIRST * (MAX_LINK - bare.length);
  if (room <= 0) throw new Error('You did too much for one link; record a part of it, or save a video.');
  for await (const small of smaller(picture, room)) {
    const carried = { ...basis, picture: lettersOf(await bytesOf(small.file)), script: brief(script, picture, small) };
    const link = page + (await packed(carried));
    if (link.length <= MAX_LINK) return { link, size: small.width < width ? [small.width, small.height] : null };
  }
  throw new Error('This picture has too much detail for a link, however small; save a video and send that.');
}

/**
 * The content of an address; null where it carries nothing.
 *
 * @param {string} fragment with its #
 * @returns {Promise<(Carried & {file: Blob|null})|null>}
 */
export async function carriedBy(fragment) {
  if (fragment.length <= 1) return null;
  if (!fragment.startsWith(KEY)) throw new Error(FOREIGN);
  /** @type {Carried} */
  let carried;
  try {
    carried = JSON.parse(await inflated(bytesFrom(fragment.slice(KEY.length))));
    const { version, name, example, picture, script } = carried;
    const isWhole = version === 1 && typeof script === 'object' && typeof name === 'string';
    if (!isWhole || (typeof example !== 'string' && typeof picture !== 'string')) throw new Error(DAMAGED);
    return { ...carried, name: name.slice(0, MAX_NAME), file: picture ? new Blob([bytesFrom(picture)]) : null };
  } catch {
    throw new Error(DAMAGED);
  }
}

/**
 * Files of a picture, from its own to ever smaller ones, of which none is known to be too large.
 *
 * @param {Picture} picture @param {number} room bytes @returns {AsyncGenerator<Small>}
 */
async function* smaller({ file, source, width, height }, room) {
  if (file && file.size <= room) yield { file, width, height };
  const own = Math.max(source.width, source.height);
  for (const side of [Math.min(own, SIDES[0]), ...SIDES.filter((side) => side < own)]) {
    const sheet = lay(document.createElement('canvas'), source, within(width, height, side));
    for (const quality of QUALITIES) {
      const made = await lossy(sheet, quality);
      if (made.size <= room) yield { file: made, width: sheet.width, height: sheet.height };
    }
  }
}

/**
 * A WebP, or a JPEG from a browser that makes none.
 *
 * @param {HTMLCanvasElement} sheet @param {number} quality @returns {Promise<Blob>}
 */
async function lossy(sheet, quality) {
  const webp = await blobOf(sheet, 'image/webp', quality);
  return webp.type === 'image/webp' ? webp : blobOf(sheet, 'image/jpeg', quality);
}

/**
 * A script for the picture at another size, to a tenth of a pixel, without drags that another one replaces before they are felt.
 *
 * @param {Script} script @param {Picture} picture @param {{width: number, height: number}} [size]
 * @returns {Script}
 */
function brief({ frames, events }, { width, height }, size = { width, height }) {
  const scale = [size.width / width, size.height / height];
  const last = [size.width - 0.5, size.height - 0.5];
  /** @type {(pair: Pair) => Pair} */
  const tenths = ([x, y]) => [round(x * scale[0]), round(y * scale[1])];
  /** @type {(pair: Pair) => Pair} */
  const inside = ([x, y]) => [bound(x, last[0]), bound(y, last[1])];
  const felt = events.filter((event, i) => !isReplaced(event, events[i + 1]));
  return {
    version: 1, image: null, frames,
    events: felt.map((event) => {
      if (event.type === 'brush') return { ...event, path: event.path.map(tenths), radius: Math.max(round(event.radius * scale[0]), 0.1) };
      if (!('at' in event)) return event;
      const at = tenths(event.at);
      return { ...event, at: event.type === 'poke' ? inside(at) : at, shift: tenths(event.shift) };
    }),
  };
}

/** @param {number} value */
const round = (value) => Math.round(10 * value) / 10;

/** Rounding must not push a poke off the picture. @param {number} value @param {number} last */
const bound = (value, last) => Math.min(Math.max(value, -0.5), last);

/** @param {ScriptEvent} event @param {ScriptEvent|undefined} next */
function isReplaced(event, next) {
  return event.type === 'drag' && next?.type === 'drag' && next.frame === event.frame && next.pointer === event.pointer;
}

/** @param {Carried} carried */
async function packed(carried) {
  const stream = new Blob([JSON.stringify(carried)]).stream().pipeThrough(new CompressionStream('deflate-raw'));
  return KEY + lettersOf(new Uint8Array(await new Response(stream).arrayBuffer()));
}

/** @param {Uint8Array<ArrayBuffer>} bytes */
async function inflated(bytes) {
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate-raw')).getReader();
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let text = '';
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) {
    text += decoder.decode(value, { stream: true });
    if (text.length > MAX_CARRIED) throw new Error(DAMAGED);
  }
  return text + decoder.decode();
}

/** @param {Blob} blob */
const bytesOf = async (blob) => new Uint8Array(await blob.arrayBuffer());

/** Base64 in the letters that addresses may have. @param {Uint8Array} bytes */
function lettersOf(bytes) {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '');
}

/** @param {string} letters */
function bytesFrom(letters) {
  return Uint8Array.from(atob(letters.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0));
}
