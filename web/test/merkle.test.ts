import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { SimpleMerkleTree, StandardMerkleTree } from "@openzeppelin/merkle-tree";
import { keccak } from "../src/lib/chain/keccak.ts";
import { leafHashes, merkleRoot, streamId } from "../src/lib/chain/merkle.ts";
import { checkDeployment, checkProof, parseReceipt, type Receipt } from "../src/lib/chain/receipt.ts";
import { StreamChainError } from "../src/lib/errors.ts";
import { fromHex, type Hex, toHex, utf8Bytes } from "../src/lib/wire/bytes.ts";

interface VectorMessage {
  readonly seq: number;
  readonly time: number;
  readonly author: Hex;
  readonly payload: Hex;
  readonly leaf: Hex;
  readonly proof: readonly Hex[];
}

interface VectorCase {
  readonly title: string;
  readonly stream: { readonly owner: Hex; readonly name: string; readonly id: Hex };
  readonly first: number;
  readonly count: number;
  readonly root: Hex;
  readonly segments: readonly { readonly first: number; readonly count: number; readonly root: Hex }[];
  readonly messages: readonly VectorMessage[];
}

const VECTORS = new URL("../../contracts/test/vectors/merkle.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(VECTORS, "utf8")) as { cases: VectorCase[] };

const LEAF_ENCODING = ["bytes32", "uint64", "uint64", "address", "bytes32"];

function receiptOf(vector: VectorCase, message: VectorMessage): Receipt {
  const { seq, time, author, payload, leaf, proof } = message;
  return parseReceipt({
    type: "streamchain-receipt",
    version: 1,
    chainId: 31_337,
    contract: `0x${"c0".repeat(20)}`,
    stream: { id: vector.stream.id, owner: vector.stream.owner, name: vector.stream.name },
    message: { seq, time, author, payload },
    leaf,
    proof,
    root: vector.root,
    anchor: {
      first: vector.first,
      count: vector.count,
      root: vector.root,
      tx: `0x${"7a".repeat(32)}`,
      block: 12,
      blockHash: `0x${"b1".repeat(32)}`,
      logIndex: 3,
    },
  });
}

/** The leaf of the message that the vectors' generator makes for a seq. */
function leafAt(vector: VectorCase, seq: number): Uint8Array {
  const block = keccak(utf8Bytes(`payload ${seq}`));
  const length = Number((37n * BigInt(seq)) % 200n);
  return leafHashes({
    stream: fromHex(vector.stream.id),
    seq,
    time: 1_767_225_600_000 + 7 * seq,
    author: keccak(utf8Bytes(`author ${seq % 5}`)).subarray(12),
    payload: Uint8Array.from({ length }, (_, i) => block[i % 32] as number),
  }).leaf;
}

describe("the vectors of the contract", () => {
  for (const vector of cases) {
    describe(vector.title, () => {
      test("the stream id is the contract's", () => {
        assert.equal(toHex(streamId(fromHex(vector.stream.owner), vector.stream.name)), vector.stream.id);
      });

      test("segment and anchor roots are OpenZeppelin's", () => {
        const roots = vector.segments.map(({ first, count, root }) => {
          const leaves = Array.from({ length: count }, (_, i) => leafAt(vector, first + i));
          const tree = SimpleMerkleTree.of(leaves.map(toHex), { sortLeaves: false });
          assert.equal(toHex(merkleRoot(leaves)), tree.root);
          assert.equal(tree.root, root);
          return fromHex(root);
        });
        assert.equal(toHex(merkleRoot(roots)), vector.root);
      });

      test("messages verify here and with OpenZeppelin", () => {
        for (const message of vector.messages) {
          const receipt = receiptOf(vector, message);
          assert.deepEqual(
            checkProof(receipt).steps.filter((step) => !step.ok),
            [],
          );
          const proof = [...message.proof];
          assert.ok(SimpleMerkleTree.verify(vector.root, message.leaf, proof));
          const { payloadHash } = leafHashes({
            stream: fromHex(vector.stream.id),
            seq: message.seq,
            time: message.time,
            author: fromHex(message.author),
            payload: fromHex(message.payload),
          });
          const leaf = [
            vector.stream.id,
            String(message.seq),
            String(message.time),
            message.author,
            toHex(payloadHash),
          ];
          assert.ok(StandardMerkleTree.verify(vector.root, LEAF_ENCODING, leaf, proof));
        }
      });
    });
  }
});

describe("receipts", () => {
  type Change = (receipt: Receipt) => unknown;

  const flip = (hex: Hex): Hex => `0x${hex[2] === "0" ? "1" : "0"}${hex.slice(3)}`;

  const CHANGES: readonly [title: string, change: Change][] = [
    ["the payload", (r) => ({ ...r, message: { ...r.message, payload: flip(r.message.payload) } })],
    ["a byte more of payload", (r) => ({ ...r, message: { ...r.message, payload: `${r.message.payload}00` } })],
    ["the seq", (r) => ({ ...r, message: { ...r.message, seq: r.message.seq - 1 } })],
    ["the time", (r) => ({ ...r, message: { ...r.message, time: r.message.time + 1 } })],
    ["the author", (r) => ({ ...r, message: { ...r.message, author: flip(r.message.author) } })],
    ["the stream's id", (r) => ({ ...r, stream: { ...r.stream, id: flip(r.stream.id) } })],
    ["the stream's owner", (r) => ({ ...r, stream: { ...r.stream, owner: flip(r.stream.owner) } })],
    ["the stream's name", (r) => ({ ...r, stream: { ...r.stream, name: `${r.stream.name}x` } })],
    ["the leaf", (r) => ({ ...r, leaf: flip(r.leaf) })],
    ["a proof node", (r) => ({ ...r, proof: [flip(r.proof[0] as Hex), ...r.proof.slice(1)] })],
    ["a proof cut short", (r) => ({ ...r, proof: r.proof.slice(0, -1) })],
    ["the root", (r) => ({ ...r, root: flip(r.root) })],
    ["the anchor's root", (r) => ({ ...r, anchor: { ...r.anchor, root: flip(r.anchor.root) } })],
    ["both roots", (r) => ({ ...r, root: flip(r.root), anchor: { ...r.anchor, root: flip(r.anchor.root) } })],
    ["the anchor's first seq", (r) => ({ ...r, anchor: { ...r.anchor, first: r.message.seq + 1 } })],
    ["the anchor's count", (r) => ({ ...r, anchor: { ...r.anchor, count: r.message.seq - r.anchor.first } })],
  ];

  const large = cases.find(({ title }) => title.startsWith("segments of 3")) as VectorCase;
  const genuine = receiptOf(large, large.messages[4] as VectorMessage);

  for (const [title, change] of CHANGES) {
    test(`a receipt fails when changed: ${title}`, () => {
      assert.ok(checkProof(genuine).ok);
      assert.equal(checkProof(parseReceipt(change(genuine))).ok, false);
    });
  }

  test("a receipt of an erased message holds by its hash", () => {
    const { chainId, contract, stream, message } = genuine;
    const payload = fromHex(message.payload);
    const digest = toHex(keccak(payload));
    const withErased = (erased: object, rest = "0x") =>
      parseReceipt({ ...genuine, message: { ...message, payload: rest, erased } });
    const erased = withErased({ size: payload.length, digest });
    assert.ok(checkProof(erased).ok);
    assert.equal(checkProof(withErased({ size: payload.length, digest: flip(digest) })).ok, false);
    assert.throws(() => withErased({ size: payload.length, digest }, message.payload), StreamChainError);
    // A page that still has the payload compares it by its hash, and one that was told of the erasure the hash itself.
    const known = { ...message, payload };
    assert.ok(checkDeployment(erased, { chainId, contract, stream, message: known }).ok);
    const told = { ...message, payload: fromHex("0x"), erased: { size: payload.length, digest } };
    assert.ok(checkDeployment(erased, { chainId, contract, stream, message: told }).ok);
    const other = { ...message, payload: fromHex("0xff") };
    assert.equal(checkDeployment(erased, { chainId, contract, stream, message: other }).ok, false);
  });

  test("a receipt of another chain or contract fails", () => {
    const { chainId, contract } = genuine;
    assert.ok(checkDeployment(genuine, { chainId, contract }).ok);
    assert.equal(checkDeployment({ ...genuine, chainId: 1 }, { chainId, contract }).ok, false);
    assert.equal(checkDeployment({ ...genuine, contract: flip(contract) }, { chainId, contract }).ok, false);
  });

  test("a receipt of a forger is not the expected one", () => {
    const { chainId, contract, stream, message } = genuine;
    const payload = fromHex(message.payload);
    const expected = { chainId, contract, stream, message: { ...message, payload } };
    assert.ok(checkDeployment(genuine, expected).ok);
    const fails = (receipt: Receipt, step: string): void => {
      const result = checkDeployment(receipt, expected);
      assert.equal(result.ok, false);
      assert.equal(result.steps.find(({ ok }) => !ok)?.id, step);
    };
    fails({ ...genuine, contract: flip(contract) }, "contract");
    // The same name, given by another owner: its id follows from owner and name, so the proof itself is right.
    const owner = flip(stream.owner);
    const id = toHex(streamId(fromHex(owner, 20), stream.name));
    fails({ ...genuine, stream: { ...stream, owner, id } }, "stream");
    fails({ ...genuine, stream: { ...stream, id } }, "stream");
    for (const other of [{ seq: message.seq + 1 }, { time: 0 }, { author: owner }, { payload: "0xff" as Hex }]) {
      fails({ ...genuine, message: { ...message, ...other } }, "message");
    }
    assert.ok(checkDeployment(genuine, { chainId, contract: contract.toUpperCase().replace("X", "x") as Hex }).ok);
  });

  const REFUSED: readonly [title: string, source: unknown][] = [
    ["a text that is not JSON", "{"],
    ["another type", { ...genuine, type: "invoice" }],
    ["another version", { ...genuine, version: 3 }],
    ["version 2 without a round", { ...genuine, version: 2 }],
    ["a missing field", { ...genuine, leaf: undefined }],
    ["a short hash", { ...genuine, root: "0x12" }],
    ["a negative seq", { ...genuine, message: { ...genuine.message, seq: -1 } }],
    ["a proof without end", { ...genuine, proof: new Array(65).fill(genuine.leaf) }],
    ["a payload over the limit", { ...genuine, message: { ...genuine.message, payload: `0x${"00".repeat(65_537)}` } }],
  ];

  for (const [title, source] of REFUSED) {
    test(`no receipt is read from ${title}`, () => {
      assert.throws(
        () => parseReceipt(source),
        (error) => error instanceof StreamChainError && error.code === "malformed",
      );
    });
  }

  test("a receipt can be written to a file and read again", () => {
    assert.deepEqual(parseReceipt(JSON.stringify(genuine)), genuine);
  });
});
