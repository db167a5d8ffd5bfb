/** The engine that computes on the server, over a WebSocket; the server sends nothing but answers. */

/** @typedef {import('./types.js').Action} Action */
/** @typedef {import('./types.js').Engine} Engine */
/** @typedef {import('./types.js').EngineInfo} EngineInfo */
/** @typedef {import('./types.js').Fields} Fields */
/** @typedef {import('./types.js').Pair} Pair */

/**
 * @typedef {object} Request
 * @property {Record<string, any>} message
 * @property {Blob} [blob] sent as a binary frame after the message
 * @property {(value: any) => void} resolve
 * @property {(error: Error) => void} reject
 */

const MAX_IN_FLIGHT = 2; // the server refuses more
const CONNECT_MS = 10_000; // a machine that is off says nothing for minutes
const LONG = 32_000; // characters of one message's actions, half of what the server takes
const MANY = 32; // actions of one message
const HEADER = 16; // bytes before the fields of a binary frame
const FLOW = 1;
const REPAINT = 2;
const X_HAT = 4;
const LOST = 'The connection to the server was lost; open the picture again to go on.';

/** @implements {Engine} */
export class RemoteEngine {
  /** @param {URL} url */
  constructor(url) {
    this.url = new URL(url);
    this.url.protocol = url.protocol === 'https:' || url.protocol === 'wss:' ? 'wss:' : 'ws:';
    /** @type {EngineInfo} */
    this.info = {
      resolution: 1, pokeKind: 'shift', decoder: '', defaultRest: { stiffness: 0, momentum: 0 },
      backend: 'server', threads: 1, stepMs: 0, model: {},
    };
    /** @type {Float32Array|null} */
    this.mask = null;
    /** @type {Float32Array|null} */
    this.moves = null;
    this.brushed = false; // since the picture was opened
    /** @type {WebSocket|null} */
    this.socket = null;
    this.lastSeq = 0;
    /** @type {Map<number, Request>} */
    this.inFlight = new Map();
    /** @type {Request[]} */
    this.queue = [];
    /** @type {number|null} */
    this.heatSeq = null; // whose map the next binary frame holds
    this.closed = false;
  }

  /** A connection, and what the server's model is; learnt from a picture of one pixel. @param {URL} url */
  static async connect(url) {
    const engine = new RemoteEngine(url);
    try {
      await engine.open(new Float32Array(3));
      return engine;
    } catch (error) {
      engine.close();
      throw error;
    }
  }

  /** @param {Float32Array} x0 @returns {Promise<void>} */
  async open(x0) {
    if (this.closed) throw new Error('The engine was closed.');
    const blob = await pngOf(x0);
    if (!this.closed) await this.#connected();
    if (this.closed) {
      this.socket?.close();
      throw new Error('The engine was closed.');
    }
    const { mask, ...about } = await this.#ask({ type: 'open' }, blob);
    this.mask = this.moves = mask ? halvesOf(mask) : null;
    this.brushed = false;
    const { resolution, poke_kind: pokeKind, decoder, default_rest: defaultRest } = about;
    this.info = { ...this.info, resolution, pokeKind, decoder, defaultRest, model: about };
  }

  /** @param {Action[]} actions @returns {Promise<Fields>} */
  async step(actions) {
    const [last, ...before] = messagesOf(actions).reverse();
    for (const part of before.reverse()) await this.#ask({ type: 'act', actions: part }); // if one is refused no step is made
    const asked = this.#ask({ type: 'step', actions: last });
    const paints = actions.some(({ type }) => type === 'brush');
    this.brushed ||= paints;
    const looked = paints ? this.#look() : null; // asked before any later step
    const [fields] = await Promise.all([asked, looked]);
    return { ...fields, mask: this.mask };
  }

