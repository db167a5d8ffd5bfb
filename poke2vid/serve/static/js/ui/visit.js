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
/** Deeds on a picture; `taken` were taken away by starting over. @typedef {{file: Blob, name: string, example: Example|null, past: Past|null, taken: Past|null}} Kept */

const WRITE_MS = 500; // between two writings: a few thousand events take milliseconds

export class Visit {
  /** @type {Picture|null} */
  #picture = null;
  /** @type {Example|null} */
  #example = null;
  #id = ''; // of the picture as it is stored; none while it is not
  #written = ''; // what was stored of what was done
  #timer = 0;
  #queue = Promise.resolve();

  /** @param {() => Player|null} player */
  constructor(player) {
    this.player = player;
    document.addEventListener('visibilitychange', () => document.hidden && this.#write());
    window.addEventListener('pagehide', () => this.#write());
    window.addEventListener('pointerup', () => this.changed()); // where it is paused, no frame tells how far a finger went
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

  /** The last visit, and the picture before in it; null where there is none. @returns {Promise<Kept & {before: Kept|null}|null>} */
  async last() {
    try {
      const picture = await keptPicture();
      return picture && { ...picture, before: (await stored('before')) ?? null };
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
    const [past, taken] = [player.past(), player.taken];
    const [done, gone] = [past, taken].map((one) => one && [
      one.script.frames, one.script.events.length, one.pins, one.recording, one.aside?.length, one.later?.tail.end,
    ]);
    const now = JSON.stringify([done, gone, player.pending]);
    if (this.#id && now === this.#written) return;
    const isWorth = past !== null || taken !== null || this.#example === null;
    if (!isWorth && !this.#id) return; // what was done before is kept until there is something else to keep
    this.#written = now;
    keep('kept', 'yes'); // so that the next visit does not begin with an example
    this.#id ||= `${Date.now()} ${Math.random()}`;
    const [id, example] = [this.#id, this.#example];
    void this.#then(async () => {
      if ((await stored('picture'))?.id !== id) await change({ id, name: picture.name, file: await fileOf(picture), example });
      await store('done', { id, past, taken });
    });
  }

  /** Writes in the order of asking. @param {() => Promise<any>} job */
  #then(job) {
    this.#queue = this.#queue.then(job).catch(() => {}); // no storage, or no room: the page works all the same
    return this.#queue;
  }
}

/** The picture that is kept, with what was done to it. @returns {Promise<KeptPicture & Kept|null>} */
async function keptPicture() {
  const picture = /** @type {KeptPicture|undefined} */ (await stored('picture'));
  const done = await stored('done');
  const isIts = done?.id === picture?.id;
  return picture ? { ...picture, past: (isIts && done?.past) || null, taken: (isIts && done?.taken) || null } : null;
}

/** Keeps another picture; the one before, if anything was done to it, until another one takes its place. @param {KeptPicture} picture */
async function change(picture) {
  const last = await keptPicture();
  const before = last?.past || last?.taken ? last : await stored('before');
  const isBack = before?.name === picture.name && before?.file.size === picture.file.size;
  await store('before', isBack ? null : before ?? null);
  await store('picture', picture);
}

/** The picture's own file, or one of its pixels. @param {Picture} picture @returns {Promise<Blob>} */
async function fileOf({ file, source }) {
  if (file) return file;
  return new Promise((resolve, reject) => {
    source.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('It cannot be kept.'))), 'image/png');
  });
}

/** Label of the way back to a picture. @param {{name: string}|{picture: Picture}} before */
export const backTo = (before) => `Back to ${'picture' in before ? before.picture.name : before.name}`;
