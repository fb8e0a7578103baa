/**
 * The fields of an `.onnx` file, for what must be known of a model before it is run.
 *
 * A message is a row of fields, each a number and a content: https://protobuf.dev/programming-guides/encoding/
 */

/** @type {Uint8Array} */
const EMPTY = new Uint8Array();

/**
 * Numbers and contents of the fields of a message, up to its end or to what is no field; a number has no content here.
 * @param {Uint8Array} message
 * @returns {Generator<[number, Uint8Array]>}
 */
export function* fields(message) {
  let at = 0;
  /** @returns {number} Not a number at the end. */
  const varint = () => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[at++];
      if (byte === undefined) return NaN;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    return NaN;
  };
  while (at < message.length) {
    const tag = varint();
    if (Number.isNaN(tag)) return;
    /** @type {Uint8Array} */
    let content = EMPTY;
    switch (tag % 8) {
      case 0:
        if (Number.isNaN(varint())) return;
        break;
      case 1:
        at += 8;
        break;
      case 2: {
        const length = varint();
        if (!(at + length <= message.length)) return;
        content = message.subarray(at, at + length);
        at += length;
        break;
      }
      case 3:
      case 4:
        break;
      case 5:
        at += 4;
        break;
      default:
        return;
    }
    yield [Math.floor(tag / 8), content];
  }
}
