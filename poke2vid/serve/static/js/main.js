/** The page: a picture comes in, an engine moves it, a person plays. */

import { pictureOf, readPicture } from './canvas.js';
import { createEngine } from './engine/create.js';
import { statsOf } from './measures.js';
import { registerOffline } from './offline.js';
import { Player } from './player.js';
import { parseScript } from './script.js';
import { bindControls, chosenRate, show, showStats } from './ui/controls.js';
import { Heating } from './ui/heating.js';
import { bindIntake, listExamples, showCurrent, showEmpty, showFailure, showLoading } from './ui/intake.js';
import { byId, closeOnBackdrop, openDialog, say, themes, toast } from './ui/pages.js';
import { bindSaving, openSave } from './ui/saving.js';
import { Stage } from './ui/stage.js';

/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./engine/types.js').Engine} Engine */
/** @typedef {import('./script.js').Script} Script */
/** @typedef {import('./ui/intake.js').Example} Example */
/** @typedef {{script: Script, picture: Picture, example: Example|null}} Kept */

const BASE = new URL('./', location.href).href;
const STATS_MS = 500;
const FADE_MS = 600; // as in app.css
const OFFLINE_LOOK_MS = 2000;

/** @type {'auto'|'webgpu'|'wasm'|'server'} */
let prefer = 'auto';
/** @type {Player|null} */
let player = null;
/** @type {Picture|null} what shall be on the stage, also while there is no engine */
let wanted = null;
/** @type {Example|null} the example that it is */
let example = null;
let touched = false;
let lastStart = 0;
/** @type {Kept|null} */
let kept = null;

const stage = new Stage(
  { stage: byId('stage'), picture: byId('picture'), overlay: byId('overlay') },
  () => player,
  { onFirstTouch: endHint, onHeatPoint: (at) => void heating.at(at), onTap: sayPush, say },
);
const heating = new Heating(() => player, stage);

/** To the first picture, or with the one that was there to a new engine. */
async function start() {
  showLoading({ stage: 'runtime', loaded: 0, total: 0 });
  const mine = ++lastStart;
  try {
    const script = player?.script();
    if (script && player?.picture) kept = { script, picture: player.picture, example };
    player?.close();
    player = null;
    const config = await json('config.json');
    const asked = new URLSearchParams(location.search).get('engine');
    prefer = config.engine === 'server' ? 'server' : /** @type {any} */ (asked) ?? 'auto';
    if (prefer === 'server') sayServer();
    const [engine] = await Promise.all([createEngine(BASE, { prefer, onProgress: showLoading }), wanted ? null : firstExample().catch(complain)]);
    if (mine !== lastStart) return engine.close(); // asked for again meanwhile
    player = playerOf(engine);
    aboutModel(engine);
    if (wanted) await openPicture(wanted, example);
    else showEmpty();
    if (mine !== lastStart) return;
    if (kept) offer(kept);
    kept = null;
  } catch (error) {
    if (mine === lastStart) showFailure(/** @type {Error} */ (error).message);
  }
}

/** Offers to do again what was done before an engine was lost. @param {Kept} lost */
function offer({ script, picture, example: from }) {
  const again = async () => {
    if (!player) throw new Error('The engine is not there yet; wait a moment and open the picture again.');
    lastAsked++;
    if (wanted !== picture) await openPicture(picture, from);
    await play(script);
  };
  toast('What you did is kept.', 'done', { label: 'Play it again', act: () => void again().catch(complain) });
}

/** @param {Engine} engine */
function playerOf(engine) {
  const made = new Player(engine, {
    onChange: () => made === player && show(made, stage),
    onFrame: () => stage.refresh(),
    onError: (error) => toast(error.message, 'error', { label: 'Start again', act: () => void start() }),
  });
  made.rate = chosenRate();
  Object.assign(window, { poke2vid: { engine, player: made, stage, script: () => made.script(), stats: () => statsOf(made) } });
  return made;
}

/** @param {string} path */
async function json(path) {
  const response = await fetch(new URL(path, BASE)).catch(() => null);
  if (!response?.ok) throw new Error(`A part of the page is missing (${path}); check the connection and try again.`);
  return response.json();
}

function sayServer() {
  byId('privacy').querySelector('span').textContent = 'Your picture is sent to the server that moves it.';
  byId('privacy').querySelector('use').setAttribute('href', '#i-server');
}

/** @param {Engine} engine */
function aboutModel({ info }) {
  const from = info.model?.origin?.trained_on;
  byId('about-model').textContent =
    `This model sees ${info.resolution} × ${info.resolution} pixels${from ? ` and was trained on ${from}` : ''}. It moves your picture at its own size.`;
}

function sayPush() {
  toast('To push, drag the way it shall go and let go.', 'done');
}

// A hint for who has not touched anything yet

/** @param {Engine} engine */
function invite({ info }) {
  if (touched) return;
  byId('hint-text').textContent = info.pokeKind === 'impulse' ? 'Flick anything. It moves.' : 'Drag anything. It follows.';
  byId('hint').hidden = byId('ghost').hidden = false;
}

