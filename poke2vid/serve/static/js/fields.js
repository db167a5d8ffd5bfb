/**
 * Fields on square grids, plane by plane: read between their cells, at another size, and filled where they are not known
 * (poke2vid/geometry.py and `filled` of poke2vid/model/carry.py).
 */

/**
 * A plane between its cells, bilinear; outside, its border.
 *
 * @param {Float32Array} values @param {number} from where in it the plane begins @param {number} side
 * @param {number} x @param {number} y
 */
export function between(values, from, side, x, y) {
  const cx = Math.min(Math.max(x, 0), side - 1);
  const cy = Math.min(Math.max(y, 0), side - 1);
  const left = Math.floor(cx);
  const top = Math.floor(cy);
  const share = cx - left;
  const right = left + 1 < side ? 1 : 0;
  const i = from + top * side + left;
  const j = top + 1 < side ? i + side : i;
  const upper = values[i] + share * (values[i + right] - values[i]);
  const lower = values[j] + share * (values[j + right] - values[j]);
  return upper + (cy - top) * (lower - upper);
}

/**
 * For every cell of the longer row the first of its two neighbours, the step to the second and that one's share; areas map
 * onto areas.
 *
 * @param {number} from @param {number} to
 */
function neighbours(from, to) {
  const first = new Int32Array(to);
  const next = new Int32Array(to);
  const share = new Float64Array(to);
  for (let i = 0; i < to; i++) {
    const place = Math.max(((i + 0.5) * from) / to - 0.5, 0);
    first[i] = Math.min(Math.floor(place), from - 1);
    next[i] = first[i] + 1 < from ? 1 : 0;
    share[i] = place - first[i];
  }
  return { first, next, share };
}

/**
 * Enlarged, bilinear. A field that has the size already is given as it is.
 *
 * @param {Float32Array} values @param {number} planes @param {number} from @param {number} to sides
 * @param {number} [factor] by which values are multiplied
 */
export function enlarged(values, planes, from, to, factor = 1) {
  if (from === to && factor === 1) return values;
  const { first, next, share } = neighbours(from, to);
  const result = new Float32Array(planes * to * to);
  for (let plane = 0, o = 0; plane < planes; plane++) {
    for (let y = 0; y < to; y++) {
      const upper = (plane * from + first[y]) * from;
      const lower = upper + next[y] * from;
      for (let x = 0; x < to; x++, o++) {
        const [i, j] = [first[x], first[x] + next[x]];
        const above = values[upper + i] + share[x] * (values[upper + j] - values[upper + i]);
        const below = values[lower + i] + share[x] * (values[lower + j] - values[lower + i]);
        result[o] = factor * (above + share[y] * (below - above));
      }
    }
  }
  return result;
}

/**
 * Writes smooth values into a field where it is not known, from around; zero where nothing is known anywhere.
 *
 * @param {Float32Array} values @param {Uint8Array} known a plane of 0 and 1 @param {number} planes @param {number} side
 */
export function fill(values, known, planes, side) {
  if (side < 2) return;
  const { means, some, missing } = pooled(values, known, planes, side);
  if (!missing) return;
  const half = (side + 1) >> 1;
  fill(means, some, planes, half);
  const { first, next, share } = neighbours(half, side);
  const [area, size] = [half * half, side * side];
  for (let y = 0, i = 0; y < side; y++) {
    for (let x = 0; x < side; x++, i++) {
      if (known[i]) continue;
      let a = first[y] * half + first[x];
      let c = a + next[y] * half;
      for (let o = i; o < planes * size; o += size, a += area, c += area) {
        const upper = means[a] + share[x] * (means[a + next[x]] - means[a]);
        const lower = means[c] + share[x] * (means[c + next[x]] - means[c]);
        values[o] = upper + share[y] * (lower - upper);
      }
    }
  }
}

/**
 * The means of what is known in blocks of two by two, where some is, and of how many cells nothing is known.
 *
 * @param {Float32Array} values @param {Uint8Array} known @param {number} planes @param {number} side
 */
function pooled(values, known, planes, side) {
  const half = (side + 1) >> 1;
  const [area, size] = [half * half, side * side];
  const means = new Float32Array(planes * area);
  const some = new Uint8Array(area);
  let missing = 0;
  for (let y = 0, o = 0; y < half; y++) {
    for (let x = 0; x < half; x++, o++) {
      const a = 2 * y * side + 2 * x;
      const right = 2 * x + 1 < side ? 1 : 0;
      const down = 2 * y + 1 < side ? side : 0;
      const ka = known[a];
      const kb = right && known[a + right];
      const kc = down && known[a + down];
      const kd = right && down && known[a + right + down];
      const count = ka + kb + kc + kd;
      missing += (right ? 2 : 1) * (down ? 2 : 1) - count;
      if (!count) continue;
      some[o] = 1;
      for (let plane = 0, i = a, k = o; plane < planes; plane++, i += size, k += area) {
        const sum = ka * values[i] + kb * values[i + right] + kc * values[i + down] + kd * values[i + right + down];
        means[k] = sum / count;
      }
    }
  }
  return { means, some, missing };
}
