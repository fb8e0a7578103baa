/**
 * What the page and its worker say to each other. A recording is a job with a number; the page sends its samples piece by
 * piece, and waits for the reply to one before it sends the next. Pieces of a job that has ended are refused.
 */

/**
 * @typedef {import('./answer/answer.js').Answer} Answer
 * @typedef {import('./answer/answer.js').Moment} Moment
 * @typedef {import('./model/card.js').Card} Card
 *
 * @typedef {{ type: 'load', gpu: boolean, model: { name: string, bytes: Uint8Array<ArrayBuffer> } | null }} Load `null` is the
 *   model that comes with the page.
 * @typedef {{ type: 'begin', job: number, name: string, rate: number, gain: number, live: boolean }} Begin
 * @typedef {{ type: 'samples', job: number, channels: Float32Array<ArrayBuffer>[] }} Samples
 * @typedef {{ type: 'end', job: number }} End
 * @typedef {{ type: 'cancel' }} Cancel
 * @typedef {Load | Begin | Samples | End | Cancel} Request
 *
 * @typedef {{ type: 'progress', what: string, loaded: number, total: number }} Progress
 * @typedef {object} Ready
 * @property {'ready'} type
 * @property {Card} card
 * @property {string} file
 * @property {'WebGPU' | 'WebAssembly'} engine
 * @property {string | null} note
 * @property {{ difference: number, tolerance: number, passed: boolean }} selfTest
 * @typedef {object} Piece
 * @property {'piece'} type
 * @property {number} job
 * @property {Moment[]} moments New ones.
 * @property {Uint8Array<ArrayBuffer>} columns New ones of the spectrogram.
 * @property {number} seconds Of music so far.
 * @property {Answer | null} answer Of live audio, where there are new segments: for everything so far, without its
 *   timeline.
 * @typedef {{ type: 'answer', job: number, answer: Answer, columns: Uint8Array<ArrayBuffer> }} Final
 * @typedef {{ type: 'refused', job: number | null, message: string }} Refused Of a job, or of a model.
 * @typedef {{ type: 'kept', complete: boolean }} Kept Whether model and ONNX Runtime are kept for use without a network.
 * @typedef {Progress | Ready | Kept | Piece | Final | Refused} Reply
 */

export {};
