// Checks a receipt against an Ethereum node: whether the anchor's event is on the chain. Only the node is asked, not the
// edge.

import { fromWord, type Hex, toHex, utf8Bytes } from "../wire/bytes.ts";
import { rpcCall } from "./json-rpc.ts";
import { keccak } from "./keccak.ts";
import {
  findLog,
  type NodeLog,
  type NodeTransaction,
  readBlockNumber,
  readChainId,
  readTransaction,
} from "./node-answers.ts";
import { anchoredStream, type CheckResult, type CheckStep, checkResult, type Receipt } from "./receipt.ts";

/** The value of a step that the node said nothing about. */
const UNKNOWN = "unknown";

/** First topic of `Anchored(bytes32 indexed stream, address indexed anchorer, uint64 firstSeq, uint32 count, bytes32 root)`. */
export const ANCHORED_TOPIC: Hex = toHex(keccak(utf8Bytes("Anchored(bytes32,address,uint64,uint32,bytes32)")));

/** A decoded `Anchored` event. */
interface AnchoredEvent {
  readonly contract: Hex;
  readonly stream: Hex;
  readonly anchorer: Hex;
  readonly first: number;
  readonly count: number;
  readonly root: Hex;
}

/** The `Anchored` event in a log; undefined for any other log, and for one that a reorganisation took back. */
function decodeAnchored(log: NodeLog): AnchoredEvent | undefined {
  const [topic, stream, anchorer] = log.topics;
  if (log.removed || topic !== ANCHORED_TOPIC || log.topics.length !== 3 || log.data.length !== 96) return undefined;
  try {
    return {
      contract: log.address,
      stream: stream as Hex,
      anchorer: `0x${(anchorer as Hex).slice(26)}`,
      first: fromWord(log.data.subarray(0, 32)),
      count: fromWord(log.data.subarray(32, 64)),
      root: toHex(log.data.subarray(64, 96)),
    };
  } catch {
    return undefined; // numbers that no receipt can have
  }
}

function transactionSteps(receipt: Receipt, transaction: NodeTransaction): CheckStep[] {
  const { tx, succeeded, block, blockHash } = transaction;
  const { anchor } = receipt;
  return [
    {
      id: "transaction",
      // A transaction that failed has no events, so the event that is found below shows success as well.
      ok: succeeded !== false && (tx === undefined || tx === anchor.tx),
      values: [
        ["tx", tx ?? anchor.tx],
        ["status", succeeded === undefined ? UNKNOWN : succeeded ? "0x1" : "0x0"],
      ],
    },
    {
      id: "block",
      ok: block === anchor.block && blockHash === anchor.blockHash,
      values: [
        ["block", String(block)],
        ["receipt", String(anchor.block)],
        ["block-hash", blockHash],
        ["receipt-block-hash", anchor.blockHash],
      ],
    },
  ];
}

function eventStep(receipt: Receipt, logs: readonly unknown[]): CheckStep {
  const { anchor } = receipt;
  const log = findLog(logs, anchor.logIndex);
  const event = log === undefined ? undefined : decodeAnchored(log);
  if (event === undefined) return { id: "event", ok: false, values: [["log-index", String(anchor.logIndex)]] };
  return {
    id: "event",
    ok:
      event.contract === receipt.contract &&
      event.stream === anchoredStream(receipt) &&
      event.first === anchor.first &&
      event.count === anchor.count &&
      event.root === anchor.root,
    values: [
      ["contract", event.contract],
      ["stream", event.stream],
      ["first", String(event.first)],
      ["count", String(event.count)],
      ["root", event.root],
      ["anchor", anchor.root],
      ["anchorer", event.anchorer],
      ["log-index", String(anchor.logIndex)],
    ],
  };
}

/** The newest final block; undefined when the node does not say, as many do not know the word `finalized`. */
async function finalizedBlock(url: string, fetcher: typeof fetch): Promise<number | undefined> {
  try {
    return readBlockNumber(await rpcCall(url, "eth_getBlockByNumber", ["finalized", false], fetcher)) ?? undefined;
  } catch {
    return undefined;
  }
}

async function finalityStep(receipt: Receipt, url: string, fetcher: typeof fetch): Promise<CheckStep> {
  const { block } = receipt.anchor;
  const finalized = await finalizedBlock(url, fetcher);
  return {
    id: "finality",
    ok: true, // an anchor that is not final yet is valid too; the values say how far it is
    values: [
      ["block", String(block)],
      ["finalized", finalized === undefined ? UNKNOWN : String(finalized)],
      ["final", finalized === undefined ? UNKNOWN : block <= finalized ? "yes" : "no"],
    ],
  };
}

/**
 * Checks a receipt against a node: its chain id, the transaction, its block, and the `Anchored` event with the same
 * stream (or stream of rounds), range and root. Rejects with `rpc` when the node does not answer, or when its answer cannot be read: both say
 * nothing about the receipt. A node that does not say which blocks are final gives `unknown` in the step `finality`.
 */
export async function checkOnChain(
  receipt: Receipt,
  rpcUrl: string,
  fetcher: typeof fetch = fetch,
): Promise<CheckResult> {
  const chainId = readChainId(await rpcCall(rpcUrl, "eth_chainId", [], fetcher));
  const steps: CheckStep[] = [
    {
      id: "chain-id",
      ok: chainId === receipt.chainId,
      values: [
        ["node", String(chainId)],
        ["receipt", String(receipt.chainId)],
      ],
    },
  ];
  const found = readTransaction(await rpcCall(rpcUrl, "eth_getTransactionReceipt", [receipt.anchor.tx], fetcher));
  if (found === null) {
    const values = [["tx", receipt.anchor.tx] as const, ["block", "none"] as const];
    steps.push({ id: "transaction", ok: false, values });
    return checkResult(steps);
  }
  steps.push(...transactionSteps(receipt, found), eventStep(receipt, found.logs));
  steps.push(await finalityStep(receipt, rpcUrl, fetcher));
  return checkResult(steps);
}

/** Who the step `event` of a check says has anchored; undefined without one. */
export const anchorerOf = ({ steps }: CheckResult): Hex | undefined =>
  steps.find(({ id }) => id === "event")?.values.find(([name]) => name === "anchorer")?.[1] as Hex | undefined;
