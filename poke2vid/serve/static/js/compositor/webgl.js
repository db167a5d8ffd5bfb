/**
 * The compositor in WebGL2. Fields are read with texelFetch, four numbers at a time: that needs no extension, and each reading
 * counts where a CPU plays the GPU.
 */

import { alike, backdropOf } from './backdrop.js';
import { DIM_UNDER_HEAT, GREY_UNDER_HEAT, HEAT_OPACITY, heatColours } from './overlay.js';
import { blobOf } from './plain.js';

/** @typedef {import('../canvas.js').Canvas} Canvas */
/** @typedef {import('../compositor.js').Compositor} Compositor */
/** @typedef {import('../compositor.js').Overlay} Overlay */
/** @typedef {import('../engine/types.js').Fields} Fields */

const VERTEX = `#version 300 es
void main() { // one triangle that covers everything
  gl_Position = vec4(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0, 0.0, 1.0);
}`;

const FRAGMENT = `#version 300 es
precision highp float;
precision highp int;
precision highp sampler2D;
uniform sampler2D picture, colours;
uniform sampler2D fields;  // flow x, y, repaint red, green
uniform sampler2D further; // repaint blue, heat
uniform sampler2D frame;   // a painted frame
uniform sampler2D mask;    // where the object shows whose layer alone is moved
uniform sampler2D backdrop; // the picture where that has gone, and whether it is filled there or the picture's own
uniform bool has_fields, has_further, has_frame, has_heat, has_mask;
uniform vec2 size, scale, offset; // of what is drawn, and from its pixels to the model's
uniform vec4 square; // scale and offset from the model's pixels to shares of the backdrop
uniform int r;
uniform float dim, grey;
uniform vec2 opacity;
out vec4 drawn;

vec4 cell(sampler2D cells, ivec2 at) {
  return texelFetch(cells, clamp(at, ivec2(0), ivec2(r - 1)), 0);
}

vec4 linear(sampler2D cells, vec2 at) {
  vec2 before = floor(at);
  vec2 share = at - before;
  ivec2 i = ivec2(before);
  vec4 upper = mix(cell(cells, i), cell(cells, i + ivec2(1, 0)), share.x);
  vec4 lower = mix(cell(cells, i + ivec2(0, 1)), cell(cells, i + ivec2(1, 1)), share.x);
  return mix(upper, lower, share.y);
}

vec4 weights(float x) { // of four neighbours, bicubic with a = -0.75
  const float a = -0.75;
  float w0 = ((a * (x + 1.0) - 5.0 * a) * (x + 1.0) + 8.0 * a) * (x + 1.0) - 4.0 * a;
  float w1 = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  float y = 1.0 - x;
  float w2 = ((a + 2.0) * y - (a + 3.0)) * y * y + 1.0;
  return vec4(w0, w1, w2, 1.0 - w0 - w1 - w2);
}

vec3 cubic(sampler2D cells, vec2 at) {
  vec2 before = floor(at);
  vec4 across = weights(at.x - before.x), down = weights(at.y - before.y);
  vec3 sum = vec3(0.0);
  for (int j = 0; j < 4; j++) {
    for (int i = 0; i < 4; i++) sum += across[i] * down[j] * cell(cells, ivec2(before) + ivec2(i - 1, j - 1)).rgb;
  }
  return sum;
}

vec3 behind(vec3 own, vec2 at) {
  vec4 there = textureLod(backdrop, square.xy * at + square.zw, 0.0);
  return mix(own, there.rgb, there.a);
}

vec3 read(vec2 pixel) {
  return textureLod(picture, (pixel + 0.5) / size, 0.0).rgb;
}

vec3 layered(vec2 pixel, vec2 at, vec2 flow) { // what is not the object's, of what shows there, stays behind
  vec2 from = clamp(at + flow, vec2(-0.5), vec2(float(r) - 0.5));
  vec3 there = read(pixel + flow / scale);
  float gone = 1.0 - linear(mask, from).r;
  return there + gone * (behind(read(pixel), at) - behind(there, from));
}

void main() {
  vec2 pixel = vec2(gl_FragCoord.x - 0.5, size.y - gl_FragCoord.y - 0.5);
  vec2 at = scale * pixel + offset;
  vec4 said = has_fields ? linear(fields, at) : vec4(0.0);
  vec3 repaint = vec3(said.zw, has_further ? linear(further, at).r : 0.0);
  vec3 colour = has_frame ? 0.5 * cubic(frame, at) + 0.5
              : has_mask ? layered(pixel, at, said.xy) : read(pixel + said.xy / scale);
  colour = clamp(colour + 0.5 * repaint, 0.0, 1.0);
  if (has_heat) { // of the picture at rest: read where the pixel comes from
    float value = clamp(linear(further, at + said.xy).g, 0.0, 1.0);
    vec3 below = dim * mix(colour, vec3(dot(colour, vec3(0.299, 0.587, 0.114))), grey);
    colour = mix(below, texelFetch(colours, ivec2(int(255.0 * value + 0.5), 0), 0).rgb, mix(opacity.x, opacity.y, value));
  } else {
    colour *= dim;
  }
  drawn = vec4(colour, 1.0);
}`;

