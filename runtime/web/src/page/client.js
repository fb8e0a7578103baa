/** The worker as the page sees it. */
import { Refusal } from '../refusal.js';

/** @typedef {import('../protocol.js').Request} Request */
/** @typedef {import('../protocol.js').Reply} Reply */

/**
 * @typedef {object} Listener What happens to the model.
 * @property {(progress: import('../protocol.js').Progress) => void} progress
 * @property {(ready: import('../protocol.js').Ready) => void} ready
 * @property {(complete: boolean) => void} kept Of the page's own model.
 * @property {(message: string) => void} refused
 */

export class Client {
  /** @param {Listener} listener */
  constructor(listener) {
    /** @private */
    this.listener = listener;
    /** @private */
    this.worker = startWorker();
    /** @private Number of the newest recording. */
    this.job = 0;
    /** @private What waits for the reply. @type {{ job: number, resolve: (reply: Reply) => void, reject: (error: Error) => void } | null} */
    this.waiting = null;
    this.worker.addEventListener('message', ({ data }) => this.receive(data));
    this.worker.addEventListener('error', () => listener.refused('The worker of this page does not start: reload the page.'));
  }

  /**
   * @param {{ name: string, bytes: Uint8Array<ArrayBuffer> } | null} model `null` is the model that comes with the page.
   * @param {boolean} gpu
   */
  load(model, gpu) {
    this.send({ type: 'load', model, gpu }, model === null ? [] : [model.bytes.buffer]);
  }

  /**
   * Begins a recording, and ends the one before.
   * @param {{ name: string, rate: number, gain: number, live: boolean }} recording
   * @returns {number} Its number.
   */
  begin(recording) {
    this.cancel();
    this.send({ type: 'begin', job: this.job, ...recording });
    return this.job;
  }

  /**
   * @param {number} job
   * @param {Float32Array<ArrayBuffer>[]} channels Theirs no more.
   * @returns {Promise<import('../protocol.js').Piece>}
   */
  async samples(job, channels) {
    const buffers = channels.map((channel) => channel.buffer);
    return /** @type {import('../protocol.js').Piece} */ (await this.ask({ type: 'samples', job, channels }, buffers));
  }

  /**
   * @param {number} job
   * @returns {Promise<import('../protocol.js').Final>}
   */
  async end(job) {
    return /** @type {import('../protocol.js').Final} */ (await this.ask({ type: 'end', job }, []));
  }

  /** Ends the recording: who waits for it, and who sends more of it, is answered with `Cancelled`. */
  cancel() {
    this.job += 1;
    this.send({ type: 'cancel' });
    this.waiting?.reject(new Cancelled());
    this.waiting = null;
  }

  /**
   * @param {Request & { job: number }} request
   * @param {Transferable[]} transfer
   * @returns {Promise<Reply>}
   * @private
   */
  ask(request, transfer) {
    if (request.job !== this.job) return Promise.reject(new Cancelled());
    return new Promise((resolve, reject) => {
      this.waiting = { job: request.job, resolve, reject };
      this.send(request, transfer);
    });
  }

  /**
   * @param {Request} request
   * @param {Transferable[]} [transfer]
   * @private
   */
  send(request, transfer = []) {
    this.worker.postMessage(request, transfer);
  }

  /**
   * @param {Reply} reply
   * @private
   */
  receive(reply) {
    if (reply.type === 'progress') return this.listener.progress(reply);
    if (reply.type === 'ready') return this.listener.ready(reply);
    if (reply.type === 'kept') return this.listener.kept(reply.complete);
    if (reply.type === 'refused' && reply.job === null) return this.listener.refused(reply.message);
    const { waiting } = this;
    if (waiting === null || waiting.job !== reply.job) return;
    this.waiting = null;
    if (reply.type === 'refused') waiting.reject(new Refusal(reply.message));
    else waiting.resolve(reply);
  }
}

/** Another recording took the place of this one. */
export class Cancelled extends Error {}

/**
 * A worker from an address has the policy of that address's headers, which a file server does not send; one from a blob has
 * the page's own, which lets nothing out.
 */
function startWorker() {
  const source = `import ${JSON.stringify(new URL('worker.js', import.meta.url).href)};`;
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }));
  return new Worker(url, { type: 'module' });
}
