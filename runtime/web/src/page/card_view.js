/** The card of the model. */
import { SAMPLE_RATE } from '../model/card.js';
import { element } from './element.js';
import { exponential, percent } from './format.js';

/** @param {import('../protocol.js').Ready} ready */
export function showCard({ card, file, selfTest, engine }) {
  const { confidence, dataset, scores, network } = card;
  const interval = (/** @type {import('../model/card.js').Interval} */ { value, low, high }) =>
    `${Math.round(100 * value)} % (95 % interval ${Math.round(100 * low)} to ${Math.round(100 * high)} %)`;
  /** @type {[string, string | null][]} */
  const facts = [
    ['Name', `${card.name} (${file})`],
    ['Recognises', `${card.classes.length} artists`],
    ['Network', `${network.name}, ${network.head.kind === 'lstm' ? 'LSTM' : 'dense'} head, ${card.precision}`],
    ['Segment', `${(card.segment_samples / SAMPLE_RATE).toFixed(2)} s, one every ${(card.hop_samples / SAMPLE_RATE).toFixed(2)} s`],
    ['Trained on', `${dataset.name}: ${dataset.songs} songs, ${dataset.clips} clips`],
    ['Licence of the music', dataset.licence],
    ['Songs right', scores ? `${interval(scores.song_accuracy)}, of ${scores.songs} songs that it was not trained on` : null],
    [
      'Unknown artists',
      confidence
        ? `certainty below ${confidence.threshold}; of ${confidence.songs} songs by its artists ${confidence.kept} reach it, ${confidence.kept_right} of these are right`
        : 'not told from known ones: the model has no threshold',
    ],
    [
      'Test in this browser',
      `passed in ${engine}: ${exponential(selfTest.difference)} from the answer in its card, where ${exponential(selfTest.tolerance)} is allowed`,
    ],
    ['Weights', `SHA-256 ${card.weights_sha256.slice(0, 16)}…`],
  ];
  element('card-facts').replaceChildren(
    ...facts.flatMap(([name, text]) => {
      if (text === null) return [];
      const [term, description] = [document.createElement('dt'), document.createElement('dd')];
      term.textContent = name;
      description.textContent = text;
      return [term, description];
    }),
  );
  element('card-artists-title').textContent = `Its ${card.classes.length} artists`;
  const ofArtist = new Map(
    (/** @type {{ artists?: { artist: string, songs: number, songs_right: number }[] } | null} */ (scores)?.artists ?? []).map((row) => [row.artist, row]),
  );
  element('card-artists').replaceChildren(
    ...card.classes.map((artist) => {
      const row = ofArtist.get(artist);
      const item = document.createElement('li');
      item.textContent = row ? `${artist} (${row.songs_right} of ${row.songs} songs right, ${percent(row.songs_right / row.songs)})` : artist;
      return item;
    }),
  );
  element('card').hidden = false;
}
