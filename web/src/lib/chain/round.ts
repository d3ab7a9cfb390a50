// The part of a receipt of version 2 that leads from a run to a round: run, bucket, round, and the way to a peak of the
// range of rounds, which contracts need. The round's number is the anchor's `first`, its root the anchor's.

import { malformed } from "../errors.ts";
import { MAX_PROOF_STEPS } from "../limits.ts";
import { concat, fromHex, type Hex, toHex, toWord } from "../wire/bytes.ts";
import type { JsonObject } from "../wire/json.ts";
import type { CheckStep } from "./check.ts";
import { keccak } from "./keccak.ts";
import { climb, streamId } from "./merkle.ts";

/** The name of every stream of rounds: an account has one, so it can't show different rounds to different readers. */
const ROUNDS_NAME = "_rounds";

/** How many hashes lead from a bucket to its round, which has 256. */
const BUCKET_PROOF_STEPS = 8;

/** How a message's run leads to the round that was anchored. */
export interface ReceiptRound {
  /** The stream of rounds. */
  readonly stream: { readonly id: Hex; readonly owner: Hex; readonly name: string };
  /** The run; its root is the receipt's. `previous` is the leaf of the stream's run before it, zero for the first. */
  readonly run: {
    readonly first: number;
    readonly count: number;
    readonly previous: Hex;
    readonly proof: readonly Hex[];
  };
  /** The bucket: the runs whose stream ids begin with the same byte. */
  readonly bucket: { readonly runs: number; readonly root: Hex; readonly proof: readonly Hex[] };
  /** The way to a peak of the range of rounds, as it was when the receipt was made, if the edge had it. */
  readonly range?: { readonly proof: readonly Hex[]; readonly peak: Hex };
}

/** The fields of a receipt that its round is checked with. */
interface Anchored {
  readonly stream: { readonly id: Hex };
  readonly root: Hex;
  readonly anchor: { readonly first: number; readonly count: number; readonly root: Hex };
}

/** Reads the part `round` of a receipt. */
export function readRound(json: JsonObject): ReceiptRound {
  const [stream, run, bucket] = [json.object("stream"), json.object("run"), json.object("bucket")];
  const range = json.has("range") ? json.object("range") : undefined;
  return {
    stream: { id: stream.hex("id", 32), owner: stream.hex("owner", 20), name: stream.text("name") },
    run: {
      first: run.uint("first"),
      count: run.uint("count"),
      previous: run.hex("previous", 32),
      proof: readProof(run, "round.run"),
    },
    bucket: { runs: bucket.uint("runs"), root: bucket.hex("root", 32), proof: readProof(bucket, "round.bucket") },
    ...(range === undefined
      ? {}
      : {
          range: {
            proof: readProof(range, "round.range"),
            peak: range.hex("peak", 32),
          },
        }),
  };
}

function readProof(json: JsonObject, of: string): Hex[] {
  const proof = json.hexes("proof", 32);
  if (proof.length > MAX_PROOF_STEPS)
    throw malformed(`receipt.${of}.proof has ${proof.length} steps, limit ${MAX_PROOF_STEPS}`);
  return proof;
}

/** `keccak256(keccak256(words))`, as every leaf is hashed. */
const leafOf = (...words: Uint8Array[]): Uint8Array => keccak(keccak(concat(words)));

const climbTo = (leaf: Uint8Array, proof: readonly Hex[]): Hex =>
  toHex(
    climb(
      leaf,
      proof.map((node) => fromHex(node, 32)),
    ).at(-1)?.parent ?? leaf,
  );

/** The steps from the run to the round: which stream of rounds, run → bucket, bucket → round, round → peak. */
export function roundSteps(round: ReceiptRound, receipt: Anchored): CheckStep[] {
  const steps = [roundsStep(round), bucketStep(round, receipt), roundStep(round, receipt)];
  if (round.range !== undefined) steps.push(peakStep(round.stream.id, round.range, receipt));
  return steps;
}

function roundsStep({ stream }: ReceiptRound): CheckStep {
  const computed = toHex(streamId(fromHex(stream.owner, 20), ROUNDS_NAME));
  return {
    id: "rounds",
    ok: computed === stream.id && stream.name === ROUNDS_NAME,
    values: [
      ["owner", stream.owner],
      ["name", stream.name],
      ["computed", computed],
      ["receipt", stream.id],
    ],
  };
}

function bucketStep({ run, bucket }: ReceiptRound, { stream, root }: Anchored): CheckStep {
  const { first, count, previous, proof } = run;
  const leaf = leafOf(fromHex(stream.id, 32), toWord(first), toWord(count), fromHex(root, 32), fromHex(previous, 32));
  const computed = climbTo(leaf, proof);
  return {
    id: "bucket",
    ok: computed === bucket.root,
    values: [
      ["first", String(first)],
      ["count", String(count)],
      ["root", root],
      ["previous", previous],
      ["run", toHex(leaf)],
      ["hashes", String(proof.length)],
      ["computed", computed],
      ["receipt", bucket.root],
    ],
  };
}

function roundStep({ bucket }: ReceiptRound, { stream, anchor }: Anchored): CheckStep {
  const { runs, root, proof } = bucket;
  const number = fromHex(stream.id, 32)[0] as number;
  const leaf = leafOf(toWord(anchor.first), toWord(number), toWord(runs), fromHex(root, 32));
  const computed = climbTo(leaf, proof);
  return {
    id: "round",
    ok: computed === anchor.root && proof.length === BUCKET_PROOF_STEPS && anchor.count === 1,
    values: [
      ["round", String(anchor.first)],
      ["bucket", String(number)],
      ["runs", String(runs)],
      ["hashes", String(proof.length)],
      ["computed", computed],
      ["anchor", anchor.root],
    ],
  };
}

function peakStep(rounds: Hex, range: NonNullable<ReceiptRound["range"]>, { anchor }: Anchored): CheckStep {
  const leaf = leafOf(fromHex(rounds, 32), toWord(anchor.first), fromHex(anchor.root, 32));
  const computed = climbTo(leaf, range.proof);
  return {
    id: "peak",
    ok: computed === range.peak,
    values: [
      ["round", String(anchor.first)],
      ["hashes", String(range.proof.length)],
      ["computed", computed],
      ["receipt", range.peak],
    ],
  };
}
