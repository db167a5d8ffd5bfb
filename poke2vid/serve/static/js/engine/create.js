/** Choice of the engine, and of one of the ways in which this browser can compute. */

import { webglSupport } from '../compositor/webgl.js';
import { LocalEngine } from './local.js';
import { RemoteEngine } from './remote.js';

/** @typedef {import('./types.js').Engine} Engine */
/** @typedef {import('./types.js').Progress} Progress */
/** @typedef {import('./local.js').Choice} Choice */

const MAX_THREADS = 4; // of so small a model; more only wait for each other
const FAST_MS = 16; // where a step takes no longer than a frame of the screen, nothing better is looked for
/** Of the formats that this page runs, by kind of model. @type {Record<string, number[]>} */
const VERSIONS = { paper: [2], touch: [3, 4] };
const REMEMBERED = 'poke2vid.choice';
const MEMORY_MS = 24 * 3600 * 1000; // other programs may have been busy when the choice was made

/**
 * A ready engine. `auto` takes WebGPU where there is a real GPU and it computes what the CPU does, else WASM; where the first
 * choice is slow the next ones are timed too, and the fastest is kept and remembered for this model and browser.
 *
 * @param {string|URL} baseUrl the page's folder, with a slash at its end
 * @param {{prefer?: 'auto'|'webgpu'|'wasm'|'server', onProgress?: (progress: Progress) => void}} [options]
 * @returns {Promise<Engine>}
 */
export async function createEngine(baseUrl, { prefer = 'auto', onProgress = () => {} } = {}) {
  if (prefer === 'server') return RemoteEngine.connect(new URL('ws', baseUrl));
  const modelUrl = new URL('model/', baseUrl).href;
  const model = await modelOf(modelUrl);
  const key = [model.weights, model.resolution, navigator.hardwareConcurrency, crossOriginIsolated, prefer].join(' ');
  const choices = await choicesFor(prefer);
  const known = remembered(key);
  /** @type {LocalEngine|null} */
  let best = null;
  /** @type {Choice|null} */
  let choice = null; // that made it
  let reason = new Error('This browser can run neither WebGPU nor WebAssembly; use a newer one.');
  for (const next of known ? [known, ...choices] : choices) {
    /** @type {LocalEngine} */
    let engine;
    try {
      engine = await LocalEngine.start(modelUrl, model, next, onProgress);
    } catch (error) {
      reason = /** @type {Error} */ (error);
      console.warn(`poke2vid: ${next.backend} with ${next.threads} threads failed: ${reason.message}`);
      continue;
    }
    if (best && best.info.stepMs <= engine.info.stepMs) engine.close();
    else {
      best?.close();
      best = engine;
      choice = next;
    }
    if (next === known || best.info.stepMs <= FAST_MS || prefer === 'webgpu') break;
  }
  if (!best || !choice) throw new Error(`The model cannot be run in this browser: ${reason.message}`);
  if (choice !== known) remember(key, choice);
  return best;
}

/** Choices to try, the best guess first. @param {'auto'|'webgpu'|'wasm'} prefer @returns {Promise<Choice[]>} */
async function choicesFor(prefer) {
  const threads = crossOriginIsolated ? Math.max(1, Math.min(MAX_THREADS, spareCores())) : 1;
  /** @type {Choice[]} */
  const choices = [...new Set([threads, Math.min(threads, 2), 1])].map((count) => ({ backend: 'wasm', threads: count }));
  if (prefer === 'webgpu' || (prefer === 'auto' && (await hasGpu()))) choices.unshift({ backend: 'webgpu', threads: 1 });
  return choices;
}

/**
 * One is left to the page, unless there are two and a GPU draws: a step waits for the slowest of its threads, and where one of
 * them shared its core with whatever draws, two threads took twice as long as one alone.
 */
function spareCores() {
  const cores = navigator.hardwareConcurrency || 1;
  const drawsItself = webglSupport()?.slow ?? true;
  return cores > 2 || drawsItself ? cores - 1 : cores;
}

/** True if there is a GPU, and not a program that plays one: that is slower than WASM. */
async function hasGpu() {
  try {
    const adapter = await /** @type {any} */ (navigator).gpu?.requestAdapter();
    return Boolean(adapter && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter));
  } catch {
    return false;
  }
}

/** @param {string} modelUrl */
async function modelOf(modelUrl) {
  let response;
  try {
    response = await fetch(`${modelUrl}model.json`);
  } catch {
    throw new Error('The model cannot be fetched; check the connection and load the page again.');
  }
  if (!response.ok) throw new Error(`The model cannot be fetched (${response.status} for model/model.json).`);
  const model = await response.json();
  const versions = VERSIONS[model.kind ?? 'paper'] ?? [];
  if (model.format !== 'poke2vid-onnx' || !versions.includes(model.version)) {
    const known = Object.values(VERSIONS).flat().join(', ');
    throw new Error(`The model has format ${model.format} ${model.version}, this page runs poke2vid-onnx ${known}.`);
  }
  return model;
}

/** @param {string} key @returns {Choice|null} */
function remembered(key) {
  try {
    const kept = JSON.parse(localStorage.getItem(REMEMBERED) ?? 'null');
    return kept?.key === key && Date.now() - kept.made < MEMORY_MS ? kept.choice : null;
  } catch {
    return null; // no storage in this window
  }
}

/** @param {string} key @param {Choice} choice */
function remember(key, choice) {
  try {
    localStorage.setItem(REMEMBERED, JSON.stringify({ key, choice, made: Date.now() }));
  } catch {
    // No storage in this window: the choice is made anew next time.
  }
}
