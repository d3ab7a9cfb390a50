// Several JSON-RPC nodes behind one edge, some of which fail, lag or lie: the built Worker's own requests, answered by
// a test that puts itself between it and a real node.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually } from "../harness/system.ts";
import { ChainNode } from "./nodes.ts";
import { ChainScene, passOn } from "./scene.ts";

type Call = { readonly method: string; readonly params: readonly unknown[] };
/** An answer in place of the node's, or undefined to leave that as it is. */
type Lie = (call: Call, truth: () => Promise<unknown>) => Promise<Response | undefined>;

const FIRST = "http://first.invalid";
const SECOND = "http://second.invalid";

const said = (result: unknown): Response =>
  new Response(JSON.stringify({ jsonrpc: "2.0", id: 1, result }), { headers: { "content-type": "application/json" } });

const honest: Lie = async () => undefined;
const dead: Lie = async () => {
  throw new TypeError("connection refused");
};
const busy: Lie = async () => new Response("too many requests", { status: 429 });
const garbage: Lie = async () => new Response("<html>maintenance</html>");
const otherChain: Lie = async ({ method }) => (method === "eth_chainId" ? said("0x1") : undefined);
const syncing: Lie = async ({ method, params }) => {
  if (method === "eth_syncing") return said({ startingBlock: "0x0", currentBlock: "0x1", highestBlock: "0x2" });
  if (method === "eth_getBlockByNumber" && params[0] === "latest") return said(null);
  return undefined;
};
/** Its head falls back to the chain's first blocks, whose hashes are not those that were seen. */
const fallenBack: Lie = async ({ method, params }, truth) => {
  if (method !== "eth_getBlockByNumber" || params[0] !== "latest") return undefined;
  const block = (await truth()) as Record<string, unknown>;
  return said({ ...block, number: "0x1" });
};
/** Denies what is final: every block has another hash than before. */
const rewritten: Lie = async ({ method }, truth) => {
  if (!method.startsWith("eth_getBlock")) return undefined;
  const block = (await truth()) as Record<string, string> | null;
  const other = (hash = "") => `${hash.slice(0, -1)}${hash.endsWith("0") ? "1" : "0"}`;
  return block === null ? undefined : said({ ...block, hash: other(block.hash), parentHash: other(block.parentHash) });
};
/** Names another transaction in the receipt than the one that was asked for. */
const otherReceipt: Lie = async ({ method }, truth) => {
  if (method !== "eth_getTransactionReceipt") return undefined;
  const receipt = (await truth()) as Record<string, string> | null;
  return receipt === null ? undefined : said({ ...receipt, transactionHash: `0x${"ee".repeat(32)}` });
};

/** A refusal of a method, as JSON-RPC. */
const refuses =
  (method: string, code: number, message: string): Lie =>
  async (call) =>
    call.method.startsWith(method)
      ? new Response(JSON.stringify({ jsonrpc: "2.0", id: 1, error: { code, message } }))
      : undefined;
/** Has no logs, as a node whose receipts are not made yet. */
const noLogs: Lie = async ({ method }) => (method === "eth_getLogs" ? said([]) : undefined);
const noLogsAndNoReceiptsOfBlocks: Lie = async ({ method }) =>
  ["eth_getLogs", "eth_getBlockReceipts"].includes(method) ? said([]) : undefined;
const progressInStep: Lie = async ({ method }) =>
  method === "eth_syncing" ? said({ startingBlock: "0x0", currentBlock: "0x40", highestBlock: "0x40" }) : undefined;
/** Gives pending receipts, with null blocks, before each real one. */
const pendingFirst = (): Lie => {
  const shown = new Set<unknown>();
  return async ({ method, params }, truth) => {
    if (method !== "eth_getTransactionReceipt" || shown.has(params[0])) return undefined;
    shown.add(params[0]);
    const receipt = (await truth()) as Record<string, unknown> | null;
    return receipt === null ? undefined : said({ ...receipt, blockNumber: null, blockHash: null });
  };
};
/** What the edge copes with without another node. */
const ODDITIES: [what: string, lie: Lie][] = [
  ["has no logs where there are some", noLogs],
  ["has neither logs nor receipts of blocks", noLogsAndNoReceiptsOfBlocks],
  ["shows progress although it is in step", progressInStep],
  ["gives pending receipts first", pendingFirst()],
];

