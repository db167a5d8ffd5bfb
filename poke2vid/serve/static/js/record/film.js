/** Videos: frames encoded by the browser, in a file that any player knows. */

import { COLOURS, i420 } from './yuv.js';

/**
 * `Film` is a writer that makes a file; `Choice` an encoder's settings and, where it takes one for each frame, the fineness.
 *
 * @typedef {import('../record.js').Writer & {finish: () => Promise<Blob>, close: () => void}} Film
 * @typedef {{name: string, config: VideoEncoderConfig, finest: object|null}} Choice
 */

// By name, so that nobody checks the types of others' code.
const MEDIABUNNY = /** @type {string} */ ('../../vendor/mediabunny.min.mjs');
const KEY_SECONDS = 2; // between two frames that need no other
const BITS = 0.6; // of a pixel at most, where an encoder is told no fineness; what stands still takes next to none
const WARM_UP = 2; // an encoder that is told a rate makes its first frame coarse, and the next ones as fine as it can
const QUEUE = 4; // frames that wait for the encoder

/** Levels of H.264 by the blocks of 16 x 16 pixels that a frame may have: a player refuses what claims more than it can. */
const AVC_LEVELS = [[1620, '1e'], [3600, '1f'], [8192, '28'], [22080, '32'], [Infinity, '34']];

/** Codecs by what stands for them in files and for encoders; a fineness is as coarse as the program's videos. */
const CODECS = {
  avc: { code: avcCode, fineness: { avc: { quantizer: 17 } } },
  hevc: { code: () => 'hev1.1.6.L153.B0', fineness: { hevc: { quantizer: 17 } } },
  vp9: { code: () => 'vp09.00.51.08', fineness: { vp9: { quantizer: 18 } } },
  vp8: { code: () => 'vp8', fineness: null },
  av1: { code: () => 'av01.0.13M.08', fineness: { av1: { quantizer: 18 } } },
};
const WANTED = /** @type {const} */ ({ mp4: ['avc', 'hevc', 'vp9', 'av1'], webm: ['vp9', 'vp8', 'av1'] });

/**
 * @param {'mp4'|'webm'} format @param {number} width even @param {number} height even @param {number} fps
 * @returns {Promise<Film>}
 */
export async function filmWriter(format, width, height, fps) {
  const { name, config, finest } = await chosen(format, width, height, fps);
  const media = await import(MEDIABUNNY);
  const container = format === 'mp4' ? new media.Mp4OutputFormat({ fastStart: 'in-memory' }) : new media.WebMOutputFormat();
  const output = new media.Output({ format: container, target: new media.BufferTarget() });
  const packets = new media.EncodedVideoPacketSource(name);
  output.addVideoTrack(packets, { frameRate: fps });
  await output.start();
  /** @type {Error|null} */
  let failure = null;
  /** @type {EncodedVideoChunkMetadata|undefined} */
  let about; // said once, with the first frame that comes out
  let written = Promise.resolve();
  const encoder = new VideoEncoder({
    output: (chunk, meta) => {
      about = meta?.decoderConfig ? { ...meta, decoderConfig: { ...meta.decoderConfig, colorSpace: COLOURS } } : about;
      if (chunk.timestamp < 0) return;
      const packet = media.EncodedPacket.fromEncodedChunk(chunk);
      written = written.then(() => packets.add(packet, about));
    },
    error: (error) => (failure = error),
  });
  encoder.configure(config);
  const encode = async (/** @type {BufferSource} */ planes, /** @type {number} */ number, /** @type {boolean} */ keyFrame) => {
    if (failure) throw failure;
    const at = (/** @type {number} */ frame) => Math.round((1e6 * frame) / fps);
    const frame = new VideoFrame(planes, {
      format: 'I420', codedWidth: width, codedHeight: height, colorSpace: COLOURS,
      timestamp: at(number), duration: at(number + 1) - at(number),
    });
    encoder.encode(frame, { keyFrame, ...finest });
    frame.close();
    while (encoder.encodeQueueSize > QUEUE && !failure) await new Promise((resolve) => setTimeout(resolve));
  };
  return {
    add: async (frame, number) => {
      const planes = i420(frame);
      if (number === 0 && !finest) for (let i = -WARM_UP; i < 0; i++) await encode(planes, i, true);
      await encode(planes, number, number % Math.round(KEY_SECONDS * fps) === 0);
    },
    finish: async () => {
      await encoder.flush();
      if (failure) throw failure;
      await written;
      await output.finalize();
      return new Blob([output.target.buffer], { type: `video/${format}` });
    },
    close: () => {
      if (encoder.state !== 'closed') encoder.close();
    },
  };
}

/**
 * First codec that this browser encodes, told how fine each frame shall be where it can be told.
 *
 * @param {'mp4'|'webm'} format @param {number} width @param {number} height @param {number} fps @returns {Promise<Choice>}
 */
async function chosen(format, width, height, fps) {
  if (!('VideoEncoder' in window)) throw new Error('This browser cannot encode video; save a GIF, or use a newer browser.');
  for (const name of WANTED[format]) {
    const { code, fineness } = CODECS[name];
    const basis = { codec: code(width, height), width, height, framerate: fps };
    const rate = { ...basis, bitrate: Math.round(BITS * width * height * fps) };
    const fine = /** @type {any} */ ({ ...basis, bitrateMode: 'quantizer' });
    if (fineness && (await supports(fine))) return { name, config: fine, finest: fineness };
    if (await supports(rate)) return { name, config: rate, finest: null };
  }
  throw new Error(`This browser can encode no ${format.toUpperCase()} video of this size; save a GIF.`);
}

/** @param {VideoEncoderConfig} config */
async function supports(config) {
  try {
    return (await VideoEncoder.isConfigSupported(config)).supported === true;
  } catch {
    return false; // a browser that does not know the mode
  }
}

/** H.264 in its high profile. @param {number} width @param {number} height */
function avcCode(width, height) {
  const blocks = Math.ceil(width / 16) * Math.ceil(height / 16);
  return `avc1.6400${AVC_LEVELS.find(([most]) => blocks <= Number(most))?.[1]}`;
}
