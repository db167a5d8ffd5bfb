/** The page: a picture comes in, an engine moves it, a person plays. */

import { pictureOf, readPicture } from './canvas.js';
import { createEngine } from './engine/create.js';
import { statsOf } from './measures.js';
import { registerOffline } from './offline.js';
import { parseScript } from './parse.js';
import { Player } from './player.js';
import { nextPointerOf } from './script.js';
import { bindControls, chosenRate, setAwake, show, showStats } from './ui/controls.js';
import { Demo } from './ui/demo.js';
import { Exhibit } from './ui/exhibit.js';
import { Heating } from './ui/heating.js';
import { bindIntake, listExamples, showBringing, showCurrent, showEmpty, showFailure, showLoading } from './ui/intake.js';
import { byId, closeOnBackdrop, endError, isExhibit, openDialog, say, themes, toast } from './ui/pages.js';
import { bindSaving, openSave } from './ui/saving.js';
import { complain, placeFor } from './ui/scripts.js';
import { Stage } from './ui/stage.js';
import { TimelineBar } from './ui/timeline.js';
import { Visit } from './ui/visit.js';

/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./engine/types.js').Engine} Engine */
/** @typedef {import('./script.js').Script} Script */
/** @typedef {import('./ui/intake.js').Example} Example */
/** @typedef {import('./player.js').Past} Past */
/** A picture that is gone, with all that was done to it. @typedef {{past: Past, picture: Picture, example: Example|null}} Left */

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
/** @type {Left|null} what was done before the engine was lost, or the page left; nothing is written while it is not back */
let left = null;
/** @type {Example[]} */
let examples = [];

const stage = new Stage(
  { stage: byId('stage'), picture: byId('picture'), overlay: byId('overlay') },
  () => player,
  { onFirstTouch: endHint, onHeatPoint: (at) => void heating.at(at), onTap: sayPush, say },
);
const heating = new Heating(() => player, stage);
const demo = new Demo();
const timeline = new TimelineBar(() => player, () => demo.on, () => stage.clear());
const visit = new Visit(() => (left || demo.on || isExhibit() ? null : player));
/** @type {Exhibit|null} */
let exhibit = null;

/** To the first picture, or with the one that was there to a new engine. */
async function start() {
  showLoading({ stage: 'runtime', loaded: 0, total: 0 });
  const mine = ++lastStart;
  try {
    left = leftBehind() ?? left;
    player?.close();
    player = null;
    setAwake(false);
    const config = await json('config.json');
    const asked = new URLSearchParams(location.search).get('engine');
    prefer = config.engine === 'server' ? 'server' : /** @type {any} */ (asked) ?? 'auto';
    if (prefer === 'server') sayServer();
    const [engine] = await Promise.all([createEngine(BASE, { prefer, onProgress: showLoading }), wanted ? null : firstPicture().catch(complain)]);
    if (mine !== lastStart) return engine.close(); // asked for again meanwhile
    player = playerOf(engine);
    aboutModel(engine);
    if (wanted) await openPicture(wanted, example);
    else showEmpty();
    if (mine !== lastStart) return;
    if (left?.picture === wanted) await bringBack(left);
    else if (exhibit) void exhibit.loop();
    else if (example?.script && !touched && demo.isDue) void demo.play(player, await scriptOf(example)).catch(complain);
  } catch (error) {
    if (mine !== lastStart) return;
    showFailure(/** @type {Error} */ (error).message);
    exhibit?.recover(() => void start());
  }
}

/** The picture and its deeds, as they would be left; null where nothing was done, or only watched. @returns {Left|null} */
function leftBehind() {
  const past = demo.on ? null : player?.past();
  return past && player?.picture ? { past, picture: player.picture, example } : null;
}

/** Does again what was done, at once. @param {Left} before */
async function bringBack(before) {
  if (wanted !== before.picture) await openPicture(before.picture, before.example);
  if (!player) throw new Error('The engine is not there yet; wait a moment and open the picture again.');
  endHint();
  const done = await player.recall(before.past, showBringing);
  byId('loading').hidden = true;
  if (!done) return;
  left = null;
  stage.nextPointer = nextPointerOf(before.past.script); // a pin must not share its own with a finger
  say('What you did is back.');
}

/** Offers the way back to a picture that something was done to. @param {Left} before @param {Picture} now */
function offerBack(before, now) {
  const back = async () => {
    lastAsked++;
    await bringBack(before);
  };
  toast(`${now.name} is open.`, 'done', { label: `Back to ${before.picture.name}`, act: () => void back().catch(complain) });
}