const LIES: [what: string, lie: Lie][] = [
  ["is dead", dead],
  ["answers 429", busy],
  ["answers with a page", garbage],
  ["is on another chain", otherChain],
  ["is still syncing", syncing],
  ["has fallen far back", fallenBack],
  ["denies finalized blocks", rewritten],
  ["gives receipts of other transactions", otherReceipt],
  ["is out of credits", refuses("eth_", -32012, "credits limited")],
  ["has no logs to give", refuses("eth_getLogs", -32000, "nope")],
  ["takes no transactions", refuses("eth_sendRawTransaction", -32601, "the method does not exist")],
];

describe("an edge with two nodes", () => {
  let node: ChainNode;
  let scene: ChainScene;
  let first: Lie = honest;
  const asked = { [FIRST]: 0, [SECOND]: 0 };
  let stored = 0;
  let isCut = false;

  before(async () => {
    node = await ChainNode.start("anvil");
    // A head at block 1 is then further back than any fork is deep.
    await node.mine(200);
    const toNode = passOn(node.url);
    const outbound = async (request: Request): Promise<Response> => {
      const body = await request.text();
      const call: Call = JSON.parse(body);
      const ask = (): Promise<Response> => toNode(new Request(node.url, { method: "POST", body }));
      const which = request.url.startsWith(FIRST) ? FIRST : SECOND;
      asked[which]++;
      if (isCut) throw new TypeError("connection refused");
      const truth = async (): Promise<unknown> => ((await (await ask()).json()) as { result: unknown }).result;
      return (which === FIRST ? await first(call, truth) : undefined) ?? ask();
    };
    scene = await ChainScene.on(node, { vars: { CHAIN_RPC_URLS: `${FIRST}, ${SECOND}` }, outbound });
    await scene.store("demo", 2);
    stored = 2;
    await scene.reachesMining("demo", "final", stored);
  });
  after(async () => {
    await scene?.stop();
    await node?.stop();
  });

  it("asks the first while that one is well", () => {
    assert.ok(asked[FIRST] > 0);
    assert.equal(asked[SECOND], 0);
  });

  for (const [what, lie] of LIES) {
    it(`goes on by the second when the first ${what}`, async () => {
      const before = await scene.anchors();
      first = lie;
      asked[SECOND] = 0;
      // An instance asks for the chain's id once; another chain behind the same URL would show by its hashes.
      if (lie === otherChain) await scene.restartEdge();
      await scene.store("demo", 3);
      stored += 3;
      await scene.reachesMining("demo", "anchored", stored);
      await eventually("the second was asked", async () => asked[SECOND] > 0);
      const places = (rows: typeof before) => rows.map(({ first, block_hash }) => [first, block_hash]);
      assert.deepEqual(places(await scene.anchors()).slice(0, before.length), places(before));
      first = honest;
      // A new instance knows nothing of the first node's past: it is asked first again.
      await scene.restartEdge();
    });
  }

  for (const [what, lie] of ODDITIES) {
    it(`goes on by the first although that one ${what}`, async () => {
      first = lie;
      asked[SECOND] = 0;
      await scene.store("demo", 3);
      stored += 3;
      await scene.reachesMining("demo", "final", stored);
      first = honest;
      await scene.assertAsOnChain();
    });
  }

  it("reports that both fail, and goes on when one is back", async () => {
    isCut = true;
    await scene.store("demo", 1);
    stored++;
    await eventually("the status says so", async () => {
      const { chain } = (await scene.edge.get("/v1/status")).json as { chain: { error: string | null } };
      return chain.error !== null && (await scene.sending()).lastError !== null;
    });
    isCut = false;
    await scene.reachesMining("demo", "final", stored);
    await scene.assertAsOnChain();
  });
});
