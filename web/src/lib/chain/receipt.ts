// Receipts: everything needed to check one message against the chain, and the check of a receipt against itself.
// Version 1 leads to an anchor of the message's stream, version 2 to a round (round.ts).
//
// What always holds: nothing in a receipt is trusted; every hash is computed again from the message.

import { malformed } from "../errors.ts";
import { MAX_PAYLOAD_BYTES, MAX_PROOF_STEPS } from "../limits.ts";
import { fromHex, type Hex, toHex } from "../wire/bytes.ts";
import { JsonObject } from "../wire/json.ts";
import { type Omitted, readOmitted, type StreamMessage } from "../wire/records.ts";
import { type ReceiptAuthor, readAuthor } from "./author-part.ts";
import { type CheckResult, type CheckStep, checkResult, same } from "./check.ts";
import { keccak } from "./keccak.ts";
import { climb, leafHashes, type ProofStep, streamId } from "./merkle.ts";
import { type ReceiptRound, readRound, roundSteps } from "./round.ts";

export { type CheckResult, type CheckStep, checkResult, type StepId } from "./check.ts";

/** A receipt, as the edge issues it and as a file holds it. Hex texts are lower case. */
export interface Receipt {
  readonly type: "streamchain-receipt";
  readonly version: 1 | 2;
  readonly chainId: number;
  /** Address of the contract, 20 bytes. */
  readonly contract: Hex;
  readonly stream: { readonly id: Hex; readonly owner: Hex; readonly name: string };
  readonly message: {
    readonly seq: number;
    readonly time: number;
    readonly author: Hex;
    /** `0x` when it was erased. */
    readonly payload: Hex;
    /** What is known of an erased payload: its hash is in the leaf; nothing proves its size. */
    readonly erased?: Omitted;
  };
  readonly leaf: Hex;
  readonly proof: readonly Hex[];
  /** The root that `proof` leads to: the run's, which in version 1 is the anchor's. */
  readonly root: Hex;
  /** How the run leads to the round that was anchored; version 2 has it. */
  readonly round?: ReceiptRound;
  readonly anchor: ReceiptAnchor;
  /** Who signed the message. Without it the operator attests the author; `checkAuthor` checks it. */
  readonly author?: ReceiptAuthor;
}

/** The anchor of a receipt's root, or of its round, whose number `first` is then. */
interface ReceiptAnchor {
  readonly first: number;
  readonly count: number;
  readonly root: Hex;
  readonly tx: Hex;
  readonly block: number;
  readonly blockHash: Hex;
  readonly logIndex: number;
}

