/** The page: a picture comes in, an engine moves it, a person plays. */

import { createEngine } from './engine/create.js';
import { statsOf } from './measures.js';
import { registerOffline, worksOffline } from './offline.js';
import { parseScript } from './parse.js';
import { lay } from './picture/pixels.js';
import { pictureOf, readPicture } from './picture/read.js';
import { Player, eventsOf } from './player.js';
import { grounded } from './player/view.js';
import { nextPointerOf } from './script.js';
import { aboutModel, sayServer } from './ui/about.js';
import { bindControls, chosenRate, endBrush, setAwake, show, showStats } from './ui/controls.js';
import { Demo } from './ui/demo.js';
import { json, pictureOfExample, scriptOf } from './ui/examples.js';
import { Exhibit } from './ui/exhibit.js';
import { lastRest } from './ui/feel.js';
import { fit } from './ui/fit.js';
import { forgetLink, giftOf } from './ui/gift.js';
import { Heating } from './ui/heating.js';
import { Hint } from './ui/hint.js';
import {
  bindIntake, listExamples, showBringing, showCurrent, showEmpty, showFailure, showLoading, showOpening,
} from './ui/intake.js';
import { byId, closeOnBackdrop, endError, isExhibit, isOffered, openDialog, say, themes, toast } from './ui/pages.js';
import { bindSaving, openSave } from './ui/saving.js';
import { complain, placeFor } from './ui/scripts.js';
import { allowLinks } from './ui/sending.js';
import { Stage } from './ui/stage.js';
import { TimelineBar } from './ui/timeline.js';
import { Visit, backTo } from './ui/visit.js';

/** @typedef {import('./canvas.js').Picture} Picture */
/** @typedef {import('./engine/types.js').Engine} Engine */
/** @typedef {import('./script.js').Script} Script */
/** @typedef {import('./ui/intake.js').Example} Example */
/** @typedef {import('./player.js').Past} Past */
/** @typedef {import('./ui/visit.js').Kept} Kept */
/** A picture that is gone, with all that was done to it, or taken away by starting over. @typedef {{past: Past|null, taken: Past|null, picture: Picture, example: Example|null}} Left */

const BASE = new URL('./', location.href).href;
const STATS_MS = 500;

/** @type {'auto'|'webgpu'|'wasm'|'server'} */
let prefer = 'auto';
/** @type {Player|null} */
let player = null;
/** @type {Picture|null} what shall be on the stage, also while there is no engine */
let wanted = null;
/** @type {Example|null} the example that it is */
let example = null;
let lastStart = 0;
/** @type {Left|null} what was done before the engine was lost, or the page left; nothing is written while it is not back */
let left = null;
/** @type {Example[]} */
let examples = [];
/** @type {import('./ui/gift.js').Gift|null} what a link brought, until it is touched: nothing is written meanwhile */
let gift = null;
/** @type {Left|Kept|null} to which the way back was offered last */
let offered = null;

const stage = new Stage(
  { stage: byId('stage'), picture: byId('picture'), overlay: byId('overlay') },
  () => player,
  { onFirstTouch: touch, onHeatPoint: (at) => void heating.at(at), onTap: () => toast('To push, drag the way it shall go and let go.', 'done'), say },
);
const heating = new Heating(() => player, stage);
const demo = new Demo();
const hint = new Hint();
const timeline = new TimelineBar(() => player, () => stage.clear());
const visit = new Visit(() => (left || gift || player?.nobodys || isExhibit() ? null : player));
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
    if (config.exported) allowLinks();
    const [engine] = await Promise.all([createEngine(BASE, { prefer, onProgress: showLoading }), wanted ? null : firstPicture().catch(complain)]);
    if (mine !== lastStart) return engine.close(); // asked for again meanwhile
    player = playerOf(engine);
    aboutModel(engine);
    if (wanted) await openPicture(wanted, example);
    else showEmpty();
    if (mine !== lastStart) return;
    if (left?.picture === wanted) await bringBack(left);
    else if (gift) await play(gift.script);
    else if (exhibit) void exhibit.loop();
    else if (example?.script && !hint.touched && demo.isDue) void demo.play(player, await scriptOf(example)).catch(complain);
  } catch (error) {
    if (mine !== lastStart) return;
    showFailure(/** @type {Error} */ (error).message);
    exhibit?.recover(() => void start());
  }
}

