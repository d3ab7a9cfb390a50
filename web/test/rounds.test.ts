import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { SimpleMerkleTree, StandardMerkleTree } from "@openzeppelin/merkle-tree";
import { ANCHORED_TOPIC, checkOnChain } from "../src/lib/chain/on-chain.ts";
import { checkDeployment, checkProof, parseReceipt, type Receipt } from "../src/lib/chain/receipt.ts";
import type { ReceiptRound } from "../src/lib/chain/round.ts";
import { StreamChainError } from "../src/lib/errors.ts";
import { type Hex, toHex, toWord } from "../src/lib/wire/bytes.ts";

type Rounded = Receipt & { readonly round: ReceiptRound };

const VECTORS = new URL("../../contracts/test/vectors/rounds.json", import.meta.url);
const { receipts: SOURCES } = JSON.parse(readFileSync(VECTORS, "utf8")) as { receipts: object[] };
const receipts = SOURCES.map((source) => parseReceipt(source) as Rounded);
/** A receipt whose four paths all have a hash. */
const genuine = receipts.find(
  ({ proof, round }) => proof.length > 0 && round.run.proof.length > 0 && (round.range?.proof.length ?? 0) > 0,
) as Rounded;

const flip = (hex: Hex): Hex => `0x${hex[2] === "0" ? "1" : "0"}${hex.slice(3)}`;

describe("receipts of rounds", () => {
  test("every receipt of the vectors verifies", () => {
    assert.equal(receipts.length, 22);
    for (const receipt of receipts) {
      const failed = checkProof(receipt).steps.filter((step) => !step.ok);
      assert.deepEqual(failed, []);
    }
  });

  test("every link verifies with OpenZeppelin's library", () => {
    for (const { stream, root, proof, leaf, round, anchor } of receipts) {
      const { run, bucket, range } = round;
      assert.ok(SimpleMerkleTree.verify(root, leaf, [...proof]));
      const runTypes = ["bytes32", "uint64", "uint32", "bytes32", "bytes32"];
      const runLeaf = [stream.id, run.first, run.count, root, run.previous];
      assert.ok(StandardMerkleTree.verify(bucket.root, runTypes, runLeaf, [...run.proof]));
      const number = Number.parseInt(stream.id.slice(2, 4), 16);
      const bucketLeaf = [anchor.first, number, bucket.runs, bucket.root];
      const bucketTypes = ["uint64", "uint8", "uint32", "bytes32"];
      assert.ok(StandardMerkleTree.verify(anchor.root, bucketTypes, bucketLeaf, [...bucket.proof]));
      const { peak, proof: path } = range as NonNullable<typeof range>;
      const rangeLeaf = [round.stream.id, anchor.first, anchor.root];
      assert.ok(StandardMerkleTree.verify(peak, ["bytes32", "uint64", "bytes32"], rangeLeaf, [...path]));
    }
  });

  test("a receipt without the way to a peak verifies", () => {
    const { range: _, ...round } = genuine.round;
    const receipt = parseReceipt({ ...genuine, round });
    assert.ok(checkProof(receipt).ok);
    assert.equal(
      checkProof(receipt).steps.some(({ id }) => id === "peak"),
      false,
    );
  });

  test("a receipt can be written to a file and read again", () => {
    assert.deepEqual(parseReceipt(JSON.stringify(genuine)), genuine);
  });

  const { run, bucket, stream } = genuine.round;
  const range = genuine.round.range as NonNullable<ReceiptRound["range"]>;
  const first = (proof: readonly Hex[]): Hex[] => [flip(proof[0] as Hex), ...proof.slice(1)];

  const ROUND_CHANGES: readonly [title: string, step: string, round: Partial<ReceiptRound>][] = [
    ["the rounds' id", "rounds", { stream: { ...stream, id: flip(stream.id) } }],
    ["the rounds' owner", "rounds", { stream: { ...stream, owner: flip(stream.owner) } }],
    ["the rounds' name", "rounds", { stream: { ...stream, name: "_rounds2" } }],
    ["the run's first seq", "bucket", { run: { ...run, first: run.first + 1, count: run.count + 1 } }],
    ["the run's count", "bucket", { run: { ...run, count: run.count + 1 } }],
    ["a run too short", "range", { run: { ...run, count: genuine.message.seq - run.first } }],
    ["the run before it", "bucket", { run: { ...run, previous: flip(run.previous) } }],
    ["the run's path", "bucket", { run: { ...run, proof: first(run.proof) } }],
    ["the bucket's count", "round", { bucket: { ...bucket, runs: bucket.runs + 1 } }],
    ["the bucket's root", "bucket", { bucket: { ...bucket, root: flip(bucket.root) } }],
    ["the bucket's path", "round", { bucket: { ...bucket, proof: first(bucket.proof) } }],
    ["a bucket's path of 7", "round", { bucket: { ...bucket, proof: bucket.proof.slice(1) } }],
    ["a shorter way to the peak", "peak", { range: { ...range, proof: range.proof.slice(1) } }],
    ["the way to the peak", "peak", { range: { ...range, proof: first(range.proof) } }],
    ["the peak", "peak", { range: { ...range, peak: flip(range.peak) } }],
  ];

  for (const [title, step, round] of ROUND_CHANGES) {
    test(`a receipt fails when changed: ${title}`, () => {
      const changed = parseReceipt({ ...genuine, round: { ...genuine.round, ...round } });
      const failed = checkProof(changed).steps.filter(({ ok }) => !ok);
      assert.ok(
        failed.some(({ id }) => id === step),
        `failed: ${failed.map(({ id }) => id)}`,
      );
    });
  }

  const CHANGES: readonly [title: string, change: Partial<Receipt>][] = [
    ["the run's root", { root: flip(genuine.root) }],
    ["the round's number", { anchor: { ...genuine.anchor, first: genuine.anchor.first + 1 } }],
    ["a round of two", { anchor: { ...genuine.anchor, count: 2 } }],
    ["the round's root", { anchor: { ...genuine.anchor, root: flip(genuine.anchor.root) } }],
    ["the message", { message: { ...genuine.message, time: genuine.message.time + 1 } }],
  ];

  for (const [title, change] of CHANGES) {
    test(`a receipt fails when changed: ${title}`, () => {
      assert.ok(checkProof(genuine).ok);
      assert.equal(checkProof(parseReceipt({ ...genuine, ...change })).ok, false);
    });
  }

  const REFUSED: readonly [title: string, source: unknown][] = [
    ["a round in version 1", { ...genuine, version: 1 }],
    ["version 2 without a round", { ...genuine, round: undefined }],
    ["a round without a run", { ...genuine, round: { ...genuine.round, run: undefined } }],
    [
      "a path without end",
      { ...genuine, round: { ...genuine.round, run: { ...run, proof: new Array(65).fill(run.previous) } } },
    ],
  ];

  for (const [title, source] of REFUSED) {
    test(`no receipt is read from ${title}`, () => {
      assert.throws(
        () => parseReceipt(source),
        (error) => error instanceof StreamChainError && error.code === "malformed",
      );
    });
  }
});

