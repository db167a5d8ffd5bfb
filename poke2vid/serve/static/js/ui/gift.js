/** A link that somebody sent: its picture is opened and what was done to it played, while the visitor's own is kept. */

import { carriedBy } from '../link.js';
import { parseScript } from '../parse.js';
import { readPicture } from '../picture/read.js';
import { pictureOfExample } from './examples.js';
import { toast } from './pages.js';

/** @typedef {import('../canvas.js').Picture} Picture */
/** @typedef {import('../script.js').Script} Script */
/** @typedef {import('./intake.js').Example} Example */
/** @typedef {{picture: Picture, example: Example|null, script: Script}} Gift */

/**
 * Content of the page's address; null where there is none, or none that can be played, which is said.
 *
 * @param {Example[]} examples
 * @returns {Promise<Gift|null>}
 */
export async function giftOf(examples) {
  try {
    const carried = await carriedBy(location.hash);
    if (!carried) return null;
    const example = examples.find(({ file }) => file === carried.example) ?? null;
    if (!example && !carried.file) throw new Error('The example of this link is not here, so the page opens as usual.');
    const { file, name } = carried;
    const picture = example ? await pictureOfExample(example) : await readPicture(/** @type {Blob} */ (file), name);
    return { picture, example, script: parseScript(JSON.stringify(carried.script), picture) };
  } catch (error) {
    forgetLink();
    const { message } = /** @type {Error} */ (error);
    toast(message, 'done', { label: 'All right', act: () => {} }); // what succeeds here does not end it, and it can be read
    return null;
  }
}

/** Takes the link off the address. */
export function forgetLink() {
  if (location.hash) history.replaceState(null, '', location.pathname + location.search);
}
