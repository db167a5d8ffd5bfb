/**
 * Clock of steps that are due. The screen's refreshes drive it, so that a hidden page rests; what is due between two of them does not wait
 * for the second.
 */

const REFRESH_MS = 17;
const EARLY_MS = 1; // a timer may be this much too soon

export const AS_FAST_AS_POSSIBLE = Infinity; // steps a second

export class Pace {
  /** @param {() => boolean} isWanted whether there is anything to do @param {() => void} ask for a step */
  constructor(isWanted, ask) {
    this.isWanted = isWanted;
    this.ask = ask;
    this.ticking = false;
    this.due = 0;
  }

  /** Goes on, where there is something to do. */
  go() {
    if (this.ticking || !this.isWanted()) return;
    this.ticking = true;
    requestAnimationFrame((now) => this.#tick(now));
  }

  /** @param {number} now */
  #tick(now) {
    this.ticking = false;
    const wait = this.due - now;
    if (wait <= 0) this.#ask();
    else if (wait < REFRESH_MS) setTimeout(() => this.#ask(), wait);
    this.go();
  }

  #ask() {
    if (this.due - performance.now() < EARLY_MS && this.isWanted()) this.ask(); // two of these may come for one step
  }

  /** A step was asked for; what is late by more than a step is not made up for. @param {number} rate steps a second */
  took(rate) {
    const [now, period] = [performance.now(), 1000 / rate];
    this.due = now - this.due > period ? now + period : this.due + period;
  }
}
