/**
 * Pictures of another size, level by level as OpenCV makes them (INTER_AREA, INTER_CUBIC): a model must see the same x_0 here
 * as in Python. Pictures are opaque RGBA; the three colours are resized, alpha is 255.
 */

/** @typedef {{data: Uint8ClampedArray, width: number, height: number}} Levels */

/**
 * Averaged where it shrinks, smooth where it grows.
 *
 * @param {Levels} source @param {number} width @param {number} height @returns {Levels}
 */
export function resize(source, width, height) {
  if (source.width === width && source.height === height) return source;
  if (width > source.width || height > source.height) return cubic(source, width, height);
  const scaleX = 1 / (width / source.width);
  const scaleY = 1 / (height / source.height);
  const whole = Number.isInteger(scaleX) && Number.isInteger(scaleY);
  return whole ? blocks(source, width, height, scaleX, scaleY) : area(source, width, height, scaleX, scaleY);
}

/** @param {number} width @param {number} height @returns {Levels} */
function blank(width, height) {
  return { data: new Uint8ClampedArray(4 * width * height).fill(255), width, height };
}

/**
 * Every pixel the mean of a block of `across` x `down`.
 *
 * @param {Levels} source @param {number} width @param {number} height @param {number} across @param {number} down
 */
function blocks({ data, width: stride }, width, height, across, down) {
  const result = blank(width, height);
  const share = Math.fround(1 / (across * down));
  const halves = across === 2 && down === 2; // OpenCV rounds these up where they lie between two levels
  for (let y = 0, o = 0; y < height; y++) {
    for (let x = 0; x < width; x++, o++) {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let dy = 0; dy < down; dy++) {
          let i = 4 * ((y * down + dy) * stride + x * across) + c;
          for (let dx = 0; dx < across; dx++, i += 4) sum += data[i];
        }
        result.data[4 * o + c] = halves ? (sum + 2) >> 2 : Math.fround(sum * share);
      }
    }
  }
  return result;
}

/**
 * Pixels of a row that a pixel of the shorter row covers, and their shares.
 *
 * @param {number} from @param {number} to @param {number} scale
 */
function covers(from, to, scale) {
  /** @type {number[]} */ const target = [];
  /** @type {number[]} */ const origin = [];
  /** @type {number[]} */ const share = [];
  const add = (/** @type {number} */ t, /** @type {number} */ o, /** @type {number} */ s) => {
    target.push(t);
    origin.push(o);
    share.push(Math.fround(s));
  };
  for (let t = 0; t < to; t++) {
    const begin = t * scale;
    const end = begin + scale;
    const width = Math.min(scale, from - begin);
    const last = Math.min(Math.floor(end), from - 1);
    const first = Math.min(Math.ceil(begin), last);
    if (first - begin > 1e-3) add(t, first - 1, (first - begin) / width);
    for (let o = first; o < last; o++) add(t, o, 1 / width);
    if (end - last > 1e-3) add(t, last, Math.min(Math.min(end - last, 1), width) / width);
  }
  return { target: Int32Array.from(target), origin: Int32Array.from(origin), share: Float32Array.from(share) };
}

/**
 * Every pixel the mean over the area that it covers; sums are kept in single precision, as there.
 *
 * @param {Levels} source @param {number} width @param {number} height @param {number} scaleX @param {number} scaleY
 */
function area({ data, width: stride, height: rows }, width, height, scaleX, scaleY) {
  const result = blank(width, height);
  const across = covers(stride, width, scaleX);
  const down = covers(rows, height, scaleY);
  const row = new Float32Array(3 * width);
  const sum = new Float32Array(3 * width);
  const write = (/** @type {number} */ y) => {
    for (let x = 0, o = 4 * y * width; x < width; x++, o += 4) {
      for (let c = 0; c < 3; c++) result.data[o + c] = sum[3 * x + c]; // rounded by the array, halves to even
    }
    sum.fill(0);
  };
  for (let k = 0; k < down.target.length; k++) {
    if (k && down.target[k] !== down.target[k - 1]) write(down.target[k - 1]);
    row.fill(0);
    const begin = 4 * stride * down.origin[k];
    for (let j = 0; j < across.target.length; j++) {
      const i = begin + 4 * across.origin[j];
      const o = 3 * across.target[j];
      const share = across.share[j];
      row[o] += Math.fround(data[i] * share);
      row[o + 1] += Math.fround(data[i + 1] * share);
      row[o + 2] += Math.fround(data[i + 2] * share);
    }
    const share = down.share[k];
    for (let i = 0; i < row.length; i++) sum[i] += Math.fround(row[i] * share);
  }
  write(height - 1);
  return result;
}

/** Weights of the four neighbours at a share of the way from the second to the third; a = -0.75. @param {number} x */
export function cubicWeights(x) {
  const a = -0.75;
  const w0 = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
  const w1 = ((a + 2) * x - (a + 3)) * x * x + 1;
  const w2 = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
  return [w0, w1, w2, 1 - w0 - w1 - w2];
}

/**
 * For every pixel of the longer row its four neighbours, by their number, and their weights.
 *
 * @param {number} from @param {number} to
 */
function neighbours(from, to) {
  const index = new Int32Array(4 * to);
  const weight = new Float64Array(4 * to);
  for (let t = 0; t < to; t++) {
    const place = (t + 0.5) * (from / to) - 0.5;
    const before = Math.floor(place);
    cubicWeights(place - before).forEach((w, k) => {
      index[4 * t + k] = Math.min(Math.max(before - 1 + k, 0), from - 1);
      weight[4 * t + k] = w;
    });
  }
  return { index, weight };
}

/**
 * OpenCV 4 rounds the weights to 2048ths, 5 mostly does not; that is one level in one pixel of thirty.
 *
 * @param {Levels} source @param {number} width @param {number} height
 */
function cubic({ data, width: stride, height: rows }, width, height) {
  const result = blank(width, height);
  const across = neighbours(stride, width);
  const down = neighbours(rows, height);
  const wide = new Float64Array(3 * width * rows); // every row at its new width
  for (let y = 0, o = 0; y < rows; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < 3; c++, o++) {
        for (let k = 4 * x; k < 4 * x + 4; k++) wide[o] += data[4 * (y * stride + across.index[k]) + c] * across.weight[k];
      }
    }
  }
  for (let y = 0; y < height; y++) {
    for (let x = 0, o = 4 * y * width; x < width; x++, o += 4) {
      for (let c = 0; c < 3; c++) {
        let sum = 0;
        for (let k = 4 * y; k < 4 * y + 4; k++) sum += wide[3 * (down.index[k] * width + x) + c] * down.weight[k];
        result.data[o + c] = sum; // rounded (halves to even) and clamped by the array
      }
    }
  }
  return result;
}
