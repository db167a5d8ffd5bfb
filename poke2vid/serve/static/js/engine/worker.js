/**
 * The worker in which the model runs, so that the page never waits for it.
 *
 * In come messages {id, op, ...}; out go {id, progress} any number of times, then {id, value} or {id, error} once.
 */

import { Graphs } from './graphs.js';
import { heat } from './heat.js';
import { LiveState } from './live.js';
import { check } from './pokes.js';

/** @type {Graphs} */
let graphs;
/** @type {LiveState|null} */
let live = null;
/** @type {Promise<unknown>} */
let queue = Promise.resolve();

/** One thing after another, in the order of asking. @template T @param {() => Promise<T>|T} job @returns {Promise<T>} */
function inTurn(job) {
  const done = queue.then(job);
  queue = done.catch(() => {});
  return done;
}

/** Lets waiting messages in: what they ask for comes before the caller's next job. */
const messagesIn = () => new Promise((resolve) => setTimeout(resolve));

function opened() {
  if (!live) throw new Error('No picture is open; open one first.');
  return live;
}

/** @type {Record<string, (message: any) => Promise<any>>} */
const operations = {
  init: ({ id, modelUrl, model, choice }) =>
    inTurn(async () => {
      graphs = await Graphs.load(modelUrl, model, choice, (progress) => self.postMessage({ id, progress }));
      return { stepMs: await graphs.stepTime(), threads: choice.backend === 'wasm' ? graphs.ort.env.wasm.numThreads : 1 };
    }),

  open: ({ x0 }) =>
    inTurn(async () => {
      const next = await LiveState.open(graphs, x0);
      live?.close();
      live = next;
    }),

  step: ({ actions }) => inTurn(() => opened().step(actions)),
  mark: () => inTurn(() => opened().mark()),
  restore: ({ mark }) => inTurn(() => opened().restore(mark)),

  heat: async ({ id, at }) => {
    const asked = await inTurn(opened);
    check({ at, shift: [0, 0] }, graphs.model);
    const between = async (/** @type {() => Promise<any>} */ job) => {
      await messagesIn();
      return inTurn(() => {
        if (live !== asked) throw new Error('Another picture was opened meanwhile.');
        return job();
      });
    };
    return heat(graphs, asked.x0, at, between, (share) => self.postMessage({ id, progress: share }));
  },
};

self.onmessage = async ({ data }) => {
  try {
    const value = await operations[data.op](data);
    self.postMessage({ id: data.id, value }, { transfer: buffersOf(value) });
  } catch (error) {
    self.postMessage({ id: data.id, error: error instanceof Error ? error.message : String(error) });
  }
};

/** @param {any} value */
function buffersOf(value) {
  const arrays = value instanceof Float32Array ? [value] : [value?.flow, value?.repaint, value?.xHat];
  return arrays.filter((array) => array instanceof Float32Array).map((array) => array.buffer);
}
