/** The two exported graphs of a model that sees what it touches (encode_image, encode_touch) in ONNX Runtime Web. */

import { fetched, pattern, requireAgreement, run, sessionsOf, valuesOf, warmTime } from '../runtime.js';
import { modernised } from './drive.js';
import { SIDE } from './field.js';

/** @typedef {import('../runtime.js').Choice} Choice */
/** @typedef {import('../runtime.js').OrtSession} OrtSession */
/** @typedef {import('../runtime.js').Tensor} Tensor */
/** @typedef {import('../types.js').Pair} Pair */
/** @typedef {import('../types.js').Progress} Progress */

/**
 * Output of encode_image for a picture; the same during a whole session.
 *
 * @typedef {{mask: Float32Array, levels: Record<string, Tensor>}} Seen mask is o, where something that moves shows, `64 64`
 */

const NAMES = /** @type {const} */ (['encode_image', 'encode_touch']);
const AGREEMENT = { fp32: 2e-3, fp16: 5e-2 }; // largest difference of o and of influences, which are about 1, on GPU and CPU

export class TouchEncoder {
  /**
   * @param {any} ort the runtime's module
   * @param {any} model model.json
   * @param {Record<string, OrtSession>} sessions
   */
  constructor(ort, model, sessions) {
    this.ort = ort;
    this.model = model;
    this.sessions = sessions;
  }

  /**
   * @param {string} modelUrl the folder of model.json, with a slash at its end
   * @param {any} model its contents
   * @param {Choice} choice
   * @param {(progress: Progress) => void} onProgress
   * @returns {Promise<TouchEncoder>}
   */
  static async load(modelUrl, model, choice, onProgress) {
    const { ort, half, bytes } = await fetched(modelUrl, model, NAMES, choice, onProgress);
    const on = async (/** @type {'wasm'|'webgpu'} */ backend) =>
      new TouchEncoder(ort, model, await sessionsOf(ort, NAMES, bytes, backend, gpuOutputs));
    const encoder = await on(choice.backend);
    if (choice.backend === 'webgpu') {
      await requireAgreement(encoder, await on('wasm'), trial, half ? AGREEMENT.fp16 : AGREEMENT.fp32);
    }
    return encoder;
  }

  get resolution() {
    return this.model.resolution;
  }

  /** @param {Float32Array} x0 `3 r r` @returns {Promise<Seen>} */
  async see(x0) {
    const r = this.resolution;
    const { mask, ...levels } = await run(this.sessions, 'encode_image', { x_0: this.#tensor(x0, [1, 3, r, r]) });
    return { mask: mask.data.slice(), levels };
  }

  /**
   * The influence of a touch, `8 8 32 32`.
   *
   * @param {Seen} seen
   * @param {Pair} at in pixels of the field
   * @returns {Promise<Float32Array>}
   */
  async touch({ levels }, at) {
    const feeds = { ...levels, at: this.#tensor(Float32Array.from(at), [1, 2]) };
    const influence = (await run(this.sessions, 'encode_touch', feeds)).influence.data.slice();
    return this.model.version === 3 ? modernised(influence) : influence;
  }

  /** @param {Float32Array} data @param {number[]} dims @returns {Tensor} */
  #tensor(data, dims) {
    return new this.ort.Tensor('float32', data, dims);
  }

  /** Milliseconds of a touch once warm: a drag and a swing need no graph. */
  async stepTime() {
    const seen = await this.see(new Float32Array(3 * this.resolution ** 2));
    const time = await warmTime(async () => void (await this.touch(seen, [SIDE / 2, SIDE / 2])));
    forget(seen);
    return time;
  }
}

/** Frees the features of a picture that is no longer there. @param {Seen} seen */
export function forget({ levels }) {
  Object.values(levels).forEach((tensor) => tensor.dispose());
}

/** A touch of a picture that is not flat. @param {TouchEncoder} encoder */
async function trial(encoder) {
  const seen = await encoder.see(pattern(encoder.resolution));
  const values = [seen.mask, await encoder.touch(seen, [0.4 * SIDE, 0.6 * SIDE])];
  for (const level of Object.values(seen.levels)) values.push(await valuesOf(level));
  forget(seen);
  return values;
}

/** Places of outputs: what touches read stays on the GPU. @param {string} graph */
function gpuOutputs(graph) {
  const levels = [1, 2, 3, 4].map((n) => [`level_${n}`, 'gpu-buffer']);
  return graph === 'encode_image' ? { mask: 'cpu', ...Object.fromEntries(levels) } : 'cpu';
}
