/** The buttons, sliders and keys. */

import { statsOf } from '../measures.js';
import { AS_FAST_AS_POSSIBLE } from '../player/pace.js';
import { bindRest, forgetRest, showRest, tellNumber } from './feel.js';
import { byId, keep, openDialog, read, say } from './pages.js';

/** @typedef {import('../player.js').Player} Player */
/** @typedef {import('./stage.js').Mode} Mode */
/** @typedef {import('./stage.js').Stage} Stage */
/** @typedef {{open: () => void, save: () => void, undo: () => void, reset: () => void, heat: () => void, endHeat: () => boolean}} Deeds */

const NEED_PICTURE = ['mode-brush', 'reset', 'play', 'step', 'heat', 'record', 'share', 'swing', 'stiffness'];
const MODES = /** @type {const} */ (['pull', 'pin', 'push', 'brush']);
const FASTEST = 65; // the slider's end: as fast as possible
const CLOCK_MS = 200;

/** @param {() => Player|null} player @param {Stage} stage @param {Deeds} deeds */
export function bindControls(player, stage, deeds) {
  byId('play').addEventListener('click', () => player()?.play(!player()?.playing));
  byId('step').addEventListener('click', () => void player()?.step());
  byId('undo').addEventListener('click', deeds.undo);
  byId('reset').addEventListener('click', deeds.reset);
  byId('heat').addEventListener('click', deeds.heat);
  byId('unpin').addEventListener('click', () => player()?.releaseAll());
  byId('replay-stop').addEventListener('click', () => player()?.stopReplay());
  byId('record').addEventListener('click', () => {
    const now = player();
    if (!now) return;
    now.record();
    const goesOn = now.recording?.to === null;
    say(goesOn ? 'recording' : 'recording ended');
    if (now.recording && !goesOn) deeds.save();
  });
  bindModes(stage);
  byId('mode-brush').addEventListener('click', () => deeds.endHeat()); // one map at a time
  bindSliders(player, stage);
  bindPanel();
  bindNumbers();
  byId('single-keys').checked = read('single-keys') !== 'off';
  byId('single-keys').addEventListener('change', () => keep('single-keys', byId('single-keys').checked ? 'on' : 'off'));
  document.addEventListener('keydown', (event) => onKey(event, player, stage, deeds));
  document.addEventListener('keyup', (event) => event.key.toLowerCase() === 'b' && stage.comparing.hold(false));
  setInterval(() => showClock(player()), CLOCK_MS);
}

/** A group of radio buttons: one stop of the Tab key, arrows choose. @param {Stage} stage */
function bindModes(stage) {
  for (const mode of MODES) byId(`mode-${mode}`).addEventListener('click', () => setMode(stage, mode));
  byId('mode-pull').parentElement.addEventListener('keydown', (/** @type {KeyboardEvent} */ event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by) return;
    const usable = MODES.filter((mode) => !byId(`mode-${mode}`).disabled);
    const next = usable[(usable.indexOf(stage.mode) + by + usable.length) % usable.length];
    setMode(stage, next);
    byId(`mode-${next}`).focus();
    event.preventDefault();
  });
  setMode(stage, 'pull');
}

/** Lays the brush down, so that what moves is seen. @param {Stage} stage */
export function endBrush(stage) {
  if (stage.mode === 'brush') setMode(stage, byId('mode-pull').disabled ? 'push' : 'pull');
}

/** @param {Stage} stage @param {Mode} mode */
function setMode(stage, mode) {
  stage.mode = mode;
  stage.brushing.take(mode === 'brush');
  for (const other of MODES) {
    byId(`mode-${other}`).setAttribute('aria-checked', String(other === mode));
    byId(`mode-${other}`).tabIndex = other === mode ? 0 : -1;
  }
}

