/**
 * A script as a file: played again from the start on an engine of its own, frame by frame, so that the video is as smooth as the
 * script says, however slow the machine.
 */

import { Canvas } from './canvas.js';
import { createCompositor } from './compositor.js';
import { createEngine } from './engine/create.js';
import { ask } from './picture/read.js';
import { Grasped } from './player/grasped.js';
import { filmWriter } from './record/film.js';
import { messageGif, ownSizeGif } from './record/gif.js';
import { actionOf, holdAfter, targetOf } from './script.js';
import { colourOf, drawHold, drawPoke } from './ui/arrows.js';

/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./compositor.js').Compositor} Compositor */
/** @typedef {import('./engine/types.js').Fields} Fields */
/** @typedef {import('./engine/types.js').Pair} Pair */
/** Sight of a moment. @typedef {Pick<import('./player.js').Player, 'picture'|'canvas'|'fields'|'heatMap'>} Shown */
/** @typedef {import('./script.js').Script} Script */
/** @typedef {import('./script.js').ScriptEvent} ScriptEvent */
/**
 * Taker of frames, which come in their order.
 *
 * @typedef {object} Writer
 * @property {(frame: ImageData, number: number, fps: number) => Promise<void>} add
 * @property {boolean} [isTooLarge] and needs no more frames
 */
/** @typedef {'mp4'|'webm'|'gif'|'gif-large'} Format */
/**
 * Film of a script, before anybody has written it.
 *
 * @typedef {object} Show
 * @property {import('./engine/types.js').Engine} engine
 * @property {Script} script from the start; a part of it alone would begin at rest
 * @property {Picture} picture
 * @property {Canvas} canvas
 * @property {number} fps
 * @property {number} from the first frame that is written
 * @property {boolean} arrows
 * @property {(share: number) => void} onProgress
 * @property {AbortSignal} signal
 */

const FILM_SIDE = 1920; // of a video's longer side: what phones play
const OWN_SIDE = 4096; // as a compositor draws at most
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
 * @returns {Promise<{blob: Blob, made: string}>} the file, and how large it is in words
 */
export async function video(format, script, picture, { baseUrl, prefer, ...options }) {
  const engine = await createEngine(baseUrl, { prefer });
  const show = { engine, script, picture, canvas: new Canvas(picture, engine.info.resolution), from: 0, ...options };
  try {
    return await (format === 'mp4' || format === 'webm' ? film(format, show) : gif(format, show));
  } finally {
    engine.close();
  }
}

/** @param {'mp4'|'webm'} format @param {Show} show */
async function film(format, show) {
  const screen = new Screen(show, FILM_SIDE, true);
  /** @type {import('./record/film.js').Film|null} */
  let writer = null;
  try {
    const { width, height } = screen.page;
    writer = await filmWriter(format, width, height, show.fps);
    await screen.play(writer);
    const blob = await writer.finish();
    return { blob, made: `${width} × ${height} pixels, ${megabytes(blob)}` };
  } finally {
    writer?.close();
    screen.close();
  }
}

/** @param {'gif'|'gif-large'} format @param {Show} show */
async function gif(format, show) {
  const { script, fps, from } = show;
  const make = format === 'gif' ? messageGif : ownSizeGif;
  const writer = await make(async (look, writer) => {
    const screen = new Screen(show, Math.min(look.side, OWN_SIDE), false);
    try {
      const share = await screen.play(writer);
      if (!writer.isTooLarge) writer.finish(script.frames + 1 - from, fps);
      return share;
    } finally {
      screen.close();
    }
  });
  const { blob, size: [width, height] } = writer;
  return { blob, made: `${width} × ${height} pixels, ${writer.paceOf(fps)}, ${megabytes(blob)}` };
}

/** @param {Blob} blob */
const megabytes = ({ size }) => (size < 1e5 ? `${Math.max(1, Math.round(size / 1e3))} KB` : `${(size / 1e6).toFixed(1)} MB`);