/** @param {Engine} engine */
function playerOf(engine) {
  const made = new Player(engine, {
    onChange: () => {
      if (made !== player) return;
      show(made, stage);
      timeline.changed();
      visit.changed();
    },
    onFrame: (isFelt) => {
      if (isFelt) endError();
      timeline.changed();
      visit.changed();
      stage.refresh();
    },
    onBranch: () => toast('You go on from here. Undo brings back what came after.', 'done'),
    onError: (error) => {
      toast(error.message, 'error', { label: 'Start again', act: () => void start() });
      exhibit?.recover(() => made === player && void start());
    },
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
  const [how, what] = info.pokeKind === 'impulse' ? ['Flick anything.', 'It moves.'] : ['Drag anything.', 'It follows.'];
  byId('hint-text').textContent = how;
  byId('hint-more').textContent = what;
  for (const id of ['hint', 'ghost']) byId(id).classList.remove('gone');
  byId('hint').hidden = false;
  byId('ghost').hidden = demo.isDue; // that will show how, for real
}

function endHint() {
  demo.end();
  if (touched) return;
  touched = true;
  for (const id of ['hint', 'ghost']) {
    byId(id).classList.add('gone');
    setTimeout(() => (byId(id).hidden = true), FADE_MS);
  }
}

// Pictures

/** The picture of the last visit, or an example: shown at once, to be looked at while the engine comes. */
async function firstPicture() {
  const [known, last] = await Promise.all([json('examples/examples.json').catch(() => []), isExhibit() ? null : visit.last()]);
  examples = known;
  listExamples(examples, (chosen) => void openExample(chosen).catch(complain));
  const picture = last && (await readPicture(last.file, last.name).catch(() => null));
  if (wanted) return;
  if (last && picture) {
    await openPicture(picture, last.example);
    if (last.past) left = { past: last.past, picture, example: last.example };
  } else if (examples.length) await openExample(examples[0], () => !wanted);
}

/** Begins anew: nothing of this visit stays in this browser. */
async function forget() {
  left = null;
  await visit.forget();
  if (examples.length) await openExample(examples[0]);
  else await player?.reset();
  toast('Forgotten: this browser keeps nothing of it.', 'done');
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
  const before = left ?? leftBehind();
  if (player) await player.open(picture, element);
  else preview(picture, element);
  heating.end();
  endError();
  wanted = picture;
  example = from;
  visit.opened(picture, from);
  document.getElementById('first')?.remove();
  demo.end();
  stage.replace(element);
  showCurrent(from, `${picture.name} · ${picture.width} × ${picture.height}`);
  fit();
  if (!player) return;
  if (before && before.picture !== picture) {
    left = null;
    offerBack(before, picture);
  }
  byId('loading').hidden = left === null; // else what was done comes next
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
  const { image } = parseScript(text);
  const { name } = player.picture;
  if (image && image !== name) {
    const there = examples.find(({ file }) => file === image);
    const place = await placeFor(image, name, Boolean(there));
    if (place === 'there' && there) await openExample(there);
    else if (place !== 'here') return;
  }
  await play(parseScript(text, player.picture));
}

/** @param {Script} script of the picture that is there */
async function play(script) {
  endHint();
  heating.end();
  if (!(await player?.replay(script))) return;
  endError();
  stage.clear();
  say(`playing a script of ${script.frames} frames`);
}

/** Script that shows an example move. @param {Example} of */
async function scriptOf(of) {
  const response = await fetch(new URL(`examples/${of.script}`, BASE)).catch(() => null);
  if (!response?.ok) throw new Error('The script of this example cannot be fetched; try again.');
  return parseScript(await response.text());
}

async function watch() {
  if (!example || !player) return;
  await play(await scriptOf(example));
  demo.on = true; // what nobody did need not be kept
}

/** An example that moves by itself in an exhibit, until somebody touches. @param {number} number */
async function playAlone(number) {
  const next = examples[number % examples.length];
  touched = false;
  await openExample(next, () => !touched);
  if (player && next.script && example === next && !touched) await demo.play(player, await scriptOf(next));
}

function undo() {
  void player?.undo().then(() => {
    byId('toast').hidden = true; // it offered just that, or is over
    say('undone');
  });
}

/** The picture at rest again; undo brings back what was done. */
async function startOver() {
  heating.end();
  const isLoss = leftBehind() !== null;
  if (!(await player?.reset(isLoss))) return;
  demo.end();
  endError();
  say('started over');
  if (isLoss) toast('Started over.', 'done', { label: 'Undo', act: undo });
}

// Wiring

function bind() {
  themes();
  closeOnBackdrop();
  bindControls(() => player, stage, {
    open: () => byId('file').click(),
    save: () => openSave(player),
    undo,
    reset: () => void startOver(),
    heat: () => heating.toggle(),
    endHeat: () => heating.end(),
  });
  bindSaving(() => ({ baseUrl: BASE, prefer }));
  bindIntake((file) => void take(file), (image, width, height) => {
    void pictureOf(image, width, height, 'photo.png').then((picture) => openPicture(picture)).catch(complain);
  });
  if (isExhibit()) {
    const clear = async () => player?.reset(false);
    exhibit = new Exhibit({ play: playAlone, clear, isHeld: () => stage.fingers.size > 0 });
  }
  byId('watch').addEventListener('click', () => void watch().catch(complain));
  byId('help').addEventListener('click', () => openDialog('help-dialog'));
  byId('share').addEventListener('click', () => openSave(player));
  byId('forget').addEventListener('click', () => void forget().catch(complain));
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
