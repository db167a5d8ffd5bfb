/**
 * The values that travel between the page and whatever computes. No code; every module imports its types from here.
 *
 * All locations and shifts are in *model pixels* (canvas.js maps the user's pixels to them): `[x right, y down]`, `[0, 0]` is
 * the centre of the top-left pixel of x_0, r is its side. Planes are laid out channel by channel, each row by row.
 */

/** @typedef {[number, number]} Pair */
/** @typedef {'shift'|'impulse'} PokeKind */
/** @typedef {'wasm'|'webgpu'|'server'} Backend */

/**
 * Action on the object before a step; the same as an event of a poke script.
 *
 * - `poke`: a shift is held until it is released, and the same pointer poked anew first lets go; an impulse lasts one step.
 * - `drag`: the grabbed point shall now go to `to`, which may lie outside the frame.
 * - `brush`: a stroke on the picture at rest; what it covers stays still from now on, or may move.
 * - `rest`: how the object moves while nothing touches it; `anchored: false` leaves everything to the trained model.
 *
 * @typedef {{type: 'poke', pointer: number, at: Pair, shift: Pair, kind?: PokeKind}} PokeAction
 * @typedef {{type: 'drag', pointer: number, to: Pair}} DragAction
 * @typedef {{type: 'release', pointer: number}} ReleaseAction
 * @typedef {{type: 'rest', stiffness: number, momentum: number, anchored?: boolean}} RestAction
 * @typedef {{type: 'brush', path: Pair[], radius: number, still: boolean}} BrushAction
 * @typedef {PokeAction|DragAction|ReleaseAction|RestAction|BrushAction} Action
 */

/**
 * One predicted frame as the model says it.
 *
 * @typedef {object} Fields
 * @property {number} time how many steps were taken since `open`
 * @property {Float32Array|null} flow backward flow, `2 r r`, in model pixels: a pixel shows x_0 at that pixel plus the flow;
 *   null for a model that paints
 * @property {Float32Array|null} repaint what is added to the warped x_0, `3 r r`, frames spanning [-1, 1]; null: nothing
 * @property {Float32Array|null} xHat the frame itself, `3 r r` in [-1, 1], of a model that paints; else null
 * @property {Float32Array|null} mask of a model that moves the object's layer alone: where in x_0 it shows, `r r` in 0 ... 1,
 *   the same array for all frames of a picture until a brush changes it; null for any other model
 * @property {number} stepMs how long it took to compute
 */

/** @typedef {{stiffness: number, momentum: number}} Rest */

/**
 * @typedef {object} EngineInfo
 * @property {number} resolution r, side of the model's frames
 * @property {PokeKind} pokeKind what the model was trained on; an impulse model takes no shifts
 * @property {string} decoder `motion` warps and gives flow, `layers` moves a layer and gives flow and mask; any other paints
 *   and gives xHat
 * @property {Rest} defaultRest
 * @property {Backend} backend
 * @property {number} threads of the WASM backend; 1 elsewhere
 * @property {number} stepMs time of a step once warm, of a touch where only that needs a graph; 0 where it was not measured
 * @property {Record<string, any>} model what model.json (or the server) says of the model
 */

/**
 * Something that can be poked. Calls may overlap; they are answered in order. Whatever goes wrong rejects with an Error whose
 * message is one sentence for the user.
 *
 * @typedef {object} Engine
 * @property {EngineInfo} info
 * @property {Float32Array|null} mask of the picture that is open, as in its fields
 * @property {Float32Array|null} moves what may move of it, `r r` in 0 ... 1; null where no model and no brush has said
 * @property {(x0: Float32Array) => Promise<void>} open a new session on a picture, `3 r r` in [-1, 1]; also starts over
 * @property {(actions: Action[]) => Promise<Fields>} step does all actions in order, then one step; on an action that cannot
 *   be done none is, and no step is made
 * @property {() => Promise<number>} mark keeps the present moment, to come back to; the latest `MAX_MARKS` are kept
 * @property {(mark: number) => Promise<Fields|null>} restore back to a mark; its last fields, null where no step came before
 * @property {(at: Pair, onProgress?: (share: number) => void) => Promise<Float32Array>} heat what moves together with a point
 *   of the picture at rest, `r r` in 0 ... 1; steps go on meanwhile
 * @property {() => void} close
 */

/**
 * Progress of the start. `loaded` and `total` are bytes of the model; both 0 while the runtime is fetched and compiled.
 *
 * @typedef {{stage: 'runtime'|'model'|'warming up', loaded: number, total: number}} Progress
 */

/** Number of marks that an engine keeps; the oldest are forgotten. */
export const MAX_MARKS = 64;
