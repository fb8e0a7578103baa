/**
 * The sampling rate that a file states, read from its first bytes: a browser decodes to any rate but does not say which one
 * was the file's own, and its resampling is not ours.
 */

/**
 * @typedef {object} Format
 * @property {string} container
 * @property {number | null} rate In Hz; `null` if it was not found.
 * @property {number | null} channels
 * @property {boolean} floats Whether samples are stored as floats, which may pass full scale.
 * @property {number | null} frames How many there are, where the container has padding at its end that decoders may leave.
 * @property {number} preSkip Frames of Opus in front of the first, which decoders drop.
 */

/** Samples per second of MPEG audio by version (2.5, none, 2, 1) and index. */
const MPEG_RATES = [[11_025, 12_000, 8_000], [], [22_050, 24_000, 16_000], [44_100, 48_000, 32_000]];
const ADTS_RATES = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/** Bytes behind a tag that are searched for the first frame of MPEG audio, and at the end of Ogg for its last page. */
const SEARCHED = 1 << 16;
const WAVE_FLOAT = 3;
const WAVE_EXTENSIBLE = 0xfffe;

/**
 * @param {Uint8Array} bytes Of the whole file.
 * @returns {Format}
 */
export function formatOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = afterId3(bytes);
  if (start === 0 && isAt(bytes, 0, 'RIFF') && isAt(bytes, 8, 'WAVE')) return ofWave(bytes, view);
  if (isAt(bytes, start, 'fLaC')) return ofFlac(bytes, start);
  if (isAt(bytes, 0, 'FORM')) return ofAiff(bytes, view);
  if (isAt(bytes, 0, 'OggS')) return ofOgg(bytes, view);
  if (isAt(bytes, 4, 'ftyp')) return ofMp4(bytes, view);
  return ofFrames(bytes, start);
}

/**
 * @param {string} container
 * @param {number | null} [rate]
 * @param {number | null} [channels]
 * @param {boolean} [floats]
 * @returns {Format}
 */
function format(container, rate = null, channels = null, floats = false) {
  return { container, rate: rate !== null && rate > 0 ? rate : null, channels, floats, frames: null, preSkip: 0 };
}

/**
 * @param {Uint8Array} bytes
 * @param {DataView} view
 */
function ofWave(bytes, view) {
  for (let at = 12; at + 24 <= bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    if (isAt(bytes, at, 'fmt ')) {
      const kind = view.getUint16(at + 8, true);
      const inner = kind === WAVE_EXTENSIBLE && at + 34 <= bytes.length ? view.getUint16(at + 32, true) : kind;
      return format('WAV', view.getUint32(at + 12, true), view.getUint16(at + 10, true), inner === WAVE_FLOAT);
    }
    at += 8 + size + (size % 2);
  }
  return format('WAV');
}

/**
 * @param {Uint8Array} bytes
 * @param {DataView} view
 */
function ofAiff(bytes, view) {
  for (let at = 12; at + 26 <= bytes.length; ) {
    const size = view.getUint32(at + 4);
    // The rate is a float of 80 bits: 15 of exponent, and of the fraction the upper 32 are enough.
    if (isAt(bytes, at, 'COMM')) {
      const rate = view.getUint32(at + 18) * 2 ** ((view.getUint16(at + 16) & 0x7fff) - 16_383 - 31);
      return format('AIFF', Math.round(rate), view.getUint16(at + 8));
    }
    at += 8 + size + (size % 2);
  }
  return format('AIFF');
}

/**
 * @param {Uint8Array} bytes
 * @param {number} start
 */
function ofFlac(bytes, start) {
  // STREAMINFO is the first block: 4 bytes of header, 10 of sizes, then 20 bits of rate and 3 of channels.
  const at = start + 4 + 4 + 10;
  if (at + 3 > bytes.length) return format('FLAC');
  const rate = (bytes[at] << 12) | (bytes[at + 1] << 4) | (bytes[at + 2] >> 4);
  return format('FLAC', rate, ((bytes[at + 2] >> 1) & 7) + 1);
}

/**
 * @param {Uint8Array} bytes
 * @param {DataView} view
 */
function ofOgg(bytes, view) {
  const packet = 27 + (bytes[26] ?? 0);
  if (isAt(bytes, packet, '\x01vorbis') && packet + 16 <= bytes.length) {
    return { ...format('Ogg Vorbis', view.getUint32(packet + 12, true), bytes[packet + 11]), frames: lastPosition(bytes, view) };
  }
  if (isAt(bytes, packet, 'OpusHead') && packet + 12 <= bytes.length) {
    const preSkip = view.getUint16(packet + 10, true);
    const end = lastPosition(bytes, view);
    // Opus is decoded at 48 kHz, whatever was encoded.
    return { ...format('Ogg Opus', 48_000, bytes[packet + 9]), frames: end === null ? null : end - preSkip, preSkip };
  }
  if (isAt(bytes, packet, '\x7fFLAC')) return ofFlac(bytes, packet + 9);
  return format('Ogg');
}

/**
 * The position at the end of the last page; `null` if that is another stream's.
 * @param {Uint8Array} bytes
 * @param {DataView} view
 */
function lastPosition(bytes, view) {
  for (let at = bytes.length - 27; at > Math.max(0, bytes.length - SEARCHED - 27); at--) {
    if (!isAt(bytes, at, 'OggS')) continue;
    if (view.getUint32(at + 14, true) !== view.getUint32(14, true)) return null;
    return Number(view.getBigInt64(at + 6, true));
  }
  return null;
}

