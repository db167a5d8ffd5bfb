/**
 * Motion in time of what was touched: every place of the object is an oscillator, driven by a hand or free
 * (poke2vid/model/swing.py).
 */

import { LAW, SIZE } from './field.js';

/** @typedef {import('../types.js').Pair} Pair */
/** @typedef {import('../types.js').Rest} Rest */
/** @typedef {{hertz: number, damping: number}} Causes of a swing; the damping as a share of the critical one */

/**
 * State of the object's motion; nothing in it is ever written to.
 *
 * @typedef {object} Motion
 * @property {Float32Array} u how far every pixel of x_0 has gone, `2 64 64` in pixels of the field
 * @property {Float32Array} v how far it goes in a frame
 * @property {Float32Array} hand where u is pulled to
 * @property {Float32Array} home where it would come to rest
 * @property {Float32Array} maps of its law, `7 64 64`
 * @property {number} frames for which it has been held
 */

/**
 * The numbers of every place's oscillator, `64 64` each.
 *
 * @typedef {object} Law
 * @property {Float32Array} follow the share of its way to the hand by which what is held gains speed in a frame
 * @property {Float32Array} glide the share of its speed that it keeps
 * @property {Float32Array} stiffness the same two of what is free
 * @property {Float32Array} momentum
 * @property {Float32Array} kick the speed that throws a place as far as 1
 */

/** @typedef {import('./drive.js').Drive} Drive */

const FPS = 25;
const ARRIVAL = 10; // frames that a hand takes to where it first goes
/** Of what nothing is known of. @type {Causes} */
export const USUAL = { hertz: 1.3, damping: 0.12 };
const FOLLOW = 0.45; // where the maps are zero
const GLIDE = 0.45;
const FARTHEST = 2; // of the parts of A
const FASTEST = 3; // radians a frame: a leaf is back within one
const DAMPED = [0.02, 0.95];
const CALMING = 0.25 / FPS; // a frame, at least this share of a swing is lost
const MAX_MOMENTUM = 0.99;

/** @returns {Motion} */
export function still() {
  const [u, v, hand, home] = [0, 1, 2, 3].map(() => new Float32Array(2 * SIZE));
  return { u, v, hand, home, maps: new Float32Array(LAW * SIZE), frames: 0 };
}

/**
 * The maps of a law; what is pushed may ring otherwise than what is let go of.
 *
 * @param {Float32Array} swing `15 64 64` @param {boolean} pushed
 */
export function mapsOf(swing, pushed) {
  const maps = swing.slice(0, LAW * SIZE);
  if (!pushed) return maps;
  for (let o = 2 * SIZE; o < 6 * SIZE; o++) maps[o] += swing[LAW * SIZE + (o % (2 * SIZE))];
  return maps;
}

/**
 * A as a complex number: how far a place stays where a shift puts it, and turned by how much.
 *
 * @param {Float32Array} swing `15 64 64` @param {Pair} shift
 */
export function staysOf(swing, [x, y]) {
  const stays = new Float32Array(2 * SIZE);
  const length = Math.max(Math.hypot(x, y), 1e-6);
  const [cos, sin] = [x / length, y / length];
  for (let part = 0; part < 2; part++) {
    const from = (LAW + 2 + 3 * part) * SIZE;
    for (let i = 0; i < SIZE; i++) {
      const sum = swing[from + i] + cos * swing[from + SIZE + i] + sin * swing[from + 2 * SIZE + i];
      stays[part * SIZE + i] = FARTHEST * Math.tanh(sum / FARTHEST);
    }
  }
  return stays;
}

/**
 * A u, where each place would come to rest.
 *
 * @param {Float32Array} u @param {Float32Array} stays
 */
function homeOf(u, stays) {
  const home = new Float32Array(2 * SIZE);
  for (let i = 0; i < SIZE; i++) {
    const [x, y, scaled, turned] = [u[i], u[SIZE + i], stays[i], stays[SIZE + i]];
    [home[i], home[SIZE + i]] = [scaled * x - turned * y, scaled * y + turned * x];
  }
  return home;
}

/**
 * @param {Float32Array} maps of time
 * @param {Causes|null} told what is known of this one thing; null leaves it to the maps
 * @returns {Law}
 */
export function lawOf(maps, told) {
  const [follow, glide, stiffness, momentum, kick] = Array.from({ length: 5 }, () => new Float32Array(SIZE));
  const { hertz, damping } = told ?? USUAL;
  const departures = (told ? 2 : 4) * SIZE;
  const [followBias, glideBias] = [logit(FOLLOW), logit(GLIDE)];
  for (let i = 0; i < SIZE; i++) {
    const omega = Math.min(((2 * Math.PI) / FPS) * hertz * Math.exp(maps[departures + i]), FASTEST);
    const zeta = Math.min(Math.max(damping * Math.exp(maps[departures + SIZE + i]), DAMPED[0], CALMING / omega), DAMPED[1]);
    [stiffness[i], momentum[i]] = oscillator(omega, zeta);
    kick[i] = Math.exp(maps[6 * SIZE + i]) / peak(omega, zeta);
    follow[i] = sigmoid(maps[i] + followBias);
    glide[i] = sigmoid(maps[SIZE + i] + glideBias);
  }
  return { follow, glide, stiffness, momentum, kick };
}

