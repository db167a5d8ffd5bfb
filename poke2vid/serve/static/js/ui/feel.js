/**
 * The two sliders of how what was let go of moves. Of a model that knows a law of rest alone they are that law's numbers; of
 * one that sees what it touches they say how this one thing swings: how often in a second, and how soon it is still.
 */

import { causesOf, restOf } from '../engine/touch/swing.js';
import { sameRest } from '../script.js';
import { byId, drop, keep, read } from './pages.js';

/** @typedef {import('../engine/types.js').Engine} Engine */
/** @typedef {import('../engine/types.js').Rest} Rest */
/** @typedef {import('../player.js').Player} Player */
/**
 * A slider, whose ends are said in words; where it is turned round its largest number is at its left.
 *
 * @typedef {{low: string, high: string, about: string, unit: string, turned?: boolean} & Numbers} Scale
 * @typedef {{min: number, max: number, step: number}} Numbers
 */

/**
 * @typedef {object} Manner
 * @property {[Scale, Scale]} scales of the two sliders
 * @property {(first: number, second: number) => Rest} rest that they say
 * @property {(rest: Rest) => [number, number]} places of the sliders
 */

const SLIDERS = ['swing', 'stiffness'];

/** @type {Record<string, Manner>} */
const MANNERS = {
  paper: {
    scales: [
      { low: 'Calm', high: 'Lively', about: 'The share of its speed that it keeps', min: 0, max: 0.95, step: 0.01, unit: '' },
      { low: 'Loose', high: 'Firm', about: 'How strongly it is drawn back', min: 0, max: 0.5, step: 0.01, unit: '' },
    ],
    rest: (momentum, stiffness) => ({ stiffness, momentum }),
    places: ({ stiffness, momentum }) => [momentum, stiffness],
  },
  touch: {
    scales: [
      { low: 'Loose', high: 'Firm', about: 'Swings in a second', min: 0.5, max: 3, step: 0.05, unit: ' Hz' },
      {
        low: 'Calm', high: 'Lively', about: 'Damping: a share of what just lets nothing swing',
        min: 0.03, max: 0.8, step: 0.01, unit: '', turned: true,
      },
    ],
    rest: (hertz, damping) => restOf({ hertz, damping }),
    places: (rest) => {
      const { hertz, damping } = causesOf(rest);
      return [hertz, damping];
    },
  },
};

/** @param {Engine} engine */
const kindOf = (engine) => (engine.info.model.kind === 'touch' ? 'touch' : 'paper');
/** @param {Engine} engine */
const mannerOf = (engine) => MANNERS[kindOf(engine)];
/** Name of what a browser keeps of the sliders. @param {Engine} engine */
const keyOf = (engine) => `feel-${kindOf(engine)}`;

/** Number of a slider, beside it and for who hears it. @param {HTMLInputElement} input @param {string} text */
export function tellNumber(input, text) {
  byId(`${input.id}-out`).textContent = text;
  input.setAttribute('aria-valuetext', text);
}

/** @param {() => Player|null} player @param {(input: HTMLInputElement) => void} fill colours a slider's track */
export function bindRest(player, fill) {
  for (const id of SLIDERS) {
    byId(id).addEventListener('input', () => {
      const now = player();
      if (!now) return;
      const values = said();
      now.setRest(lawOf(now.engine, values));
      keep(keyOf(now.engine), values.join(' '));
      tell(mannerOf(now.engine), fill);
    });
  }
}

/** Law that the sliders asked for at the last visit; the usual one where they asked for none. @param {Engine} engine */
export function lastRest(engine) {
  const { scales } = mannerOf(engine);
  const values = (read(keyOf(engine)) ?? '').split(' ').map(Number);
  const isThere = values.length === scales.length && values.every((value, k) => value >= scales[k].min && value <= scales[k].max);
  return isThere ? lawOf(engine, values) : { ...engine.info.defaultRest };
}

/** To the usual law, also at the next visit. @param {Player} player */
export function forgetRest(player) {
  player.setRest(player.engine.info.defaultRest);
  drop(keyOf(player.engine));
}

const said = () => SLIDERS.map((id) => Number(byId(id).value));

/**
 * Law of sliders at some places. At their usual places that is the usual law to the last digit, which leaves every place of a
 * thing to what the model has learnt.
 *
 * @param {Engine} engine
 * @param {number[]} values
 * @returns {Rest}
 */
function lawOf(engine, values) {
  const { scales, rest, places } = mannerOf(engine);
  const usual = engine.info.defaultRest;
  const isUsual = places(usual).every((place, k) => Math.abs(place - values[k]) < scales[k].step / 2);
  return isUsual ? { ...usual } : rest(values[0], values[1]);
}

/** The player's law on the sliders. @param {Player} player @param {(input: HTMLInputElement) => void} fill */
export function showRest(player, fill) {
  const manner = mannerOf(player.engine);
  SLIDERS.forEach((id, k) => {
    const { low, high, about, min, max, step, turned = false } = manner.scales[k];
    Object.assign(byId(id), { min, max, step, title: about, dir: turned ? 'rtl' : 'ltr' });
    byId(id).setAttribute('aria-label', `${low} to ${high.toLowerCase()}`);
    const label = byId(id).closest('label');
    label.querySelector('.low').textContent = low;
    label.querySelector('.high').textContent = high;
  });
  // Several places may say one law, where it is at its bounds: a slider stays where it was put.
  if (!sameRest(lawOf(player.engine, said()), player.rest)) {
    manner.places(player.rest).forEach((place, k) => (byId(SLIDERS[k]).value = String(place)));
  }
  tell(manner, fill);
}

/** @param {Manner} manner @param {(input: HTMLInputElement) => void} fill */
function tell({ scales }, fill) {
  SLIDERS.forEach((id, k) => {
    tellNumber(byId(id), Number(byId(id).value).toFixed(2) + scales[k].unit);
    fill(byId(id));
  });
}
