// The little CBOR (RFC 8949) that these tests need, written apart from the product's own, so that both must be right.

export type Cbor = number | Uint8Array | null | Cbor[];

const head = (major: number, value: number): Uint8Array => {
  if (value < 24) return Uint8Array.of((major << 5) | value);
  const width = value < 0x100 ? 1 : value < 0x10000 ? 2 : value < 0x100000000 ? 4 : 8;
  const out = new Uint8Array(1 + width);
  out[0] = (major << 5) | (24 + Math.log2(width));
  let rest = value;
  for (let at = width; at > 0; at -= 1) {
    out[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return out;
};

/** Encodes an item in its shortest form. */
export const encode = (item: Cbor): Uint8Array => {
  if (item === null) return Uint8Array.of(0xf6);
  if (typeof item === "number") return head(0, item);
  if (item instanceof Uint8Array) return Buffer.concat([head(2, item.length), item]);
  return Buffer.concat([head(4, item.length), ...item.map(encode)]);
};

const readHead = (bytes: Uint8Array, at: number): [major: number, value: number, next: number] => {
  const first = bytes[at] ?? 0;
  const [major, low] = [first >> 5, first & 31];
  if (low < 24) return [major, low, at + 1];
  const width = 2 ** (low - 24);
  let value = 0;
  for (let index = 1; index <= width; index += 1) value = value * 256 + (bytes[at + index] ?? 0);
  return [major, value, at + 1 + width];
};

const decodeItem = (bytes: Uint8Array, at: number): [item: Cbor, next: number] => {
  if (bytes[at] === 0xf6) return [null, at + 1];
  const [major, value, start] = readHead(bytes, at);
  if (major === 0) return [value, start];
  if (major === 2) return [bytes.subarray(start, start + value), start + value];
  if (major !== 4) throw new Error(`major type ${major} is not expected here`);
  const items: Cbor[] = [];
  let next = start;
  for (let index = 0; index < value; index += 1) {
    const [item, after] = decodeItem(bytes, next);
    items.push(item);
    next = after;
  }
  return [items, next];
};

/** Decodes a CBOR sequence (RFC 8742). */
export const decodeSequence = (bytes: Uint8Array): Cbor[] => {
  const items: Cbor[] = [];
  let at = 0;
  while (at < bytes.length) {
    const [item, next] = decodeItem(bytes, at);
    items.push(item);
    at = next;
  }
  return items;
};
