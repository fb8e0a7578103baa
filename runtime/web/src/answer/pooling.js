/** From segments to a song: the arithmetic of `runtime/src/pooling`. */

/** The mean of rows, summed in doubles. */
export class Mean {
  /** @param {number} length Values of a row. */
  constructor(length) {
    /** @private */
    this.sums = new Float64Array(length);
    this.count = 0;
  }

  /** @param {ArrayLike<number>} row */
  add(row) {
    for (let i = 0; i < this.sums.length; i++) this.sums[i] += row[i];
    this.count += 1;
  }

  copy() {
    const copy = new Mean(0);
    copy.sums = this.sums.slice();
    copy.count = this.count;
    return copy;
  }

  /** Zeros if no row was added. @returns {number[]} */
  values() {
    return Array.from(this.sums, (sum) => Math.fround(sum / Math.max(1, this.count)));
  }
}

/**
 * The largest probability of a row; its mean over the rows is a recording's certainty.
 * @param {ArrayLike<number>} row
 */
export function largest(row) {
  let most = 0;
  for (let i = 0; i < row.length; i++) most = Math.max(most, row[i]);
  return most;
}

/**
 * Whether a window of an LSTM counts that holds `filled` of `window` segments.
 * @param {number} filled
 * @param {number} window
 * @param {boolean} earlier Whether another window precedes it.
 */
export function windowCounts(filled, window, earlier) {
  return filled > 0 && (!earlier || 2 * filled >= window);
}

/**
 * The windows that count among so many segments, each as its first segment and that after its last.
 * @param {number} segments
 * @param {number} window
 * @returns {[number, number][]}
 */
export function windows(segments, window) {
  /** @type {[number, number][]} */
  const found = [];
  for (let start = 0; start < segments; start += window) {
    const end = Math.min(start + window, segments);
    if (windowCounts(end - start, window, start > 0)) found.push([start, end]);
  }
  return found;
}
