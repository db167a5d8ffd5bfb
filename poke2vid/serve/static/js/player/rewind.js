/** Earlier moments: the engine goes to the nearest one that it keeps, and from there does again what was done. */

import { actionOf } from '../script.js';

/** @typedef {import('../canvas.js').Canvas} Canvas */
/** @typedef {import('../engine/types.js').Engine} Engine */
/** @typedef {import('../engine/types.js').Fields} Fields */
/** @typedef {import('./hands.js').Hands} Hands */
/** @typedef {import('./history.js').History} History */
/** @typedef {import('./timeline.js').Timeline} Timeline */

/**
 * Fields of a frame; the timeline goes along, so that it says where the engine is also where that fails on the way.
 *
 * @param {number} frame
 * @param {Fields|null} fields of the frame that is shown
 * @param {{engine: Engine, canvas: Canvas, timeline: Timeline, history: History, hands: Hands}} session
 * @param {() => boolean} [isWanted] still; else it stops on the way
 */
export async function rewound(frame, fields, { engine, canvas, timeline, history, hands }, isWanted = () => true) {
  const moment = history.marked(frame);
  if (timeline.time > frame || timeline.time < (moment?.frame ?? 0)) {
    const restored = moment ? await engine.restore(moment.mark).catch(() => undefined) : undefined;
    if (restored === undefined) {
      await engine.open(canvas.x0);
      history.forgetMarks();
    }
    timeline.time = restored === undefined ? 0 : moment?.frame ?? 0;
    fields = restored ?? null;
  }
  while (timeline.time < frame && isWanted()) {
    if (history.isLost(timeline.time)) history.keep(timeline.time, await engine.mark(), null);
    const events = timeline.eventsAt(timeline.time);
    hands.grasp(events, fields, canvas); // a script may never have been seen so far
    fields = await engine.step(events.map((event) => actionOf(event, canvas)));
    timeline.time++;
  }
  return fields;
}