describe("whose rounds speak of a stream", () => {
  const { chainId, contract, stream, round } = genuine;
  const rounds = (expected: object): boolean | undefined => {
    const { steps } = checkDeployment(genuine, { chainId, contract, ...expected });
    return steps.find(({ id }) => id === "rounds-owner")?.ok;
  };

  test("is for the caller to say", () => {
    assert.equal(rounds({ stream, roundsOwner: round.stream.owner }), true);
    assert.equal(rounds({ stream, roundsOwner: flip(round.stream.owner) }), false);
  });

  test("is nobody but the stream's owner, unless it is said", () => {
    assert.equal(rounds({ stream }), false);
    assert.equal(rounds({}), false);
    assert.equal(rounds({ stream: { ...stream, owner: round.stream.owner } }), true);
  });

  test("is not asked of a receipt of version 1", () => {
    const { round: _, ...rest } = genuine;
    const { steps } = checkDeployment({ ...rest, version: 1 }, { chainId, contract, stream });
    assert.equal(
      steps.find(({ id }) => id === "rounds-owner"),
      undefined,
    );
  });
});

describe("the event of a round", () => {
  const { anchor, round, contract } = genuine;
  const hex = (value: number): Hex => `0x${value.toString(16)}`;

  const checkWith = (streamTopic: Hex) => {
    const words = [toHex(toWord(anchor.first)), toHex(toWord(1)), anchor.root].map((word) => word.slice(2));
    const log = {
      address: contract,
      topics: [ANCHORED_TOPIC, streamTopic, `0x${"00".repeat(12)}${"0d".repeat(20)}`],
      data: `0x${words.join("")}`,
      logIndex: hex(anchor.logIndex),
    };
    const answers: Record<string, unknown> = {
      eth_chainId: hex(genuine.chainId),
      eth_getTransactionReceipt: {
        status: "0x1",
        blockNumber: hex(anchor.block),
        blockHash: anchor.blockHash,
        logs: [log],
      },
      eth_getBlockByNumber: { number: "0xffff" },
    };
    return checkOnChain(genuine, "http://node.test", async (_, init) => {
      const { method } = JSON.parse(String(init?.body)) as { method: string };
      return Response.json({ jsonrpc: "2.0", id: 1, result: answers[method] });
    });
  };

  test("is one of the stream of rounds", async () => {
    assert.ok((await checkWith(round.stream.id)).ok);
  });

  test("is none of the message's stream", async () => {
    const { steps } = await checkWith(genuine.stream.id);
    assert.equal(steps.find(({ ok }) => !ok)?.id, "event");
  });
});