/** @param {number} x */
export const sigmoid = (x) => 1 / (1 + Math.exp(-x));
/** @param {number} share */
const logit = (share) => Math.log(share / (1 - share));

/**
 * Stiffness and momentum of a swing.
 *
 * @param {number} omega in radians a frame
 * @param {number} zeta
 * @returns {[number, number]}
 */
function oscillator(omega, zeta) {
  const rho = Math.exp(-2 * zeta * omega);
  return [1 + rho - 2 * Math.sqrt(rho) * Math.cos(omega * Math.sqrt(1 - zeta * zeta)), rho];
}

/** Distance that a free oscillator gets from a start at speed 1. @param {number} omega @param {number} zeta */
function peak(omega, zeta) {
  const theta = omega * Math.sqrt(1 - zeta * zeta);
  const n = Math.max(Math.acos(zeta) / theta, 1);
  return (Math.exp(-zeta * omega * (n - 1)) * Math.sin(n * theta)) / Math.sin(theta);
}

/** A swing as a session's law of rest. @param {Causes} causes @returns {Rest} */
export function restOf({ hertz, damping }) {
  const [stiffness, momentum] = oscillator((2 * Math.PI * hertz) / FPS, damping);
  return { stiffness, momentum: Math.min(momentum, MAX_MOMENTUM) };
}

/** The inverse of `restOf`; a law that does not swing is the most damped one. @param {Rest} rest @returns {Causes} */
export function causesOf({ stiffness, momentum }) {
  const rho = Math.max(momentum, 1e-4);
  const fading = -Math.log(rho) / 2;
  const swings = (1 + rho - stiffness) / (2 * Math.sqrt(rho));
  if (swings >= 1) { // creeps back: the slower of its two ways decides how long it takes
    const slow = Math.max((fading - Math.acosh(swings)) / DAMPED[1], 1e-4);
    return { hertz: (slow * FPS) / (2 * Math.PI), damping: DAMPED[1] };
  }
  const omega = Math.max(Math.hypot(Math.acos(Math.max(-1, swings)), fading), 1e-4);
  return { hertz: (omega * FPS) / (2 * Math.PI), damping: Math.min(Math.max(fading / omega, DAMPED[0]), DAMPED[1]) };
}

/**
 * Share of what is left of its way that a hand goes after so many frames: together a path of least jerk.
 *
 * @param {number} frames
 */
function handShare(frames) {
  const [s, next] = [frames, frames + 1].map((n) => {
    const t = Math.min(n, ARRIVAL) / ARRIVAL;
    return t ** 3 * (10 + t * (6 * t - 15));
  });
  return frames + 1 < ARRIVAL ? (next - s) / Math.max(1 - s, 1e-6) : 1;
}

/**
 * A frame on.
 *
 * @param {Motion} motion
 * @param {Drive|null} drive what touches; null: nothing
 * @param {Law} law of the maps of what touches, else of the motion's
 * @returns {Motion}
 */
export function advanced(motion, drive, law) {
  const next = drive?.held ? held(motion, drive, law) : free(motion, drive, law);
  return { ...next, maps: drive?.touched ? drive.maps : motion.maps };
}

/** @param {Motion} motion @param {Drive} drive @param {Law} law */
function held({ u, v, hand, frames }, drive, law) {
  const [newU, newV, newHand] = [0, 1, 2].map(() => new Float32Array(2 * SIZE));
  const share = handShare(frames);
  for (let i = 0, o = 0; o < u.length; o++, i = o % SIZE) {
    newHand[o] = hand[o] + share * (drive.target[o] - hand[o]);
    newV[o] = law.glide[i] * v[o] + law.follow[i] * (newHand[o] - u[o]) + law.kick[i] * drive.thrown[o];
    newU[o] = u[o] + newV[o];
  }
  return { u: newU, v: newV, hand: newHand, home: homeOf(newU, drive.stays), frames: frames + 1 };
}

/** @param {Motion} motion @param {Drive|null} drive @param {Law} law */
function free({ u, v, home }, drive, law) {
  const [newU, newV] = [0, 1].map(() => new Float32Array(2 * SIZE));
  const newHome = drive ? homeOf(drive.thrown, drive.stays).map((h, o) => home[o] + h) : home;
  for (let i = 0, o = 0; o < u.length; o++, i = o % SIZE) {
    newV[o] = law.momentum[i] * v[o] - law.stiffness[i] * (u[o] - newHome[o]) + (drive ? law.kick[i] * drive.thrown[o] : 0);
    newU[o] = u[o] + newV[o];
  }
  return { u: newU, v: newV, hand: newU, home: newHome, frames: 0 };
}