/** The picture and its deeds, as they would be left; null where nothing was done, or only watched. @returns {Left|null} */
function leftBehind() {
  const [past, taken] = gift ? [] : [player?.past() ?? null, player?.taken ?? null];
  return player?.picture && (past || taken) ? { past: past ?? null, taken: taken ?? null, picture: player.picture, example } : null;
}

/** Does again what was done, at once. @param {Left} before */
async function bringBack(before) {
  if (wanted !== before.picture) await openPicture(before.picture, before.example);
  if (!player) throw new Error('The engine is not there yet; wait a moment and open the picture again.');
  endHint();
  const { past, taken } = before;
  const done = !past || (await player.recall(past, showBringing));
  byId('loading').hidden = true;
  if (!done) return;
  left = null;
  player.taken = taken;
  if (past) stage.nextPointer = Math.max(stage.nextPointer, nextPointerOf(eventsOf(past))); // a pin must not share its own with a finger
  say('What you did is back.');
}

/** Offers the way back to a picture that something was done to. @param {Left|Kept} before @param {string} text */
function offerBack(before, text) {
  const goBack = async () => {
    lastAsked++;
    endGift();
    const { past, taken, example: from } = before;
    const picture = 'picture' in before ? before.picture : await readPicture(before.file, before.name);
    if (past || taken) await bringBack({ past: past ?? taken, taken: past && taken, picture, example: from });
    else await openPicture(picture, from);
  };
  offered = before;
  toast(text, 'done', { label: backTo(before), act: () => void goBack().catch(complain) });
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
    onBranch: () => made === player && toast('You go on from here. Undo brings back what came after.', 'done'),
    onError: (error) => {
      toast(error.message, 'error', { label: 'Start again', act: () => void start() });
      exhibit?.recover(() => made === player && void start());
    },
  });
  made.rate = chosenRate();
  made.hands.rest = lastRest(engine);
  Object.assign(window, { poke2vid: { engine, player: made, stage, script: () => made.script(), stats: () => statsOf(made) } });
  return made;
}

/** From now on the picture is the visitor's own, also one that a link brought. */
function touch() {
  endGift();
  endHint();
}

/** A link has done its work: a reload shall bring back what is done from now on. */
function endGift() {
  if (gift) forgetLink();
  gift = null;
}

function endHint() {
  demo.end();
  hint.end();
}

// Pictures

/** The picture of the last visit, or an example: shown at once, to be looked at while the engine comes. */
async function firstPicture() {
  const [known, last] = await Promise.all([json('examples/examples.json').catch(() => []), isExhibit() ? null : visit.last()]);
  examples = known;
  listExamples(examples, (chosen) => void openExample(chosen).catch(complain));
  if (await openGift(last)) return;
  const picture = last && (await readPicture(last.file, last.name).catch(() => null));
  if (wanted) return;
  if (last && picture) {
    const { past, taken, before } = last;
    await openPicture(picture, last.example);
    if (past || taken) left = { past, taken, picture, example: last.example };
    if (before) offerBack(before, `${picture.name} is back.`);
  } else if (examples.length) await openExample(examples[0], () => !wanted);
}

/**
 * Opens what the address carries, if anything; offers the way back to the last visit.
 *
 * @param {Kept|null} last
 */
async function openGift(last) {
  const mine = ++lastAsked;
  const found = await giftOf(examples);
  if (!found || mine !== lastAsked) return false;
  gift = found;
  await openPicture(found.picture, found.example);
  if (last) offerBack(last, 'A link brought this picture.');
  return true;
}

/** A link that came into a page that is there already. */
async function takeLink() {
  if (!player) return;
  const before = leftBehind() ?? left;
  if (!(await openGift(null)) || !gift) return;
  left = null;
  await play(gift.script);
  if (before) offerBack(before, `${gift.picture.name} is open.`);
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
  const picture = await pictureOfExample(chosen);
  if (mine === lastAsked && isWanted()) await openPicture(picture, chosen);
}