const UNITS = { picture: 0, colours: 1, fields: 2, further: 3, frame: 4, mask: 5, backdrop: 6 };
const CELLS = /** @type {const} */ (['fields', 'further', 'frame', 'mask']); // textures of r x r cells of four numbers
const SWITCHES = ['has_fields', 'has_further', 'has_frame', 'has_heat', 'has_mask'];
const PLACES = ['size', 'scale', 'offset', 'square', 'r', 'dim', 'grey', 'opacity'];
/** @type {WebGLContextAttributes} */
const ATTRIBUTES = {
  alpha: false, antialias: false, depth: false,
  preserveDrawingBuffer: true, // so that a recorder may read the element at any time
};

/** @type {{slow: boolean, maxTexture: number}|null|undefined} */
let support;

/** Abilities of WebGL2 here, null if none; tried on an element of its own, for one that has a context can have no other. */
export function webglSupport() {
  if (support !== undefined) return support;
  const context = (/** @type {boolean} */ fast) =>
    document.createElement('canvas').getContext('webgl2', { ...ATTRIBUTES, failIfMajorPerformanceCaveat: fast });
  try {
    const fast = context(true);
    const gl = fast ?? context(false);
    support = gl && { slow: !fast || isProgram(gl), maxTexture: gl.getParameter(gl.MAX_TEXTURE_SIZE) };
    if (gl) programOf(gl);
    gl?.getExtension('WEBGL_lose_context')?.loseContext(); // browsers allow only a few
  } catch {
    support = null;
  }
  return support;
}

/** True if a program plays the GPU; not every browser counts that as slow. @param {WebGL2RenderingContext} gl */
function isProgram(gl) {
  const named = gl.getExtension('WEBGL_debug_renderer_info')?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER;
  return /swiftshader|llvmpipe|softpipe|basic render|software/i.test(String(gl.getParameter(named)));
}

/** @implements {Compositor} */
export class WebGLCompositor {
  /** @param {HTMLCanvasElement} element @param {HTMLCanvasElement} source @param {Canvas} canvas */
  constructor(element, source, canvas) {
    /** @type {'webgl'} */
    this.kind = 'webgl';
    this.element = element;
    this.source = source;
    this.canvas = canvas;
    this.width = element.width = source.width;
    this.height = element.height = source.height;
    this.r = canvas.resolution;
    this.map = canvas.modelMap(this.width, this.height);
    this.cells = new Float32Array(4 * this.r * this.r);
    const gl = element.getContext('webgl2', ATTRIBUTES);
    if (!gl) throw new Error('The picture cannot be drawn: the browser refuses WebGL; load the page again.');
    this.gl = gl;
    /** @type {[Fields|null, Overlay]} */
    this.last = [null, {}];
    /** @type {Float32Array|null} */
    this.mask = null; // whose layers are in the textures
    /** @type {Record<string, WebGLUniformLocation|null>} */
    this.uniforms = {};
    /** @type {Record<string, WebGLTexture|null>} */
    this.textures = {};
    /** @type {WebGLProgram|null} */
    this.program = null;
    this.onLost = (/** @type {Event} */ event) => event.preventDefault(); // or it would never come back
    this.onRestored = () => {
      this.#prepare();
      this.draw(...this.last);
    };
    element.addEventListener('webglcontextlost', this.onLost);
    element.addEventListener('webglcontextrestored', this.onRestored);
    this.#prepare();
    this.draw(null);
  }

  /** @param {Fields|null} fields @param {Overlay} [overlay] */
  draw(fields, overlay = {}) {
    this.last = [fields, overlay];
    const { gl } = this;
    if (gl.isContextLost()) return;
    const heat = overlay.heat ?? null;
    const { flow = null, repaint = null, xHat = null } = fields ?? {};
    gl.useProgram(this.program);
    this.#upload('fields', [flow, 0], [flow, 1], [repaint, 0], [repaint, 1]);
    this.#upload('further', [repaint, 2], [heat, 0]);
    this.#upload('frame', [xHat, 0], [xHat, 1], [xHat, 2]);
    this.prepare(fields?.mask ?? null);
    gl.uniform1i(this.uniforms.has_mask, fields?.mask && flow ? 1 : 0);
    gl.uniform1i(this.uniforms.has_heat, heat ? 1 : 0);
    gl.uniform1f(this.uniforms.dim, overlay.dim ?? (heat ? DIM_UNDER_HEAT : 1));
    gl.viewport(0, 0, this.width, this.height);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  /** @param {Float32Array|null} mask */
  prepare(mask) {
    const { gl } = this;
    if (!mask || gl.isContextLost()) return;
    const known = alike(mask, this.mask);
    this.mask = mask;
    if (known) return;
    gl.useProgram(this.program);
    this.#upload('mask', [mask, 0]);
    const { side, map, values } = backdropOf(this.source, this.canvas, mask);
    gl.uniform4f(this.uniforms.square, ...scaled(map.scale, 1 / side, 0), ...scaled(map.offset, 1 / side, 0.5));
    this.#bind('backdrop');
    const bytes = new Uint8Array(values.length);
    for (let c = 0, i = 0; c < 4; c++) {
      for (let o = c; o < bytes.length; o += 4, i++) bytes[o] = c < 3 ? Math.round(values[i]) : 255 * values[i];
    }
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, side, side, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes);
  }

