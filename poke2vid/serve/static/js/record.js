/**
 * A script as a file: played again from the start on an engine of its own, frame by frame, so that the video is as smooth as the
 * script says, however slow the machine.
 */

import { Canvas } from './canvas.js';
import { createCompositor } from './compositor.js';
import { PlainCompositor } from './compositor/plain.js';
import { createEngine } from './engine/create.js';
import { actionOf, holdAfter, targetOf } from './script.js';
import { COLOURS, colourOf, drawPoke } from './ui/arrows.js';

/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./compositor.js').Compositor} Compositor */
/** @typedef {import('./engine/types.js').Pair} Pair */
/** Sight of a moment. @typedef {Pick<import('./player.js').Player, 'compositor'|'picture'|'canvas'|'fields'|'heatMap'>} Shown */
/** @typedef {import('./script.js').Script} Script */
/** @typedef {import('./script.js').ScriptEvent} ScriptEvent */
/** @typedef {{add: (canvas: HTMLCanvasElement, number: number) => Promise<void>, finish: () => Promise<Blob>}} Writer */
/** @typedef {'mp4'|'webm'|'gif'} Format */

// By name, so that nobody checks the types of others' code.
const MEDIABUNNY = /** @type {string} */ ('../vendor/mediabunny.min.mjs');
const GIFENC = /** @type {string} */ ('../vendor/gifenc.esm.js');
const MAX_SIDE = { mp4: 1280, webm: 1280, gif: 480 };
const SHORTEST = 2; // hundredths of a second between two frames of a GIF
const FADES = 0.35; // seconds that an impulse's arrow stays

/**
 * @param {Format} format
 * @param {Script} script from the start; a part of it alone would begin at rest
 * @param {Picture} picture
 * @param {object} options
 * @param {string} options.baseUrl
 * @param {'auto'|'webgpu'|'wasm'|'server'} options.prefer
 * @param {number} options.fps
 * @param {number} [options.from] the first frame that is written
 * @param {boolean} options.arrows
 * @param {(share: number) => void} options.onProgress
 * @param {AbortSignal} options.signal
 * @returns {Promise<Blob>}
 */
export async function video(format, script, picture, { baseUrl, prefer, fps, from = 0, arrows, onProgress, signal }) {
  const engine = await createEngine(baseUrl, { prefer });
  /** @type {Compositor|null} */
  let compositor = null;
  try {
    const element = document.createElement('canvas');
    const canvas = new Canvas(picture, engine.info.resolution);
    compositor = createCompositor(element, picture, canvas, { maxSide: MAX_SIDE[format] });
    const page = document.createElement('canvas');
    page.width = Math.max(2, compositor.width - (compositor.width % 2)); // video has even sides
    page.height = Math.max(2, compositor.height - (compositor.height % 2));
    const writer = format === 'gif' ? await gifWriter(page, fps) : await videoWriter(format, page, fps);
    const pokes = new Pokes(script);
    await engine.open(canvas.x0);
    for (let number = 0; number <= script.frames; number++) {
      signal.throwIfAborted();
      const fields = number === 0 ? null : await engine.step(pokes.at(number - 1).map((event) => actionOf(event, canvas)));
      onProgress(number / script.frames);
      if (number < from) continue;
      compositor.draw(fields);
      const context = /** @type {CanvasRenderingContext2D} */ (page.getContext('2d'));
      context.drawImage(element, 0, 0, page.width, page.height);
      if (arrows) pokes.draw(context, number, fps, page.width / picture.width);
      await writer.add(page, number - from);
    }
    return await writer.finish();
  } finally {
    compositor?.close();
    engine.close();
  }
}

/** Actions of a script, frame by frame, and their looks. */
class Pokes {
  /** @param {Script} script */
  constructor(script) {
    /** @type {Map<number, ScriptEvent[]>} */
    this.byFrame = new Map();
    for (const event of script.events) {
      this.byFrame.set(event.frame, [...(this.byFrame.get(event.frame) ?? []), event]);
    }
    /** @type {Map<number, {at: Pair, to: Pair}>} */
    this.held = new Map();
    /** @type {{at: Pair, to: Pair, frame: number, pointer: number}[]} */
    this.impulses = [];
  }

  /** @param {number} frame */
  at(frame) {
    const events = this.byFrame.get(frame) ?? [];
    for (const event of events) {
      holdAfter(this.held, event);
      if (event.type !== 'poke' || event.kind !== 'impulse') continue;
      this.impulses.push({ at: event.at, to: targetOf(event), frame, pointer: event.pointer });
    }
    return events;
  }