/**
 * The first sample entry of an audio track that has a rate.
 * @param {Uint8Array} bytes
 * @param {DataView} view
 */
function ofMp4(bytes, view) {
  for (const [name, start, end] of boxes(view, 0, bytes.length)) {
    if (name !== 'moov') continue;
    for (const [inner, from, to] of boxes(view, start, end)) {
      const found = inner === 'trak' ? ofTrack(view, from, to) : null;
      if (found !== null) return found;
    }
  }
  return format('MP4');
}

/**
 * @param {DataView} view
 * @param {number} start
 * @param {number} end
 * @returns {Format | null}
 */
function ofTrack(view, start, end) {
  for (const [name, from, to] of boxes(view, start, end)) {
    if (name === 'mdia' || name === 'minf' || name === 'stbl') {
      const found = ofTrack(view, from, to);
      if (found !== null) return found;
    }
    if (name !== 'stsd') continue;
    // Version and number of entries, then the entry: 8 bytes of header, 16 to the channels, 24 to the rate (16.16).
    const entry = from + 8;
    if (entry + 36 > to || !['mp4a', 'Opus', 'alac', 'fLaC'].includes(nameAt(view, entry + 4))) return null;
    const rate = nameAt(view, entry + 4) === 'Opus' ? 48_000 : view.getUint16(entry + 32);
    return format('MP4', rate, view.getUint16(entry + 24));
  }
  return null;
}

/**
 * Names of boxes, and where their contents begin and end.
 * @param {DataView} view
 * @param {number} start
 * @param {number} end
 * @returns {Generator<[string, number, number]>}
 */
function* boxes(view, start, end) {
  for (let at = start; at + 16 <= end; ) {
    const short = view.getUint32(at);
    const size = short === 1 ? Number(view.getBigUint64(at + 8)) : short === 0 ? end - at : short;
    const header = short === 1 ? 16 : 8;
    if (size < header || at + size > end) return;
    yield [nameAt(view, at + 4), at + header, at + size];
    at += size;
  }
}

/**
 * MPEG audio, or AAC in ADTS: the first two frames that follow each other.
 * @param {Uint8Array} bytes
 * @param {number} start
 */
function ofFrames(bytes, start) {
  const end = Math.min(bytes.length - 7, start + SEARCHED);
  for (let at = start; at < end; at++) {
    if (bytes[at] !== 0xff || (bytes[at + 1] & 0xe0) !== 0xe0) continue;
    const found = frameAt(bytes, at);
    const next = found && frameAt(bytes, at + found.length);
    if (found && (at + found.length >= bytes.length - 7 || (next?.rate === found.rate && next.container === found.container))) {
      return format(found.container, found.rate, found.channels);
    }
  }
  return format('unknown');
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 */
function frameAt(bytes, at) {
  const [sync, second, third, fourth, fifth, sixth] = bytes.subarray(at, at + 6);
  if (sync !== 0xff || sixth === undefined) return null;
  if ((second & 0xf6) === 0xf0) {
    const rate = ADTS_RATES[(third >> 2) & 15];
    const length = ((fourth & 3) << 11) | (fifth << 3) | (sixth >> 5);
    const channels = ((third & 1) << 2) | (fourth >> 6);
    return rate === undefined || length < 7 ? null : { container: 'AAC', rate, length, channels };
  }
  if ((second & 0xe0) !== 0xe0) return null;
  const version = (second >> 3) & 3;
  const layer = 4 - ((second >> 1) & 3);
  const rate = MPEG_RATES[version]?.[(third >> 2) & 3];
  const kilobits = bitrate(version, layer, third >> 4);
  if (rate === undefined || kilobits === undefined) return null;
  const padding = (third >> 1) & 1;
  const length =
    layer === 1
      ? 4 * (Math.floor((12_000 * kilobits) / rate) + padding)
      : Math.floor(((version !== 3 && layer === 3 ? 72_000 : 144_000) * kilobits) / rate) + padding;
  return { container: 'MP3', rate, length, channels: fourth >> 6 === 3 ? 1 : 2 };
}

/**
 * Kilobits a second of a frame of MPEG audio (ISO 11172-3 and 13818-3, 2.4.2.3).
 * @param {number} version
 * @param {number} layer
 * @param {number} index
 * @returns {number | undefined}
 */
function bitrate(version, layer, index) {
  if (index < 1 || index > 14 || layer > 3) return undefined;
  const row = version === 3 ? layer - 1 : layer === 1 ? 3 : 4;
  return [
    [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
    [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
    [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
    [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
  ][row][index - 1];
}

/**
 * Where ID3v2 tags end.
 * @param {Uint8Array} bytes
 */
function afterId3(bytes) {
  let at = 0;
  while (isAt(bytes, at, 'ID3') && at + 10 <= bytes.length) {
    const [a, b, c, d] = bytes.subarray(at + 6, at + 10);
    at += 10 + ((a << 21) | (b << 14) | (c << 7) | d) + ((bytes[at + 5] & 0x10) === 0 ? 0 : 10);
  }
  return at;
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 * @param {string} text
 */
function isAt(bytes, at, text) {
  return [...text].every((letter, i) => bytes[at + i] === letter.charCodeAt(0));
}

/**
 * @param {DataView} view
 * @param {number} at
 */
function nameAt(view, at) {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}
