/** PNG files, written row by row: no canvas is as large as some pictures. */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const PAETH = 4; // a pixel is told by what differs from the likeliest of its three neighbours
const RGB = [8, 2, 0, 0, 0]; // bits of a level, three colours without opacity, and the only ways to pack, filter and order

export class PngWriter {
  /** @type {BlobPart[]} */
  #parts = [];
  #before; // the row above

  /** @param {number} width @param {number} height */
  constructor(width, height) {
    this.width = width;
    this.#before = new Uint8Array(3 * width);
    const head = new DataView(new ArrayBuffer(13));
    head.setUint32(0, width);
    head.setUint32(4, height);
    RGB.forEach((value, i) => head.setUint8(8 + i, value));
    this.#parts.push(new Uint8Array(SIGNATURE));
    this.#chunk('IHDR', new Uint8Array(head.buffer));
    const packing = new CompressionStream('deflate');
    this.rows = packing.writable.getWriter();
    this.packed = this.#collect(packing.readable.getReader());
  }

  /** Some more rows, from the top down. @param {Uint32Array} pixels red in the lowest byte */
  async write(pixels) {
    const { width } = this;
    const stride = 3 * width;
    const count = pixels.length / width;
    const filtered = new Uint8Array(count * (stride + 1));
    for (let y = 0; y < count; y++) {
      const row = new Uint8Array(stride);
      for (let x = 0, i = 0, p = y * width; x < width; x++, p++) {
        row[i++] = pixels[p];
        row[i++] = pixels[p] >>> 8;
        row[i++] = pixels[p] >>> 16;
      }
      filter(filtered.subarray(y * (stride + 1), (y + 1) * (stride + 1)), row, this.#before);
      this.#before = row;
    }
    await this.rows.write(filtered);
  }

  async finish() {
    await this.rows.close();
    await this.packed;
    this.#chunk('IEND', new Uint8Array());
    return new Blob(this.#parts, { type: 'image/png' });
  }

  /** @param {ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>} reader */
  async #collect(reader) {
    for (let { done, value } = await reader.read(); !done && value; { done, value } = await reader.read()) {
      this.#chunk('IDAT', value);
    }
  }

  /** @param {string} name @param {Uint8Array<ArrayBuffer>} data */
  #chunk(name, data) {
    const head = new DataView(new ArrayBuffer(8));
    head.setUint32(0, data.length);
    for (let i = 0; i < 4; i++) head.setUint8(4 + i, name.charCodeAt(i));
    const check = new DataView(new ArrayBuffer(4));
    check.setUint32(0, crc(data, crc(new Uint8Array(head.buffer, 4))) ^ -1);
    this.#parts.push(head.buffer, data, check.buffer);
  }
}

/** @param {Uint8Array} into a byte longer @param {Uint8Array} row of three colours @param {Uint8Array} before the row above */
function filter(into, row, before) {
  into[0] = PAETH;
  for (let i = 0; i < row.length; i++) {
    const left = i < 3 ? 0 : row[i - 3];
    const up = before[i];
    const corner = i < 3 ? 0 : before[i - 3];
    const toLeft = Math.abs(up - corner);
    const toUp = Math.abs(left - corner);
    const toCorner = Math.abs(left + up - 2 * corner);
    const likely = toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner;
    into[i + 1] = row[i] - likely;
  }
}

const TABLE = Int32Array.from({ length: 256 }, (_, n) => {
  let value = n;
  for (let k = 0; k < 8; k++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * Cyclic redundancy check as PNG has it, not yet inverted.
 *
 * @param {Uint8Array} data @param {number} [before] of what came before
 */
function crc(data, before = -1) {
  let value = before;
  for (let i = 0; i < data.length; i++) value = TABLE[(value ^ data[i]) & 255] ^ (value >>> 8);
  return value;
}
