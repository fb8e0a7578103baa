/**
 * The discrete Fourier transform of complex numbers, of any length.
 *
 * Lengths with small prime factors by mixed radices; others by Bluestein's algorithm (1970) over a power of two.
 */

/** Largest prime factor that is transformed directly: its butterflies cost its square. */
const MOST_FACTOR = 31;

export class Fft {
  /** @param {number} length Complex values of one transform, at least 1. */
  constructor(length) {
    this.length = length;
    const factors = factorsOf(length);
    const direct = factors.every((factor) => factor <= MOST_FACTOR);
    /** @private */
    this.plan = direct ? new MixedRadix(length, factors) : new Bluestein(length);
  }

  /**
   * X[k] = Σ x[n] · exp(−2πi·nk/N), in place.
   * @param {Float64Array} re
   * @param {Float64Array} im
   */
  forward(re, im) {
    this.plan.forward(re, im);
  }

  /**
   * x[n] = Σ X[k] · exp(2πi·nk/N), in place and without a division by N.
   * @param {Float64Array} re
   * @param {Float64Array} im
   */
  inverse(re, im) {
    // Swapping real and imaginary parts before and after turns one direction into the other.
    this.plan.forward(im, re);
  }
}

/** Decimation in time, recursively over the factors. */
class MixedRadix {
  /**
   * @param {number} length
   * @param {number[]} factors Whose product is the length.
   */
  constructor(length, factors) {
    this.length = length;
    this.factors = factors;
    const [cos, sin] = turns(length, length);
    this.cos = cos;
    this.sin = sin;
    this.inRe = new Float64Array(length);
    this.inIm = new Float64Array(length);
    this.partRe = new Float64Array(MOST_FACTOR);
    this.partIm = new Float64Array(MOST_FACTOR);
  }

  /**
   * @param {Float64Array} re
   * @param {Float64Array} im
   */
  forward(re, im) {
    this.inRe.set(re);
    this.inIm.set(im);
    this.transform(re, im, 0, 0, 1, 0);
  }

  /**
   * Transforms every `stride`-th input from `from` on into `re`, `im` from `to` on.
   * @param {Float64Array} re
   * @param {Float64Array} im
   * @param {number} to
   * @param {number} from
   * @param {number} stride
   * @param {number} level Index of the factor.
   */
  transform(re, im, to, from, stride, level) {
    const radix = this.factors[level];
    if (radix === undefined) {
      re[to] = this.inRe[from];
      im[to] = this.inIm[from];
      return;
    }
    const part = this.length / stride / radix;
    for (let k = 0; k < radix; k++) this.transform(re, im, to + k * part, from + k * stride, stride * radix, level + 1);
    if (radix === 2) this.join2(re, im, to, part, stride);
    else if (radix === 4) this.join4(re, im, to, part, stride);
    else this.join(re, im, to, part, stride, radix);
  }

  /**
   * @param {Float64Array} re
   * @param {Float64Array} im
   * @param {number} to
   * @param {number} part
   * @param {number} stride
   */
  join2(re, im, to, part, stride) {
    const { cos, sin } = this;
    for (let k = 0; k < part; k++) {
      const a = to + k;
      const b = a + part;
      const c = cos[k * stride];
      const s = sin[k * stride];
      const bRe = re[b] * c - im[b] * s;
      const bIm = re[b] * s + im[b] * c;
      re[b] = re[a] - bRe;
      im[b] = im[a] - bIm;
      re[a] += bRe;
      im[a] += bIm;
    }
  }

  /**
   * @param {Float64Array} re
   * @param {Float64Array} im
   * @param {number} to
   * @param {number} part
   * @param {number} stride
   */
  join4(re, im, to, part, stride) {
    const { cos, sin } = this;
    for (let k = 0; k < part; k++) {
      const i0 = to + k;
      const i1 = i0 + part;
      const i2 = i1 + part;
      const i3 = i2 + part;
      const t = k * stride;
      const aRe = re[i1] * cos[t] - im[i1] * sin[t];
      const aIm = re[i1] * sin[t] + im[i1] * cos[t];
      const bRe = re[i2] * cos[2 * t] - im[i2] * sin[2 * t];
      const bIm = re[i2] * sin[2 * t] + im[i2] * cos[2 * t];
      const cRe = re[i3] * cos[3 * t] - im[i3] * sin[3 * t];
      const cIm = re[i3] * sin[3 * t] + im[i3] * cos[3 * t];
      const evenRe = re[i0] + bRe;
      const evenIm = im[i0] + bIm;
      const oddRe = re[i0] - bRe;
      const oddIm = im[i0] - bIm;
      const sumRe = aRe + cRe;
      const sumIm = aIm + cIm;
      const differenceRe = aRe - cRe;
      const differenceIm = aIm - cIm;
      re[i0] = evenRe + sumRe;
      im[i0] = evenIm + sumIm;
      re[i2] = evenRe - sumRe;
      im[i2] = evenIm - sumIm;
      re[i1] = oddRe + differenceIm;
      im[i1] = oddIm - differenceRe;
      re[i3] = oddRe - differenceIm;
      im[i3] = oddIm + differenceRe;
    }
  }

