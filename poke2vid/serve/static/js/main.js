/** The page: a picture comes in, an engine moves it, a person plays. */

import { pictureOf, readPicture } from './canvas.js';
import { createEngine } from './engine/create.js';
import { Player } from './player.js';
import { download, frameOf, video } from './record.js';
import { parseScript } from './script.js';
import { bindControls, chosenRate, show, showStats } from './ui/controls.js';
import { byId, closeOnBackdrop, openDialog, say, takePhoto, themes, toast } from './ui/pages.js';
import { Stage } from './ui/stage.js';

/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./engine/types.js').Engine} Engine */
/** @typedef {import('./engine/types.js').Pair} Pair */
/** @typedef {import('./engine/types.js').Progress} Progress */
/** @typedef {{file: string, title: string, credit: string, licence: string, script?: string}} Example */

const BASE = new URL('./', location.href).href;
const STATS_MS = 500;

/** @type {Player|null} */
let player = null;
/** @type {'auto'|'webgpu'|'wasm'|'server'} */
let prefer = 'auto';
/** @type {Example[]} */
let examples = [];
let touched = false;

const stage = new Stage(
  { stage: byId('stage'), picture: byId('picture'), overlay: byId('overlay') },
  () => player,
  {
    onFirstTouch: () => {
      touched = true;
      byId('hint').hidden = true;
    },
    onHeatPoint: (at) => void heatAt(at),
    say,
  },
);

async function start() {
  byId('retry').hidden = true;
  byId('loading').hidden = false;
  try {
    const [config, list] = await Promise.all([json('config.json'), json('examples/examples.json')]);
    examples = list;
    const asked = new URLSearchParams(location.search).get('engine');
    prefer = config.engine === 'server' ? 'server' : /** @type {any} */ (asked) ?? 'auto';
    if (prefer === 'server') byId('privacy').lastElementChild.textContent = 'Your picture is sent to the server that moves it.';
    listExamples();
    const engine = await createEngine(BASE, { prefer, onProgress: showProgress });
    player = new Player(engine, {
      onChange: () => player && show(player, stage),
      onError: (error) => toast(error.message),
    });
    player.rate = chosenRate();
    Object.assign(window, { poke2vid: { engine, player, stage, script: () => player?.script(), stats: () => player?.stats() } });
    aboutModel(engine);
    await openExample(examples[0]);
    byId('loading').hidden = true;
    byId('hint').hidden = touched;
  } catch (error) {
    byId('loading-text').textContent = /** @type {Error} */ (error).message;
    byId('loading').classList.add('failed');
    byId('retry').hidden = false;
  }
}

/** @param {string} path */
async function json(path) {
  const response = await fetch(new URL(path, BASE)).catch(() => null);
  if (!response?.ok) throw new Error(`A part of the page is missing (${path}); check the connection and try again.`);
  return response.json();
}

/** @param {Progress} progress */
function showProgress({ stage: part, loaded, total }) {
  byId('loading').classList.remove('failed');
  const text = { runtime: 'Waking the engine up…', model: 'Fetching the model…', 'warming up': 'Warming up…' };
  byId('loading-text').textContent = text[part];
  if (total) byId('loading-bar').value = loaded / total;
  else byId('loading-bar').removeAttribute('value');
}

/** @param {Engine} engine */
function aboutModel({ info }) {
  const from = info.model?.origin?.trained_on;
  byId('about-model').textContent =
    `This model sees ${info.resolution} × ${info.resolution} pixels${from ? ` and was trained on ${from}` : ''}. It moves your picture at its own size.`;
}

// Pictures

function listExamples() {
  byId('examples').replaceChildren(
    ...examples.map((example) => {
      const item = document.createElement('li');
      const button = document.createElement('button');
      const image = document.createElement('img');
      button.className = 'example';
      button.dataset.testid = `example-${example.file}`;
      button.title = `${example.title}: ${example.credit}, ${example.licence}`;
      image.src = `examples/${example.file}`;
      image.alt = example.title;
      image.loading = 'lazy';
      button.append(image);
      button.addEventListener('click', () => void openExample(example).catch((error) => toast(error.message)));
      item.append(button);
      return item;
    }),
  );
}