  /** Learns what may move after strokes, or without them. */
  async #look() {
    const { mask, moves } = await this.#ask({ type: 'look' });
    this.mask = mask ? halvesOf(mask) : null;
    this.moves = moves ? halvesOf(moves) : this.mask;
  }

  /** @returns {Promise<number>} */
  async mark() {
    return (await this.#ask({ type: 'mark' })).mark;
  }

  /** @param {number} mark @returns {Promise<Fields|null>} */
  async restore(mark) {
    const answer = await this.#ask({ type: 'restore', mark });
    if (this.brushed) await this.#look();
    return 'stepMs' in answer ? { ...answer, mask: this.mask } : null;
  }

  /** @param {Pair} at @param {(share: number) => void} [onProgress] @returns {Promise<Float32Array>} */
  async heat(at, onProgress) {
    onProgress?.(0);
    const map = await this.#ask({ type: 'heat', at });
    onProgress?.(1);
    return map;
  }

  close() {
    this.closed = true;
    this.socket?.close();
    this.#fail(new Error('The engine was closed.'));
  }

  /** @returns {Promise<void>} */
  #connected() {
    if (this.socket?.readyState === WebSocket.OPEN) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(this.url);
      socket.binaryType = 'arraybuffer';
      const away = () => reject(new Error('The server cannot be reached; check that it runs, and load the page again.'));
      const waited = setTimeout(() => {
        socket.close();
        away();
      }, CONNECT_MS);
      socket.onopen = () => {
        clearTimeout(waited);
        resolve();
      };
      socket.onmessage = ({ data }) => this.#receive(data);
      socket.onclose = ({ reason }) => {
        const error = new Error(reason ? `The server closed the connection: ${reason}` : LOST);
        if (socket === this.socket) this.#fail(error);
        clearTimeout(waited);
        away();
      };
      this.socket = socket;
    });
  }

  /** @param {Record<string, any>} message @param {Blob} [blob] @returns {Promise<any>} */
  #ask(message, blob) {
    if (this.socket?.readyState !== WebSocket.OPEN) return Promise.reject(new Error(LOST));
    return new Promise((resolve, reject) => {
      this.queue.push({ message, blob, resolve, reject });
      this.#send();
    });
  }

  #send() {
    while (this.inFlight.size < MAX_IN_FLIGHT && this.queue.length) {
      const request = /** @type {Request} */ (this.queue.shift());
      const seq = ++this.lastSeq;
      this.inFlight.set(seq, request);
      this.socket?.send(JSON.stringify({ ...request.message, seq }));
      if (request.blob) this.socket?.send(request.blob);
    }
  }

  /** @param {string|ArrayBuffer} data */
  #receive(data) {
    try {
      if (typeof data === 'string') this.#text(JSON.parse(data));
      else this.#binary(data);
    } catch (error) {
      this.socket?.close();
      this.#fail(new Error(`The server's answer cannot be read: ${/** @type {Error} */ (error).message}`));
    }
  }

  /** @param {any} answer */
  #text(answer) {
    if (answer.type === 'error') {
      const error = new Error(answer.message);
      if (answer.fatal) return this.#fail(error); // the server closes the connection after it
      return this.#settle(answer.seq, (request) => request.reject(error));
    }
    if (answer.type === 'heat') {
      this.heatSeq = answer.seq;
      return undefined;
    }
    return this.#settle(answer.seq, (request) => request.resolve(answer));
  }

  /** @param {ArrayBuffer} data */
  #binary(data) {
    if (this.heatSeq !== null) {
      const seq = this.heatSeq;
      this.heatSeq = null;
      return this.#settle(seq, (request) => request.resolve(floatsOf(data, 0, data.byteLength / 2)));
    }
    const { seq, fields } = fieldsOf(data);
    return this.#settle(seq, (request) => request.resolve(fields));
  }

  /** @param {number} seq @param {(request: Request) => void} how */
  #settle(seq, how) {
    const request = this.inFlight.get(seq);
    if (!request) return;
    this.inFlight.delete(seq);
    how(request);
    this.#send();
  }

  /** @param {Error} error */
  #fail(error) {
    const waiting = [...this.inFlight.values(), ...this.queue];
    this.inFlight.clear();
    this.queue = [];
    this.heatSeq = null;
    waiting.forEach((request) => request.reject(error));
  }
}

/**
 * Actions in their order, in parts that a message may hold: a script may begin with many long strokes.
 *
 * @param {Action[]} actions @returns {Action[][]} one part or more
 */
function messagesOf(actions) {
  const parts = [/** @type {Action[]} */ ([])];
  let length = 0;
  for (const action of actions) {
    const more = JSON.stringify(action).length;
    if (length + more > LONG || parts[parts.length - 1].length === MANY) {
      parts.push([]);
      length = 0;
    }
    parts[parts.length - 1].push(action);
    length += more;
  }
  return parts;
}

/** A binary frame of the server. @param {ArrayBuffer} data @returns {{seq: number, fields: Fields}} */
export function fieldsOf(data) {
  const view = new DataView(data);
  const [version, flags, r] = [view.getUint8(0), view.getUint8(1), view.getUint16(2, true)];
  if (version !== 1) throw new Error(`The server speaks version ${version} of the protocol, this page 1.`);
  const size = r * r;
  let offset = HEADER;
  const halves = (/** @type {number} */ flag, /** @type {number} */ count) => {
    if (!(flags & flag)) return null;
    offset += 2 * count;
    return floatsOf(data, offset - 2 * count, count);
  };
  const flow = halves(FLOW, 2 * size);
  const repaint = halves(REPAINT, 3 * size);
  const xHat = flags & X_HAT ? planesOf(new Uint8Array(data, offset, 3 * size), size) : null;
  const fields = { time: view.getUint32(8, true), flow, repaint, xHat, mask: null, stepMs: view.getFloat32(12, true) };
  return { seq: view.getUint32(4, true), fields };
}

/** Levels `h w 3` as planes in [-1, 1]. @param {Uint8Array} levels @param {number} size */
function planesOf(levels, size) {
  const planes = new Float32Array(3 * size);
  levels.forEach((level, i) => (planes[(i % 3) * size + ((i / 3) | 0)] = level / 127.5 - 1));
  return planes;
}

/** @type {Float32Array|null} */
let halfTable = null;

/** Half-precision numbers. @param {ArrayBuffer} data @param {number} offset in bytes @param {number} count */
export function floatsOf(data, offset, count) {
  halfTable ??= Float32Array.from({ length: 65536 }, (_, bits) => halfOf(bits));
  const table = halfTable;
  return Float32Array.from(new Uint16Array(data.slice(offset, offset + 2 * count)), (bits) => table[bits]);
}

/** Half-precision numbers in a text. @param {string} encoded base64 */
function halvesOf(encoded) {
  const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
  return floatsOf(bytes.buffer, 0, bytes.length / 2);
}

/** @param {number} bits */
function halfOf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
}

/** x_0 as a picture file: the server takes what any client could send. @param {Float32Array} x0 `3 r r` in [-1, 1] */
async function pngOf(x0) {
  const size = x0.length / 3;
  const r = Math.sqrt(size);
  const image = new ImageData(r, r);
  for (let i = 0; i < size; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round((x0[c * size + i] + 1) * 127.5);
    image.data[4 * i + 3] = 255;
  }
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = r;
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d')).putImageData(image, 0, 0);
  return /** @type {Promise<Blob>} */ (
    new Promise((resolve, reject) =>
      canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('The picture cannot be packed.'))), 'image/png'),
    )
  );
}
