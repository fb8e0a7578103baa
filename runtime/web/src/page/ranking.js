/** Who it is: the answer in words, and the artists with their probabilities. */
import { element } from './element.js';
import { percent } from './format.js';

/** Artists that are shown at first. */
const FIRST = 5;

/** @typedef {import('../answer/answer.js').Answer} Answer */

export class Ranking {
  constructor() {
    /** @private */
    this.list = element('ranking');
    /** @private */
    this.all = element('all-artists');
    /** @private */
    this.showsAll = false;
    /** @private @type {Answer | null} */
    this.answer = null;
    this.all.addEventListener('click', () => {
      this.showsAll = !this.showsAll;
      this.draw();
    });
  }

  /** @param {Answer} answer */
  show(answer) {
    this.answer = answer;
    this.draw();
  }

  /** @private */
  draw() {
    const artists = this.answer?.artists ?? [];
    const shown = this.showsAll ? artists : artists.slice(0, FIRST);
    this.list.classList.toggle('unknown', this.answer?.unknown === true);
    this.list.replaceChildren(
      ...shown.map(({ artist, probability }) => {
        const row = document.createElement('li');
        const name = document.createElement('span');
        name.className = 'name';
        name.textContent = artist;
        const value = document.createElement('span');
        value.className = 'value';
        value.textContent = percent(probability);
        const bar = document.createElement('span');
        bar.className = 'bar';
        bar.style.setProperty('--share', String(probability));
        row.append(name, ' ', value, bar);
        return row;
      }),
    );
    this.all.hidden = artists.length <= FIRST;
    this.all.setAttribute('aria-expanded', String(this.showsAll));
    this.all.textContent = this.showsAll ? 'Show fewer' : `Show all ${artists.length}`;
  }
}

/**
 * The answer in two sentences.
 * @param {Answer} answer
 * @returns {{ verdict: string, explanation: string }}
 */
export function inWords(answer) {
  const [best] = answer.artists;
  if (answer.silent) return { verdict: 'Silence', explanation: 'The recording is silent: there is nothing to recognise.' };
  const certainty = `Its certainty is ${answer.certainty.toFixed(2)}`;
  if (answer.unknown === true) {
    return {
      verdict: 'Unknown artist',
      explanation: `${certainty}, below the model's threshold of ${answer.minCertainty?.toFixed(2)}: probably none of these artists. The closest is ${best.artist}.`,
    };
  }
  if (answer.unknown === null) {
    return {
      verdict: `${best.artist}, ${percent(best.probability)}`,
      explanation: 'This model has no threshold: it names one of its artists even for music by somebody else.',
    };
  }
  return {
    verdict: `${best.artist}, ${percent(best.probability)}`,
    explanation: `${certainty}, above the model's threshold of ${answer.minCertainty?.toFixed(2)} for an unknown artist.`,
  };
}
