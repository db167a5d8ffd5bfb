/** Functions that tests of the page's engines call within a page: modules of the page with arrays that travel as text. */

import { Canvas } from '../js/canvas.js';
import { createCompositor } from '../js/compositor.js';
import { PlainCompositor } from '../js/compositor/plain.js';
import { createEngine } from '../js/engine/create.js';
import { fieldsOf } from '../js/engine/remote.js';
import { readPicture } from '../js/picture/read.js';

const BASE = new URL('../', import.meta.url);

/** @param {ArrayBufferView} array */
function text(array) {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let found = '';
  for (let i = 0; i < bytes.length; i += 8192) found += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(found);
}

/** @param {string} encoded */
const bytes = (encoded) => Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
/** @param {string|null|undefined} encoded */
const floats = (encoded) => (!encoded ? null : new Float32Array(bytes(encoded).buffer));
/** @param {any} fields */
const packed = (fields) =>
  fields && {
    time: fields.time,
    flow: fields.flow && text(fields.flow),
    repaint: fields.repaint && text(fields.repaint),
    xHat: fields.xHat && text(fields.xHat),
    mask: fields.mask && text(fields.mask),
  };

/** Fields as they travel. @param {any} frame */
function unpackedFields(frame) {
  const parts = ['flow', 'repaint', 'xHat', 'mask'].map((part) => [part, floats(frame?.[part])]);
  return frame && { time: 1, stepMs: 0, ...Object.fromEntries(parts) };
}

/** @type {any} */
let engine;
/** @type {Canvas} */
let canvas;
/** @type {any} */
let picture;

/** @param {string} file @param {number} resolution */
export async function openPicture(file, resolution) {
  picture = await readPicture(new Blob([bytes(file)]), 'test.png');
  canvas = new Canvas(picture, resolution);
  const { width, height, shownWidth, shownHeight } = canvas;
  return { width, height, shownWidth, shownHeight, shown: text(canvas.shown.data), x0: text(canvas.x0) };
}

/** @param {[number, number][]} points @param {[number, number]} shift */
export function located(points, shift) {
  return points.map((at) => ({ ...canvas.modelled(at, shift), back: canvas.original(canvas.target(at)) }));
}

/** Reason for which a file is refused. @param {string} file */
export async function refused(file) {
  return readPicture(new Blob([bytes(file)]), 'holiday.png').then(
    () => '',
    (error) => error.message,
  );
}

/** @param {any} options @param {string} file @param {string} [below] a folder with another model */
export async function openEngine(options, file, below = '') {
  engine?.close();
  const stages = new Set();
  engine = await createEngine(new URL(below, BASE), { ...options, onProgress: (/** @type {any} */ p) => stages.add(p.stage) });
  const found = await openPicture(file, engine.info.resolution);
  await engine.open(canvas.x0);
  const { model, ...info } = engine.info;
  return { ...info, stages: [...stages], ...found };
}

export const reopen = () => engine.open(canvas.x0);

/** In pixels of the user's picture. @param {any[]} actions */
function modelled(actions) {
  return actions.map((action) => {
    if (action.type === 'poke') return { ...action, ...canvas.modelled(action.at, action.shift) };
    if (action.type === 'brush') return { ...action, ...canvas.strokeOf(action) };
    return action.type === 'drag' ? { ...action, to: canvas.target(action.to) } : action;
  });
}

/** All steps of a script, asked for at once or one after the other. @param {any[][]} script @param {boolean} [ahead] */
export async function steps(script, ahead = false) {
  if (ahead) return (await Promise.all(script.map((actions) => engine.step(modelled(actions))))).map(packed);
  const found = [];
  for (const actions of script) found.push(packed(await engine.step(modelled(actions))));
  return found;
}

