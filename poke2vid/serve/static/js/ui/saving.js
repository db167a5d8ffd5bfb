/** The dialog in which a video, a picture or a script is saved. */

import { download, frameOf, video } from '../record.js';
import { MAX_FRAMES } from '../script.js';
import { usualRate } from './controls.js';
import { byId, openDialog, toast } from './pages.js';

/** @typedef {import('../player.js').Player} Player */
/** @typedef {import('../record.js').Format} Format */

/** @typedef {() => {baseUrl: string, prefer: 'auto'|'webgpu'|'wasm'|'server'}} How of the engine that a video is made with */

/** @type {AbortController|null} */
let saving = null;

/** @param {() => Player|null} player @param {How} how */
export function bindSaving(player, how) {
  for (const button of choices()) button.addEventListener('click', () => void save(button.dataset.save ?? '', player(), how));
  byId('save-cancel').addEventListener('click', () => saving?.abort());
  byId('save-dialog').addEventListener('close', () => saving?.abort());
  byId('only-recorded').addEventListener('change', () => describe(player()));
}

/** @returns {HTMLButtonElement[]} */
const choices = () => [...document.querySelectorAll('.choice')].map((button) => /** @type {HTMLButtonElement} */ (button));

/** @param {Player|null} player */
export function openSave(player) {
  if (!player?.picture) return;
  if (player.recording?.to === null) player.record(); // what was recorded so far
  byId('only-recorded-label').hidden = !player.recording;
  byId('only-recorded').checked = true;
  byId('save-error').hidden = true;
  describe(player);
  openDialog('save-dialog');
}

/** @param {Player} player */
const chosenRange = (player) => player.range(Boolean(player.recording && byId('only-recorded').checked));

/** @param {Player|null} player */
function describe(player) {
  if (!player) return;
  const { from, to } = chosenRange(player);
  const seconds = ((to - from) / usualRate(player)).toFixed(1);
  const what = player.recording && byId('only-recorded').checked ? 'the part you recorded' : 'everything since the picture was opened';
  const late = from > 0 && to > MAX_FRAMES ? ` A script holds ${MAX_FRAMES} frames, so yours begins at rest later on.` : '';
  byId('save-what').textContent = to > from ? `${seconds} seconds: ${what}.${late}` : 'Nothing has moved yet. Poke first to save a video.';
  for (const button of choices()) button.disabled = to <= from && button.dataset.save !== 'png';
}

/** @param {string} kind @param {Player|null} player @param {How} how */
async function save(kind, player, how) {
  if (!player?.picture || saving) return;
  saving = new AbortController();
  byId('save-error').hidden = true;
  try {
    const name = player.picture.name.replace(/\.[^.]*$/, '') || 'poked';
    const { blob, file } = await made(kind, name, player, how, saving.signal);
    download(blob, file);
    byId('save-dialog').close();
    offerShare(new File([blob], file, { type: blob.type }));
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    byId('save-error').textContent = message;
    byId('save-error').hidden = name === 'AbortError';
  } finally {
    saving = null;
    byId('save-progress').hidden = true;
    describe(player);
    choices().find((button) => button.dataset.save === kind)?.focus(); // what had it is hidden now
  }
}

/** @param {string} kind @param {string} name @param {Player} player @param {How} how @param {AbortSignal} signal */
async function made(kind, name, player, how, signal) {
  if (kind === 'png') return { blob: await frameOf(player), file: `${name}.png` };
  const { from, to } = chosenRange(player);
  if (kind === 'json') {
    // From the start where it can be, so that it gives the same frames again; a part would begin at rest.
    const script = JSON.stringify(player.script({ from: to > MAX_FRAMES ? from : 0, to }), null, 1);
    return { blob: new Blob([script], { type: 'application/json' }), file: `${name}-pokes.json` };
  }
  const whole = player.script({ from: 0, to });
  if (!whole || !player.picture) throw new Error('Nothing has moved yet. Poke first to save a video.');
  showProgress(0);
  byId('save-progress').hidden = false;
  for (const button of choices()) button.disabled = true;
  byId('save-cancel').focus();
  const blob = await video(/** @type {Format} */ (kind), whole, player.picture, {
    ...how(), fps: usualRate(player), from, arrows: byId('arrows').checked, signal, onProgress: showProgress,
  });
  return { blob, file: `${name}.${kind}` };
}

/** @param {number} share */
function showProgress(share) {
  byId('save-bar').value = share;
  byId('save-share').textContent = `${Math.round(100 * share)} %`;
}

/** Says that a file is there and, where the device can, passes it on. @param {File} file */
function offerShare(file) {
  const canShare = navigator.canShare?.({ files: [file] });
  const share = () => void navigator.share({ files: [file], title: 'poke2vid' }).catch(() => {}); // not now, then
  toast(`Saved ${file.name}.`, 'done', canShare ? { label: 'Share…', act: share } : undefined);
}
