/** Scripts that come in: what is wrong in one is listed, and one that was made for another picture asks first. */

import { ScriptFaults } from '../parse.js';
import { byId, toast } from './pages.js';

const TOLD = 2; // faults that a short message names

let lastQuestion = 0;

/** Says what is wrong, with all of a script's faults a press away. @param {Error} error */
export function complain(error) {
  if (!(error instanceof ScriptFaults) || error.faults.length <= TOLD) return toast(error.message);
  const { faults } = error;
  const few = `The poke script is wrong: ${faults.slice(0, TOLD).join('; ')}; and ${faults.length - TOLD} more.`;
  toast(few, 'error', { label: 'Show all', act: () => list(faults) });
}

/** @param {string[]} faults */
function list(faults) {
  byId('faults').replaceChildren(
    ...faults.map((fault) => Object.assign(document.createElement('li'), { textContent: fault })),
  );
  byId('faults-dialog').showModal();
}

/**
 * Asks where a script of another picture shall be played.
 *
 * @param {string} made name of the picture that it was made for
 * @param {string} shown name of the one that is there
 * @param {boolean} isThere whether the page has that picture, too
 * @returns {Promise<'here'|'there'|''>} nowhere, where it was closed
 */
export function placeFor(made, shown, isThere) {
  const dialog = byId('ask-dialog');
  byId('ask-text').textContent = `It was made for ${made}. On ${shown} it pokes the same places, whatever is there.`;
  byId('ask-here').textContent = `Play it on ${shown}`;
  byId('ask-there').textContent = `Open ${made} and play`;
  byId('ask-there').hidden = !isThere;
  dialog.returnValue = '';
  dialog.showModal();
  const mine = ++lastQuestion;
  return new Promise((resolve) => {
    const closed = () => {
      const isLast = mine === lastQuestion;
      if (isLast && dialog.open) return; // the news that an earlier question was closed comes late
      dialog.removeEventListener('close', closed);
      resolve(isLast ? /** @type {'here'|'there'|''} */ (dialog.returnValue) : '');
    };
    dialog.addEventListener('close', closed);
  });
}
