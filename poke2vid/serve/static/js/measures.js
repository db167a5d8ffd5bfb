/** Measurements of speed. */

/** @typedef {import('./player.js').Player} Player */

const KEPT_TIMES = 240;

/** The times of the latest frames. */
export class Measures {
  constructor() {
    this.latencies = /** @type {number[]} */ ([]);
    this.stepTimes = /** @type {number[]} */ ([]);
    this.shownAt = /** @type {number[]} */ ([]);
  }

  /** A frame was drawn just now. @param {number} stepMs @param {(number|undefined)[]} since time stamps of the pokes that it is the first to show */
  shown(stepMs, since) {
    const now = performance.now();
    for (const stamp of since) if (stamp !== undefined) push(this.latencies, now - stamp);
    push(this.stepTimes, stepMs);
    push(this.shownAt, now);
  }

  /** Frames a second, milliseconds a step, and from a poke to the frame that shows it. */
  summary() {
    const now = performance.now();
    return {
      fps: this.shownAt.filter((at) => now - at < 1000).length,
      stepMs: quantile(this.stepTimes, 0.5),
      latencyP50: quantile(this.latencies, 0.5),
      latencyP95: quantile(this.latencies, 0.95),
      latencies: this.latencies.length,
    };
  }
}

/** Times in milliseconds, of what was drawn lately, and how. @param {Player} player */
export function statsOf({ measures, time, asleep, engine, compositor }) {
  const { backend, threads } = engine.info;
  return { ...measures.summary(), frames: time, asleep, backend, threads, compositor: compositor?.kind ?? null };
}

/** @param {number[]} values @param {number} value */
function push(values, value) {
  values.push(value);
  if (values.length > KEPT_TIMES) values.shift();
}

/** @param {number[]} values @param {number} share */
function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : null;
}