/** @param {() => Player|null} player @param {Stage} stage */
function bindSliders(player, stage) {
  slider('strength', (value) => {
    stage.strength = value;
    return `${value.toFixed(2)}×`;
  });
  slider('speed', (value) => {
    const now = player();
    if (now) now.rate = rateOf(value);
    return value >= FASTEST ? 'as fast as it goes' : `${value} steps/s`;
  });
  bindRest(player, fill);
  for (const id of ['swing', 'stiffness']) fill(byId(id)); // until the engine says better
  byId('feel-reset').addEventListener('click', () => {
    const now = player();
    if (now) forgetRest(now);
    for (const id of ['strength', 'speed']) {
      byId(id).value = byId(id).defaultValue;
      byId(id).dispatchEvent(new Event('input'));
    }
    byId('strength').focus();
  });
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
  const change = () => {
    tellNumber(input, use(Number(input.value)));
    fill(input);
    showFeelReset();
  };
  input.addEventListener('input', () => {
    change();
    keep(id, input.value);
  });
  change();
}

/** Speed and latency, and the numbers of sliders: for who asks. */
function bindNumbers() {
  const root = document.documentElement;
  byId('numbers').checked = read('numbers') === 'on';
  const show = () => root.classList.toggle('numbers', byId('numbers').checked);
  byId('numbers').addEventListener('change', () => {
    keep('numbers', byId('numbers').checked ? 'on' : 'off');
    show();
  });
  show();
  byId('info').addEventListener('click', () => {
    byId('readout').hidden = !byId('readout').hidden;
    byId('info').setAttribute('aria-expanded', String(!byId('readout').hidden));
  });
}

/** Colours its track up to the value. @param {HTMLInputElement} input */
function fill(input) {
  const [low, high] = [Number(input.min), Number(input.max)];
  const share = (Number(input.value) - low) / (high - low);
  input.style.setProperty('--fill', `${100 * (input.dir === 'rtl' ? 1 - share : share)}%`); // from the left, up to its thumb
}

let usualRest = true;

function showFeelReset() {
  const usual = ['strength', 'speed'].every((id) => byId(id).value === byId(id).defaultValue);
  byId('feel-reset').hidden = usual && usualRest;
}

/** Buttons that would do nothing look so. @param {boolean} awake whether there is a picture that an engine moves */
export function setAwake(awake) {
  for (const id of NEED_PICTURE) byId(id).disabled = !awake;
  if (!awake) byId('undo').disabled = true;
}

/** Shows on the buttons what the player does now. @param {Player} player @param {Stage} stage */
export function show(player, stage) {
  const { playing, rest, pins, replayed, engine, heatMap } = player;
  byId('play-text').textContent = playing ? 'Pause' : 'Play';
  byId('play').querySelector('use').setAttribute('href', playing ? '#i-pause' : '#i-play');
  setAwake(player.picture !== null);
  byId('undo').disabled = !player.canUndo;
  byId('heat').setAttribute('aria-pressed', String(stage.choosesHeat || heatMap !== null));
  showLegend(player);
  byId('compare').classList.toggle('away', player.fields === null || player.paints);
  byId('pins').hidden = pins.size === 0;
  byId('pins-text').textContent = pins.size === 1 ? '1 pin holds' : `${pins.size} pins hold`;
  byId('replaying').hidden = replayed === null || !byId('hint').hidden; // the hint goes with what plays by itself
  byId('replaying-text').textContent = player.nobodys ? 'See how it moves' : 'Playing a script';
  showClock(player);
  const usual = engine.info.defaultRest;
  usualRest = rest.stiffness === usual.stiffness && rest.momentum === usual.momentum;
  showRest(player, fill);
  showFeelReset();
  const impulses = engine.info.pokeKind === 'impulse';
  for (const mode of /** @type {const} */ (['pull', 'pin'])) byId(`mode-${mode}`).disabled = impulses;
  if (impulses && byId(`mode-${stage.mode}`).disabled) setMode(stage, 'push');
  stage.refresh();
}

