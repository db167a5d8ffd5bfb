/** GIFs: for a message, small enough to be sent, or at the picture's own size. */

import { COLOURS } from '../ui/arrows.js';

/** @typedef {import('../record.js').Writer} Writer */
/** @typedef {{side: number, fps: number, colours: number}} Look longer side in pixels, frames a second at most, and colours at most */

// By name, so that nobody checks the types of others' code.
const GIFENC = /** @type {string} */ ('../../vendor/gifenc.esm.js');
const SHORTEST = 2; // hundredths of a second between two frames: viewers play what is faster slowly
const CLEAR = 0; // place in the palette of what stays as it was
const BREATH = 8; // frames between two moments in which the page may do something else

export const MESSAGE_BYTES = 3e6;

/** Looks of a GIF for a message, from the finest on; the last one fits whatever it shows. @type {Look[]} */
const LOOKS = [
  { side: 360, fps: 12, colours: 256 },
  { side: 360, fps: 12, colours: 64 },
  { side: 300, fps: 10, colours: 64 },
  { side: 240, fps: 10, colours: 48 },
  { side: 240, fps: 8, colours: 32 },
  { side: 180, fps: 6, colours: 32 },
  { side: 140, fps: 4, colours: 32 },
  { side: 120, fps: 2, colours: 24 },
  { side: 120, fps: 1, colours: 16 },
  { side: 96, fps: 0.25, colours: 16 },
];
const SPARE = 0.85; // of what a look is thought to take: pictures differ

/** The look of a GIF at the picture's own size. @type {Look} */
export const OWN_SIZE = { side: Infinity, fps: Infinity, colours: 256 };

/**
 * A GIF for a message.
 *
 * @param {(look: Look, writer: Gif) => Promise<number>} play writes the frames until all are there, or they take too much; says
 *   which share of them it wrote
 */
export async function messageGif(play) {
  const encoder = await import(GIFENC);
  for (let i = 0; ; ) {
    const gif = new Gif(encoder, LOOKS[i], i < LOOKS.length - 1 ? MESSAGE_BYTES : Infinity);
    const share = await play(LOOKS[i], gif);
    if (!gif.isTooLarge) return gif;
    const room = (SPARE * MESSAGE_BYTES * share) / gif.bytes;
    const fits = LOOKS.findIndex((look) => weight(look) <= room * weight(LOOKS[i]));
    i = Math.max(i + 1, fits < 0 ? LOOKS.length - 1 : fits);
  }
}

/** @param {(look: Look, writer: Gif) => Promise<number>} play */
export async function ownSizeGif(play) {
  const gif = new Gif(await import(GIFENC), OWN_SIZE, Infinity);
  await play(OWN_SIZE, gif);
  return gif;
}

/** Bytes that a look takes, compared with another's. @param {Look} look */
const weight = ({ side, fps, colours }) => side ** 2 * fps * Math.log2(colours);

/** @implements {Writer} */
export class Gif {
  /** @type {Uint8Array} */
  #last = new Uint8Array(); // colours that are shown, by their place in the palette
  #due = 0; // hundredths of a second
  /** @type {{pixels: Uint8Array, begins: number}|null} */
  #waiting = null; // frame whose time is known when the next one comes
  #count = 0;
  #places = new Uint16Array(65536); // in the palette, of colours in five, six and five bits; 0 where none was asked for
  size = [0, 0];
  /** @type {number[][]} */
  #palette = []; // one for all: a picture that moves keeps its colours, and only arrows bring new ones

  /** @param {any} encoder @param {Look} look @param {number} most bytes */
  constructor(encoder, look, most) {
    this.encoder = encoder;
    this.look = look;
    this.most = most;
    this.gif = encoder.GIFEncoder();
  }

  get bytes() {
    return this.gif.bytesView().length;
  }

  get isTooLarge() {
    return this.bytes > this.most;
  }

  /** Frames between two that are written. @param {number} fps of the script */
  strideOf(fps) {
    return Math.max(1, Math.round(fps / this.look.fps));
  }

  /** Pace of what is written, in words. @param {number} fps of the script */
  paceOf(fps) {
    const pace = fps / Math.max(this.strideOf(fps), Math.ceil((SHORTEST * fps) / 100));
    if (pace >= 1.5) return `${Math.round(pace)} frames a second`;
    return pace > 0.75 ? 'a frame every second' : `a frame every ${Math.round(1 / pace)} seconds`;
  }

  /** @param {ImageData} frame @param {number} number @param {number} fps of the script */
  async add({ data, width, height }, number, fps) {
    const hundredth = (/** @type {number} */ frame) => Math.round((100 * frame) / fps); // a GIF's unit of time
    const begins = hundredth(number);
    if (number % this.strideOf(fps) !== 0 || begins < this.#due) return;
    this.#due = begins + SHORTEST;
    if (this.#palette.length === 0) {
      const own = this.look.colours - COLOURS.length - 2;
      const found = this.encoder.quantize(data, Math.max(own, 2));
      this.#palette = [[0, 0, 0], ...found, [255, 255, 255], ...COLOURS.map(levelsOf)];
      this.size = [width, height];
    }
    const pixels = this.#indexed(data);
    this.#write(begins);
    this.#waiting = { pixels, begins };
    if (++this.#count % BREATH === 0) await new Promise((resolve) => setTimeout(resolve));
  }

  /** Place in the palette of every pixel's nearest colour, found once for all colours that look alike. @param {Uint8ClampedArray} data */
  #indexed(data) {
    const own = this.#palette.slice(CLEAR + 1);
    const places = this.#places;
    const pixels = new Uint8Array(data.length / 4);
    for (let i = 0, o = 0; i < pixels.length; i++, o += 4) {
      const key = ((data[o] & 0xf8) << 8) | ((data[o + 1] & 0xfc) << 3) | (data[o + 2] >> 3);
      places[key] ||= CLEAR + 1 + this.encoder.nearestColorIndex(own, [data[o], data[o + 1], data[o + 2]]);
      pixels[i] = places[key];
    }
    return pixels;
  }

  /** The frame that waits, which is shown until then. @param {number} ends hundredths of a second */
  #write(ends) {
    if (!this.#waiting) return;
    const { pixels, begins } = this.#waiting;
    const isFirst = this.#last.length === 0;
    const changed = isFirst ? pixels : pixels.map((value, i) => (value === this.#last[i] ? CLEAR : value));
    this.gif.writeFrame(changed, ...this.size, {
      palette: isFirst ? this.#palette : null, delay: 10 * Math.max(ends - begins, SHORTEST),
      transparent: !isFirst, transparentIndex: CLEAR, dispose: 1,
    });
    this.#last = pixels;
    this.#waiting = null;
  }

  /** @param {number} count of the script's frames that were handed over @param {number} fps */
  finish(count, fps) {
    this.#write(Math.round((100 * count) / fps));
    this.gif.finish();
  }

  /** The file, once it is finished. */
  get blob() {
    return new Blob([this.gif.bytesView()], { type: 'image/gif' });
  }
}

/** @param {string} colour `#rrggbb` */
const levelsOf = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