/** Reads a receipt from parsed JSON, or from its text. Throws `malformed`, which names the path of the wrong field. */
export function parseReceipt(source: unknown): Receipt {
  const json = new JsonObject(typeof source === "string" ? parseJson(source) : source, "receipt");
  if (json.text("type") !== "streamchain-receipt") throw malformed("receipt.type is not streamchain-receipt");
  const version = json.uint("version");
  if (version !== 1 && version !== 2) throw malformed("receipt.version is not 1 or 2");
  if (json.has("round") !== (version === 2)) throw malformed("receipt.round must be there in version 2 alone");
  const stream = json.object("stream");
  const message = json.object("message");
  const anchor = json.object("anchor");
  const proof = json.hexes("proof", 32);
  if (proof.length > MAX_PROOF_STEPS)
    throw malformed(`receipt.proof has ${proof.length} steps, limit ${MAX_PROOF_STEPS}`);
  const payload = message.hex("payload");
  if ((payload.length - 2) / 2 > MAX_PAYLOAD_BYTES)
    throw malformed(`receipt.message.payload exceeds ${MAX_PAYLOAD_BYTES} bytes`);
  const erased = readOmitted(message, "erased");
  if (erased.erased !== undefined && payload !== "0x")
    throw malformed("receipt.message.payload is there although receipt.message.erased is");
  return {
    type: "streamchain-receipt",
    version,
    chainId: json.uint("chainId"),
    contract: json.hex("contract", 20),
    stream: { id: stream.hex("id", 32), owner: stream.hex("owner", 20), name: stream.text("name") },
    message: {
      seq: message.uint("seq"),
      time: message.uint("time"),
      author: message.hex("author", 20),
      payload,
      ...erased,
    },
    leaf: json.hex("leaf", 32),
    proof,
    root: json.hex("root", 32),
    ...(version === 2 ? { round: readRound(json.object("round")) } : {}),
    ...(json.has("author") ? { author: readAuthor(json.object("author")) } : {}),
    anchor: {
      first: anchor.uint("first"),
      count: anchor.uint("count"),
      root: anchor.hex("root", 32),
      tx: anchor.hex("tx", 32),
      block: anchor.uint("block"),
      blockHash: anchor.hex("blockHash", 32),
      logIndex: anchor.uint("logIndex"),
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw malformed(`receipt is not JSON: ${(error as Error).message}`);
  }
}

/** Checks a receipt against itself: message → leaf → root → anchored range. `checkOnChain` checks the chain. */
export function checkProof(receipt: Receipt): CheckResult {
  const { stream, message } = receipt;
  const hashes = leafHashes({
    stream: fromHex(stream.id, 32),
    seq: message.seq,
    time: message.time,
    author: fromHex(message.author, 20),
    payload: fromHex(message.payload),
    ...(message.erased === undefined ? {} : { payloadHash: fromHex(message.erased.digest, 32) }),
  });
  const climbed = climb(
    hashes.leaf,
    receipt.proof.map((node) => fromHex(node, 32)),
  );
  return checkResult([
    streamIdStep(receipt),
    ...leafSteps(receipt, hashes),
    ...climbed.map(siblingStep),
    rootStep(receipt, climbed.at(-1)?.parent ?? hashes.leaf),
    rangeStep(receipt),
    ...(receipt.round === undefined ? [] : roundSteps(receipt.round, receipt)),
  ]);
}

/** The id of the stream that the anchor is of: the message's, or the stream of rounds. */
export const anchoredStream = ({ stream, round }: Receipt): Hex => round?.stream.id ?? stream.id;

function streamIdStep({ stream }: Receipt): CheckStep {
  const computed = toHex(streamId(fromHex(stream.owner, 20), stream.name));
  return {
    id: "stream-id",
    ok: computed === stream.id,
    values: [
      ["owner", stream.owner],
      ["name", stream.name],
      ["computed", computed],
      ["receipt", stream.id],
    ],
  };
}

function leafSteps({ stream, message, leaf }: Receipt, hashes: ReturnType<typeof leafHashes>): CheckStep[] {
  const [payloadHash, computed] = [toHex(hashes.payloadHash), toHex(hashes.leaf)];
  return [
    {
      id: "payload-hash",
      ok: true,
      values: [
        ["bytes", String(message.erased?.size ?? fromHex(message.payload).length)],
        ["computed", payloadHash],
      ],
    },
    {
      id: "leaf",
      ok: computed === leaf,
      values: [
        ["stream", stream.id],
        ["seq", String(message.seq)],
        ["time", String(message.time)],
        ["author", message.author],
        ["payload-hash", payloadHash],
        ["computed", computed],
        ["receipt", leaf],
      ],
    },
  ];
}

function siblingStep({ node, sibling, parent }: ProofStep): CheckStep {
  return {
    id: "sibling",
    ok: true,
    values: [
      ["node", toHex(node)],
      ["sibling", toHex(sibling)],
      ["computed", toHex(parent)],
    ],
  };
}

function rootStep({ root, round, anchor }: Receipt, climbedTo: Uint8Array): CheckStep {
  const computed = toHex(climbedTo);
  const isAnchors = round !== undefined || root === anchor.root;
  return {
    id: "root",
    ok: computed === root && isAnchors,
    values: [
      ["computed", computed],
      ["receipt", root],
      ...(round === undefined ? [["anchor", anchor.root] as const] : []),
    ],
  };
}

function rangeStep({ message, round, anchor }: Receipt): CheckStep {
  const { first, count } = round?.run ?? anchor;
  const end = first + count;
  return {
    id: "range",
    ok: message.seq >= first && message.seq < end,
    values: [
      ["seq", String(message.seq)],
      ["first", String(first)],
      ["end", String(end)],
    ],
  };
}

/** What the caller knows without the receipt. */
export interface ExpectedDeployment {
  readonly chainId: number;
  readonly contract: Hex;
  /** The stream that the receipt must be of: an owner can have given another stream the same name. */
  readonly stream?: { readonly id: Hex; readonly owner: Hex };
  /**
   * Whose stream of rounds a receipt of version 2 may lead to. Anybody can anchor rounds about any stream: unless it is
   * given, only the rounds of the stream's own owner count.
   */
  readonly roundsOwner?: Hex;
  /** The message that the receipt must be of. */
  readonly message?: StreamMessage;
}

/**
 * Checks that a receipt is of the chain and contract that the caller expects (from the edge's `/v1/config`, or pinned), and
 * of the stream and message, if they are given. Without this check a receipt proves only what its own contract says.
 */
export function checkDeployment(receipt: Receipt, expected: ExpectedDeployment): CheckResult {
  const [isChain, chain] = same("receipt", String(receipt.chainId), String(expected.chainId));
  const [isContract, contract] = same("receipt", receipt.contract, expected.contract);
  const steps: CheckStep[] = [
    { id: "chain-id", ok: isChain, values: chain },
    { id: "contract", ok: isContract, values: contract },
  ];
  if (expected.stream !== undefined) {
    const [isStream, stream] = same("stream", receipt.stream.id, expected.stream.id);
    const [isOwner, owner] = same("owner", receipt.stream.owner, expected.stream.owner);
    steps.push({ id: "stream", ok: isStream && isOwner, values: [...stream, ...owner] });
  }
  if (receipt.round !== undefined) {
    const owner = expected.roundsOwner ?? expected.stream?.owner ?? "unknown";
    const [ok, values] = same("rounds", receipt.round.stream.owner, owner);
    steps.push({ id: "rounds-owner", ok, values });
  }
  if (expected.message !== undefined) steps.push(messageStep(receipt, expected.message));
  return checkResult(steps);
}

/** Whether it is the same payload, as far as it is known on both sides. */
function isSamePayload(message: Receipt["message"], expected: StreamMessage): boolean {
  const digest = expected.erased?.digest;
  if (message.erased === undefined && digest === undefined) return message.payload === toHex(expected.payload);
  const own = message.erased?.digest ?? toHex(keccak(fromHex(message.payload)));
  return own === (digest ?? toHex(keccak(expected.payload)));
}

function messageStep({ message }: Receipt, expected: StreamMessage): CheckStep {
  const isSame =
    message.seq === expected.seq &&
    message.time === expected.time &&
    message.author === expected.author.toLowerCase() &&
    isSamePayload(message, expected);
  return {
    id: "message",
    ok: isSame,
    values: [
      ["seq", String(message.seq)],
      ["time", String(message.time)],
      ["author", message.author],
    ],
  };
}
