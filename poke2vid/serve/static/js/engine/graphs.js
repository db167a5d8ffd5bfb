/** The three exported graphs of a model of the paper's form (encode_image, encode_poke, step) in ONNX Runtime Web. */

import { fetched, pattern, requireAgreement, run, sessionsOf, valuesOf, warmTime } from './runtime.js';

/** @typedef {import('./runtime.js').Choice} Choice */
/** @typedef {import('./runtime.js').OrtSession} OrtSession */
/** @typedef {import('./runtime.js').Tensor} Tensor */
/** @typedef {import('./types.js').Progress} Progress */

/**
 * State that a step starts from and gives; on the GPU its tensors must be released by hand.
 *
 * @typedef {{sigma: Tensor[], velocity: Tensor[]}} StateTensors
 */

/**
 * Output of encode_image for a picture; the same during a whole session.
 *
 * @typedef {object} Start
 * @property {Record<string, Tensor>} constant the inputs `home_n`, `drift_n`, `context_k` of `step`
 * @property {StateTensors} state sigma_0, which is home, and a velocity of zero
 * @property {Tensor} restDrive the drive of no poke
 * @property {number} batch
 */

const NAMES = /** @type {const} */ (['encode_image', 'encode_poke', 'step']);
const AGREEMENT = { fp32: 2e-3, fp16: 5e-2 }; // largest difference of states in [-1, 1] after one step on GPU and CPU

export class Graphs {
  /**
   * @param {any} ort the runtime's module
   * @param {any} model model.json
   * @param {Record<string, OrtSession>} sessions
   */
  constructor(ort, model, sessions) {
    this.ort = ort;
    this.model = model;
    this.sessions = sessions;
    const outputs = sessions.step.outputNames;
    this.levels = outputs.filter((name) => name.startsWith('next_sigma_')).length;
    this.warps = outputs.includes('flow');
    // x_hat of a model that warps is not asked for: the page moves the picture itself, at its own resolution.
    this.fetched = outputs.filter((name) => name !== 'x_hat' || !this.warps);
  }

  /**
   * @param {string} modelUrl the folder of model.json, with a slash at its end
   * @param {any} model its contents
   * @param {Choice} choice
   * @param {(progress: Progress) => void} onProgress
   * @returns {Promise<Graphs>}
   */
  static async load(modelUrl, model, choice, onProgress) {
    const { ort, half, bytes } = await fetched(modelUrl, model, NAMES, choice, onProgress);
    const on = async (/** @type {'wasm'|'webgpu'} */ backend) =>
      new Graphs(ort, model, await sessionsOf(ort, NAMES, bytes, backend, (name) => gpuOutputs(model, name)));
    const graphs = await on(choice.backend);
    if (choice.backend === 'webgpu') {
      await requireAgreement(graphs, await on('wasm'), trial, half ? AGREEMENT.fp16 : AGREEMENT.fp32);
    }
    return graphs;
  }

  get resolution() {
    return this.model.resolution;
  }

  /** @param {Float32Array|number[]} data @param {number[]} dims @returns {Tensor} */
  tensor(data, dims) {
    return new this.ort.Tensor('float32', data, dims);
  }

  /** @param {Float32Array} x0 `b 3 r r` @param {number} batch @returns {Promise<Start>} */
  async encodeImage(x0, batch) {
    const r = this.resolution;
    const found = await run(this.sessions, 'encode_image', { x_0: this.tensor(x0, [batch, 3, r, r]) });
    /** @type {Record<string, Tensor>} */
    const constant = {};
    /** @type {StateTensors} */
    const state = { sigma: [], velocity: [] };
    for (let n = 1; n <= this.levels; n++) {
      const home = found[`sigma_${n}`];
      constant[`home_${n}`] = home;
      state.sigma.push(home);
      state.velocity.push(this.tensor(new Float32Array(sizeOf(home)), home.dims));
    }
    for (const name of this.sessions.encode_image.outputNames) {
      if (name.startsWith('drift_') || name.startsWith('context_')) constant[name] = found[name];
    }
    return { constant, state, restDrive: found.rest_phi, batch };
  }

  /** @param {Float32Array} map `b 3 r r` @param {number} batch @returns {Promise<Tensor>} */
  async encodePoke(map, batch) {
    const r = this.resolution;
    return (await run(this.sessions, 'encode_poke', { poke_map: this.tensor(map, [batch, 3, r, r]) })).phi;
  }