  /**
   * Of any radix: each output is the sum of all parts, turned.
   * @param {Float64Array} re
   * @param {Float64Array} im
   * @param {number} to
   * @param {number} part
   * @param {number} stride
   * @param {number} radix
   */
  join(re, im, to, part, stride, radix) {
    const { cos, sin, length, partRe, partIm } = this;
    for (let k = 0; k < part; k++) {
      for (let q = 0; q < radix; q++) {
        const at = to + k + q * part;
        const turn = q * k * stride;
        partRe[q] = re[at] * cos[turn] - im[at] * sin[turn];
        partIm[q] = re[at] * sin[turn] + im[at] * cos[turn];
      }
      const step = part * stride;
      for (let p = 0; p < radix; p++) {
        let sumRe = partRe[0];
        let sumIm = partIm[0];
        let turn = 0;
        for (let q = 1; q < radix; q++) {
          turn += p * step;
          while (turn >= length) turn -= length;
          sumRe += partRe[q] * cos[turn] - partIm[q] * sin[turn];
          sumIm += partRe[q] * sin[turn] + partIm[q] * cos[turn];
        }
        const at = to + k + p * part;
        re[at] = sumRe;
        im[at] = sumIm;
      }
    }
  }
}

/** A transform of any length as a convolution with a chirp, over a power of two. */
class Bluestein {
  /** @param {number} length */
  constructor(length) {
    this.length = length;
    let size = 1;
    while (size < 2 * length - 1) size *= 2;
    this.size = size;
    this.inner = new MixedRadix(size, factorsOf(size));
    this.cos = new Float64Array(length);
    this.sin = new Float64Array(length);
    this.filterRe = new Float64Array(size);
    this.filterIm = new Float64Array(size);
    for (let n = 0; n < length; n++) {
      // n² modulo 2N, so that the angle stays exact.
      const angle = (-Math.PI * ((n * n) % (2 * length))) / length;
      this.cos[n] = Math.cos(angle);
      this.sin[n] = Math.sin(angle);
      const mirrored = (size - n) % size;
      this.filterRe[n] = this.filterRe[mirrored] = this.cos[n];
      this.filterIm[n] = this.filterIm[mirrored] = -this.sin[n];
    }
    this.inner.forward(this.filterRe, this.filterIm);
    this.workRe = new Float64Array(size);
    this.workIm = new Float64Array(size);
  }

  /**
   * @param {Float64Array} re
   * @param {Float64Array} im
   */
  forward(re, im) {
    const { cos, sin, filterRe, filterIm, workRe, workIm, length, size } = this;
    workRe.fill(0);
    workIm.fill(0);
    for (let n = 0; n < length; n++) {
      workRe[n] = re[n] * cos[n] - im[n] * sin[n];
      workIm[n] = re[n] * sin[n] + im[n] * cos[n];
    }
    this.inner.forward(workRe, workIm);
    for (let k = 0; k < size; k++) {
      const product = workRe[k] * filterRe[k] - workIm[k] * filterIm[k];
      workIm[k] = workRe[k] * filterIm[k] + workIm[k] * filterRe[k];
      workRe[k] = product;
    }
    this.inner.forward(workIm, workRe);
    for (let n = 0; n < length; n++) {
      const turnedRe = workRe[n] / size;
      const turnedIm = workIm[n] / size;
      re[n] = turnedRe * cos[n] - turnedIm * sin[n];
      im[n] = turnedRe * sin[n] + turnedIm * cos[n];
    }
  }
}

/**
 * Fours first, then primes.
 * @param {number} length
 */
function factorsOf(length) {
  const factors = [];
  let rest = length;
  for (let factor = 4; rest > 1; ) {
    if (rest % factor === 0) {
      factors.push(factor);
      rest /= factor;
    } else if (factor === 4) factor = 2;
    else if (factor === 2) factor = 3;
    else if (factor * factor > rest) factor = rest;
    else factor += 2;
  }
  return factors;
}

/**
 * Cosine and sine of −2πk/N.
 * @param {number} length
 * @param {number} count
 * @returns {[Float64Array, Float64Array]}
 */
function turns(length, count) {
  const cos = new Float64Array(count);
  const sin = new Float64Array(count);
  for (let k = 0; k < count; k++) {
    cos[k] = Math.cos((-2 * Math.PI * k) / length);
    sin[k] = Math.sin((-2 * Math.PI * k) / length);
  }
  return [cos, sin];
}
