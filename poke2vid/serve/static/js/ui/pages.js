/** What appears over the page: short messages, dialogs, the camera. */

const TOAST_MS = 6000;

/** @param {string} id @returns {any} */
export const byId = (id) => {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no #${id}.`);
  return element;
};

let toastTimer = 0;

/** One sentence that goes away again. @param {string} text @param {'error'|'done'} [kind] */
export function toast(text, kind = 'error') {
  const element = byId('toast');
  element.textContent = text;
  element.className = `toast ${kind}`;
  element.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (element.hidden = true), TOAST_MS);
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
    dialog.addEventListener('click', (event) => {
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
    if (/** @type {DOMException} */ (error).name === 'NotAllowedError') {
      return toast('The camera is not allowed for this page; allow it in the address bar, or open a picture.');
    }
    return onNoCamera();
  }
  const video = byId('viewfinder');
  const dialog = byId('camera-dialog');
  video.srcObject = stream;
  await video.play();
  dialog.onclose = () => stream.getTracks().forEach((track) => track.stop());
  byId('shutter').onclick = () => {
    onPhoto(video, video.videoWidth, video.videoHeight);
    dialog.close();
  };
  openDialog('camera-dialog');
}

/** Dark, light or as the device is; kept for the next visit. */
export function themes() {
  const root = document.documentElement;
  const kept = read('theme');
  if (kept) root.dataset.theme = kept;
  byId('theme').addEventListener('click', () => {
    const dark = root.dataset.theme ? root.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
    root.dataset.theme = dark ? 'light' : 'dark';
    keep('theme', root.dataset.theme);
  });
}

/** A setting of the last visit. @param {string} key @returns {string|null} */
export function read(key) {
  try {
    return localStorage.getItem(`poke2vid.${key}`);
  } catch {
    return null; // no storage in this window
  }
}

/** @param {string} key @param {string} value */
export function keep(key, value) {
  try {
    localStorage.setItem(`poke2vid.${key}`, value);
  } catch {
    // No storage in this window: asked for anew next time.
  }
}
