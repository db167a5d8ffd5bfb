/** The three exported graphs (encode_image, encode_poke, step) in ONNX Runtime Web. */

/** @typedef {import('./types.js').Progress} Progress */
/** @typedef {{dims: number[], data: Float32Array, location: string, dispose: () => void}} Tensor */
/** @typedef {{inputNames: string[], outputNames: string[], run: Function, release: () => Promise<void>}} OrtSession */

/**
 * What a step starts from and gives; on the GPU its tensors must be released by hand.
 *
 * @typedef {{sigma: Tensor[], velocity: Tensor[]}} StateTensors
 */

/**
 * What encode_image says of a picture; the same during a whole session.
 *
 * @typedef {object} Start
 * @property {Record<string, Tensor>} constant the inputs `home_n`, `drift_n`, `context_k` of `step`
 * @property {StateTensors} state sigma_0, which is home, and a velocity of zero
 * @property {Tensor} restPhi the drive of no poke
 * @property {number} batch
 */

const VENDOR = new URL('../../vendor/', import.meta.url).href;
const BUILDS = { wasm: 'ort.wasm.min.mjs', webgpu: 'ort.webgpu.min.mjs' };
const NAMES = /** @type {const} */ (['encode_image', 'encode_poke', 'step']);
const AGREEMENT = { fp32: 2e-3, fp16: 5e-2 }; // largest difference of states in [-1, 1] after one step on GPU and CPU
const WARM_UP_MS = 250; // the browser compiles the runtime a second time, better, while it is already used
const MIN_WARM_UP = 3;
const TIMED = 8;

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
   * @param {{backend: 'wasm'|'webgpu', threads: number}} choice
   * @param {(progress: Progress) => void} onProgress
   * @returns {Promise<Graphs>}
   */
  static async load(modelUrl, model, { backend, threads }, onProgress) {
    onProgress({ stage: 'runtime', loaded: 0, total: 0 });
    const ort = await import(VENDOR + BUILDS[backend]);
    ort.env.wasm.wasmPaths = VENDOR; // never from elsewhere
    ort.env.wasm.numThreads = threads;
    ort.env.logLevel = 'error';
    const half = backend === 'webgpu' && (await hasHalf()) && NAMES.every((name) => model.graphs[name].fp16);
    const files = NAMES.map((name) => (half ? model.graphs[name].fp16 : model.graphs[name].file));
    const bytes = await download(files.map((file) => modelUrl + file), onProgress);
    onProgress({ stage: 'warming up', loaded: 0, total: 0 });
    const graphs = new Graphs(ort, model, await sessionsOf(ort, model, bytes, backend));
    if (backend === 'webgpu') await graphs.requireAgreement(bytes, half ? AGREEMENT.fp16 : AGREEMENT.fp32);
    return graphs;
  }

  get resolution() {
    return this.model.resolution;
  }

  /** @param {Float32Array|number[]} data @param {number[]} dims @returns {Tensor} */
  tensor(data, dims) {
    return new this.ort.Tensor('float32', data, dims);
  }

  /**
   * @param {typeof NAMES[number]} name
   * @param {Record<string, Tensor>} feeds
   * @param {string[]} [fetched]
   * @returns {Promise<any>}
   */
  async #run(name, feeds, fetched) {
    try {
      return await (fetched ? this.sessions[name].run(feeds, fetched) : this.sessions[name].run(feeds));
    } catch (error) { // out of memory, or the GPU was lost; the runtime also throws numbers
      const what = error instanceof Error ? error.message : String(error);
      throw new Error(`The model cannot be computed any more; load the page again. (${name}: ${what})`);
    }
  }

  /** @param {Float32Array} x0 `b 3 r r` @param {number} batch @returns {Promise<Start>} */
  async encodeImage(x0, batch) {
    const r = this.resolution;
    const found = await this.#run('encode_image', { x_0: this.tensor(x0, [batch, 3, r, r]) });
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
    return { constant, state, restPhi: found.rest_phi, batch };
  }

  /** @param {Float32Array} map `b 3 r r` @param {number} batch @returns {Promise<Tensor>} */
  async encodePoke(map, batch) {
    const r = this.resolution;
    return (await this.#run('encode_poke', { poke_map: this.tensor(map, [batch, 3, r, r]) })).phi;
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
   * @param {Tensor} phi
   * @param {Record<string, Tensor>} manner see `manner`
   * @returns {Promise<{state: StateTensors, flow: Float32Array|null, repaint: Float32Array|null, xHat: Float32Array|null}>}
   */
  async step(start, state, phi, manner) {
    /** @type {Record<string, Tensor>} */
    const feeds = { ...start.constant, ...manner, phi };
    state.sigma.forEach((tensor, n) => (feeds[`sigma_${n + 1}`] = tensor));
    state.velocity.forEach((tensor, n) => (feeds[`velocity_${n + 1}`] = tensor));
    const found = await this.#run('step', feeds, this.fetched);
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
    const phi = await this.encodePoke(new Float32Array(3 * r * r), 1);
    const manner = this.manner(1, true, this.model.default_rest);
    const timed = async () => {
      const began = performance.now();
      disposeState((await this.step(start, start.state, phi, manner)).state);
      return performance.now() - began;
    };
    const end = performance.now() + WARM_UP_MS;
    for (let i = 0; i < MIN_WARM_UP || performance.now() < end; i++) await timed();
    const times = [];
    for (let i = 0; i < TIMED; i++) times.push(await timed());
    phi.dispose();
    disposeStart(start);
    return times.sort((a, b) => a - b)[TIMED >> 2];
  }

  /** Throws unless one step on the GPU gives what the CPU gives. @param {Uint8Array[]} bytes @param {number} tolerance */
  async requireAgreement(bytes, tolerance) {
    const onCpu = new Graphs(this.ort, this.model, await sessionsOf(this.ort, this.model, bytes, 'wasm'));
    const found = await trial(this); // one after the other: the runtime does one thing at a time
    const expected = await trial(onCpu);
    const worst = Math.max(...found.map((values, k) => largestDifference(values, expected[k])));
    await Promise.all(Object.values(onCpu.sessions).map((session) => session.release()));
    if (!(worst <= tolerance)) throw new Error(`WebGPU is off by ${worst} after one step, more than ${tolerance}.`);
  }
}

/**
 * A step from a picture that is not flat under a poke: its state, and its flow in shares of the frame.
 *
 * @param {Graphs} graphs
 */
async function trial(graphs) {
  const r = graphs.resolution;
  const pixels = Float32Array.from({ length: 3 * r * r }, (_, i) => Math.sin(i * 0.37) * Math.cos((i % r) * 0.21));
  const map = new Float32Array(3 * r * r);
  const middle = (r >> 1) * (r + 1);
  [1.5, -1, 1].forEach((value, channel) => (map[channel * r * r + middle] = value));
  const start = await graphs.encodeImage(pixels, 1);
  const phi = await graphs.encodePoke(map, 1);
  const done = await graphs.step(start, start.state, phi, graphs.manner(1, true, graphs.model.default_rest));
  const values = await Promise.all(done.state.sigma.map(valuesOf));
  if (done.flow) values.push(done.flow.map((value) => value / r));
  if (done.xHat) values.push(done.xHat);
  disposeState(done.state);
  phi.dispose();
  disposeStart(start);
  return values;
}

/** @param {any} tensor @returns {Promise<Float32Array>} */
async function valuesOf(tensor) {
  return (await tensor.getData()).slice();
}

/** NaN where either holds one. @param {Float32Array} a @param {Float32Array} b */
function largestDifference(a, b) {
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const difference = Math.abs(a[i] - b[i]);
    if (!(difference <= worst)) worst = difference;
    if (Number.isNaN(worst)) break;
  }
  return worst;
}

