// What a page says of whole streams that somebody with the operator's keys made: the vectors that all verifiers share.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type AuthorCheck, AuthorVerifier } from "../src/lib/connection/author-verifier.ts";
import type { EdgeClient } from "../src/lib/http/edge-client.ts";
import { CERTIFICATE_AGE_MS } from "../src/lib/limits.ts";
import type { Platform } from "../src/lib/platform.ts";
import type { NodeToAsk } from "../src/lib/signed/contract-wallet.ts";
import { webKeys } from "../src/lib/web-keys.ts";
import { type Bytes, fromHex, type Hex, toHex } from "../src/lib/wire/bytes.ts";
import { type CborItem, decodeSequence } from "../src/lib/wire/cbor.ts";
import type { MessageSignature, StreamMessage } from "../src/lib/wire/records.ts";
import { node, vectors } from "./support/vectors.ts";

const { stream, streams } = vectors("forgeries") as {
  stream: { id: Hex; name: string };
  streams: {
    title: string;
    records: Hex;
    certificates: { author: Hex; key: Hex }[];
    holds: boolean;
    wrong?: string;
    hidden?: boolean;
  }[];
};

/** The messages of a stream, as a page holds them that has read all of it with signatures. */
function messagesOf(records: Hex): StreamMessage[] {
  let signature: MessageSignature | undefined;
  return [...decodeSequence(fromHex(records))].map((item, seq) => {
    const [time, author, producer, producerSeq, payload, header] = item as [
      number,
      Uint8Array,
      Uint8Array,
      number,
      Bytes,
      CborItem[]?,
    ];
    if (header !== undefined) {
      const [count, previous, key, signed] = header as [number, Uint8Array, Uint8Array, Uint8Array];
      const names = { producer: toHex(producer), previous: toHex(previous), key: toHex(key), signature: toHex(signed) };
      signature = { seq, count, producerSeq, ...names };
    }
    const message: StreamMessage = { seq, time, author: toHex(author), payload };
    const isInGroup = signature !== undefined && seq < signature.seq + signature.count;
    return isInGroup && signature !== undefined
      ? { ...message, signed: true, signature }
      : { ...message, signed: false };
  });
}

interface Made {
  /** What the page holds. */
  readonly messages: readonly StreamMessage[];
  /** What history has. */
  readonly history?: readonly StreamMessage[];
  readonly certificate?: (author: Hex, key: Hex) => unknown;
  readonly start?: number;
  readonly now?: () => number;
  /** The names of streams that certificates were asked for. */
  readonly asked?: (string | undefined)[];
}

/** A verifier of a page that holds these messages, from `start` on. */
const verifierOf = ({
  messages,
  history = [],
  certificate = () => undefined,
  start = 0,
  now = () => 0,
  asked = [],
}: Made) =>
  new AuthorVerifier({
    platform: { keys: webKeys(), now, clock: () => 0 } as unknown as Platform,
    edge: {
      messages: async (_: string, from: number, count: number) => history.slice(from, from + count),
      authorKey: async (author: Hex, key: Bytes, { name }: { name: string | undefined }) => {
        asked.push(name);
        return certificate(author, toHex(key));
      },
    } as unknown as EdgeClient,
    stream: stream.id,
    streamId: async () => fromHex(stream.id, 32),
    place: async () => ({ id: fromHex(stream.id, 32), name: stream.name }),
    held: (seq) => (seq < start ? undefined : messages[seq]),
    committed: () => 0,
  });

const caseOf = (title: string) => {
  const found = streams.find((one) => one.title === title);
  assert.ok(found, title);
  return { ...found, messages: messagesOf(found.records) };
};

const checkAll = (verifier: AuthorVerifier, messages: readonly StreamMessage[], asked?: NodeToAsk) =>
  Promise.all(messages.map((message) => verifier.check(message, asked)));

const states = (checks: readonly AuthorCheck[]): string[] => checks.map(({ state }) => state);

describe("a stream by the operator's keys", () => {
  for (const { title, records, certificates, holds, hidden } of streams) {
    test(title.slice(0, 60), async () => {
      const messages = messagesOf(records);
      const certificate = (author: Hex, key: Hex): unknown =>
        certificates.find((one) => one.author === author && one.key === key);
      const verifier = verifierOf({ messages, certificate });
      const checks = await checkAll(verifier, messages, { rpcUrl: "https://node.test", fetch: node });
      const isSound = checks.every(({ state }) => state === "signed" || state === "unsigned");
      assert.equal(isSound, holds || hidden === true, JSON.stringify(checks));
    });
  }

  test("is not judged by what the page does not hold", async () => {
    const { messages } = caseOf("a group left out of the middle");
    const checks = await checkAll(verifierOf({ messages, start: 3 }), messages.slice(3));
    assert.deepEqual(states(checks), ["signed"], "it began behind the first group");
  });
});