/** @param {Example} example */
async function openExample(example) {
  const response = await fetch(new URL(`examples/${example.file}`, BASE));
  if (!response.ok) throw new Error(`The example ${example.title} cannot be fetched; try again.`);
  await openPicture(await readPicture(await response.blob(), example.file));
  byId('credit').textContent = `${example.title}: ${example.credit}, ${example.licence}`;
  for (const button of byId('examples').querySelectorAll('button')) {
    button.setAttribute('aria-current', String(button.dataset.testid === `example-${example.file}`));
  }
}

/** @param {Picture} picture */
async function openPicture(picture) {
  if (!player) return;
  byId('credit').textContent = '';
  for (const button of byId('examples').querySelectorAll('button')) button.removeAttribute('aria-current');
  stage.clear();
  await player.open(picture, freshElement());
  fit();
  say(`${picture.name}, ${picture.width} by ${picture.height} pixels`);
}

/** A canvas whose context was never taken: an element stays with the kind of context that it was first asked for. */
function freshElement() {
  const element = document.createElement('canvas');
  element.id = 'picture';
  element.dataset.testid = 'picture';
  stage.picture.replaceWith(element);
  stage.picture = element;
  return element;
}

/** The picture as large as its table allows, at its own proportions. */
function fit() {
  const picture = player?.picture;
  if (!picture) return;
  const room = byId('stage').parentElement.getBoundingClientRect();
  const style = getComputedStyle(byId('stage').parentElement);
  const [wide, high] = [
    room.width - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight),
    room.height - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom),
  ];
  const scale = Math.min(wide / picture.width, high / picture.height);
  byId('stage').style.width = `${Math.max(1, Math.floor(picture.width * scale))}px`;
  byId('stage').style.height = `${Math.max(1, Math.floor(picture.height * scale))}px`;
}

/** A picture, or a script for the one that is there. @param {File|null|undefined} file */
async function take(file) {
  if (!file) return;
  try {
    if (/json/.test(file.type) || file.name.endsWith('.json')) await playScript(await file.text());
    else await openPicture(await readPicture(file));
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
  }
}

/** @param {string} text */
async function playScript(text) {
  if (!player?.picture) return;
  const script = parseScript(text, player.picture);
  await player.replay(script);
  say(`playing ${script.frames} frames`);
}

// What moves together

async function heat() {
  if (!player) return;
  if (player.heatMap || stage.choosesHeat) {
    stage.choosesHeat = false;
    byId('stage').classList.remove('choosing');
    player.hideHeat();
    return;
  }
  stage.choosesHeat = true;
  byId('stage').classList.add('choosing');
  toast('Tap a point: what moves together with it lights up.', 'done');
  show(player, stage);
}

/** @param {Pair} at */
async function heatAt(at) {
  if (!player) return;
  const text = byId('loading-text');
  try {
    byId('stage').classList.add('busy');
    await player.showHeat(at, (share) => say(`${Math.round(100 * share)} percent`));
    byId('toast').hidden = true;
  } catch (error) {
    toast(/** @type {Error} */ (error).message);
  } finally {
    byId('stage').classList.remove('busy', 'choosing');
    stage.choosesHeat = false;
    text.textContent = '';
    show(player, stage);
  }
}

// Saving

/** @type {AbortController|null} */
let saving = null;

function openSave() {
  const script = player?.script();
  const seconds = script ? script.frames / usualRate() : 0;
  byId('save-what').textContent = script
    ? `${seconds.toFixed(1)} seconds, everything since ${player?.recordFrom ? 'you pressed record' : 'the start'}.`
    : 'Nothing has moved yet: poke first to save a video.';
  for (const button of document.querySelectorAll('.choice')) {
    /** @type {HTMLButtonElement} */ (button).disabled = !script && /** @type {HTMLElement} */ (button).dataset.save !== 'png';
  }
  openDialog('save-dialog');
}