/** @param {any[]} actions already in pixels of the model */
export const stepError = (actions) => engine.step(actions).then(() => '', (/** @type {Error} */ error) => error.message);
export const mark = () => engine.mark();
export const moves = () => engine.moves && text(engine.moves);
/** @param {number} mark */
export const restore = async (mark) => packed(await engine.restore(mark));
/** @param {number} mark */
export const restoreError = (mark) => engine.restore(mark).then(() => '', (/** @type {Error} */ error) => error.message);

/** While a heat map is made: steps and the page go on. @param {[number, number]} at */
export async function heatAndLife(at) {
  let ticks = 0;
  let done = false;
  const ticking = setInterval(() => ticks++, 5);
  const shares = /** @type {number[]} */ ([]);
  const asked = engine.heat(canvas.modelled(at).at, (/** @type {number} */ share) => shares.push(share));
  const map = asked.finally(() => (done = true));
  let made = 0;
  for (; !done; made++) await engine.step([]);
  clearInterval(ticking);
  return { map: text(await map), ticks, made, shares };
}

/** @param {number} count */
export async function manySteps(count) {
  await engine.step([{ type: 'poke', pointer: 1, at: [20, 20], shift: [3, 2] }]);
  for (let i = 0; i < count; i++) {
    if (i % 100 === 0) await engine.mark();
    await engine.step(i % 10 ? [] : [{ type: 'drag', pointer: 1, to: [20 + (i % 7), 24] }]);
  }
  await engine.step([{ type: 'release', pointer: 1 }]);
}

export function closeEngine() {
  const waiting = engine.step([]).then(() => '', (/** @type {Error} */ error) => error.message);
  engine.close();
  engine = undefined;
  return waiting;
}

/**
 * Pixels that a compositor draws of the open picture.
 *
 * @param {'any-webgl'|'plain'} prefer
 * @param {{flow: string|null, repaint: string|null, xHat: string|null, mask?: string|null}[]} frames
 * @param {string} heat
 */
export async function composed(prefer, frames, heat) {
  const element = document.createElement('canvas');
  const compositor = createCompositor(element, picture, canvas, { prefer });
  const images = [text(compositor.pixels().data)];
  const decoded = frames.map(unpackedFields);
  for (const fields of decoded) {
    compositor.draw(fields);
    images.push(text(compositor.pixels().data));
  }
  compositor.draw(decoded[0], { heat: floats(heat) });
  const heated = text(compositor.pixels().data);
  const blob = await compositor.toBlob('image/png');
  const found = { kind: compositor.kind, width: element.width, height: element.height, images, heated, blob: blob.size };
  compositor.close();
  return found;
}

/** A frame at the picture's own size, as it is saved. @param {any} frame */
export function atFullSize(frame) {
  const compositor = new PlainCompositor(document.createElement('canvas'), picture.source, canvas);
  compositor.draw(unpackedFields(frame));
  return text(compositor.pixels().data);
}

/** True if what was drawn is there again after the GPU was lost. @param {any} [frame] */
export async function afterLoss(frame = null) {
  const element = document.createElement('canvas');
  const compositor = createCompositor(element, picture, canvas, { prefer: 'any-webgl' });
  const fields = unpackedFields(frame);
  compositor.draw(fields);
  const before = compositor.pixels().data;
  const extension = /** @type {WebGL2RenderingContext} */ (element.getContext('webgl2')).getExtension('WEBGL_lose_context');
  const event = (/** @type {string} */ name) =>
    new Promise((resolve) => element.addEventListener(name, resolve, { once: true }));
  const [lost, restored] = [event('webglcontextlost'), event('webglcontextrestored')];
  extension?.loseContext();
  await lost;
  await new Promise((resolve) => setTimeout(resolve)); // the browser notes after the event that it may be restored
  compositor.draw(fields); // must not fail meanwhile
  extension?.restoreContext();
  await restored;
  const after = compositor.pixels().data;
  return before.every((value, i) => value === after[i]);
}

/** A frame of the server. @param {string} data */
export function unpacked(data) {
  const { seq, fields } = fieldsOf(bytes(data).buffer);
  return { seq, stepMs: fields.stepMs, ...packed(fields) };
}

