/** The dialog in which a video, a picture or a script is saved; all of them of the moment in which it was opened. */

import { download, frameOf, video } from '../record.js';
import { MAX_FRAMES } from '../script.js';
import { usualRate } from './controls.js';
import { byId, openDialog } from './pages.js';
import { bindSending, shareFile, showSending, tellSaved } from './sending.js';

/** @typedef {import('../player.js').Player} Player */
/** @typedef {import('../record.js').Format} Format */
/** @typedef {import('../script.js').Script} Script */

/** @typedef {() => {baseUrl: string, prefer: 'auto'|'webgpu'|'wasm'|'server'}} How of the engine that a video is made with */

/**
 * A moment, and what led to it; the picture may go on meanwhile.
 *
 * @typedef {object} Moment
 * @property {import('../record.js').Shown} shown
 * @property {string|null} example file of the example that is shown
 * @property {number} fps
 * @property {Part} all
 * @property {Part|null} recorded
 */

/**
 * Frames of it: their script as it is saved, and the one from the start that a video needs.
 *
 * @typedef {{from: number, to: number, script: Script|null, whole: Script|null}} Part
 */

/** @type {AbortController|null} */
let saving = null;
/** @type {Moment|null} of which things are saved */
let moment = null;

/** @param {How} how */
export function bindSaving(how) {
  for (const button of choices()) button.addEventListener('click', () => void save(button.dataset.save ?? '', how, keep));
  byId('save-cancel').addEventListener('click', () => saving?.abort());
  byId('save-dialog').addEventListener('close', () => byId('save-dialog').open || saving?.abort()); // the news may come late
  byId('only-recorded').addEventListener('change', describe);
  const sent = () => {
    const picture = moment?.shown.picture;
    return moment && picture ? { picture, example: moment.example, script: chosen(moment).script } : null;
  };
  bindSending(sent, () => void save('mp4', how, shareFile));
}

/** @returns {HTMLButtonElement[]} */
const choices = () => [...document.querySelectorAll('.choice')].map((button) => /** @type {HTMLButtonElement} */ (button));

/** @param {Player|null} player @param {string|null} example file of the example that is shown */
export function openSave(player, example) {
  if (!player?.picture) return;
  if (player.recording?.to === null) player.record(); // what was recorded so far
  byId('only-recorded-label').hidden = !player.recording;
  byId('only-recorded').checked = true;
  byId('save-error').hidden = true;
  if (!byId('save-dialog').open) moment = frozen(player, example);
  describe();
  openDialog('save-dialog');
}

/** The player's moment. @param {Player} player @param {string|null} example @returns {Moment} */
function frozen(player, example) {
  const { picture, canvas, fields, heatMap } = player;
  const part = (/** @type {boolean} */ recorded) => {
    const { from, to } = player.range(recorded);
    // From the start where it can be, so that it gives the same frames again; a part would begin at rest.
    const script = player.script({ from: to > MAX_FRAMES ? from : 0, to });
    return { from, to, script, whole: player.script({ from: 0, to }) };
  };
  return {
    example, fps: usualRate(player), shown: { picture, canvas, fields, heatMap },
    all: part(false), recorded: player.recording && part(true),
  };
}

/** @param {Moment} moment */
const chosen = ({ all, recorded }) => (recorded && byId('only-recorded').checked ? recorded : all);

function describe() {
  if (!moment) return;
  const { from, to } = chosen(moment);
  const seconds = ((to - from) / moment.fps).toFixed(1);
  const what = moment.recorded && byId('only-recorded').checked ? 'the part you recorded' : 'everything since the picture was opened';
  const late = from > 0 && to > MAX_FRAMES ? ` A script holds ${MAX_FRAMES} frames, so yours begins at rest later on.` : '';
  byId('save-what').textContent = to > from ? `${seconds} seconds: ${what}.${late}` : 'Nothing has moved yet. Poke first to save a video.';
  for (const button of choices()) button.disabled = to <= from && button.dataset.save !== 'png';
  showSending(to > from);
}

/**
 * Makes a file and hands it over; what goes wrong is said in the dialog.
 *
 * @param {string} kind @param {How} how @param {(file: File, made: string) => void|Promise<void>} handOver
 */
async function save(kind, how, handOver) {
  if (!moment?.shown.picture || saving) return;
  saving = new AbortController();
  byId('save-error').hidden = true;
  try {
    const name = moment.shown.picture.name.replace(/\.[^.]*$/, '') || 'poked';
    const { blob, file, made } = await fileOf(kind, name, moment, how, saving.signal);
    byId('save-dialog').close();
    void handOver(new File([blob], file, { type: blob.type }), made ?? '');
  } catch (error) {
    const { name, message } = /** @type {Error} */ (error);
    byId('save-error').textContent = message;
    byId('save-error').hidden = name === 'AbortError';
  } finally {
    saving = null;
    byId('save-progress').hidden = true;
    describe();
    choices().find((button) => button.dataset.save === kind)?.focus(); // what had it is hidden now
  }
}

/**
 * A file of a moment, and how large it became where it may surprise.
 *
 * @param {string} kind @param {string} name @param {Moment} of @param {How} how @param {AbortSignal} signal
 * @returns {Promise<{blob: Blob, file: string, made?: string}>}
 */
async function fileOf(kind, name, of, how, signal) {
  const { shown, fps } = of;
  if (kind === 'png') {
    beBusy();
    const cancelled = new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const blob = await Promise.race([frameOf(shown, showProgress), /** @type {Promise<never>} */ (cancelled)]);
    return { blob, file: `${name}.png`, made: `${shown.picture?.width} × ${shown.picture?.height} pixels` };
  }
  const { from, script, whole } = chosen(of);
  if (kind === 'json') {
    return { blob: new Blob([JSON.stringify(script, null, 1)], { type: 'application/json' }), file: `${name}-pokes.json` };
  }
  if (!whole || !shown.picture) throw new Error('Nothing has moved yet. Poke first to save a video.');
  beBusy();
  const { blob, made } = await video(/** @type {Format} */ (kind), whole, shown.picture, {
    ...how(), fps, from, arrows: byId('arrows').checked, signal, onProgress: showProgress,
  });
  return { blob, made, file: `${name}.${kind.replace('-large', '')}` };
}

function beBusy() {
  showProgress(0);
  byId('save-progress').hidden = false;
  for (const button of choices()) button.disabled = true;
  byId('save-cancel').focus();
}

/** @param {number} share */
function showProgress(share) {
  byId('save-bar').value = share;
  byId('save-share').textContent = `${Math.round(100 * share)} %`;
}

/** @param {File} file @param {string} made */
function keep(file, made) {
  download(file, file.name);
  tellSaved(file, made);
}
