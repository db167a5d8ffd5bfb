/**
 * The visit that comes back: the picture and all that was done to it, kept in this browser while it is done. An example that
 * nobody has touched is not kept, and nothing is where the window has no storage.
 */

import { clearStore, store, stored } from '../store.js';
import { drop, keep } from './pages.js';

/** @typedef {import('../canvas.js').Picture} Picture */
/** @typedef {import('../player.js').Past} Past */
/** @typedef {import('../player.js').Player} Player */
/** @typedef {import('./intake.js').Example} Example */
/** @typedef {{id: string, name: string, file: Blob, example: Example|null}} KeptPicture */
/** @typedef {{file: Blob, name: string, example: Example|null, past: Past|null}} Kept */

const WRITE_MS = 500; // between two writings: a few thousand events take milliseconds

export class Visit {
  /** @type {Picture|null} */
  #picture = null;
  /** @type {Example|null} */
  #example = null;
  #id = ''; // of the picture as it is stored; none while it is not
  #written = ''; // what was stored of what was done
  #holds = true; // the store may hold something
  #timer = 0;
  #queue = Promise.resolve();

  /** @param {() => Player|null} player */
  constructor(player) {
    this.player = player;
    document.addEventListener('visibilitychange', () => document.hidden && this.#write());
    window.addEventListener('pagehide', () => this.#write());
  }

  /** Another picture is on the stage. @param {Picture} picture @param {Example|null} example */
  opened(picture, example) {
    if (picture === this.#picture) return;
    this.#picture = picture;
    this.#example = example;
    this.#id = this.#written = '';
    this.changed();
  }

  /** Something was done, or will be written together with what was. */
  changed() {
    this.#timer ||= window.setTimeout(() => this.#write(), WRITE_MS);
  }

  /** The last visit; null where there is none. @returns {Promise<Kept|null>} */
  async last() {
    try {
      const picture = /** @type {KeptPicture|undefined} */ (await stored('picture'));
      const done = await stored('done');
      return picture ? { ...picture, past: done?.id === picture.id ? done.past : null } : null;
    } catch {
      return null; // no storage in this window
    }
  }

  /** Nothing of it stays in this browser. */
  async forget() {
    this.#picture = null; // so that nothing is written meanwhile
    await this.#queue;
    await clearStore().catch(() => {});
    drop('kept');
  }

  #write() {
    clearTimeout(this.#timer);
    this.#timer = 0;
    const player = this.player();
    const picture = this.#picture;
    if (!player || player.recalls || !picture || player.picture !== picture) return;
    const past = player.past();
    const now = past ? JSON.stringify([past.script.frames, past.script.events.length, past.pins, past.recording, past.aside?.length, past.later?.tail.end]) : '';
    if (this.#id && now === this.#written) return;
    const isWorth = past !== null || this.#example === null;
    if (!isWorth && !this.#id) {
      if (this.#holds) void this.#then(clearStore); // what an earlier picture left
      this.#holds = false;
      drop('kept');
      return;
    }
    this.#written = now;
    this.#holds = true;
    keep('kept', 'yes'); // so that the next visit does not begin with an example
    this.#id ||= `${Date.now()} ${Math.random()}`;
    const [id, example] = [this.#id, this.#example];
    void this.#then(async () => {
      const before = await stored('picture');
      if (before?.id !== id) await store('picture', { id, name: picture.name, file: await fileOf(picture), example });
      await store('done', { id, past });
    });
  }

  /** Writes in the order of asking. @param {() => Promise<any>} job */
  #then(job) {
    this.#queue = this.#queue.then(job).catch(() => {}); // no storage, or no room: the page works all the same
    return this.#queue;
  }
}

/** The picture's own file, or one of its pixels. @param {Picture} picture @returns {Promise<Blob>} */
async function fileOf({ file, source }) {
  if (file) return file;
  return new Promise((resolve, reject) => {
    source.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('It cannot be kept.'))), 'image/png');
  });
}
