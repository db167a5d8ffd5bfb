/** Words about what computes, and where. */

import { byId } from './pages.js';

/** @typedef {import('../engine/types.js').Engine} Engine */

export function sayServer() {
  byId('privacy').querySelector('span').textContent = 'Your picture is sent to the server that moves it.';
  byId('privacy').querySelector('use').setAttribute('href', '#i-server');
}

/** @param {Engine} engine */
export function aboutModel({ info }) {
  const from = info.model?.origin?.trained_on?.replace(/ *\([^()]*\)/g, ''); // which recipe it was is for those who train
  byId('about-model').textContent =
    `This model sees ${info.resolution} × ${info.resolution} pixels${from ? ` and was trained on ${from}` : ''}. It moves your picture at its own size.`;
}
