/** Ways from the save dialog to other people: the device's share sheet, a link, a line for other web pages. */

import { linkOf } from '../link.js';
import { download } from '../record.js';
import { byId, toast } from './pages.js';

/** @typedef {import('../canvas.js').Picture} Picture */
/** @typedef {import('../script.js').Script} Script */
/**
 * Deeds on a picture as they are sent; no script where nothing moved.
 *
 * @typedef {{picture: Picture, example: string|null, script: Script|null}} Sent
 */

const FRAME = 'width="100%" height="640" style="border:0" loading="lazy" allow="clipboard-write; camera; web-share"';

/** True where the page lies on a web host of its own, so that others reach it. */
let isPublic = false;

/** @param {() => Sent|null} sent @param {() => void} share makes the video and passes it on */
export function bindSending(sent, share) {
  byId('send-file').addEventListener('click', share);
  byId('send-link').addEventListener('click', () => void offer(sent(), (link) => link));
  byId('send-embed').addEventListener('click', () => void offer(sent(), (link) => frameOf(link)));
  byId('sent').addEventListener('focus', () => byId('sent').select());
}

/** Offers links, which only others' browsers that reach this page can open. */
export function allowLinks() {
  isPublic = true;
}

/** Shows the ways that there are. @param {boolean} hasMoved */
export function showSending(hasMoved) {
  byId('send-file').hidden = !canShare(new File([''], 'poke2vid.mp4', { type: 'video/mp4' }));
  byId('send-link').hidden = byId('send-embed').hidden = !isPublic;
  for (const id of ['send-file', 'send-link']) byId(id).disabled = !hasMoved;
  byId('send').hidden = ['send-file', 'send-link', 'send-embed'].every((id) => byId(id).hidden);
  byId('sent').hidden = true;
  byId('send-what').textContent = '';
}

/** @param {File} file */
const canShare = (file) => navigator.canShare?.({ files: [file] }) ?? false;

/**
 * Hands a file to the device's share sheet, at once or by one press more: making it may take longer than a press counts. Saves it
 * where that fails.
 *
 * @param {File} file @param {string} made how large it is
 */
export async function shareFile(file, made) {
  const share = () => navigator.share({ files: [file], title: 'poke2vid' });
  const otherwise = (/** @type {() => void} */ next) => (/** @type {Error} */ { name }) => {
    if (name !== 'AbortError') next(); // else: not now
  };
  const ask = () => toast(`It is ready (${made}).`, 'done', { label: 'Share…', act: () => void share().catch(otherwise(save)) });
  const save = () => download(file, file.name);
  await share().catch(otherwise(ask));
}

/**
 * Says that a file is saved and, where the device can, passes it on.
 *
 * @param {File} file @param {string} made how large it is, where that may surprise
 */
export function tellSaved(file, made) {
  const share = { label: 'Share…', act: () => void shareFile(file, made) };
  toast(`Saved ${file.name}${made ? ` (${made})` : ''}.`, 'done', canShare(file) ? share : undefined);
}

/** Copies a link, or what is made of it, and shows it. @param {Sent|null} sent @param {(link: string) => string} textOf */
async function offer(sent, textOf) {
  if (!sent) return;
  const said = byId('send-what');
  try {
    const { link, note } = await addressOf(sent);
    byId('sent').value = textOf(link);
    byId('sent').hidden = false;
    byId('sent').select();
    said.textContent = `${(await copied(byId('sent').value)) ? 'Copied.' : 'Copy this text.'} ${note}`;
  } catch (error) {
    said.textContent = /** @type {Error} */ (error).message;
  }
}

/** Copies a text, which is also selected; whether it did. @param {string} text */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return document.execCommand('copy'); // within a page that does not let it write
  }
}

/** The page's address, with what was done where something was. @param {Sent} sent */
async function addressOf({ picture, example, script }) {
  const page = location.origin + location.pathname;
  if (!script) return { link: page, note: 'It shows this page as it opens.' };
  const { link, size } = await linkOf(page, script, picture, example);
  if (example) return { link, note: 'Who opens it sees what you did.' };
  const small = size ? `, smaller than yours: ${size[0]} × ${size[1]} pixels` : '';
  return { link, note: `Who opens it sees what you did. It carries your picture${small}; no server gets that.` };
}

/** @param {string} link */
const frameOf = (link) => `<iframe src="${link}" title="A picture that moves when it is poked" ${FRAME}></iframe>`;
