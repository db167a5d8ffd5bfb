/** Frames as video stores them: brightness and, for every block of four pixels, two colours; BT.709 in its limited range. */

/** Tags that a frame carries, so that no player has to guess. @type {VideoColorSpaceInit} */
export const COLOURS = { primaries: 'bt709', transfer: 'bt709', matrix: 'bt709', fullRange: false };

const [RED, GREEN, BLUE] = [0.2126, 0.7152, 0.0722]; // shares of brightness
const BLACK = 16;
const GREY = 128;
const LUMA = 219 / 255;
const TO_BLUE = 224 / 255 / (2 * (1 - BLUE));
const TO_RED = 224 / 255 / (2 * (1 - RED));

/**
 * Planes Y, U and V of a frame with even sides, one after the other (I420).
 *
 * @param {ImageData} frame opaque
 */
export function i420({ data, width, height }) {
  const size = width * height;
  const half = width / 2;
  const planes = new Uint8ClampedArray(1.5 * size);
  for (let i = 0, o = 0; i < size; i++, o += 4) {
    planes[i] = BLACK + LUMA * (RED * data[o] + GREEN * data[o + 1] + BLUE * data[o + 2]); // rounded by the array
  }
  for (let y = 0, o = size; y < height; y += 2) {
    for (let k = 0, i = 4 * y * width; k < half; k++, o++, i += 8) {
      const below = i + 4 * width;
      const red = (data[i] + data[i + 4] + data[below] + data[below + 4]) / 4;
      const green = (data[i + 1] + data[i + 5] + data[below + 1] + data[below + 5]) / 4;
      const blue = (data[i + 2] + data[i + 6] + data[below + 2] + data[below + 6]) / 4;
      const bright = RED * red + GREEN * green + BLUE * blue;
      planes[o] = GREY + TO_BLUE * (blue - bright);
      planes[o + size / 4] = GREY + TO_RED * (red - bright);
    }
  }
  return planes;
}