function endHint() {
  if (touched) return;
  touched = true;
  for (const id of ['hint', 'ghost']) {
    byId(id).classList.add('gone');
    setTimeout(() => (byId(id).hidden = true), FADE_MS);
  }
}

// Pictures

/** Shown at once, to be looked at while the engine comes. */
async function firstExample() {
  const examples = /** @type {Example[]} */ (await json('examples/examples.json').catch(() => []));
  listExamples(examples, (chosen) => void openExample(chosen).catch(complain));
  if (examples.length) await openExample(examples[0], () => !wanted);
}

let lastAsked = 0; // pictures take their time, and the one that was asked for last shall stay

/** @param {Example} chosen @param {() => boolean} [isWanted] once it is there */
async function openExample(chosen, isWanted = () => true) {
  const mine = ++lastAsked;
  const response = await fetch(new URL(`examples/${chosen.file}`, BASE)).catch(() => null);
  if (!response?.ok) throw new Error(`The example ${chosen.title} cannot be fetched; try again.`);
  const picture = await readPicture(await response.blob(), chosen.file);
  if (mine === lastAsked && isWanted()) await openPicture(picture, chosen);
}

/** @param {Picture} picture @param {Example|null} [from] */
async function openPicture(picture, from = null) {
  const element = document.createElement('canvas'); // its own: one stays with the kind of context that it was first asked for
  element.id = 'picture';
  element.dataset.testid = 'picture';
  if (player) await player.open(picture, element);
  else preview(picture, element);
  heating.end();
  wanted = picture;
  example = from;
  stage.replace(element);
  showCurrent(from, `${picture.name} · ${picture.width} × ${picture.height}`);
  fit();
  if (!player) return;
  byId('loading').hidden = true;
  invite(player.engine);
  say(`${picture.name}, ${picture.width} by ${picture.height} pixels`);
}

/** @param {Picture} picture @param {HTMLCanvasElement} element */
function preview({ source }, element) {
  element.width = source.width;
  element.height = source.height;
  element.getContext('2d')?.drawImage(source, 0, 0);
}

/** The picture as large as its table allows, at its own proportions. */
function fit() {
  if (!wanted) return;
  const room = byId('table').getBoundingClientRect();
  const style = getComputedStyle(byId('table'));
  const wide = room.width - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const high = room.height - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  const scale = Math.min(wide / wanted.width, high / wanted.height);
  byId('frame').style.width = `${Math.max(1, Math.floor(wanted.width * scale))}px`;
  byId('frame').style.height = `${Math.max(1, Math.floor(wanted.height * scale))}px`;
  stage.refresh();
}

/** A picture, or a script for the one that is there. @param {File} file */
async function take(file) {
  try {
    if (/json/.test(file.type) || file.name.endsWith('.json')) await playScript(await file.text());
    else {
      lastAsked++;
      await openPicture(await readPicture(file));
    }
  } catch (error) {
    complain(/** @type {Error} */ (error));
  }
}

/** @param {string} text */
async function playScript(text) {
  if (!player?.picture) throw new Error('A script needs a picture to be played on; open one first.');
  await play(parseScript(text, player.picture));
}

/** @param {Script} script of the picture that is there */
async function play(script) {
  endHint();
  heating.end();
  if (!(await player?.replay(script))) return;
  stage.clear();
  say(`playing a script of ${script.frames} frames`);
}

async function watch() {
  const response = await fetch(new URL(`examples/${example?.script}`, BASE)).catch(() => null);
  if (!response?.ok) throw new Error('The script of this example cannot be fetched; try again.');
  await playScript(await response.text());
}

/** @param {Error} error */
const complain = (error) => toast(error.message);

// Wiring

function bind() {
  themes();
  closeOnBackdrop();
  bindControls(() => player, stage, {
    open: () => byId('file').click(),
    save: () => openSave(player),
    undo: () => void player?.undo().then(() => say('undone')),
    reset: () => {
      heating.end();
      void player?.reset().then((done) => done && say('started over'));
    },
    heat: () => heating.toggle(),
    endHeat: () => heating.end(),
  });
  bindSaving(() => player, () => ({ baseUrl: BASE, prefer }));
  bindIntake((file) => void take(file), (image, width, height) => {
    void pictureOf(image, width, height, 'photo.png').then((picture) => openPicture(picture)).catch(complain);
  });
  byId('watch').addEventListener('click', () => void watch().catch(complain));
  byId('help').addEventListener('click', () => openDialog('help-dialog'));
  byId('share').addEventListener('click', () => openSave(player));
  byId('retry').addEventListener('click', () => void start());
  new ResizeObserver(fit).observe(byId('table'));
  setInterval(() => player && showStats(player), STATS_MS);
}

/** Says when all copies are there; the list of them comes last. */
async function sayOffline() {
  if (!navigator.serviceWorker || prefer === 'server') return; // without the server there is no engine
  while (!(await caches.match('files.json'))) await new Promise((resolve) => setTimeout(resolve, OFFLINE_LOOK_MS));
  byId('offline').hidden = false;
}

bind();
if (!crossOriginIsolated) registerOffline(); // it may load the page again, so before anything is done on it
void start().then(() => {
  if (crossOriginIsolated) registerOffline();
  sayOffline().catch(() => {}); // no storage in this window
});
