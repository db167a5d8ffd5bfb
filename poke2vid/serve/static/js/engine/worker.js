/**
 * The worker in which the model runs, so that the page never waits for it.
 *
 * In come messages {id, op, ...}; out go {id, progress} any number of times, then {id, value} or {id, error} once.
 */

import { Graphs } from './graphs.js';
import { heat } from './heat.js';
import { LiveState } from './live.js';
import { check } from './pokes.js';
import { TouchEncoder } from './touch/encoder.js';
import { TouchState, warmUp } from './touch/live.js';
import { heat as touchHeat } from './touch/parts.js';

/**
 * Programs that run a model, by its kind: its graphs, what is to be compiled besides, a session, and the map of what moves together with a point.
 *
 * @type {Record<string, any>}
 */
const KINDS = {
  paper: { load: Graphs.load, warmUp: async () => {}, open: LiveState.open, heat },
  touch: { load: TouchEncoder.load, warmUp, open: TouchState.open, heat: touchHeat },
};

/** @type {any} */
let kind;
/** @type {Graphs|TouchEncoder} */
let graphs;
/** @type {LiveState|TouchState|null} */
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

/** @param {{mask: Float32Array|null, moves: Float32Array|null}} state */
const shownOf = ({ mask, moves }) => ({ mask, moves });

/** @type {Record<string, (message: any) => Promise<any>>} */
const operations = {
  init: ({ id, modelUrl, model, choice }) =>
    inTurn(async () => {
      kind = KINDS[model.kind ?? 'paper'];
      graphs = await kind.load(modelUrl, model, choice, (/** @type {any} */ progress) => self.postMessage({ id, progress }));
      const stepMs = await graphs.stepTime();
      await kind.warmUp(graphs);
      return { stepMs, threads: choice.backend === 'wasm' ? graphs.ort.env.wasm.numThreads : 1 };
    }),

  open: ({ x0 }) =>
    inTurn(async () => {
      const next = await kind.open(graphs, x0);
      live?.close();
      live = next;
      return shownOf(next);
    }),

  step: ({ actions }) =>
    inTurn(async () => {
      const fields = await opened().step(actions);
      return actions.some((/** @type {any} */ { type }) => type === 'brush') ? { ...fields, ...shownOf(opened()) } : fields;
    }),
  mark: () => inTurn(() => opened().mark()),
  restore: ({ mark }) => inTurn(() => ({ fields: opened().restore(mark), ...shownOf(opened()) })),

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
    return kind.heat(asked, at, between, (/** @type {number} */ share) => self.postMessage({ id, progress: share }));
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
