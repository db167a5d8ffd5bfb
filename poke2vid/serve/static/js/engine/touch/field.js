/** The grid on which a response lives, whatever the picture's size (poke2vid/model/touch_encoder.py). */

export const SIDE = 64;
export const SIZE = SIDE * SIDE;
/** Influence maps have cells of two by two pixels. */
export const CELLS = SIDE / 2;
export const AREA = CELLS * CELLS;
/** Functions of a shift that an influence has coefficients of; the row after them holds the maps of time. */
export const BASIS = 7;
/** Maps of an influence for one of those functions: dx of a cell's four pixels, then dy. */
export const PER_CELL = 8;
/** Maps of time, of `SWING_SIDE` cells a side: those of a law, two more of what is pushed, six of what stays where it is put. */
export const SWING = 15;
export const LAW = 7;
export const SWING_SIDE = 16;

/** @typedef {import('../types.js').Pair} Pair */

/** A location of the model's frames in pixels of the field. @param {Pair} at @param {number} r @returns {Pair} */
export function toField([x, y], r) {
  const scale = SIDE / r;
  return [scale * x + (scale - 1) / 2, scale * y + (scale - 1) / 2];
}

/** The share of a response that a pixel with the objectness o follows. @param {number} o */
export const gate = (o) => Math.min(2 * o, 1);
