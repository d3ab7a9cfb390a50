// WebAssembly modules as bytes (core specification, section 5.5: an id, a length and so many bytes per section).

const HEADER_BYTES = 8;
const CUSTOM = 0;

/**
 * An unsigned LEB128 number and where it ends.
 * @param {Buffer} bytes
 * @param {number} at
 * @returns {[value: number, end: number]}
 */
const readNumber = (bytes, at) => {
  let [value, factor, next] = [0, 1, at];
  for (;;) {
    const byte = bytes.readUInt8(next);
    next += 1;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return [value, next];
    factor *= 128;
  }
};

/** @param {Buffer} bytes @param {number} at */
const nameOf = (bytes, at) => {
  const [length, start] = readNumber(bytes, at);
  return bytes.subarray(start, start + length).toString("latin1");
};

/**
 * The module without its custom sections of this name.
 * @param {Buffer} bytes
 * @param {string} name
 */
export const withoutSection = (bytes, name) => {
  const kept = [bytes.subarray(0, HEADER_BYTES)];
  let at = HEADER_BYTES;
  while (at < bytes.length) {
    const [length, start] = readNumber(bytes, at + 1);
    const end = start + length;
    if (bytes[at] !== CUSTOM || nameOf(bytes, start) !== name) kept.push(bytes.subarray(at, end));
    at = end;
  }
  return Buffer.concat(kept);
};
