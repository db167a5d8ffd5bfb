/** Canvases that nobody sees, in the page and in workers. */

/** @typedef {HTMLCanvasElement|OffscreenCanvas} Sheet */
/** @typedef {CanvasRenderingContext2D|OffscreenCanvasRenderingContext2D} Context */

/** @param {number} width @param {number} height @returns {Sheet} */
export function blank(width, height) {
  if (typeof OffscreenCanvas !== 'undefined') return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement('canvas'), { width, height });
}

/** @param {Sheet} sheet @returns {Context} */
export function contextOf(sheet) {
  return /** @type {Context} */ (sheet.getContext('2d', { willReadFrequently: true }));
}

/**
 * An image on white or another ground, at any size.
 *
 * @template {Sheet} T
 * @param {T} sheet @param {CanvasImageSource} image @param {[number, number]} [size] that the sheet gets
 * @param {string|null} [ground] null leaves it transparent
 */
export function lay(sheet, image, [width, height] = [sheet.width, sheet.height], ground = 'white') {
  Object.assign(sheet, { width, height });
  const context = contextOf(sheet);
  if (ground) {
    context.fillStyle = ground;
    context.fillRect(0, 0, width, height);
  }
  context.imageSmoothingQuality = 'high';
  context.drawImage(image, 0, 0, width, height);
  return sheet;
}

/** @param {Sheet} sheet */
export function pixelsOf(sheet) {
  return contextOf(sheet).getImageData(0, 0, sheet.width, sheet.height);
}
