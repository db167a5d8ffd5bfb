/** Map of what moves along with a point, from what the encoder says of a touch there: nothing is poked, nothing rolled out. */

import { enlarged } from '../../fields.js';
import { cellsOf } from './drive.js';
import { SIDE, SWING, SWING_SIDE, gate } from './field.js';
import { sigmoid } from './swing.js';

/** @typedef {import('./live.js').TouchState} TouchState */
/** @typedef {import('../types.js').Pair} Pair */

const SURE = 0.5; // of what moves along: a map that says less anywhere is not stretched to one that says all

/**
 * @param {TouchState} state
 * @param {Pair} at in model pixels
 * @param {<T>(job: () => Promise<T>) => Promise<T>} inTurn runs a job between the steps of the live session
 * @param {(share: number) => void} onProgress
 * @returns {Promise<Float32Array>} `r r`, in 0 ... 1; zero where there is nothing to hold
 */
export async function heat(state, at, inTurn, onProgress) {
  const { influence, holds } = await inTurn(() => state.touchAt(at));
  onProgress(1);
  const r = state.encoder.resolution;
  if (!holds) return new Float32Array(r * r);
  const along = enlarged(cellsOf(influence, SWING, 1).map(sigmoid), 1, SWING_SIDE, SIDE);
  const parts = along.map((share, i) => share * gate(state.now.mask[i]));
  const most = Math.max(SURE, parts.reduce((a, b) => Math.max(a, b), 0));
  return enlarged(parts, 1, SIDE, r, 1 / most);
}
