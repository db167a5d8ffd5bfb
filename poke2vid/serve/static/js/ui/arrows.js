/** Drawing of pokes, over the picture and in videos. */

/** @typedef {import('../engine/types.js').Pair} Pair */
/** @typedef {CanvasRenderingContext2D|OffscreenCanvasRenderingContext2D} Context */

export const COLOURS = ['#ff4f72', '#20c4a0', '#ffb02e', '#5a9dff', '#bf7bff'];
const SHADOW = 'rgba(10,12,16,.5)';
const SLACK = 10; // pixels between a finger and what it holds that are not worth showing
const DASHES = [2, 9];

/** One a finger. @param {number} pointer */
export const colourOf = (pointer) => COLOURS[Math.abs(pointer) % COLOURS.length];

/**
 * An arrow from what was grabbed to where it shall go.
 *
 * @param {Context} context
 * @param {Pair} from @param {Pair} to @param {string} colour @param {boolean} pinned @param {number} [unit] of lines, in pixels
 */
export function drawPoke(context, from, to, colour, pinned, unit = 1) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = Math.hypot(dx, dy);
  context.lineCap = context.lineJoin = 'round';
  const head = Math.min(12 * unit, length * 0.6);
  const angle = Math.atan2(dy, dx);
  for (const [stroke, width] of /** @type {[string, number][]} */ ([[SHADOW, 8], ['#fff', 6], [colour, 3.5]])) {
    context.strokeStyle = stroke;
    context.lineWidth = width * unit;
    context.beginPath();
    if (length > 4 * unit) {
      context.moveTo(from[0], from[1]);
      context.lineTo(to[0], to[1]);
      for (const side of pinned ? [] : [-0.55, 0.55]) {
        context.moveTo(to[0], to[1]);
        context.lineTo(to[0] - head * Math.cos(angle + side), to[1] - head * Math.sin(angle + side));
      }
    }
    context.stroke();
  }
  drawDot(context, from, unit, [[8, SHADOW], [7, '#fff'], [4.5, colour]]);
  if (pinned) drawDot(context, to, unit, pinOf(colour));
}

/**
 * An arrow to where the grabbed point really is, and from there a dotted line to the finger that it cannot follow.
 *
 * @param {Context} context
 * @param {Pair} from @param {Pair|null} reached null where nobody can tell @param {Pair} to @param {string} colour @param {boolean} pinned
 * @param {number} [unit] of lines, in pixels
 */
export function drawHold(context, from, reached, to, colour, pinned, unit = 1) {
  const isBehind = reached !== null && Math.hypot(to[0] - reached[0], to[1] - reached[1]) > SLACK * unit;
  if (!isBehind) return drawPoke(context, from, to, colour, pinned, unit);
  context.lineCap = 'round';
  context.setLineDash(DASHES.map((dash) => dash * unit));
  for (const [stroke, width] of /** @type {[string, number][]} */ ([[SHADOW, 5.5], ['#fff', 3.5]])) {
    context.strokeStyle = stroke;
    context.lineWidth = width * unit;
    context.beginPath();
    context.moveTo(...reached);
    context.lineTo(...to);
    context.stroke();
  }
  context.setLineDash([]);
  drawPoke(context, from, reached, colour, false, unit);
  drawDot(context, to, unit, pinned ? pinOf(colour) : [[6, SHADOW], [5, '#fff']]);
}

/** Rings of a pin. @param {string} colour @returns {[number, string][]} */
const pinOf = (colour) => [[11, SHADOW], [10, '#fff'], [8, colour], [3, '#fff']];

/** @param {Context} context @param {Pair} at @param {number} unit @param {[number, string][]} rings from the outer one inwards */
function drawDot(context, at, unit, rings) {
  for (const [radius, fill] of rings) {
    context.fillStyle = fill;
    context.beginPath();
    context.arc(at[0], at[1], radius * unit, 0, 2 * Math.PI);
    context.fill();
  }
}

/** The point whose heat is shown. @param {Context} context @param {Pair} at */
export function drawMark(context, at) {
  drawDot(context, at, 1, [[9, SHADOW], [8, '#fff'], [5, '#101216']]);
}

/** Place that keys would grab. @param {Context} context @param {Pair} at */
export function drawCross(context, [x, y]) {
  context.lineCap = 'round';
  for (const [colour, width] of /** @type {[string, number][]} */ ([['rgba(10,12,16,.7)', 5], ['#fff', 2.2]])) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + 5 * dx, y + 5 * dy);
      context.lineTo(x + 15 * dx, y + 15 * dy);
    }
    context.stroke();
  }
}