/** Frames of a script at one size, as often as they are asked for. */
class Screen {
  /** @param {Show} show @param {number} maxSide of the frames @param {boolean} even sides, as video has */
  constructor(show, maxSide, even) {
    this.show = show;
    this.element = document.createElement('canvas');
    this.compositor = createCompositor(this.element, show.picture, show.canvas, { maxSide, isLive: false });
    const { width, height } = this.compositor;
    this.page = document.createElement('canvas');
    this.page.width = width + (even ? width % 2 : 0);
    this.page.height = height + (even ? height % 2 : 0);
  }

  /** Plays the script once, or until the writer has enough; the share that was written. @param {Writer} writer */
  async play(writer) {
    const { page, element, compositor } = this;
    const { engine, script, picture, canvas, fps, from, arrows, onProgress, signal } = this.show;
    const context = /** @type {CanvasRenderingContext2D} */ (page.getContext('2d', { willReadFrequently: true }));
    const pokes = new Pokes(script);
    await engine.open(canvas.x0);
    /** @type {Fields|null} */
    let fields = null;
    for (let number = 0; number <= script.frames; number++) {
      signal.throwIfAborted();
      if (number > 0) fields = await engine.step(pokes.at(number - 1, fields, canvas).map((event) => actionOf(event, canvas)));
      onProgress(number / script.frames);
      if (number < from) continue;
      compositor.draw(fields);
      drawGrown(context, element);
      if (arrows) pokes.draw(context, { number, fps, scale: compositor.width / picture.width, fields, canvas });
      await writer.add(context.getImageData(0, 0, page.width, page.height), number - from, fps);
      if (writer.isTooLarge) return (number - from + 1) / (script.frames + 1 - from);
    }
    return 1;
  }

  close() {
    this.compositor.close();
  }
}

/**
 * Draws a picture whose last row and column are repeated where there is room.
 *
 * @param {CanvasRenderingContext2D} context @param {HTMLCanvasElement} element
 */
function drawGrown(context, element) {
  const { width, height } = element;
  const { canvas: page } = context;
  if (page.width > width) context.drawImage(element, width - 1, 0, 1, height, width, 0, 1, height);
  if (page.height > height) context.drawImage(element, 0, height - 1, width, 1, 0, height, page.width, 1);
  context.drawImage(element, 0, 0);
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
    this.grasped = new Grasped();
  }

  /** @param {number} frame @param {Fields|null} fields what was shown before @param {Canvas} canvas */
  at(frame, fields, canvas) {
    const events = this.byFrame.get(frame) ?? [];
    this.grasped.grab(events, fields, canvas);
    for (const event of events) {
      holdAfter(this.held, event);
      if (event.type !== 'poke' || event.kind !== 'impulse') continue;
      this.impulses.push({ at: event.at, to: targetOf(event), frame, pointer: event.pointer });
    }
    return events;
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {{number: number, fps: number, scale: number, fields: Fields|null, canvas: Canvas}} shown a frame; the scale is from the user's pixels
   */
  draw(context, { number, fps, scale, fields, canvas }) {
    const unit = Math.max(context.canvas.width, context.canvas.height) / 700;
    const place = (/** @type {Pair} */ [x, y]) => /** @type {Pair} */ ([(x + 0.5) * scale, (y + 0.5) * scale]);
    const fresh = this.impulses.filter((impulse) => number - impulse.frame < FADES * fps);
    for (const [pointer, grip] of this.held) {
      const reached = this.grasped.place(grip, fields, canvas);
      drawHold(context, place(grip.at), reached && place(reached), place(grip.to), colourOf(pointer), false, unit);
    }
    for (const { at, to, pointer } of fresh) drawPoke(context, place(at), place(to), colourOf(pointer), false, unit);
  }
}

/** Hands a file to the user. @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/**
 * The picture as it was shown, without arrows, with every pixel that it has.
 *
 * @param {Shown} shown
 * @param {(share: number) => void} onProgress
 * @returns {Promise<Blob>}
 */
export async function frameOf({ picture, canvas, fields, heatMap }, onProgress) {
  if (!picture || !canvas) throw new Error('There is no picture yet; open one first.');
  const { name, file, source } = picture;
  const image = file ? null : await createImageBitmap(source);
  return ask('still', { name, file, image, resolution: canvas.resolution, fields, heat: heatMap }, onProgress);
}
