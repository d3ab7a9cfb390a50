// Reorganisations of a real node's chain, at depths 1, 3 and 20, with our transactions dropped, kept in place, or put
// into other blocks in another order. In the end the database says what a clean replay of the chain says.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Hex } from "viem";
import { verifyWithRelayNode } from "../harness/receipts.ts";
import { eventually } from "../harness/system.ts";
import { account, ChainNode } from "./nodes.ts";
import { ChainScene } from "./scene.ts";

/** Two epochs are final: deeper than the deepest fork here. */
const EPOCH = 12;
const DEPTHS = [1, 3, 20];
const FATES = ["dropped", "kept", "reordered"] as const;
type Fate = (typeof FATES)[number];

let node: ChainNode;
let scene: ChainScene;
before(async () => {
  node = await ChainNode.start("anvil", EPOCH);
  // On a chain as young as its first epoch nothing is final yet.
  await node.mine(2 * EPOCH + 2);
  scene = await ChainScene.on(node);
});
after(async () => {
  await scene?.stop();
  await node?.stop();
});

const WALLET = account(5);

/** The blocks, counted from the fork, into which a fork puts the anchor and the payload; null for none of them. */
const placesIn = (depth: number, fate: Fate): { anchor: number; payload: number } | null => {
  const last = depth - 1;
  switch (fate) {
    case "dropped":
      return null;
    case "kept":
      return { anchor: 0, payload: Math.min(1, last) };
    case "reordered":
      return { anchor: last, payload: 0 };
  }
};

const raw = (tx: string): Promise<Hex> => node.rpc("eth_getRawTransactionByHash", [tx]);

/** The transaction in the pool that anchors this stream. One of the audit log's, which has an entry for each new stream, may
 * come first: it is mined. */
const anchoring = async (name: string): Promise<string> => {
  const { id } = await scene.stream(name);
  for (;;) {
    const { tx } = await scene.inFlight();
    const { input } = await node.rpc<{ input: Hex }>("eth_getTransactionByHash", [tx]);
    if (input.includes(id.slice(2))) return tx;
    await node.mine();
  }
};

/** Ten messages anchored and one payload published in the newest `depth` blocks, and the edge has seen both. */
const prepare = async (name: string, depth: number): Promise<{ anchor: string; payload: string }> => {
  await scene.store(name, 10);
  const anchor = await anchoring(name);
  if (depth === 1) await scene.publish(WALLET, name, `${name}: hello`);
  await node.mine();
  if (depth > 1) {
    await scene.publish(WALLET, name, `${name}: hello`);
    await node.mine(depth - 1);
  }
  await scene.reaches(name, "anchored", 10);
  const { id } = await scene.stream(name);
  const seen = await eventually("the edge has seen the payload", async () =>
    (await scene.payloads()).find(({ stream }) => stream === id),
  );
  return { anchor, payload: seen.tx };
};

describe("after a reorganisation", () => {
  for (const depth of DEPTHS) {
    for (const fate of FATES) {
      it(`of ${depth} blocks, with our transactions ${fate}`, async () => {
        const name = `${fate}-${depth}`;
        const { anchor, payload } = await prepare(name, depth);
        const before = await node.rpc<{ hash: Hex }>("eth_getBlockByNumber", ["latest", false]);
        const places = placesIn(depth, fate);
        const put =
          places === null
            ? []
            : [
                [await raw(payload), places.payload],
                [await raw(anchor), places.anchor],
              ];
        await node.rpc("anvil_reorg", [depth, put]);
        const after = await node.rpc<{ hash: Hex }>("eth_getBlockByNumber", ["latest", false]);
        assert.notEqual(after.hash, before.hash, "the chain is another one");

        await scene.store(name, 5);
        await scene.reachesMining(name, "final", 15);
        const { id } = await scene.stream(name);
        const anchors = (await scene.anchorsOnChain()).filter(({ stream }) => stream === id);
        let next = 0;
        for (const { first, count } of anchors) {
          assert.equal(first, next);
          next += count;
        }
        assert.equal(next, 15, "each message is under one anchor");
        const published = (await scene.payloadsOnChain()).filter(({ stream }) => stream === id).length;
        assert.equal(published, fate === "dropped" ? 0 : 1);
        for (const seq of [0, 9, 14]) {
          const receipt = await scene.edge.get(`/v1/streams/${name}/messages/${seq}/receipt`);
          const { code, text } = await verifyWithRelayNode(receipt.text, {
            rpc: node.url,
            contract: scene.contract,
          });
          assert.equal(code, 0, text);
        }
      });
    }
  }

  it("the database equals the chain's logs and a clean replay", async () => {
    await scene.assertAsOnChain();
    const replay = await scene.cleanReplay();
    try {
      const rows = (await scene.anchors()).length;
      await eventually("the replay has read the chain", async () => (await replay.anchors()).length === rows, 60_000);
      assert.deepEqual(await replay.anchors(), await scene.anchors());
      assert.deepEqual(await replay.payloads(), await scene.payloads());
      console.log(`    ${rows} anchors and ${(await scene.payloads()).length} payloads, as in a clean replay`);
    } finally {
      await replay.stop();
    }
  });
});
