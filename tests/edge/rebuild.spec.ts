// Anchors and receipts are made anew from what is stored and from the chain alone.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SimpleMerkleTree } from "@openzeppelin/merkle-tree";
import { encodeAbiParameters, encodeEventTopics, parseAbi } from "viem";
import {
  asOperator,
  assertProblem,
  CONTRACT,
  type Edge,
  type FakeRelay,
  type Json,
  messagesOf,
  OPERATOR,
  startEdge,
  until,
} from "./harness.ts";

const PRODUCER = Buffer.alloc(16, 3);
const EVENTS = parseAbi([
  "event Anchored(bytes32 indexed stream, address indexed anchorer, uint64 firstSeq, uint32 count, bytes32 root)",
]);

const quantity = (number: number): string => `0x${number.toString(16)}`;
const hashOf = (number: number): string => `0x${"ab".repeat(28)}${number.toString(16).padStart(8, "0")}`;

/** A chain of empty blocks, and anchors in some of them: as much of a node as the Listener asks for. */
class FakeNode {
  head = 20;
  down = false;
  readonly #logs: Json[] = [];

  anchor(stream: string, first: number, count: number, root: string): void {
    this.head += 1;
    this.#logs.push({
      address: CONTRACT,
      topics: encodeEventTopics({
        abi: EVENTS,
        args: { stream: stream as `0x${string}`, anchorer: OPERATOR as `0x${string}` },
      }),
      data: encodeAbiParameters(
        [{ type: "uint64" }, { type: "uint32" }, { type: "bytes32" }],
        [BigInt(first), count, root as `0x${string}`],
      ),
      blockNumber: quantity(this.head),
      blockHash: hashOf(this.head),
      transactionHash: hashOf(this.head + 1_000),
      transactionIndex: "0x0",
      logIndex: "0x0",
      removed: false,
    });
  }

  #block(number: number): Json | null {
    if (number > this.head) return null;
    return { number: quantity(number), hash: hashOf(number), parentHash: hashOf(number - 1), timestamp: "0x65" };
  }

  #result(method: string, [first]: unknown[]): unknown {
    switch (method) {
      case "eth_chainId":
        return quantity(31337);
      case "eth_syncing":
        return false;
      case "eth_getBlockByNumber":
        if (first === "latest") return this.#block(this.head);
        if (first === "finalized") return this.#block(this.head - 2);
        return this.#block(Number(first));
      case "eth_getLogs": {
        const { blockHash, fromBlock, toBlock } = first as Record<string, string>;
        const within = ({ blockNumber }: Json): boolean =>
          Number(blockNumber) >= Number(fromBlock) && Number(blockNumber) <= Number(toBlock);
        return this.#logs.filter((log) => (blockHash === undefined ? within(log) : log.blockHash === blockHash));
      }
      default:
        throw new Error(`this chain has no ${method}`);
    }
  }

  readonly answer = async (request: Request): Promise<Response> => {
    if (this.down) return new Response("down", { status: 503 });
    const { method, params } = (await request.json()) as { method: string; params: unknown[] };
    try {
      return Response.json({ jsonrpc: "2.0", id: 1, result: this.#result(method, params) });
    } catch (error) {
      return Response.json({ jsonrpc: "2.0", id: 1, error: { code: -32601, message: (error as Error).message } });
    }
  };
}

const node = new FakeNode();
let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge({ outbound: node.answer });
  relay = edge.relay("r1");
});
after(() => edge.stop());

/** Stores messages as segments of these sizes, and anchors them all under one root. */
const anchoredStream = async (name: string, sizes: number[]): Promise<{ id: string; count: number }> => {
  const { id, short, epoch } = await edge.streamOn(relay, name, { anchor: "own" });
  const start = (await edge.get(`/v1/streams/${name}/messages`)).json.head as number;
  let stored = start;
  for (const size of sizes) {
    await relay.batch(short, epoch, stored, messagesOf(PRODUCER, stored, size));
    stored += size;
    await edge.flushed(id, stored);
  }
  const { segments } = (await edge.get(`/v1/streams/${name}/segments?from=${start}`)).json as unknown as {
    segments: { root: string }[];
  };
  const roots = segments.map(({ root }) => root);
  node.anchor(id, start, stored - start, SimpleMerkleTree.of(roots, { sortLeaves: false }).root);
  return { id, count: stored };
};

const receipt = (stream: string, seq: number) => edge.get(`/v1/streams/${stream}/messages/${seq}/receipt`);

const receiptOnceThere = (stream: string, seq: number): Promise<Json> =>
  until(`${stream} ${seq} has a receipt`, async () => {
    const answer = await receipt(stream, seq);
    return answer.status === 200 && answer.json;
  });

test("dropped anchors come back from the chain with their receipts", async () => {
  await anchoredStream("rebuilt", [2, 3]);
  await anchoredStream("rebuilt", [4]);
  const { count } = await anchoredStream("rebuilt", [1]);
  const seqs = Array.from({ length: count }, (_, seq) => seq);
  const before = await Promise.all(seqs.map((seq) => receiptOnceThere("rebuilt", seq)));
  const anchors = (await edge.get("/v1/streams/rebuilt/anchors")).json;
  const database = await edge.database();
  // A row of a block that was never there, beside the loss of all others.
  await database.prepare("DELETE FROM anchors").run();
  await database
    .prepare(
      "INSERT INTO anchors VALUES ((SELECT id FROM streams WHERE name = 'rebuilt'), 0, 9, ?, ?, 7, ?, 0, 'final')",
    )
    .bind(hashOf(1), hashOf(2), hashOf(3))
    .run();
  assertProblem(await receipt("rebuilt", count - 1), 404, "not-anchored");
  const answer = await edge.send("POST", "/v1/chain/replay", { headers: asOperator() });
  assert.equal(answer.status, 202, answer.text);
  assert.deepEqual(await Promise.all(seqs.map((seq) => receiptOnceThere("rebuilt", seq))), before);
  const settled = await until("the anchors are as before", async () => {
    const now = (await edge.get("/v1/streams/rebuilt/anchors")).json;
    return JSON.stringify(now) === JSON.stringify(anchors) && now;
  });
  assert.deepEqual(settled, anchors);
});

test("only the operator may have it done", async () => {
  assertProblem(await edge.send("POST", "/v1/chain/replay"), 401, "unauthorized");
  const guest = (await edge.send("POST", "/v1/auth/guest")).json.token as string;
  const headers = { authorization: `Bearer ${guest}` };
  assertProblem(await edge.send("POST", "/v1/chain/replay", { headers }), 403, "forbidden");
});

test("while the chain is not reached nothing is dropped", async () => {
  const { count } = await anchoredStream("kept", [3]);
  const before = await receiptOnceThere("kept", count - 1);
  node.down = true;
  await until("the edge notices that its node is down", async () => {
    const { chain } = (await edge.get("/v1/status")).json as { chain: { ok: boolean } };
    return !chain.ok;
  });
  assertProblem(await edge.send("POST", "/v1/chain/replay", { headers: asOperator() }), 503, "chain-unreachable");
  assert.deepEqual((await receipt("kept", count - 1)).json, before);
  node.down = false;
});
