// Receipts as a stranger meets them: checked by other people's code, and altered field by field.

import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SimpleMerkleTree, StandardMerkleTree } from "@openzeppelin/merkle-tree";
import { keccak256 } from "viem";
import { relayPath } from "../../scripts/lib/build/relay.mjs";
import type { Hex, Receipt } from "../../web/src/lib/index.ts";

/** The leaves of docs/PROTOCOL.md in the words of OpenZeppelin's library: of a message, a run, a bucket. */
const LEAF_ENCODING = ["bytes32", "uint64", "uint64", "address", "bytes32"];
const RUN_ENCODING = ["bytes32", "uint64", "uint32", "bytes32", "bytes32"];
const BUCKET_ENCODING = ["uint64", "uint8", "uint32", "bytes32"];

/** Whether @openzeppelin/merkle-tree accepts the receipt's proofs: the message's by both trees, and those up to the round. */
export const openZeppelinAccepts = ({ stream, message, leaf, proof, root, round, anchor }: Receipt): boolean => {
  const values = [stream.id, message.seq, message.time, message.author, keccak256(message.payload)];
  const isInRun =
    StandardMerkleTree.verify(root, LEAF_ENCODING, values, [...proof]) &&
    SimpleMerkleTree.verify(root, leaf, [...proof]);
  if (round === undefined) return isInRun;
  const { run, bucket } = round;
  const ofRun = [stream.id, run.first, run.count, root, run.previous];
  const ofBucket = [anchor.first, Number(stream.id.slice(0, 4)), bucket.runs, bucket.root];
  return (
    isInRun &&
    StandardMerkleTree.verify(bucket.root, RUN_ENCODING, ofRun, [...run.proof]) &&
    StandardMerkleTree.verify(anchor.root, BUCKET_ENCODING, ofBucket, [...bucket.proof])
  );
};

/** A receipt's text without what grows with each later round: the way to a peak of the range. */
export const lasting = (receiptText: string): string => {
  const { round: { range: _, ...round } = {}, ...rest } = JSON.parse(receiptText);
  return JSON.stringify({ ...rest, round });
};

/** What `relay-node verify` said and how it ended. */
export interface Verdict {
  readonly code: number | null;
  readonly text: string;
}

/** The node that somebody asks, and the contract that they believe. */
interface Trust {
  readonly rpc: string;
  readonly contract: string;
}

/** Runs `relay-node verify` on a receipt's text, for somebody who believes as a `verify.json` or the options say. */
export const verifyWithRelayNode = async (receiptText: string, trust: string | Trust): Promise<Verdict> => {
  const folder = await mkdtemp(join(tmpdir(), "streamchain-receipt-"));
  try {
    const file = join(folder, "receipt.json");
    await writeFile(file, receiptText);
    const options =
      typeof trust === "string" ? ["--config", trust] : ["--rpc", trust.rpc, "--contract", trust.contract];
    const child = spawn(relayPath(), ["verify", file, ...options], { stdio: ["ignore", "pipe", "pipe"] });
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (bytes: Buffer) => {
        text += bytes.toString();
      });
    }
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", resolve);
    });
    return { code, text };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
};

/** One altered receipt: the field's path, and the JSON. */
export interface Alteration {
  readonly field: string;
  readonly json: string;
}

/** The same length and alphabet, another value. */
const otherHex = (hex: string): Hex => `${hex.slice(0, -1)}${hex.endsWith("0") ? "1" : "0"}` as Hex;

const otherValue = (value: unknown): unknown => {
  if (typeof value === "number") return value + 1;
  if (typeof value === "string" && value.startsWith("0x")) return otherHex(value);
  return `${value}x`;
};

/** Every single field of a receipt changed, each in a copy of its own; and a proof that is a step too short. */
export const alterations = (receipt: Receipt): Alteration[] => {
  const altered: Alteration[] = [];
  const visit = (value: unknown, path: readonly (string | number)[]): void => {
    if (typeof value === "object" && value !== null) {
      for (const [key, inner] of Object.entries(value)) visit(inner, [...path, key]);
      return;
    }
    const copy = structuredClone(receipt) as unknown as Record<string | number, unknown>;
    const parent = path.slice(0, -1).reduce((at, key) => at[key] as typeof copy, copy);
    parent[path.at(-1) as string] = otherValue(value);
    altered.push({ field: path.join("."), json: JSON.stringify(copy) });
  };
  visit(receipt, []);
  if (receipt.proof.length > 0) {
    altered.push({
      field: "proof, shortened",
      json: JSON.stringify({ ...receipt, proof: receipt.proof.slice(0, -1) }),
    });
  }
  return altered;
};