/** @param {Tensor} tensor */
const sizeOf = ({ dims }) => dims.reduce((size, dim) => size * dim, 1);

/** @param {StateTensors} state */
export function disposeState({ sigma, velocity }) {
  [...sigma, ...velocity].forEach((tensor) => tensor.dispose());
}

/** @param {Start} start */
export function disposeStart({ constant, state, restPhi }) {
  Object.values(constant).forEach((tensor) => tensor.dispose());
  state.velocity.forEach((tensor) => tensor.dispose()); // its sigma is home, which is among the constants
  restPhi.dispose();
}

/**
 * @param {any} ort
 * @param {any} model
 * @param {Uint8Array[]} bytes
 * @param {'wasm'|'webgpu'} backend
 */
async function sessionsOf(ort, model, bytes, backend) {
  /** @type {Record<string, OrtSession>} */
  const sessions = {};
  for (const [k, name] of NAMES.entries()) {
    const options = {
      executionProviders: [backend],
      graphOptimizationLevel: 'all',
      enableCpuMemArena: true, // off by default in the web build; with both, nothing is allocated anew in a step
      enableMemPattern: true,
      logSeverityLevel: 3, // errors; that some nodes of a GPU session run on the CPU is meant to be so
      ...(backend === 'webgpu' ? { preferredOutputLocation: gpuOutputs(model, name) } : {}),
    };
    sessions[name] = await ort.InferenceSession.create(bytes[k], options);
  }
  return sessions;
}

/** Where outputs go: what a later step reads stays on the GPU. @param {any} model @param {string} graph */
function gpuOutputs(model, graph) {
  if (graph !== 'step') return 'gpu-buffer';
  const names = Object.keys(model.graphs.step.outputs);
  return Object.fromEntries(names.map((name) => [name, name.startsWith('next_') ? 'gpu-buffer' : 'cpu']));
}

async function hasHalf() {
  const adapter = await /** @type {any} */ (navigator).gpu?.requestAdapter();
  return Boolean(adapter?.features.has('shader-f16'));
}

/** @param {string[]} urls @param {(progress: Progress) => void} onProgress @returns {Promise<Uint8Array[]>} */
async function download(urls, onProgress) {
  const fetched = async (/** @type {string} */ url) => {
    const response = await fetch(url).catch(() => null);
    if (response?.ok) return response;
    const name = url.slice(url.lastIndexOf('/') + 1);
    throw new Error(`The model's file ${name} cannot be fetched${response ? ` (${response.status})` : ''}; check the connection and try again.`);
  };
  const responses = await Promise.all(urls.map(fetched));
  const total = responses.reduce((sum, response) => sum + Number(response.headers.get('Content-Length') ?? 0), 0);
  let loaded = 0;
  const read = async (/** @type {Response} */ response) => {
    const parts = [];
    const reader = /** @type {ReadableStream<Uint8Array<ArrayBuffer>>} */ (response.body).getReader();
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      parts.push(part.value);
      loaded += part.value.byteLength;
      onProgress({ stage: 'model', loaded, total: Math.max(total, loaded) });
    }
    return new Uint8Array(await new Blob(parts).arrayBuffer());
  };
  return Promise.all(responses.map(read));
}
