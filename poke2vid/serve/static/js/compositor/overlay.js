/** Heat map over a picture; the same for both compositors. */

/** Of heat 0 and 1. */
export const HEAT_OPACITY = [0, 0.78];
export const DIM_UNDER_HEAT = 0.6;
export const GREY_UNDER_HEAT = 0.75; // how much of its colour the picture loses

// A polynomial fit of degree 6 to Matplotlib's "inferno", which is even in perceived lightness (both are in the public domain).
const INFERNO = [
  [0.0002189403691192265, 0.001651004631001012, -0.01948089843709184],
  [0.1065134194856116, 0.5639564367884091, 3.932712388889277],
  [11.60249308247187, -3.972853965665698, -15.9423941062914],
  [-41.70399613139459, 17.43639888205313, 44.35414519872813],
  [77.162935699427, -33.40235894210092, -81.80730925738993],
  [-71.31942824499214, 32.62606426397723, 73.20951985803202],
  [25.13112622477341, -12.24266895238567, -23.07032500287172],
];

/** 256 colours from heat 0 to 1, as opaque RGBA. */
export function heatColours() {
  const colours = new Uint8Array(4 * 256);
  for (let i = 0; i < 256; i++) {
    for (let c = 0; c < 3; c++) {
      const value = INFERNO.reduceRight((sum, terms) => sum * (i / 255) + terms[c], 0);
      colours[4 * i + c] = Math.round(255 * Math.min(Math.max(value, 0), 1));
    }
    colours[4 * i + 3] = 255;
  }
  return colours;
}