const usualRate = () => (player && Number.isFinite(player.rate) ? player.rate : 60);

/** @param {string} kind */
async function save(kind) {
  if (!player?.picture || saving) return;
  const script = player.script();
  const name = player.picture.name.replace(/\.[^.]*$/, '') || 'poked';
  saving = new AbortController();
  byId('save-progress').hidden = false;
  try {
    if (kind === 'png') download(await frameOf(player), `${name}.png`);
    else if (!script) return;
    else if (kind === 'json') download(new Blob([JSON.stringify(script, null, 1)], { type: 'application/json' }), `${name}-pokes.json`);
    else {
      const blob = await video(/** @type {any} */ (kind), script, player.picture, {
        baseUrl: BASE, prefer: player.engine.info.backend, fps: usualRate(), arrows: byId('arrows').checked, signal: saving.signal,
        onProgress: (share) => (byId('save-bar').value = share),
      });
      download(blob, `${name}.${kind}`);
    }
    byId('save-dialog').close();
  } catch (error) {
    if (/** @type {Error} */ (error).name !== 'AbortError') toast(/** @type {Error} */ (error).message);
  } finally {
    saving = null;
    byId('save-progress').hidden = true;
    byId('save-bar').value = 0;
  }
}

// Wiring

function bind() {
  themes();
  closeOnBackdrop();
  bindControls(() => player, stage, {
    open: () => byId('file').click(),
    save: openSave,
    undo: () => void player?.undo().then(() => say('undone')),
    reset: () => void player?.reset().then(() => say('started over')),
    heat: () => void heat(),
  });
  byId('open').addEventListener('click', () => byId('file').click());
  byId('load-script').addEventListener('click', () => byId('script-file').click());
  byId('camera').addEventListener('click', () => {
    const photo = async (/** @type {CanvasImageSource} */ image, /** @type {number} */ width, /** @type {number} */ height) => {
      await openPicture(await pictureOf(image, width, height, 'photo.png'));
    };
    void takePhoto((...args) => void photo(...args).catch((error) => toast(error.message)), () => byId('snap').click());
  });
  for (const id of ['file', 'snap', 'script-file']) {
    byId(id).addEventListener('change', (/** @type {Event} */ event) => {
      const input = /** @type {HTMLInputElement} */ (event.target);
      void take(input.files?.[0]).finally(() => (input.value = ''));
    });
  }
  byId('help').addEventListener('click', () => openDialog('help-dialog'));
  byId('share').addEventListener('click', openSave);
  byId('heat-off').addEventListener('click', () => void heat());
  byId('save-cancel').addEventListener('click', () => saving?.abort());
  byId('save-dialog').addEventListener('close', () => saving?.abort());
  byId('retry').addEventListener('click', () => void start());
  for (const button of document.querySelectorAll('.choice')) {
    button.addEventListener('click', () => void save(/** @type {any} */ (/** @type {HTMLElement} */ (button).dataset.save)));
  }
  bindDropAndPaste();
  new ResizeObserver(fit).observe(byId('stage').parentElement);
  setInterval(() => player && showStats(player), STATS_MS);
}

function bindDropAndPaste() {
  const drop = byId('drop');
  window.addEventListener('dragover', (event) => {
    event.preventDefault();
    drop.hidden = false;
  });
  window.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) drop.hidden = true;
  });
  window.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.hidden = true;
    void take(event.dataTransfer?.files[0]);
  });
  window.addEventListener('paste', (event) => {
    const item = [...(event.clipboardData?.items ?? [])].find(({ kind }) => kind === 'file');
    if (item) void take(item.getAsFile());
  });
}

async function workOffline() {
  if (!('serviceWorker' in navigator)) return;
  try {
    await navigator.serviceWorker.register('sw.js');
    await navigator.serviceWorker.ready;
    byId('offline').hidden = false;
  } catch {
    // Not allowed here (a plain HTTP address, a private window): the page works, but only online.
  }
}

bind();
void start().then(workOffline);
