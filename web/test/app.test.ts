import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MAX_HELD_MESSAGES, MessageRun } from "../src/app/messages/run.ts";
import { texts } from "../src/app/texts/texts.ts";
import { byteCount, payloadLine, payloadText, shortHex } from "../src/app/ui/format.ts";
import type { StreamMessage } from "../src/lib/index.ts";
import { utf8Bytes } from "../src/lib/wire/bytes.ts";

const message = (seq: number, payload: Uint8Array<ArrayBuffer> = utf8Bytes(`m${seq}`)): StreamMessage => ({
  seq,
  time: 0,
  author: `0x${"00".repeat(20)}`,
  payload,
});

const run = (first: number, count: number): MessageRun => {
  const made = new MessageRun();
  for (let i = 0; i < count; i++) made.push(message(first + i));
  return made;
};

describe("the messages of the page", () => {
  test("has messages by their seq, wherever it begins", () => {
    const made = run(500, 3);
    assert.deepEqual([made.first, made.end, made.length], [500, 503, 3]);
    assert.equal(made.at(501)?.seq, 501);
    assert.equal(made.at(499), undefined);
  });

  test("takes older messages only where they fit", () => {
    const made = run(500, 3);
    made.unshift([message(498), message(499)]);
    assert.deepEqual([made.first, made.end], [498, 503]);
    made.unshift([message(490)]);
    assert.equal(made.first, 498);
  });

  test("drops messages taken back, and takes those that follow", () => {
    const made = run(0, 5);
    made.truncate(3);
    made.push(message(3));
    assert.deepEqual([made.first, made.end], [0, 4]);
  });

  test("starts again when taken back to before its beginning", () => {
    const made = run(10, 5);
    made.truncate(4);
    made.push(message(4));
    assert.deepEqual([made.first, made.end], [4, 5]);
  });

  test("keeps only the latest messages of a long stream", () => {
    const made = run(0, MAX_HELD_MESSAGES + 2_500);
    assert.ok(made.length >= MAX_HELD_MESSAGES && made.length <= MAX_HELD_MESSAGES + 1_000);
    assert.equal(made.at(made.end - 1)?.seq, MAX_HELD_MESSAGES + 2_499);
  });
});

describe("text forms of values", () => {
  test("a message is one line of text, or its size", () => {
    assert.equal(payloadLine(message(0, utf8Bytes("two\n  lines"))), "two lines");
    assert.equal(payloadLine(message(0, Uint8Array.of(0xff, 0xfe))), texts.messages.binary(2));
  });

  test("a long text is cut between characters, not through one", () => {
    for (const pad of [0, 1, 2, 3]) {
      const line = payloadLine(message(0, utf8Bytes(`${"x".repeat(pad)}${"€😀".repeat(200)}`)));
      assert.ok(!line.includes("�") && line.startsWith("x".repeat(pad)), line);
    }
  });

  test("hashes and sizes are short", () => {
    assert.equal(payloadText(Uint8Array.of(0xc3)), null);
    assert.equal(shortHex(`0x${"ab".repeat(20)}`), "0xabab…abab");
    assert.deepEqual([byteCount(12), byteCount(2_048), byteCount(3 * 1_048_576)], ["12 B", "2.0 KiB", "3.0 MiB"]);
  });
});