  /**
   * The inputs of `step` that say how.
   *
   * @param {number} batch @param {boolean} touched @param {import('./types.js').Rest} rest
   * @param {number} [pace] of what is held; less than 1 once it has been held still for long
   */
  manner(batch, touched, rest, pace = 1) {
    return {
      pace: this.tensor(new Float32Array(batch).fill(pace), [batch, 1, 1, 1]),
      touched: this.tensor(new Float32Array(batch).fill(touched ? 1 : 0), [batch, 1, 1, 1]),
      stiffness: this.tensor([rest.stiffness], [1]),
      momentum: this.tensor([rest.momentum], [1]),
    };
  }

  /**
   * @param {Start} start
   * @param {StateTensors} state
   * @param {Tensor} drive
   * @param {Record<string, Tensor>} manner see `manner`
   * @returns {Promise<{state: StateTensors, flow: Float32Array|null, repaint: Float32Array|null, xHat: Float32Array|null}>}
   */
  async step(start, state, drive, manner) {
    /** @type {Record<string, Tensor>} */
    const feeds = { ...start.constant, ...manner, phi: drive };
    state.sigma.forEach((tensor, n) => (feeds[`sigma_${n + 1}`] = tensor));
    state.velocity.forEach((tensor, n) => (feeds[`velocity_${n + 1}`] = tensor));
    const found = await run(this.sessions, 'step', feeds, this.fetched);
    const levels = (/** @type {string} */ name) => state.sigma.map((_, n) => found[`next_${name}_${n + 1}`]);
    return {
      state: { sigma: levels('sigma'), velocity: levels('velocity') },
      flow: found.flow?.data ?? null,
      repaint: found.repaint?.data ?? null,
      xHat: this.warps ? null : found.x_hat.data,
    };
  }

  /** Milliseconds of a step once warm: the lower quartile of a few, for other programs make some of them late. */
  async stepTime() {
    const r = this.resolution;
    const start = await this.encodeImage(new Float32Array(3 * r * r), 1);
    const drive = await this.encodePoke(new Float32Array(3 * r * r), 1);
    const manner = this.manner(1, true, this.model.default_rest);
    const time = await warmTime(async () => disposeState((await this.step(start, start.state, drive, manner)).state));
    drive.dispose();
    disposeStart(start);
    return time;
  }
}

/**
 * A step from a picture that is not flat under a poke: its state, and its flow in shares of the frame.
 *
 * @param {Graphs} graphs
 */
async function trial(graphs) {
  const r = graphs.resolution;
  const map = new Float32Array(3 * r * r);
  const middle = (r >> 1) * (r + 1);
  [1.5, -1, 1].forEach((value, channel) => (map[channel * r * r + middle] = value));
  const start = await graphs.encodeImage(pattern(r), 1);
  const drive = await graphs.encodePoke(map, 1);
  const done = await graphs.step(start, start.state, drive, graphs.manner(1, true, graphs.model.default_rest));
  const values = await Promise.all(done.state.sigma.map(valuesOf));
  if (done.flow) values.push(done.flow.map((value) => value / r));
  if (done.xHat) values.push(done.xHat);
  disposeState(done.state);
  drive.dispose();
  disposeStart(start);
  return values;
}

/** @param {Tensor} tensor */
const sizeOf = ({ dims }) => dims.reduce((size, dim) => size * dim, 1);

/** @param {StateTensors} state */
export function disposeState({ sigma, velocity }) {
  [...sigma, ...velocity].forEach((tensor) => tensor.dispose());
}

/** @param {Start} start */
export function disposeStart({ constant, state, restDrive }) {
  Object.values(constant).forEach((tensor) => tensor.dispose());
  state.velocity.forEach((tensor) => tensor.dispose()); // its sigma is home, which is among the constants
  restDrive.dispose();
}

/** Places of outputs: what a later step reads stays on the GPU. @param {any} model @param {string} graph */
function gpuOutputs(model, graph) {
  if (graph !== 'step') return 'gpu-buffer';
  const names = Object.keys(model.graphs.step.outputs);
  return Object.fromEntries(names.map((name) => [name, name.startsWith('next_') ? 'gpu-buffer' : 'cpu']));
}
