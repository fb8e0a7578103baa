/** Plays the recording, and moves the playhead with it. */
import { element, typed } from './element.js';
import { clock } from './format.js';

export class Player {
  /** @param {(seconds: number) => string} wordsAt What plays at a time, in words. */
  constructor(wordsAt) {
    /** @private */
    this.wordsAt = wordsAt;
    /** @private */
    this.audio = typed('audio', HTMLAudioElement);
    /** @private */
    this.position = typed('position', HTMLInputElement);
    /** @private */
    this.button = typed('play', HTMLButtonElement);
    /** @private */
    this.seconds = 0;
    /** @private @type {string | null} */
    this.url = null;
    this.button.addEventListener('click', () => this.toggle());
    this.position.addEventListener('input', () => this.seek(Number(this.position.value)));
    // For the pointer alone: the slider below does the same for keyboards and screen readers.
    element('tracks').addEventListener('click', (event) => {
      if (event.target === this.position) return;
      const { left, width } = element('tracks').getBoundingClientRect();
      this.position.value = String(((event.clientX - left) / width) * this.seconds);
      this.seek(Number(this.position.value));
    });
    for (const event of ['play', 'pause', 'ended']) this.audio.addEventListener(event, () => this.showState());
    this.audio.addEventListener('seeked', () => this.draw());
    this.audio.addEventListener('error', () => (this.button.disabled = true));
  }

  /**
   * @param {Blob} file
   * @param {number} seconds
   */
  open(file, seconds) {
    this.close();
    this.url = URL.createObjectURL(file);
    this.audio.src = this.url;
    this.button.disabled = false;
    this.setLength(seconds);
  }

  /** Of a recording that still grows. @param {number} seconds */
  setLength(seconds) {
    this.seconds = seconds;
    this.position.max = seconds.toFixed(1);
    // An arrow moves by a second, in long recordings by more.
    this.position.step = String(Math.max(1, Math.round(seconds / 300)));
    this.draw();
  }

  close() {
    this.audio.pause();
    this.audio.removeAttribute('src');
    if (this.url !== null) URL.revokeObjectURL(this.url);
    this.url = null;
    this.button.disabled = true;
    this.position.value = '0';
    this.draw();
  }

  /** @private */
  toggle() {
    if (this.audio.paused) this.audio.play().catch(() => (this.button.disabled = true));
    else this.audio.pause();
  }

  /**
   * @param {number} seconds
   * @private
   */
  seek(seconds) {
    if (this.url !== null) this.audio.currentTime = seconds;
    this.draw(seconds);
  }

  /** @private */
  showState() {
    const plays = !this.audio.paused;
    this.button.classList.toggle('plays', plays);
    this.button.setAttribute('aria-label', plays ? 'Pause' : 'Play');
    if (!plays) return;
    const step = () => {
      if (this.audio.paused) return;
      this.position.value = String(this.audio.currentTime);
      this.draw();
      requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  /** @private */
  draw(seconds = this.url === null ? 0 : this.audio.currentTime) {
    const share = this.seconds > 0 ? Math.min(1, seconds / this.seconds) : 0;
    element('playhead').style.setProperty('--at', String(share));
    const words = this.wordsAt(seconds);
    const time = `${clock(seconds)} of ${clock(this.seconds)}`;
    if (element('time').textContent !== time) element('time').textContent = time;
    if (element('now').textContent !== words) element('now').textContent = words;
    this.position.setAttribute('aria-valuetext', words === '' ? time : `${time}, ${words}`);
  }
}
