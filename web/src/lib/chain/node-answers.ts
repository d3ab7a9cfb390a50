// What nodes answer, read as tolerantly as the edge reads it: numbers padded, unquoted or decimal mean what they say.
//
// What always holds: an answer that cannot be read is an `rpc` error, which says nothing about the chain; it is never taken
// for "there is no such thing", nor the other way round.

import { StreamChainError } from "../errors.ts";
import { fromHex, type Hex } from "../wire/bytes.ts";
import { JsonObject } from "../wire/json.ts";

/** That a transaction is in a block, and how it ended. */
interface Inclusion {
  readonly block: number;
  /** Undefined when the node does not say. */
  readonly succeeded: boolean | undefined;
}

/** A transaction that is in a block. */
export interface NodeTransaction extends Inclusion {
  readonly tx: Hex | undefined;
  readonly blockHash: Hex;
  readonly logs: readonly unknown[];
}

function unreadable(what: string, cause?: unknown): StreamChainError {
  const reason = cause instanceof Error ? `: ${cause.message}` : "";
  return new StreamChainError("rpc", `the node's answer has no readable ${what}${reason}`, { cause });
}

/** A number of a node: `0x…` with or without leading zeros, a decimal text, or a JSON number. */
function readNumber(value: unknown, what: string): number {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string" || !/^(0x[0-9a-f]+|[0-9]+)$/i.test(text)) throw unreadable(what);
  const number = Number(text.toLowerCase());
  if (!Number.isSafeInteger(number)) throw unreadable(what);
  return number;
}

const objectOf = (value: unknown, what: string): JsonObject => {
  try {
    return new JsonObject(value, what);
  } catch (cause) {
    throw unreadable(what, cause);
  }
};

const hashOf = (json: JsonObject, key: string, what: string): Hex => {
  try {
    return json.hex(key, 32);
  } catch (cause) {
    throw unreadable(what, cause);
  }
};

/** The number in a result of `eth_getBlockByNumber`; null for a block that is not known or pending. */
export function readBlockNumber(value: unknown): number | null {
  if (value === null) return null;
  const json = objectOf(value, "block");
  return json.isNull("number") ? null : readNumber(json.value("number"), "block number");
}

/** Where a result of `eth_getTransactionReceipt` says that the transaction is; null while it is in no block. */
export function readInclusion(value: unknown): Inclusion | null {
  if (value === null) return null;
  const json = objectOf(value, "receipt");
  if (json.isNull("blockNumber") || json.isNull("blockHash")) return null;
  const status = json.value("status") ?? undefined;
  return {
    block: readNumber(json.value("blockNumber"), "block number"),
    succeeded: status === undefined ? undefined : readStatus(status),
  };
}

/** The result of `eth_getTransactionReceipt`; null while the transaction is in no block. */
export function readTransaction(value: unknown): NodeTransaction | null {
  const inclusion = readInclusion(value);
  if (inclusion === null) return null;
  const json = objectOf(value, "receipt");
  const logs = json.value("logs") ?? [];
  if (!Array.isArray(logs)) throw unreadable("logs");
  const tx = json.has("transactionHash") ? hashOf(json, "transactionHash", "transaction hash") : undefined;
  return { ...inclusion, tx, blockHash: hashOf(json, "blockHash", "block hash"), logs };
}

function readStatus(status: unknown): boolean {
  if (typeof status === "boolean") return status;
  const number = readNumber(status, "status");
  if (number > 1) throw unreadable("status");
  return number === 1;
}

/** A log of a receipt. */
export interface NodeLog {
  readonly address: Hex;
  readonly topics: readonly Hex[];
  readonly data: Uint8Array;
  readonly removed: boolean;
}

/** The log with this index; undefined when the receipt has none. Only that log need be readable. */
export function findLog(logs: readonly unknown[], logIndex: number): NodeLog | undefined {
  const indexes = logs.map(indexOf);
  const at = indexes.indexOf(logIndex);
  if (at < 0 && indexes.includes(undefined)) throw unreadable("log index"); // it may be the one
  if (at < 0) return undefined;
  try {
    const json = new JsonObject(logs[at], "log");
    const [address, topics] = [json.hex("address", 20), json.hexes("topics", 32)];
    return { address, topics, data: fromHex(json.hex("data")), removed: json.value("removed") === true };
  } catch (cause) {
    throw unreadable("log", cause);
  }
}

function indexOf(log: unknown): number | undefined {
  try {
    return readNumber(new JsonObject(log, "log").value("logIndex"), "log index");
  } catch {
    return undefined;
  }
}

/** The result of `eth_chainId`. */
export const readChainId = (value: unknown): number => readNumber(value, "chain id");
