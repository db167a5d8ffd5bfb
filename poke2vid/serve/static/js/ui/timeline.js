/** The timeline under the picture: when each poke began, how long it was held, and a playhead that goes to any moment. */

import { colourOf } from './arrows.js';
import { usualRate } from './controls.js';
import { byId } from './pages.js';

/** @typedef {import('../player.js').Player} Player */
/** @typedef {import('../player/spans.js').Span} Span */

const LOOK_MS = 100; // between two drawings while frames come: calm, and next to no work
const INSET = 4; // half the playhead's width, as in app.css
const LANES = [1, 0, 2]; // rows that pokes at the same time take, the middle one first

export class TimelineBar {
  #timer = 0;

  /** @param {() => Player|null} player @param {() => void} onSeek */
  constructor(player, onSeek) {
    this.player = player;
    const slider = byId('moment');
    const seek = async () => player()?.seek(Number(slider.value));
    slider.addEventListener('input', () => {
      onSeek();
      void seek();
    });
    slider.addEventListener('change', () => void seek().then(() => player()?.resume()));
    new ResizeObserver(() => this.#show()).observe(byId('timeline'));
  }

  /** Something may be other than it is shown. */
  changed() {
    this.#timer ||= window.setTimeout(() => {
      this.#timer = 0;
      this.#show();
    }, LOOK_MS);
  }

  #show() {
    const player = this.player();
    const spans = !player || player.nobodys ? [] : player.spans;
    byId('timeline').hidden = spans.length === 0;
    if (!player || !spans.length) return;
    const { playhead, end } = player;
    const slider = byId('moment');
    slider.max = String(end);
    slider.value = String(playhead);
    slider.setAttribute('aria-valuetext', told(player, spans));
    draw(spans, end);
  }
}

/** The moment in words. @param {Player} player @param {Span[]} spans */
function told(player, spans) {
  const { playhead: time, end } = player;
  const seconds = (/** @type {number} */ frames) => (frames / usualRate(player)).toFixed(1);
  const held = spans.filter(({ from, to }) => from < time && time <= (to ?? end)).length;
  const touched = held === 0 ? 'nothing is held' : held === 1 ? 'one poke is held' : `${held} pokes are held`;
  return `${seconds(time)} of ${seconds(end)} seconds, ${touched}`;
}

/** @param {Span[]} spans @param {number} end */
function draw(spans, end) {
  const canvas = byId('timeline-pokes');
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  const place = (/** @type {number} */ frame) => INSET + (frame / Math.max(end, 1)) * (width - 2 * INSET);
  const taken = LANES.map(() => -1); // the frame until which each is
  const thick = height / LANES.length;
  for (const { pointer, from, pinned, to } of spans) {
    const until = to ?? end;
    const free = Math.max(taken.findIndex((frame) => frame <= from), 0);
    taken[free] = until;
    const y = (LANES[free] + 0.5) * thick;
    context.strokeStyle = context.fillStyle = colourOf(pointer);
    line(context, place(from), place(until), y, 0.7 * thick);
    if (pinned !== null) line(context, place(pinned), place(until), y, 1.3 * thick);
    dot(context, place(from), y, 0.7 * thick);
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} from @param {number} to @param {number} y @param {number} thick */
function line(context, from, to, y, thick) {
  context.beginPath();
  context.lineCap = 'round';
  context.lineWidth = thick;
  context.moveTo(from, y);
  context.lineTo(to, y);
  context.stroke();
}

/** @param {CanvasRenderingContext2D} context @param {number} x @param {number} y @param {number} radius */
function dot(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}