  pixels() {
    const { gl, width, height } = this;
    const upwards = new Uint8Array(4 * width * height);
    gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, upwards);
    const image = new ImageData(width, height);
    for (let y = 0; y < height; y++) {
      image.data.set(upwards.subarray(4 * width * (height - 1 - y), 4 * width * (height - y)), 4 * width * y);
    }
    return image;
  }

  /** @param {string} [type] @param {number} [quality] @returns {Promise<Blob>} */
  toBlob(type, quality) {
    return blobOf(this.element, type, quality);
  }

  close() {
    this.element.removeEventListener('webglcontextlost', this.onLost);
    this.element.removeEventListener('webglcontextrestored', this.onRestored);
    Object.values(this.textures).forEach((texture) => this.gl.deleteTexture(texture));
    this.gl.deleteProgram(this.program);
  }

  #prepare() {
    const { gl, r } = this;
    const program = (this.program = programOf(gl));
    gl.useProgram(program);
    for (const name of [...Object.keys(UNITS), ...SWITCHES, ...PLACES]) {
      this.uniforms[name] = gl.getUniformLocation(program, name);
    }
    for (const [name, unit] of Object.entries(UNITS)) gl.uniform1i(this.uniforms[name], unit);
    gl.uniform2f(this.uniforms.size, this.width, this.height);
    gl.uniform2f(this.uniforms.scale, ...this.map.scale);
    gl.uniform2f(this.uniforms.offset, ...this.map.offset);
    gl.uniform1i(this.uniforms.r, r);
    gl.uniform1f(this.uniforms.grey, GREY_UNDER_HEAT);
    gl.uniform2f(this.uniforms.opacity, HEAT_OPACITY[0], HEAT_OPACITY[1]);
    gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
    gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
    gl.pixelStorei(gl.UNPACK_FLIP_Y_WEBGL, false);
    this.#texture('picture', gl.LINEAR);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, gl.RGBA, gl.UNSIGNED_BYTE, this.source);
    this.#texture('colours', gl.NEAREST);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, heatColours());
    this.#texture('backdrop', gl.LINEAR);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, 1, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(4));
    this.mask = null;
    for (const name of CELLS) {
      this.#texture(name, gl.NEAREST);
      gl.texStorage2D(gl.TEXTURE_2D, 1, gl.RGBA32F, r, r);
    }
  }

  /** A texture on its unit. @param {string} name @param {number} filter */
  #texture(name, filter) {
    const { gl } = this;
    this.textures[name] = gl.createTexture();
    this.#bind(name);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, filter);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, filter);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE);
  }

  /** @param {string} name */
  #bind(name) {
    this.gl.activeTexture(this.gl.TEXTURE0 + UNITS[/** @type {keyof UNITS} */ (name)]);
    this.gl.bindTexture(this.gl.TEXTURE_2D, this.textures[name]);
  }

  /**
   * Planes side by side in the cells of a texture, those that are null as zeros; nothing where all are.
   *
   * @param {typeof CELLS[number]} name
   * @param {[Float32Array|null, number][]} planes up to four, and which of its array each is
   */
  #upload(name, ...planes) {
    const { gl, r, cells } = this;
    const some = planes.some(([values]) => values);
    gl.uniform1i(this.uniforms[`has_${name}`], some ? 1 : 0);
    if (!some) return;
    planes.forEach(([values, plane], k) => {
      const from = plane * r * r;
      for (let i = 0, o = k; i < r * r; i++, o += 4) cells[o] = values ? values[from + i] : 0;
    });
    this.#bind(name);
    gl.texSubImage2D(gl.TEXTURE_2D, 0, 0, 0, r, r, gl.RGBA, gl.FLOAT, cells);
  }
}

/** @param {import('../engine/types.js').Pair} pair @param {number} factor @param {number} shift @returns {[number, number]} */
const scaled = ([x, y], factor, shift) => [factor * (x + shift), factor * (y + shift)];

/** @param {WebGL2RenderingContext} gl @returns {WebGLProgram} */
function programOf(gl) {
  const program = /** @type {WebGLProgram} */ (gl.createProgram());
  for (const [type, text] of /** @type {[number, string][]} */ ([[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]])) {
    const shader = /** @type {WebGLShader} */ (gl.createShader(type));
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    gl.deleteShader(shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    const shaders = (gl.getAttachedShaders(program) ?? []).map((shader) => gl.getShaderInfoLog(shader)).join(' ');
    throw new Error(`The shaders do not compile: ${gl.getProgramInfoLog(program)} ${shaders}`);
  }
  return program;
}
