/** A picture as large as its table allows, at its own proportions. */

import { byId } from './pages.js';

/** @param {{width: number, height: number}} picture */
export function fit({ width, height }) {
  const room = byId('table').getBoundingClientRect();
  const style = getComputedStyle(byId('table'));
  const wide = room.width - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const high = room.height - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  const scale = Math.min(wide / width, high / height);
  byId('frame').style.width = `${Math.max(1, Math.floor(width * scale))}px`;
  byId('frame').style.height = `${Math.max(1, Math.floor(height * scale))}px`;
}
