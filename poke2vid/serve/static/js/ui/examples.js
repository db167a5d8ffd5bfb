/** Parts of the page that are fetched when they are asked for: its examples, with the scripts that show them move. */

import { parseScript } from '../parse.js';
import { readPicture } from '../picture/read.js';

/** @typedef {import('./intake.js').Example} Example */

const BASE = new URL('./', location.href).href;

/** @param {string} path */
export async function json(path) {
  const response = await fetch(new URL(path, BASE)).catch(() => null);
  if (!response?.ok) throw new Error(`A part of the page is missing (${path}); check the connection and try again.`);
  return response.json();
}

/** @param {Example} example */
export async function pictureOfExample({ file, title }) {
  const response = await fetch(new URL(`examples/${file}`, BASE)).catch(() => null);
  if (!response?.ok) throw new Error(`The example ${title} cannot be fetched; try again.`);
  return readPicture(await response.blob(), file);
}

/** Script that shows an example move. @param {Example} of */
export async function scriptOf(of) {
  const response = await fetch(new URL(`examples/${of.script}`, BASE)).catch(() => null);
  if (!response?.ok) throw new Error('The script of this example cannot be fetched; try again.');
  return parseScript(await response.text());
}
