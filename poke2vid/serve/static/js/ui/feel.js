/**
 * The two sliders of how what was let go of moves. Of a model that knows a law of rest alone they are that law's numbers; of
 * one that sees what it touches they say how this one thing swings: how often in a second, and how soon it is still.
 */

import { causesOf, restOf } from '../engine/touch/swing.js';
import { sameRest } from '../script.js';
import { byId } from './pages.js';

/** @typedef {import('../engine/types.js').Rest} Rest */
/** @typedef {import('../player.js').Player} Player */
/** @typedef {{name: string, about: string, min: number, max: number, step: number, unit: string}} Scale */

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
      { name: 'Swing', about: 'The share of its speed that it keeps', min: 0, max: 0.95, step: 0.01, unit: '' },
      { name: 'Stiffness', about: 'How strongly it is drawn back', min: 0, max: 0.5, step: 0.01, unit: '' },
    ],
    rest: (momentum, stiffness) => ({ stiffness, momentum }),
    places: ({ stiffness, momentum }) => [momentum, stiffness],
  },
  touch: {
    scales: [
      { name: 'Frequency', about: 'Swings in a second', min: 0.5, max: 3, step: 0.05, unit: ' Hz' },
      { name: 'Damping', about: 'A share of what just lets nothing swing', min: 0.03, max: 0.8, step: 0.01, unit: '' },
    ],
    rest: (hertz, damping) => restOf({ hertz, damping }),
    places: (rest) => {
      const { hertz, damping } = causesOf(rest);
      return [hertz, damping];
    },
  },
};

/** @param {Player} player */
const mannerOf = ({ engine }) => MANNERS[engine.info.model.kind ?? 'paper'] ?? MANNERS.paper;

/** @param {() => Player|null} player @param {(input: HTMLInputElement) => void} fill colours a slider's track */
export function bindRest(player, fill) {
  for (const id of SLIDERS) {
    byId(id).addEventListener('input', () => {
      const now = player();
      if (!now) return;
      now.setRest(said(now));
      tell(mannerOf(now), fill);
    });
  }
}

/**
 * Law that the sliders ask for. Where they stand at their usual places that is the usual law to the last digit, which leaves every
 * place of a thing to what the model has learnt.
 *
 * @param {Player} player
 * @returns {Rest}
 */
function said(player) {
  const { scales, rest, places } = mannerOf(player);
  const usual = player.engine.info.defaultRest;
  const values = SLIDERS.map((id) => Number(byId(id).value));
  const isUsual = places(usual).every((place, k) => Math.abs(place - values[k]) < scales[k].step / 2);
  return isUsual ? { ...usual } : rest(values[0], values[1]);
}

/** The player's law on the sliders. @param {Player} player @param {(input: HTMLInputElement) => void} fill */
export function showRest(player, fill) {
  const manner = mannerOf(player);
  SLIDERS.forEach((id, k) => {
    const { name, about, min, max, step } = manner.scales[k];
    Object.assign(byId(id), { min, max, step, title: about });
    byId(id).closest('label').querySelector('span').textContent = name;
  });
  // Several places may say one law, where it is at its bounds: a slider stays where it was put.
  if (!sameRest(said(player), player.rest)) {
    manner.places(player.rest).forEach((place, k) => (byId(SLIDERS[k]).value = String(place)));
  }
  tell(manner, fill);
}

/** @param {Manner} manner @param {(input: HTMLInputElement) => void} fill */
function tell({ scales }, fill) {
  SLIDERS.forEach((id, k) => {
    byId(`${id}-out`).textContent = Number(byId(id).value).toFixed(2) + scales[k].unit;
    fill(byId(id));
  });
}
