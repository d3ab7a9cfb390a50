import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { StreamChainError } from "../src/lib/errors.ts";
import { parseIceServers } from "../src/lib/http/edge-answers.ts";
import { EdgeClient } from "../src/lib/http/edge-client.ts";
import { concat } from "../src/lib/wire/bytes.ts";
import { type CborValue, encodeCbor } from "../src/lib/wire/cbor.ts";
import { problem } from "./support/edge-parts.ts";

const answering = (answer: () => Response): EdgeClient => new EdgeClient("https://edge.test/", async () => answer());
const code = (expected: string) => (error: StreamChainError) => error.code === expected;

const page = (...items: CborValue[]) => answering(() => new Response(concat(items.map(encodeCbor))));
const author = new Uint8Array(20);

describe("answers of the edge", () => {
  test("a history page is read and its order checked", async () => {
    const messages = await page([4, 1, author, author], [5, 2, author, author]).messages("demo", 4);
    assert.deepEqual(
      messages.map(({ seq }) => seq),
      [4, 5],
    );
  });

  test("an erased message has no payload, and its size and hash", async () => {
    const digest = new Uint8Array(32).fill(7);
    const [kept, erased] = await page([4, 1, author, author], [5, 2, author, new Uint8Array(), [300, digest]]).messages(
      "demo",
      4,
    );
    assert.equal(kept?.erased, undefined);
    assert.deepEqual([erased?.payload.length, erased?.erased], [0, { size: 300, digest: `0x${"07".repeat(32)}` }]);
  });

  const WRONG_PAGES: readonly [title: string, items: CborValue[]][] = [
    [
      "leaves a message out",
      [
        [4, 1, author, author],
        [6, 1, author, author],
      ],
    ],
    ["begins elsewhere", [[5, 1, author, author]]],
    ["has an author of another length", [[4, 1, new Uint8Array(19), author]]],
    ["has no payload", [[4, 1, author]]],
    ["has a text as payload", [[4, 1, author, "text"]]],
    ["has an erased message without its hash", [[4, 1, author, new Uint8Array(), [300]]]],
    ["has a payload over the limit", [[4, 1, author, new Uint8Array(65_537)]]],
  ];

  for (const [title, items] of WRONG_PAGES) {
    test(`a page that ${title} is refused`, async () => {
      await assert.rejects(page(...items).messages("demo", 4), code("malformed"));
    });
  }

  test("runs in rounds are read as anchors, once on the chain", async () => {
    const hash = (byte: string) => `0x${byte.repeat(32)}`;
    const run = { first: 3, count: 2, root: hash("01"), previous: hash("02"), round: 7 };
    const onChain = { ...run, tx: hash("03"), block: 12, blockHash: hash("04"), logIndex: 0, state: "final" };
    const edge = answering(() => Response.json({ runs: [onChain, { ...run, first: 5, round: 8 }] }));
    const anchor = { first: 3, count: 2, root: hash("01"), tx: hash("03"), block: 12, state: "final" };
    assert.deepEqual(await edge.runs("demo", 0, 10), [anchor]);
  });

  test("a missing stream has no counts and no messages", async () => {
    const edge = answering(problem(404, "no-such-stream"));
    assert.equal(await edge.stream("demo"), undefined);
    assert.deepEqual(await edge.messages("demo", 0), []);
  });

  test("a problem document becomes a typed error with its texts", async () => {
    await assert.rejects(answering(problem(404, "not-anchored")).receipt("demo", 1), (error: StreamChainError) => {
      assert.deepEqual(
        [error.code, error.problem?.slug, error.problem?.detail],
        ["refused", "not-anchored", "said so"],
      );
      return !error.retryable;
    });
  });

  test("an error without a problem document is a refusal too", async () => {
    const edge = answering(() => new Response("<h1>Bad gateway</h1>", { status: 502 }));
    await assert.rejects(edge.status(), (error: StreamChainError) => error.code === "refused" && error.retryable);
  });

  test("an error about malformed JSON names the wrong field", async () => {
    const edge = answering(() => Response.json({ chainId: "1" }));
    await assert.rejects(edge.config(), /\/v1\/config\.chainId is not an unsigned integer/);
  });

  test("ICE servers are read from Link headers, others left alone", () => {
    const link =
      '<stun:stun.test:3478>; rel="ice-server", </docs>; rel="help", ' +
      '<turn:turn.test:3478?transport=udp>; rel="ice-server"; username="17:a"; credential="s,e;c"; credential-type="password"';
    assert.deepEqual(parseIceServers(link), [
      { urls: "stun:stun.test:3478" },
      { urls: "turn:turn.test:3478?transport=udp", username: "17:a", credential: "s,e;c" },
    ]);
    assert.deepEqual(parseIceServers(null), []);
  });
});
