/** Jobs of the picture worker, by their names. */

import { opened } from './decode.js';
import { still } from './still.js';

/** @type {Record<string, (asked: any, onProgress: (share: number) => void) => Promise<any>>} */
export const JOBS = { opened, still };
