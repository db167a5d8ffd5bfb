/** The buttons, sliders and keys. */

import { AS_FAST_AS_POSSIBLE } from '../player.js';
import { byId, keep, openDialog, read, say } from './pages.js';

/** @typedef {import('../player.js').Player} Player */
/** @typedef {import('./stage.js').Stage} Stage */
/** @typedef {{open: () => void, save: () => void, undo: () => void, reset: () => void, heat: () => void}} Deeds */

const MODES = /** @type {const} */ (['pull', 'pin', 'push']);
const FASTEST = 65; // the slider's end: as fast as possible

/** @param {() => Player|null} player @param {Stage} stage @param {Deeds} deeds */
export function bindControls(player, stage, deeds) {
  byId('play').addEventListener('click', () => player()?.play(!player()?.playing));
  byId('step').addEventListener('click', () => void player()?.step());
  byId('undo').addEventListener('click', deeds.undo);
  byId('reset').addEventListener('click', deeds.reset);
  byId('heat').addEventListener('click', deeds.heat);
  byId('record').addEventListener('click', () => {
    const now = player();
    if (now) now.recordFrom = now.recordFrom ? 0 : now.time;
    now?.onChange();
  });
  for (const mode of MODES) byId(`mode-${mode}`).addEventListener('click', () => setMode(stage, mode));
  setMode(stage, 'pull');
  bindSliders(player, stage);
  bindPanel();
  document.addEventListener('keydown', (event) => onKey(event, player, stage, deeds));
}

/** @param {Stage} stage @param {'pull'|'pin'|'push'} mode */
function setMode(stage, mode) {
  stage.mode = mode;
  for (const other of MODES) byId(`mode-${other}`).setAttribute('aria-checked', String(other === mode));
}

/** @param {() => Player|null} player @param {Stage} stage */
function bindSliders(player, stage) {
  slider('strength', (value) => {
    stage.strength = value;
    return `${value.toFixed(1)}×`;
  });
  slider('speed', (value) => {
    const now = player();
    if (now) now.rate = rateOf(value);
    return value >= FASTEST ? 'as fast as it goes' : `${value}/s`;
  });
  for (const id of ['swing', 'stiffness']) {
    byId(id).addEventListener('input', () => {
      player()?.setRest({ stiffness: Number(byId('stiffness').value), momentum: Number(byId('swing').value) });
      showRest();
    });
  }
}

/** @param {number} value of the speed slider */
const rateOf = (value) => (value >= FASTEST ? AS_FAST_AS_POSSIBLE : value);

/** The rate that the slider says. */
export const chosenRate = () => rateOf(Number(byId('speed').value));

/** @param {string} id @param {(value: number) => string} use what it says beside the slider */
function slider(id, use) {
  const input = byId(id);
  const kept = read(id);
  if (kept) input.value = kept;
  const change = () => (byId(`${id}-out`).textContent = use(Number(input.value)));
  input.addEventListener('input', () => {
    change();
    keep(id, input.value);
  });
  change();
}

function showRest() {
  byId('swing-out').textContent = Number(byId('swing').value).toFixed(2);
  byId('stiffness-out').textContent = Number(byId('stiffness').value).toFixed(2);
}

/** What the player does now, on the buttons. @param {Player} player @param {Stage} stage */
export function show(player, stage) {
  const { playing } = player;
  byId('play').setAttribute('aria-pressed', String(playing));
  byId('play').setAttribute('aria-label', playing ? 'Pause' : 'Play');
  byId('play').querySelector('use').setAttribute('href', playing ? '#i-pause' : '#i-play');
  byId('undo').disabled = !player.canUndo;
  byId('heat').setAttribute('aria-pressed', String(stage.choosesHeat || player.heatMap !== null));
  byId('record').setAttribute('aria-pressed', String(player.recordFrom > 0));
  byId('legend').hidden = player.heatMap === null;
  if (document.activeElement !== byId('swing')) byId('swing').value = String(player.rest.momentum);
  if (document.activeElement !== byId('stiffness')) byId('stiffness').value = String(player.rest.stiffness);
  showRest();
  const impulses = player.engine.info.pokeKind === 'impulse';
  for (const mode of /** @type {const} */ (['pull', 'pin'])) byId(`mode-${mode}`).disabled = impulses;
  if (impulses && stage.mode !== 'push') setMode(stage, 'push');
}

/** @param {Player} player */
export function showStats(player) {
  const { fps, stepMs, latencyP50, latencyP95, backend, threads, asleep } = player.stats();
  const engine = backend === 'wasm' ? `WASM × ${threads}` : backend === 'webgpu' ? 'WebGPU' : 'server';
  const speed = asleep ? 'at rest' : `${fps} frames/s`;
  const step = stepMs === null ? '' : ` · step ${stepMs.toFixed(0)} ms`;
  const wait = latencyP50 === null || latencyP95 === null ? '' : ` · poke to frame ${latencyP50.toFixed(0)} / ${latencyP95.toFixed(0)} ms`;
  byId('readout').textContent = `${engine} · ${speed}${step}${wait}`;
}

function bindPanel() {
  const panel = byId('panel');
  const toggle = (/** @type {boolean} */ open) => {
    panel.classList.toggle('open', open);
    byId('tune').setAttribute('aria-expanded', String(open));
  };
  byId('tune').addEventListener('click', () => toggle(!panel.classList.contains('open')));
  byId('panel-close').addEventListener('click', () => toggle(false));
}

/** @param {KeyboardEvent} event @param {() => Player|null} player @param {Stage} stage @param {Deeds} deeds */
function onKey(event, player, stage, deeds) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest('dialog, input, textarea')) return;
  const onStage = target === stage.stage;
  /** @type {Record<string, () => void>} */
  const anywhere = {
    p: () => byId('play').click(), '.': () => byId('step').click(), z: deeds.undo, r: deeds.reset, h: deeds.heat,
    o: deeds.open, s: deeds.save, '?': () => openDialog('help-dialog'),
    Escape: () => {
      player()?.releaseAll();
      if (stage.choosesHeat || player()?.heatMap) deeds.heat();
      say('let go of everything');
    },
  };
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (onStage && key.startsWith('Arrow')) stage.arrow(key, event.shiftKey);
  else if (onStage && (key === 'Enter' || key === ' ')) stage.grab();
  else if (anywhere[key]) anywhere[key]();
  else return;
  event.preventDefault();
}