/** @param {Picture} picture @param {Example|null} [from] */
async function openPicture(picture, from = null) {
  const element = document.createElement('canvas'); // its own: one stays with the kind of context that it was first asked for
  element.id = 'picture';
  element.dataset.testid = 'picture';
  const before = left ?? leftBehind() ?? (offered && isOffered(backTo(offered)) ? offered : null);
  endBrush(stage);
  if (player) await player.open(picture, element);
  else lay(element, grounded(picture), [picture.source.width, picture.source.height]);
  heating.end();
  endError();
  wanted = picture;
  example = from;
  if (gift?.picture !== picture) endGift();
  visit.opened(picture, from);
  document.getElementById('first')?.remove();
  demo.end();
  stage.replace(element);
  showCurrent(from, `${picture.name} · ${picture.width} × ${picture.height}`);
  fitted();
  if (!player) return;
  if (before && !('picture' in before && before.picture === picture)) {
    left = null;
    offerBack(before, `${picture.name} is open.`);
  }
  byId('loading').hidden = left === null; // else what was done comes next
  hint.invite(player.engine, demo.isDue);
  say(`${picture.name}, ${picture.width} by ${picture.height} pixels`);
}

function fitted() {
  if (wanted) fit(wanted);
  stage.refresh();
}

/** A picture, or a script for the one that is there. @param {File} file */
async function take(file) {
  try {
    if (/json/.test(file.type) || file.name.endsWith('.json')) await playScript(await file.text());
    else await takePicture(file);
  } catch (error) {
    complain(/** @type {Error} */ (error));
  }
}

/** Opens a picture, and says so while that takes its time. @param {File} file */
async function takePicture(file) {
  const mine = ++lastAsked;
  const endOpening = showOpening(file.name);
  try {
    const picture = await readPicture(file);
    if (mine === lastAsked) await openPicture(picture);
  } finally {
    endOpening();
    if (mine === lastAsked && player && !left) byId('loading').hidden = true;
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
  endGift();
  await play(parseScript(text, player.picture));
}

/** @param {Script} script of the picture that is there @param {boolean} [nobodys] only to show what it does */
async function play(script, nobodys) {
  endHint();
  endBrush(stage);
  heating.end();
  if (!(await player?.replay(script, nobodys))) return;
  endError();
  stage.clear();
  stage.nextPointer = Math.max(stage.nextPointer, nextPointerOf(script.events)); // a finger must not take a pointer of its
  say(`playing a script of ${script.frames} frames`);
}

async function watch() {
  if (example && player) await play(await scriptOf(example), true); // what nobody did need not be kept
}

/** An example that moves by itself in an exhibit, until somebody touches. @param {number} number */
async function playAlone(number) {
  const next = examples[number % examples.length];
  hint.touched = false;
  await openExample(next, () => !hint.touched);
  if (player && next.script && example === next && !hint.touched) await demo.play(player, await scriptOf(next));
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

/** Opens the dialog in which all of this moment is saved and sent. */
const save = () => openSave(player, example?.file ?? null);

// Wiring

function bind() {
  themes(() => player?.reground());
  closeOnBackdrop();
  bindControls(() => player, stage, {
    open: () => byId('file').click(),
    save,
    undo,
    reset: () => void startOver(),
    heat: () => heating.toggle(),
    endHeat: () => heating.end(),
  });
  bindSaving(() => ({ baseUrl: BASE, prefer }));
  bindIntake((file) => void take(file), (image, width, height) => {
    void pictureOf(image, width, height, 'photo.png').then((picture) => openPicture(picture)).catch(complain);
  });
  const clear = async () => player?.reset(false);
  if (isExhibit()) exhibit = new Exhibit({ play: playAlone, clear, isHeld: () => stage.fingers.size > 0 });
  byId('watch').addEventListener('click', () => void watch().catch(complain));
  byId('help').addEventListener('click', () => openDialog('help-dialog'));
  byId('share').addEventListener('click', save);
  byId('forget').addEventListener('click', () => void forget().catch(complain));
  byId('retry').addEventListener('click', () => void start());
  window.addEventListener('hashchange', () => void takeLink().catch(complain));
  new ResizeObserver(fitted).observe(byId('table'));
  setInterval(() => player && showStats(player), STATS_MS);
}

bind();
if (!crossOriginIsolated) registerOffline(); // it may load the page again, so before anything is done on it
void start().then(() => {
  if (crossOriginIsolated) registerOffline();
  if (prefer === 'server') return; // without the server there is no engine
  worksOffline().then((does) => (byId('offline').hidden = !does), () => {}); // no storage in this window
});