/** The meaning of the map's colours. @param {Player} player */
function showLegend({ heatMap, paints, engine }) {
  byId('legend').hidden = paints ? engine.moves === null : heatMap === null;
  byId('legend-low').textContent = paints ? 'stays' : 'still';
  byId('legend-high').textContent = paints ? 'can move' : 'moves along';
  byId('heat-off').hidden = paints;
}

/** Shows the length of a recording. @param {Player|null} player */
function showClock(player) {
  const goesOn = player?.recording?.to === null;
  const [button, clock] = [byId('record'), byId('record-text')];
  button.setAttribute('aria-pressed', String(goesOn));
  const seconds = player?.recording ? (player.time - player.recording.from) / usualRate(player) : 0;
  const text = goesOn ? `${seconds.toFixed(1)} s` : 'Record';
  if (clock.textContent !== text) clock.textContent = text;
}

/** Frames a second of what is saved. @param {Player} player */
export const usualRate = ({ rate }) => (Number.isFinite(rate) ? rate : 60);

/** @param {Player} player */
export function showStats(player) {
  const { fps, stepMs, latencyP50, latencyP95, backend, threads, asleep } = statsOf(player);
  const engine = backend === 'wasm' ? `WASM × ${threads}` : backend === 'webgpu' ? 'WebGPU' : 'server';
  const speed = !player.playing ? 'paused' : asleep ? 'at rest' : `${fps} frames/s`;
  const step = stepMs === null ? '' : ` · step ${stepMs.toFixed(0)} ms`;
  const wait = latencyP50 === null || latencyP95 === null ? '' : ` · latency ${latencyP50.toFixed(0)} / ${latencyP95.toFixed(0)} ms`;
  byId('readout').textContent = `${engine} · ${speed}${step}${wait}`;
  byId('readout').title = 'Latency from a poke to the frame that shows it: median and 95th percentile';
}

/** On small screens a sheet that leaves the picture in sight: from below, or from the side of a phone that lies on its side. */
function bindPanel() {
  const [panel, tune] = [byId('panel'), byId('tune')];
  const toggle = (/** @type {boolean} */ open) => {
    panel.classList.toggle('open', open);
    tune.setAttribute('aria-expanded', String(open));
    (open ? byId('panel-close') : tune).focus();
  };
  tune.addEventListener('click', () => toggle(!panel.classList.contains('open')));
  byId('panel-close').addEventListener('click', () => toggle(false));
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !panel.classList.contains('open')) return;
    toggle(false);
    event.stopImmediatePropagation();
  });
}

/** @param {KeyboardEvent} event @param {() => Player|null} player @param {Stage} stage @param {Deeds} deeds */
function onKey(event, player, stage, deeds) {
  const target = /** @type {HTMLElement} */ (event.target);
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || target.closest('dialog')) return;
  const onStage = target === stage.stage;
  /** @type {Record<string, () => void>} */
  const anywhere = {
    p: () => byId('play').click(), '.': () => byId('step').click(), z: deeds.undo, r: deeds.reset, h: deeds.heat,
    b: () => byId('compare').classList.contains('away') || stage.comparing.hold(true), o: deeds.open, s: deeds.save, '?': () => openDialog('help-dialog'),
    Escape: () => {
      if (deeds.endHeat()) return;
      if (player()?.isEarlier) return void player()?.seek(Infinity).then(() => player()?.resume());
      player()?.stopReplay();
      stage.letGoOfKeys();
      player()?.releaseAll();
      say('let go of everything');
    },
  };
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (onStage && key.startsWith('Arrow')) stage.arrow(key, event.shiftKey);
  else if (onStage && (key === 'Enter' || key === ' ')) {
    if (!event.repeat) stage.grab();
  } else if (anywhere[key] && (key === 'Escape' || byId('single-keys').checked)) {
    if (!event.repeat || key === '.') anywhere[key]();
  } else return;
  event.preventDefault();
}