describe("a page that holds messages of an epoch that is over", () => {
  const { messages: stored } = caseOf("a group left out of the middle");
  const [first] = stored as [StreamMessage];
  /** Another relay had given the seqs to other messages before it was lost. */
  const tentative = stored.map((message) => ({ ...message, time: message.time - 1, payload: new Uint8Array([7]) }));

  test("does not judge by them what history brought", async () => {
    const whole = stored.filter(({ signature }) => signature?.seq === 0);
    const verifier = verifierOf({ messages: tentative, history: stored });
    assert.deepEqual(new Set(states(await checkAll(verifier, whole))), new Set(["signed"]));
    const behind = stored.slice(whole.length);
    assert.deepEqual(
      new Set(states(await checkAll(verifier, behind))),
      new Set(["signed"]),
      "what is left out is not known",
    );
    assert.deepEqual(new Set(states(await checkAll(verifierOf({ messages: stored }), behind))), new Set(["invalid"]));
  });

  test("takes nothing for history's that history does not have", async () => {
    const forged = { ...first, payload: new Uint8Array([1]) };
    const verifier = verifierOf({ messages: tentative, history: stored });
    assert.deepEqual(states(await checkAll(verifier, [forged])), ["invalid"]);
  });
});

describe("a wallet that did not sign itself", () => {
  const { messages, certificates } = caseOf("a wallet's groups");
  const forged = { ...certificates[0], signature: `0x${"00".repeat(65)}` };
  const answering = (result: string, asked: unknown[] = []): typeof fetch => {
    return async (_, init) => {
      asked.push(JSON.parse(String(init?.body)));
      return Response.json({ jsonrpc: "2.0", id: 1, result });
    };
  };
  const nodeOf = (fetcher: typeof fetch) => ({ rpcUrl: "https://node.test", fetch: fetcher });

  test("signed nothing that the page knows, without a node to ask", async () => {
    for (const signature of [forged.signature, `0x${"6492".repeat(16)}`, `0x${"12".repeat(70)}`]) {
      const checks = await checkAll(verifierOf({ messages, certificate: () => ({ ...forged, signature }) }), messages);
      assert.deepEqual(new Set(states(checks)), new Set(["unknown"]), signature);
    }
  });

  test("is asked once, and believed", async () => {
    const asked: unknown[] = [];
    const verifier = verifierOf({ messages, certificate: () => forged });
    const agrees = nodeOf(answering(`0x1626ba7e${"00".repeat(28)}`, asked));
    const checks = await checkAll(verifier, messages, agrees);
    assert.deepEqual(new Set(states(checks)), new Set(["signed"]));
    assert.ok(checks.every((check) => check.state === "signed" && check.voucher === "contract-wallet"));
    assert.equal(asked.length, 1);
    const denies = await checkAll(
      verifierOf({ messages, certificate: () => forged }),
      messages,
      nodeOf(answering("0x")),
    );
    assert.deepEqual(new Set(states(denies)), new Set(["invalid"]));
  });
});

describe("a certificate", () => {
  test("is asked for again, so that a revocation is seen", async () => {
    const { messages, certificates } = caseOf("a wallet's groups");
    let [now, revoked]: [number, number | undefined] = [0, undefined];
    const certificate = () => ({ ...certificates[0], ...(revoked === undefined ? {} : { revoked }) });
    const verifier = verifierOf({ messages, certificate, now: () => now });
    const [first, last] = [messages[0] as StreamMessage, messages.at(-1) as StreamMessage];
    assert.equal((await verifier.check(first)).state, "signed");
    revoked = Math.floor(first.time / 1_000) - 1;
    assert.equal((await verifier.check(last)).state, "signed", "it is believed for a while");
    now += CERTIFICATE_AGE_MS;
    assert.equal((await verifier.check(last)).state, "invalid");
  });

  test("is asked for by the stream's name, if it is called by its id", async () => {
    const { messages, certificates } = caseOf("a wallet's groups");
    const asked: (string | undefined)[] = [];
    const verifier = verifierOf({ messages, certificate: () => certificates[0], asked });
    assert.equal((await verifier.check(messages[0] as StreamMessage)).state, "signed");
    assert.deepEqual(asked, [stream.name], "the edge is asked for one that is for this stream");
  });
});
