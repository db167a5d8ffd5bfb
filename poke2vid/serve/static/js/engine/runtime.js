/** ONNX Runtime Web: fetching it and a model's graphs, running them, and whether a GPU computes what the CPU does. */

/** @typedef {import('./types.js').Progress} Progress */
/** @typedef {{dims: number[], data: Float32Array, location: string, dispose: () => void}} Tensor */
/** @typedef {{inputNames: string[], outputNames: string[], run: Function, release: () => Promise<void>}} OrtSession */
/** @typedef {{backend: 'wasm'|'webgpu', threads: number}} Choice */
/** @typedef {string|Record<string, string>} Location where a graph's outputs go, all or by name: 'cpu' or 'gpu-buffer' */

const VENDOR = new URL('../../vendor/', import.meta.url).href;
const BUILDS = { wasm: 'ort.wasm.min.mjs', webgpu: 'ort.webgpu.min.mjs' };
const WARM_UP_MS = 250; // the browser compiles the runtime a second time, better, while it is already used
const MIN_WARM_UP = 3;
const TIMED = 8;

/**
 * The runtime and the bytes of a model's graphs, in half precision where the GPU has it.
 *
 * @param {string} modelUrl the folder of model.json, with a slash at its end
 * @param {any} model its contents
 * @param {readonly string[]} names of the graphs
 * @param {Choice} choice
 * @param {(progress: Progress) => void} onProgress
 */
export async function fetched(modelUrl, model, names, { backend, threads }, onProgress) {
  onProgress({ stage: 'runtime', loaded: 0, total: 0 });
  const ort = await import(VENDOR + BUILDS[backend]);
  ort.env.wasm.wasmPaths = VENDOR; // never from elsewhere
  ort.env.wasm.numThreads = threads;
  ort.env.logLevel = 'error';
  const half = backend === 'webgpu' && (await hasHalf()) && names.every((name) => model.graphs[name].fp16);
  const files = names.map((name) => (half ? model.graphs[name].fp16 : model.graphs[name].file));
  const bytes = await download(files.map((file) => modelUrl + file), onProgress);
  onProgress({ stage: 'warming up', loaded: 0, total: 0 });
  return { ort, half, bytes };
}

/**
 * @param {any} ort
 * @param {readonly string[]} names
 * @param {Uint8Array[]} bytes of each
 * @param {'wasm'|'webgpu'} backend
 * @param {(name: string) => Location} outputs where those of a graph go on the GPU
 */
export async function sessionsOf(ort, names, bytes, backend, outputs) {
  /** @type {Record<string, OrtSession>} */
  const sessions = {};
  for (const [k, name] of names.entries()) {
    const options = {
      executionProviders: [backend],
      graphOptimizationLevel: 'all',
      enableCpuMemArena: true, // off by default in the web build; with both, nothing is allocated anew in a step
      enableMemPattern: true,
      logSeverityLevel: 3, // errors; that some nodes of a GPU session run on the CPU is meant to be so
      ...(backend === 'webgpu' ? { preferredOutputLocation: outputs(name) } : {}),
    };
    sessions[name] = await ort.InferenceSession.create(bytes[k], options);
  }
  return sessions;
}

/**
 * Outputs of a graph.
 *
 * @param {Record<string, OrtSession>} sessions
 * @param {string} name
 * @param {Record<string, Tensor>} feeds
 * @param {string[]} [wanted] of its outputs
 * @returns {Promise<any>}
 */
export async function run(sessions, name, feeds, wanted) {
  try {
    return await (wanted ? sessions[name].run(feeds, wanted) : sessions[name].run(feeds));
  } catch (error) { // out of memory, or the GPU was lost; the runtime also throws numbers
    const what = error instanceof Error ? error.message : String(error);
    throw new Error(`The model cannot be computed any more; load the page again. (${name}: ${what})`);
  }
}

/**
 * Milliseconds of a job once warm: the lower quartile of a few, for other programs make some late.
 *
 * @param {() => Promise<void>} job
 */
export async function warmTime(job) {
  const timed = async () => {
    const began = performance.now();
    await job();
    return performance.now() - began;
  };
  const end = performance.now() + WARM_UP_MS;
  for (let i = 0; i < MIN_WARM_UP || performance.now() < end; i++) await timed();
  const times = [];
  for (let i = 0; i < TIMED; i++) times.push(await timed());
  return times.sort((a, b) => a - b)[TIMED >> 2];
}

/**
 * Throws unless a trial gives on the GPU what it gives on the CPU.
 *
 * @template {{sessions: Record<string, OrtSession>}} T
 * @param {T} onGpu
 * @param {T} onCpu is released
 * @param {(graphs: T) => Promise<Float32Array[]>} trial
 * @param {number} tolerance
 */
export async function requireAgreement(onGpu, onCpu, trial, tolerance) {
  const found = await trial(onGpu); // one after the other: the runtime does one thing at a time
  const expected = await trial(onCpu);
  const worst = Math.max(...found.map((values, k) => largestDifference(values, expected[k])));
  await Promise.all(Object.values(onCpu.sessions).map((session) => session.release()));
  if (!(worst <= tolerance)) throw new Error(`WebGPU is off by ${worst} after one step, more than ${tolerance}.`);
}

/** A picture that is not flat, to try a model with. @param {number} r */
export function pattern(r) {
  return Float32Array.from({ length: 3 * r * r }, (_, i) => Math.sin(i * 0.37) * Math.cos((i % r) * 0.21));
}

/** A copy of a tensor's numbers, wherever they are. @param {any} tensor @returns {Promise<Float32Array>} */
export async function valuesOf(tensor) {
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

async function hasHalf() {
  const adapter = await /** @type {any} */ (navigator).gpu?.requestAdapter();
  return Boolean(adapter?.features.has('shader-f16'));
}

/** @param {string[]} urls @param {(progress: Progress) => void} onProgress @returns {Promise<Uint8Array[]>} */
async function download(urls, onProgress) {
  const answered = async (/** @type {string} */ url) => {
    const response = await fetch(url).catch(() => null);
    if (response?.ok) return response;
    const name = url.slice(url.lastIndexOf('/') + 1);
    throw new Error(`The model's file ${name} cannot be fetched${response ? ` (${response.status})` : ''}; check the connection and try again.`);
  };
  const responses = await Promise.all(urls.map(answered));
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
