import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { StreamChainError } from "../src/lib/errors.ts";
import { concat, fromHex, toHex } from "../src/lib/wire/bytes.ts";
import { type CborValue, decodeSequence, encodeCbor } from "../src/lib/wire/cbor.ts";
import { decodeRelayMessage, encodeFrame } from "../src/lib/wire/frames.ts";

const hex = (text: string): Uint8Array => fromHex(`0x${text.replaceAll(" ", "")}`);
const malformed = (error: unknown): boolean => error instanceof StreamChainError && error.code === "malformed";
const hash = "11".repeat(32);

describe("frames", () => {
  test("of a client have the bytes of the protocol", () => {
    const producer = Uint8Array.from({ length: 16 }, (_, i) => i);
    assert.equal(toHex(encodeFrame({ kind: "hello", producer })), "0x820150000102030405060708090a0b0c0d0e0f");
    assert.equal(toHex(encodeFrame({ kind: "publish", producerSeq: 300, payload: hex("abcd") })), "0x830219012c42abcd");
    assert.equal(toHex(encodeFrame({ kind: "subscribe", from: null })), "0x8203f6");
    assert.equal(toHex(encodeFrame({ kind: "subscribe", from: 24 })), "0x82031818");
  });

  test("of a relay are read, several from one message", () => {
    const author = hex("aa".repeat(20));
    const bytes = concat([
      hex("86 10 01 05 03 02 a1 67 7061796c6f6164 1a00010000"),
      encodeCbor([17, 1, 4, 1_700_000_000_000, author, hex("00ff")]),
      encodeCbor([18, 9, null]),
      encodeCbor([19, 5]),
      encodeCbor([20, 0, 5, hex(hash), hex(hash), 77, 1]),
      encodeCbor([22, 5, 9]),
      encodeCbor([23, 8, "slow down"]),
    ]);
    const [welcome, message, accepted, committed, anchored, gap, error] = decodeRelayMessage(bytes);
    assert.deepEqual(welcome, {
      kind: "welcome",
      epoch: 1,
      head: 5,
      committed: 3,
      stored: 2,
      limits: {
        payload: 65_536,
        batchMs: undefined,
        buffer: undefined,
        messagesPerS: undefined,
        bytesPerS: undefined,
        groupMessages: undefined,
        signed: false,
      },
    });
    assert.equal(message?.kind === "message" && message.time, 1_700_000_000_000);
    assert.deepEqual(accepted, { kind: "accepted", producerSeq: 9, seq: null, count: 1 });
    assert.deepEqual(committed, { kind: "committed", committed: 5 });
    assert.equal(anchored?.kind === "anchored" && anchored.state, "final");
    assert.deepEqual(gap, { kind: "gap", from: 5, to: 9 });
    assert.deepEqual(error, { kind: "error", code: 8, text: "slow down", retryMs: undefined });
  });

  test("of signed groups have the bytes of the protocol", () => {
    const [previous, signature, key] = [hex("22".repeat(32)), hex("33".repeat(64)), hex(`02${"44".repeat(32)}`)];
    const producer = hex("55".repeat(16));
    assert.equal(
      toHex(encodeFrame({ kind: "hello", producer, key })),
      `0x830150${"55".repeat(16)}582102${"44".repeat(32)}`,
    );
    assert.equal(
      toHex(encodeFrame({ kind: "group", producerSeq: 7, previous, signature, payloads: [hex("61"), hex("")] })),
      `0x8504075820${"22".repeat(32)}5840${"33".repeat(64)}82416140`,
    );
    assert.equal(toHex(encodeFrame({ kind: "subscribe", from: 24, signatures: true })), "0x8303181801");
    const limits = new Map<string, CborValue>([
      ["group_messages", 256],
      ["signed", 1],
    ]);
    const [welcome, found, accepted] = decodeRelayMessage(
      concat([
        encodeCbor([16, 1, 5, 3, null, limits]),
        encodeCbor([25, 1, 40, 2, producer, 7, previous, key, signature]),
        encodeCbor([18, 7, 40, 2]),
      ]),
    );
    assert.ok(welcome?.kind === "welcome" && welcome.limits.groupMessages === 256 && welcome.limits.signed);
    const expected = { epoch: 1, seq: 40, count: 2, producer, producerSeq: 7, previous, key, signature };
    assert.deepEqual(found, { kind: "signature", ...expected });
    assert.deepEqual(accepted, { kind: "accepted", producerSeq: 7, seq: 40, count: 2 });
    for (const count of [0, 257]) {
      const frame = encodeCbor([25, 1, 40, count, producer, 7, previous, key, signature]);
      assert.throws(() => decodeRelayMessage(frame), malformed);
    }
  });

  test("of a group as one frame are its signature and messages", () => {
    const [previous, signature, key] = [hex("22".repeat(32)), hex("33".repeat(64)), hex(`02${"44".repeat(32)}`)];
    const [producer, author] = [hex("55".repeat(16)), hex("66".repeat(20))];
    const head = [27, 1, 40, 1_700_000_000_000, author, producer, 7, previous, key, signature];
    const payloads = [hex("61"), hex("")];
    const found = decodeRelayMessage(concat([encodeCbor([...head, payloads]), encodeCbor([19, 42])]));
    const message = { kind: "message", epoch: 1, time: 1_700_000_000_000, author };
    assert.deepEqual(found, [
      { kind: "signature", epoch: 1, seq: 40, count: 2, producer, producerSeq: 7, previous, key, signature },
      { ...message, seq: 40, payload: payloads[0] },
      { ...message, seq: 41, payload: payloads[1] },
      { kind: "committed", committed: 42 },
    ]);
    const wrong: CborValue[][] = [[], ["text"], [[hex("61")]], Array<CborValue>(257).fill(hex("61"))];
    for (const list of wrong) assert.throws(() => decodeRelayMessage(encodeCbor([...head, list])), malformed);
    assert.throws(() => decodeRelayMessage(encodeCbor(head)), malformed);
    const last = encodeCbor([...head.with(2, Number.MAX_SAFE_INTEGER), payloads]);
    assert.throws(() => decodeRelayMessage(last), malformed, "its second message has no seq");
    assert.equal(decodeRelayMessage(encodeCbor([...head, Array<CborValue>(256).fill(hex("61"))])).length, 257);
  });

  test("contain rate limits, and the wait of an error", () => {
    const limits = new Map<string, CborValue>([
      ["messages_per_s", 1_000],
      ["bytes_per_s", 4_194_304],
    ]);
    const [welcome, error] = decodeRelayMessage(
      concat([encodeCbor([16, 1, 5, 3, null, limits]), encodeCbor([23, 10, "too fast", 500])]),
    );
    assert.equal(welcome?.kind === "welcome" && welcome.limits.messagesPerS, 1_000);
    assert.equal(welcome?.kind === "welcome" && welcome.limits.bytesPerS, 4_194_304);
    assert.deepEqual(error, { kind: "error", code: 10, text: "too fast", retryMs: 500 });
  });

  test("of an unknown kind are skipped, whatever they contain", () => {
    const unknown = encodeCbor([99, -5, true, "text", new Map<string, CborValue>([["k", [1]]])]);
    assert.deepEqual(decodeRelayMessage(concat([unknown, encodeCbor([19, 1])])), [{ kind: "committed", committed: 1 }]);
  });

  test("may have more elements and limits than are known", () => {
    const [committed] = decodeRelayMessage(hex("84 13 05 fb3ff0000000000000 c11a514b67b0"));
    assert.deepEqual(committed, { kind: "committed", committed: 5 });
    const [welcome] = decodeRelayMessage(hex("86 10 01 05 03 f6 a2 61 78 f93c00 67 7061796c6f6164 19 0400"));
    assert.equal(welcome?.kind === "welcome" && welcome.limits.payload, 1_024);
  });

  test("have integers of every width", () => {
    for (const value of [0, 23, 24, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1, -1, -25, -257]) {
      assert.deepEqual([...decodeSequence(encodeCbor(value))], [value]);
    }
  });

  const BROKEN: readonly [title: string, bytes: string][] = [
    ["an item cut short", "8213"],
    ["a byte string longer than the message", "83 02 00 5a ffffffff 00"],
    ["an array longer than the message", "9a ffffffff"],
    ["an indefinite array", "9f13 05 ff"],
    ["an integer not in its shortest form", "82 13 1805"],
    ["an integer of 2^53", "82 13 1b0020000000000000"],
    ["a reserved argument", "82 13 1c"],
    ["a tag where a number is due", "82 13 c105"],
    ["a float where a number is due", "82 13 fb3ff0000000000000"],
    ["a float cut short", "82 18 63 fb3ff0"],
    ["a break outside of anything", "82 18 63 ff"],
    ["a text that is not UTF-8", "83 17 01 62 c328"],
    ["a map with a key given twice", "86 10 01 05 03 02 a2 61 61 01 61 61 02"],
    ["a map with a number as key", "86 10 01 05 03 02 a1 01 01"],
    ["nesting without end", "81".repeat(40)],
    ["a frame that is no array", "05"],
    ["a frame without a kind", "80"],
    ["a frame with too few elements", "81 13"],
    ["a committed mark that is a text", "82 13 61 35"],
    ["a negative committed mark", "82 13 20"],
    ["an author of 19 bytes", `86 11 01 00 00 53 ${"aa".repeat(19)} 40`],
    ["an unknown anchor state", `87 14 00 01 5820 ${hash} 5820 ${hash} 0c 03`],
    ["a gap that ends before it begins", "83 16 09 05"],
  ];

  for (const [title, bytes] of BROKEN) {
    test(`are malformed: ${title}`, () => {
      assert.throws(() => decodeRelayMessage(hex(bytes)), malformed);
    });
  }

  test("of random or mutated bytes are decoded or malformed", () => {
    let state = 1;
    const random = (bound: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return state % bound;
    };
    const valid = encodeCbor([20, 0, 5, hex(hash), hex(hash), 77, 1]);
    for (let round = 0; round < 20_000; round++) {
      const bytes = round % 2 === 0 ? valid.slice() : new Uint8Array(random(60)).map(() => random(256));
      for (let i = 0; i < 3 && bytes.length > 0; i++) bytes[random(bytes.length)] = random(256);
      try {
        decodeRelayMessage(bytes);
      } catch (error) {
        assert.ok(malformed(error), `${toHex(bytes)}: ${error}`);
      }
    }
  });
});
