/** Planes of the model, read at every pixel of the picture, row by row. */

/**
 * For every pixel of a row or column: its neighbours among the model's cells, and their weights.
 *
 * @typedef {{count: number, index: Int32Array, weight: Float32Array}} Taps
 */

export const STILL = 1e-4; // of a pixel of the model, and of the range of colours: nowhere half a level

/** @param {number} x */
export const linearWeights = (x) => [1 - x, x];

/** Reads planes of the model, `planes r r`, at every pixel of a row of the picture. */
export class RowReader {
  /**
   * @param {number} planes
   * @param {(share: number) => number[]} weights of the neighbours, half of which lie before
   * @param {{width: number, height: number, r: number, map: import('../canvas.js').AxisMap}} layout
   */
  constructor(planes, weights, { width, height, r, map }) {
    this.r = r;
    this.planes = planes;
    this.width = width;
    this.across = tapsOf(width, map, 0, r, weights);
    this.down = tapsOf(height, map, 1, r, weights);
    this.cells = new Float32Array(planes * r); // a row of cells, between two rows of the model's
    this.pixels = new Float32Array(planes * width);
  }

  /** Of the picture's row y, plane by plane; overwritten by the next call. @param {Float32Array} values @param {number} y */
  row(values, y) {
    this.mix(values, y);
    return this.spread();
  }

  /**
   * The row of cells that lies at the picture's row y; whether anything in it is more than nothing.
   *
   * @param {Float32Array} values
   * @param {number} y
   */
  mix(values, y) {
    const { r, planes, cells, down } = this;
    cells.fill(0);
    for (let k = down.count * y; k < down.count * (y + 1); k++) {
      const weight = down.weight[k];
      for (let plane = 0; plane < planes; plane++) {
        const from = (plane * r + down.index[k]) * r;
        for (let i = 0; i < r; i++) cells[plane * r + i] += weight * values[from + i];
      }
    }
    for (let i = 0; i < cells.length; i++) if (cells[i] > STILL || cells[i] < -STILL) return true;
    return false;
  }

  /** The mixed cells at every pixel of the row. */
  spread() {
    const { r, planes, width, cells, pixels } = this;
    const { count, index, weight } = this.across;
    for (let plane = 0, o = 0; plane < planes; plane++) {
      for (let x = 0, k = 0; x < width; x++, o++) {
        let sum = 0;
        for (let j = 0; j < count; j++, k++) sum += weight[k] * cells[plane * r + index[k]];
        pixels[o] = sum;
      }
    }
    return pixels;
  }
}

/**
 * @param {number} length of the row
 * @param {import('../canvas.js').AxisMap} map
 * @param {number} axis
 * @param {number} r
 * @param {(share: number) => number[]} weights of the neighbours, half of which lie before
 * @returns {Taps}
 */
function tapsOf(length, map, axis, r, weights) {
  const count = weights(0).length;
  const index = new Int32Array(count * length);
  const weight = new Float32Array(count * length);
  for (let i = 0; i < length; i++) {
    const place = map.scale[axis] * i + map.offset[axis];
    const before = Math.floor(place);
    weights(place - before).forEach((w, k) => {
      index[count * i + k] = Math.min(Math.max(before + 1 - count / 2 + k, 0), r - 1);
      weight[count * i + k] = w;
    });
  }
  return { count, index, weight };
}
