/** The hint for who has not touched anything yet, and a finger that shows how. */

import { byId } from './pages.js';

const FADE_MS = 600; // as in app.css

export class Hint {
  touched = false; // something was, and nobody need be told how

  /** @param {import('../engine/types.js').Engine} engine @param {boolean} isShown by a poke that plays by itself */
  invite({ info }, isShown) {
    if (this.touched) return;
    const [how, what] = info.pokeKind === 'impulse' ? ['Flick anything.', 'It moves.'] : ['Drag anything.', 'It follows.'];
    byId('hint-text').textContent = how;
    byId('hint-more').textContent = what;
    for (const id of ['hint', 'ghost']) byId(id).classList.remove('gone');
    byId('hint').hidden = false;
    byId('ghost').hidden = isShown;
  }

  end() {
    if (this.touched) return;
    this.touched = true;
    for (const id of ['hint', 'ghost']) {
      byId(id).classList.add('gone');
      setTimeout(() => (byId(id).hidden = true), FADE_MS);
    }
  }
}
