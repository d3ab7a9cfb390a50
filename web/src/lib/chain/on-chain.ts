// Checks a receipt against an Ethereum node: whether the anchor's event is on the chain. Only the node is asked, not the
// edge.

import { fromHex, fromWord, type Hex, toHex, utf8Bytes } from "../wire/bytes.ts";
import { JsonObject } from "../wire/json.ts";
import { parseQuantity, readQuantity, rpcCall } from "./json-rpc.ts";
import { keccak } from "./merkle.ts";
import { type CheckResult, type CheckStep, checkResult, type Receipt } from "./receipt.ts";

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
  readonly logIndex: number;
}

/** The `Anchored` event in a log of `eth_getTransactionReceipt`; undefined for any other log. */
function decodeAnchored(log: JsonObject): AnchoredEvent | undefined {
  const topics = log.list("topics");
  if (topics.length !== 3 || topics[0] !== ANCHORED_TOPIC) return undefined;
  const [, stream, anchorer] = log.hexes("topics", 32) as [Hex, Hex, Hex];
  const data = fromHex(log.hex("data", 96));
  return {
    contract: log.hex("address", 20),
    stream,
    anchorer: `0x${anchorer.slice(26)}`,
    first: fromWord(data.subarray(0, 32)),
    count: fromWord(data.subarray(32, 64)),
    root: toHex(data.subarray(64, 96)),
    logIndex: readQuantity(log, "logIndex"),
  };
}

function transactionSteps(receipt: Receipt, transaction: JsonObject): CheckStep[] {
  const status = transaction.text("status");
  const block = readQuantity(transaction, "blockNumber");
  const blockHash = transaction.hex("blockHash", 32);
  return [
    {
      id: "transaction",
      ok: status === "0x1",
      values: [
        ["tx", receipt.anchor.tx],
        ["status", status],
      ],
    },
    {
      id: "block",
      ok: block === receipt.anchor.block && blockHash === receipt.anchor.blockHash,
      values: [
        ["block", String(block)],
        ["receipt", String(receipt.anchor.block)],
        ["block-hash", blockHash],
        ["receipt-block-hash", receipt.anchor.blockHash],
      ],
    },
  ];
}

function eventStep(receipt: Receipt, transaction: JsonObject): CheckStep {
  const { anchor } = receipt;
  const event = transaction
    .objects("logs")
    .map(decodeAnchored)
    .find((candidate) => candidate?.logIndex === anchor.logIndex);
  if (event === undefined) return { id: "event", ok: false, values: [["log-index", String(anchor.logIndex)]] };
  return {
    id: "event",
    ok:
      event.contract === receipt.contract &&
      event.stream === receipt.stream.id &&
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
      ["log-index", String(event.logIndex)],
    ],
  };
}

async function finalityStep(receipt: Receipt, url: string, fetcher: typeof fetch): Promise<CheckStep> {
  const answer = await rpcCall(url, "eth_getBlockByNumber", ["finalized", false], fetcher);
  const finalized = answer === null ? 0 : readQuantity(new JsonObject(answer, "block"), "number");
  return {
    id: "finality",
    ok: true, // an anchor that is not final yet is valid too; the values say how far it is
    values: [
      ["block", String(receipt.anchor.block)],
      ["finalized", String(finalized)],
      ["final", receipt.anchor.block <= finalized ? "yes" : "no"],
    ],
  };
}

/**
 * Checks a receipt against a node: its chain id, the transaction, its block, and the `Anchored` event with the same
 * stream, range and root. Rejects with `rpc` when the node does not answer, which says nothing about the receipt.
 */
export async function checkOnChain(
  receipt: Receipt,
  rpcUrl: string,
  fetcher: typeof fetch = fetch,
): Promise<CheckResult> {
  const chainId = parseQuantity(await rpcCall(rpcUrl, "eth_chainId", [], fetcher));
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
  const found = await rpcCall(rpcUrl, "eth_getTransactionReceipt", [receipt.anchor.tx], fetcher);
  if (found === null) {
    steps.push({ id: "transaction", ok: false, values: [["tx", receipt.anchor.tx]] });
    return checkResult(steps);
  }
  const transaction = new JsonObject(found, "transaction");
  steps.push(...transactionSteps(receipt, transaction), eventStep(receipt, transaction));
  steps.push(await finalityStep(receipt, rpcUrl, fetcher));
  return checkResult(steps);
}
