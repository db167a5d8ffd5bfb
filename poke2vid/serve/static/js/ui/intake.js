/** The ways in which pictures and scripts come in: examples, files, drop, paste, the camera. */

import { byId, say, takePhoto, toast } from './pages.js';

/** @typedef {{file: string, title: string, credit: string, licence: string, script?: string}} Example */
/** @typedef {(image: CanvasImageSource, width: number, height: number) => void} OnPhoto */

const OPENING_MS = 100; // what comes sooner needs no word

/** @param {(file: File) => void} onFile @param {OnPhoto} onPhoto */
export function bindIntake(onFile, onPhoto) {
  byId('open').addEventListener('click', () => byId('file').click());
  byId('load-script').addEventListener('click', () => byId('script-file').click());
  byId('camera').addEventListener('click', () => void takePhoto(onPhoto, () => byId('snap').click()));
  for (const id of ['file', 'snap', 'script-file']) {
    byId(id).addEventListener('change', (/** @type {Event} */ event) => {
      const input = /** @type {HTMLInputElement} */ (event.target);
      const file = input.files?.[0];
      if (file) onFile(file);
      input.value = ''; // so that the same file may be chosen again
    });
  }
  bindDropAndPaste(onFile);
}

/** @param {(file: File) => void} onFile */
function bindDropAndPaste(onFile) {
  const drop = byId('drop');
  window.addEventListener('dragover', (event) => {
    event.preventDefault();
    if (event.dataTransfer?.types.some((type) => type === 'Files' || type === 'text/uri-list')) drop.hidden = false;
  });
  window.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) drop.hidden = true;
  });
  window.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.hidden = true;
    const file = event.dataTransfer?.files[0];
    if (file) onFile(file);
    else toast('Only files can be dropped here; save the picture first, or copy and paste it.');
  });
  window.addEventListener('paste', (event) => {
    const items = [...(event.clipboardData?.items ?? [])];
    const file = items.find(({ kind }) => kind === 'file')?.getAsFile();
    if (file) onFile(file);
    else if (items.length) toast('There is no picture to paste; copy one first.');
  });
}

/** @param {Example[]} examples @param {(example: Example) => void} onChosen */
export function listExamples(examples, onChosen) {
  byId('examples').replaceChildren(
    ...examples.map((example) => {
      const item = document.createElement('li');
      const button = document.createElement('button');
      const image = document.createElement('img');
      button.className = 'example';
      button.dataset.testid = `example-${example.file}`;
      button.dataset.file = example.file;
      button.title = example.title;
      image.src = `examples/${example.file}`;
      image.alt = example.title;
      image.loading = 'lazy';
      image.draggable = false;
      button.append(image);
      button.addEventListener('click', () => onChosen(example));
      item.append(button);
      return item;
    }),
  );
  byId('examples').parentElement.hidden = examples.length === 0;
}

/** Marks the example on the stage, if any, and shows what is known of the picture. @param {Example|null} example @param {string} name */
export function showCurrent(example, name) {
  byId('credit').textContent = example ? `${example.title} · ${example.credit}, ${example.licence}` : name;
  byId('watch').hidden = !example?.script;
  for (const button of byId('examples').querySelectorAll('button')) {
    if (button.dataset.file === example?.file) button.setAttribute('aria-current', 'true');
    else button.removeAttribute('aria-current');
  }
}

/** Says how far the way to the first picture has come. @param {import('../engine/types.js').Progress} progress */
export function showLoading({ stage: part, loaded, total }) {
  const text = { runtime: 'Waking the engine up…', model: 'Fetching the model…', 'warming up': 'Warming up…' };
  byId('loading').classList.remove('failed');
  byId('loading').hidden = false;
  byId('retry').hidden = true;
  byId('loading-text').textContent = text[part];
  byId('loading-bar').hidden = false;
  if (total) byId('loading-bar').value = loaded / total;
  else byId('loading-bar').removeAttribute('value');
}

/** Says that a picture is on its way where it takes a moment; what is returned ends that. @param {string} name */
export function showOpening(name) {
  const timer = setTimeout(() => {
    byId('loading').hidden = false;
    byId('loading-bar').hidden = false;
    byId('loading-bar').removeAttribute('value');
    byId('loading-text').textContent = `Opening ${name}…`;
    say(`Opening ${name}`);
  }, OPENING_MS);
  return () => clearTimeout(timer);
}

/** Says how much of what was done is back. @param {number} share */
export function showBringing(share) {
  byId('loading').hidden = false;
  byId('loading-bar').hidden = false;
  byId('loading-text').textContent = 'Bringing back what you did…';
  byId('loading-bar').value = share;
}

/** An invitation in the place of the picture. */
export function showEmpty() {
  byId('loading-text').textContent = 'Open a picture, drop one here, or take a photo.';
  byId('loading-bar').hidden = true;
}

/** In the place of the picture: what went wrong, and a way on. @param {string} message */
export function showFailure(message) {
  byId('loading').hidden = false;
  byId('loading').classList.add('failed');
  byId('loading-bar').hidden = true;
  byId('loading-text').textContent = message;
  byId('retry').hidden = false;
  say(message);
}