  /** @param {CanvasRenderingContext2D} context @param {number} frame @param {number} fps @param {number} scale from the user's pixels */
  draw(context, frame, fps, scale) {
    const unit = Math.max(context.canvas.width, context.canvas.height) / 700;
    const place = (/** @type {Pair} */ [x, y]) => /** @type {Pair} */ ([(x + 0.5) * scale, (y + 0.5) * scale]);
    const fresh = this.impulses.filter((impulse) => frame - impulse.frame < FADES * fps);
    for (const [pointer, { at, to }] of this.held) drawPoke(context, place(at), place(to), colourOf(pointer), false, unit);
    for (const { at, to, pointer } of fresh) drawPoke(context, place(at), place(to), colourOf(pointer), false, unit);
  }
}

/** @param {'mp4'|'webm'} format @param {HTMLCanvasElement} canvas @param {number} fps @returns {Promise<Writer>} */
async function videoWriter(format, canvas, fps) {
  if (!('VideoEncoder' in window)) {
    throw new Error('This browser cannot encode video; save a GIF, or use a newer browser.');
  }
  const media = await import(MEDIABUNNY);
  const wanted = format === 'mp4' ? ['avc', 'hevc', 'vp9', 'av1'] : ['vp9', 'vp8', 'av1'];
  const codec = await media.getFirstEncodableVideoCodec(wanted, { width: canvas.width, height: canvas.height });
  if (!codec) throw new Error(`This browser can encode no ${format.toUpperCase()} video of this size; save a GIF.`);
  const container = format === 'mp4' ? new media.Mp4OutputFormat({ fastStart: 'in-memory' }) : new media.WebMOutputFormat();
  const output = new media.Output({ format: container, target: new media.BufferTarget() });
  const source = new media.CanvasSource(canvas, { codec, bitrate: media.QUALITY_HIGH, keyFrameInterval: 2 });
  output.addVideoTrack(source, { frameRate: fps });
  await output.start();
  return {
    add: (_, number) => source.add(number / fps, 1 / fps),
    finish: async () => {
      await output.finalize();
      return new Blob([output.target.buffer], { type: `video/${format}` });
    },
  };
}

/** @param {HTMLCanvasElement} canvas @param {number} fps @returns {Promise<Writer>} */
async function gifWriter(canvas, fps) {
  const { GIFEncoder, applyPalette, quantize } = await import(GIFENC);
  const gif = GIFEncoder();
  /** @type {number[][]|null} */
  let palette = null; // one for all: a picture that moves keeps its colours, and only arrows bring new ones
  const hundredth = (/** @type {number} */ number) => Math.round((100 * number) / fps); // a GIF's unit of time
  let due = 0;
  return {
    add: async (_, number) => {
      const begins = hundredth(number);
      if (begins < due) return; // viewers show no more than fifty frames a second, and would play the others slowly
      const next = [1, 2].map((k) => hundredth(number + k)).find((end) => end - begins >= SHORTEST) ?? begins + SHORTEST;
      due = next;
      const { width, height } = canvas;
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
      const { data } = context.getImageData(0, 0, width, height);
      palette ??= [...quantize(data, 255 - COLOURS.length), [255, 255, 255], ...COLOURS.map(levelsOf)];
      const delay = 10 * (next - begins);
      gif.writeFrame(applyPalette(data, palette), width, height, { palette: number === 0 ? palette : null, delay });
      if (number % 4 === 0) await new Promise((resolve) => setTimeout(resolve));
    },
    finish: async () => {
      gif.finish();
      return new Blob([gif.bytes()], { type: 'image/gif' });
    },
  };
}

/** @param {string} colour `#rrggbb` */
const levelsOf = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/** Hands a file to the user. @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * The picture as it was shown, without arrows, at its own size also where the screen gets fewer pixels.
 *
 * @param {Shown} shown
 * @returns {Promise<Blob>}
 */
export async function frameOf({ compositor, picture, canvas, fields, heatMap }) {
  if (!compositor || !picture || !canvas) throw new Error('There is no picture yet; open one first.');
  if (compositor.width >= picture.source.width && !picture.cutout) { // the page's ground is not saved
    compositor.draw(fields, { heat: heatMap });
    return compositor.toBlob('image/png');
  }
  const full = new PlainCompositor(document.createElement('canvas'), picture.source, canvas);
  try {
    full.draw(fields, { heat: heatMap });
    return await full.toBlob('image/png');
  } finally {
    full.close();
  }
}
