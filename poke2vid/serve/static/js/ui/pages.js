/** Things that appear over the page: short messages, dialogs, the camera; and what is remembered of a visit. */

const TOAST_MS = 6000;
const SLOW_TOAST_MS = 20_000; // where there is something to press
const GROUND = { light: '#f6f2ea', dark: '#101216' }; // as in app.css: the browser's own bars

/** @param {string} id @returns {any} */
export const byId = (id) => {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no #${id}.`);
  return element;
};

let toastTimer = 0;

/**
 * One sentence that goes away again.
 *
 * @param {string} text
 * @param {'error'|'done'} [kind]
 * @param {{label: string, act: () => void}} [action] a button beside it
 */
export function toast(text, kind = 'error', action) {
  const element = byId('toast');
  const button = byId('toast-action');
  byId('toast-text').textContent = text;
  button.hidden = !action;
  button.textContent = action?.label ?? '';
  button.onclick = () => {
    element.hidden = true;
    action?.act();
  };
  byId('toast-close').onclick = () => (element.hidden = true);
  element.className = `toast ${kind}`;
  element.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (element.hidden = true), action ? SLOW_TOAST_MS : TOAST_MS);
}

/** True while the toast has such a button. @param {string} label */
export const isOffered = (label) => !byId('toast').hidden && byId('toast-action').textContent === label;

/** Takes an error away: what was tried next has succeeded. */
export function endError() {
  const element = byId('toast');
  if (element.classList.contains('error')) element.hidden = true;
}

/** For who does not see. @param {string} text */
export function say(text) {
  byId('live').textContent = text;
}

/** @param {string} id */
export function openDialog(id) {
  const dialog = byId(id);
  if (!dialog.open) dialog.showModal();
}

/** A click beside a dialog closes it. */
export function closeOnBackdrop() {
  for (const dialog of document.querySelectorAll('dialog')) {
    dialog.addEventListener('pointerdown', (event) => {
      if (event.target === dialog) dialog.close();
    });
  }
}

/**
 * A photo from the camera.
 *
 * @param {(image: CanvasImageSource, width: number, height: number) => void} onPhoto
 * @param {() => void} onNoCamera where the browser gives none: phones offer their own camera for a file
 */
export async function takePhoto(onPhoto, onNoCamera) {
  if (!navigator.mediaDevices?.getUserMedia) return onNoCamera();
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment', width: { ideal: 1920 } } });
  } catch (error) {
    const { name } = /** @type {DOMException} */ (error);
    if (name === 'NotAllowedError') return toast('The camera is not allowed for this page; allow it in the address bar, or open a picture.');
    if (matchMedia('(pointer: coarse)').matches) return onNoCamera();
    return toast(name === 'NotFoundError' ? 'This device has no camera; open a picture.' : 'The camera cannot be used now; is another program using it?');
  }
  const video = byId('viewfinder');
  const dialog = byId('camera-dialog');
  video.srcObject = stream;
  dialog.onclose = () => stream.getTracks().forEach((track) => track.stop());
  byId('shutter').onclick = () => {
    onPhoto(video, video.videoWidth, video.videoHeight);
    dialog.close();
  };
  openDialog('camera-dialog');
  await video.play().catch(() => {}); // closed before it began
}

/** Dark, light or as the device is; kept for the next visit. @param {() => void} onChange */
export function themes(onChange) {
  const root = document.documentElement;
  const darkDevice = matchMedia('(prefers-color-scheme: dark)');
  const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : darkDevice.matches);
  const show = () => {
    /** @type {HTMLMetaElement} */ (document.querySelector('meta[name=theme-color]')).content = isDark() ? GROUND.dark : GROUND.light;
    byId('theme-text').textContent = isDark() ? 'Light' : 'Dark';
    onChange();
  };
  show();
  darkDevice.addEventListener('change', show);
  byId('theme').addEventListener('click', () => {
    root.dataset.theme = isDark() ? 'light' : 'dark';
    keep('theme', root.dataset.theme);
    show();
    say(`${root.dataset.theme} colours`);
  });
}

/** True where the page is an exhibit, as js/early.js reads in the address: no visitor finds what another one chose. */
export const isExhibit = () => document.documentElement.classList.contains('exhibit');

/** A setting of the last visit. @param {string} key @returns {string|null} */
export function read(key) {
  try {
    if (isExhibit()) return null;
    return localStorage.getItem(`poke2vid.${key}`);
  } catch {
    return null; // no storage in this window
  }
}

/** @param {string} key */
export function drop(key) {
  try {
    localStorage.removeItem(`poke2vid.${key}`);
  } catch {
    // No storage in this window.
  }
}

/** @param {string} key @param {string} value */
export function keep(key, value) {
  try {
    if (!isExhibit()) localStorage.setItem(`poke2vid.${key}`, value);
  } catch {
    // No storage in this window: asked for anew next time.
  }
}
