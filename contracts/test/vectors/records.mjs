// Messages as they are stored: the records of a stream in CBOR (docs/PROTOCOL.md, "Records").

import { concat, hexToBytes, numberToHex, size } from "viem";

/** @typedef {import("./messages.mjs").Hex} Hex */

const head = (/** @type {number} */ major, /** @type {number} */ value) => {
  const type = major << 5;
  if (value < 24) return numberToHex(type | value, { size: 1 });
  const [more, bytes] = value < 2 ** 8 ? [24, 1] : value < 2 ** 16 ? [25, 2] : value < 2 ** 32 ? [26, 4] : [27, 8];
  return concat([numberToHex(type | more, { size: 1 }), numberToHex(value, { size: bytes })]);
};
const uint = (/** @type {number} */ value) => head(0, value);
const bytes = (/** @type {Hex} */ hex) => concat([head(2, size(hex)), hex]);
const array = (/** @type {Hex[]} */ ...items) => concat([head(4, items.length), ...items]);

/**
 * The records of groups, one behind the other; the first record of a group with a signature has its header. The header's count is
 * the group's own, however many payloads are given.
 * @param {{ author: Hex, producer: Hex, first: number, count?: number, payloads: Hex[], previous?: Hex, key?: Hex, signature?: Hex }[]} groups
 * @param {number} time
 */
export const recordsOf = (groups, time) => {
  const records = groups.flatMap(({ author, producer, first, payloads, ...group }) =>
    payloads.map((payload, index) => {
      const items = [uint(time + first + index), bytes(author), bytes(producer), uint(first + index), bytes(payload)];
      const isSigned = index === 0 && group.signature;
      return isSigned
        ? array(...items, array(uint(group.count), bytes(group.previous), bytes(group.key), bytes(group.signature)))
        : array(...items);
    }),
  );
  return { count: records.length, records: concat(records) };
};

if (hexToBytes(head(4, 5))[0] !== 0x85) throw new Error("an array of five items begins with 0x85");
