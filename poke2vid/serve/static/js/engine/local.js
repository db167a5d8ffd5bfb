/** The engine that computes in this browser, in a worker of its own. */

/** @typedef {import('./types.js').Action} Action */
/** @typedef {import('./types.js').Engine} Engine */
/** @typedef {import('./types.js').EngineInfo} EngineInfo */
/** @typedef {import('./types.js').Fields} Fields */
/** @typedef {import('./types.js').Pair} Pair */
/** @typedef {import('./types.js').Progress} Progress */
/** @typedef {{backend: 'wasm'|'webgpu', threads: number}} Choice */

/**
 * A question that the worker has not answered yet.
 *
 * @typedef {object} Asked
 * @property {(value: any) => void} resolve
 * @property {(error: Error) => void} reject
 * @property {(progress: any) => void} [onProgress]
 */

const CLOSED = 'The engine was closed.';

/** @implements {Engine} */
export class LocalEngine {
  /** @param {EngineInfo} info */
  constructor(info) {
    this.info = info;
    /** @type {Float32Array|null} */
    this.mask = null;
    /** @type {Float32Array|null} */
    this.moves = null;
    this.lastId = 0;
    /** @type {Map<number, Asked>} */
    this.waiting = new Map();
    /** @type {Error|null} */
    this.broken = null;
    this.worker = new Worker(new URL('./worker.js', import.meta.url), { type: 'module', name: 'poke2vid engine' });
    this.worker.onmessage = ({ data }) => this.#receive(data);
    this.worker.onmessageerror = () => this.#fail(new Error('The engine answered with something that cannot be read.'));
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new Error(`The engine stopped: ${event.message || 'its files cannot be loaded'}.`));
    };
  }

  /**
   * @param {string} modelUrl the folder of model.json, with a slash at its end
   * @param {any} model its contents
   * @param {Choice} choice
   * @param {(progress: Progress) => void} onProgress
   */
  static async start(modelUrl, model, choice, onProgress) {
    const { resolution, poke_kind: pokeKind, decoder, default_rest: defaultRest } = model;
    const engine = new LocalEngine({ resolution, pokeKind, decoder, defaultRest, ...choice, stepMs: 0, model });
    try {
      const found = await engine.#ask('init', { modelUrl, model, choice }, onProgress);
      engine.info = { ...engine.info, ...found };
      return engine;
    } catch (error) {
      engine.close();
      throw error;
    }
  }

  /** @param {Float32Array} x0 @returns {Promise<void>} */
  async open(x0) {
    const copy = x0.slice(); // the caller's own stays usable
    this.#shows(await this.#ask('open', { x0: copy }, undefined, [copy.buffer]));
  }

  /** @param {Action[]} actions @returns {Promise<Fields>} */
  async step(actions) {
    const fields = await this.#ask('step', { actions });
    if (actions.some(({ type }) => type === 'brush')) this.#shows(fields);
    return { ...fields, mask: this.mask };
  }

  /** @returns {Promise<number>} */
  mark() {
    return this.#ask('mark');
  }

  /** @param {number} mark @returns {Promise<Fields|null>} */
  async restore(mark) {
    const { fields, ...shown } = await this.#ask('restore', { mark });
    this.#shows(shown);
    return fields && { ...fields, mask: this.mask };
  }

  /** @param {Pair} at @param {(share: number) => void} [onProgress] @returns {Promise<Float32Array>} */
  heat(at, onProgress) {
    return this.#ask('heat', { at }, onProgress);
  }

  /** @param {{mask: Float32Array|null, moves: Float32Array|null}} shown */
  #shows({ mask, moves }) {
    this.mask = mask;
    this.moves = moves;
  }

  close() {
    this.#fail(new Error(CLOSED));
  }

  /**
   * @param {string} op
   * @param {object} [message]
   * @param {(progress: any) => void} [onProgress]
   * @param {Transferable[]} [transfer]
   * @returns {Promise<any>}
   */
  #ask(op, message = {}, onProgress, transfer = []) {
    if (this.broken) return Promise.reject(this.broken);
    return new Promise((resolve, reject) => {
      const id = ++this.lastId;
      this.waiting.set(id, { resolve, reject, onProgress });
      this.worker.postMessage({ id, op, ...message }, transfer);
    });
  }

  /** @param {{id: number, value?: any, error?: string, progress?: any}} answer */
  #receive(answer) {
    const asked = this.waiting.get(answer.id);
    if (!asked) return;
    if ('progress' in answer) return void asked.onProgress?.(answer.progress);
    this.waiting.delete(answer.id);
    if (answer.error === undefined) asked.resolve(answer.value);
    else asked.reject(new Error(answer.error));
  }

  /** @param {Error} error */
  #fail(error) {
    this.broken ??= error;
    this.worker.terminate();
    for (const { reject } of this.waiting.values()) reject(this.broken);
    this.waiting.clear();
  }
}
