/** Jobs done one after another: what is asked of an engine waits for what it is doing. */
export class Turns {
  inFlight = false;
  #last = Promise.resolve();

  /** @param {(error: Error) => void} onError told of a job that fails; the next one is done all the same */
  constructor(onError) {
    this.onError = onError;
  }

  /** Does a job in its turn; undefined where it fails. @template T @param {() => Promise<T>} job @returns {Promise<T|undefined>} */
  run(job) {
    this.inFlight = true;
    const turn = this.#last.then(job).catch((error) => void this.onError(error)).finally(() => {
      if (this.#last === last) this.inFlight = false;
    });
    const last = (this.#last = turn.then(() => {}));
    return /** @type {Promise<T|undefined>} */ (turn);
  }
}
