// How transactions get into blocks, on two nodes that were written by different people. Hardhat's enforces the rule of
// public pools that a replacement pays at least a tenth more; anvil takes any higher fee.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually } from "../harness/system.ts";
import { account, ChainNode, NODE_KINDS } from "./nodes.ts";
import { ChainScene } from "./scene.ts";

const ETHER = 10n ** 18n;
/** So that a test need not wait for three blocks of Ethereum. */
const VARS = { ANCHOR_BUMP_AFTER_MS: "6000", ANCHOR_RESEND_AFTER_MS: "2000" };

for (const kind of NODE_KINDS) {
  describe(`on ${kind}'s node`, () => {
    let node: ChainNode;
    let scene: ChainScene;
    let stored = 0;
    const store = async (count: number): Promise<void> => {
      await scene.store("demo", count);
      stored += count;
    };
    const isAnchored = () => scene.reachesMining("demo", "anchored", stored);

    before(async () => {
      node = await ChainNode.start(kind);
      scene = await ChainScene.on(node, { vars: VARS });
    });
    after(async () => {
      await scene?.stop();
      await node?.stop();
    });

    it("a new stream is opened and anchored by one transaction", async () => {
      await store(5);
      let nonce: number;
      do {
        ({ nonce } = await scene.inFlight()); // the audit log's may come first
        await node.mine();
      } while ((await scene.anchorsOnChain()).length === 0);
      await scene.reaches("demo", "anchored", 5);
      assert.equal(await node.count(scene.operator.address), nonce + 1);
      assert.equal((await scene.anchorsOnChain()).length, 1);
    });

    it("what is final is what the node says is final", async () => {
      assert.equal((await node.head()) - (await node.finalized()), kind === "anvil" ? 2 : 0);
      const { final } = await scene.figures("demo");
      if (kind === "anvil") {
        assert.equal(final, 0);
        await node.mine(2);
      }
      await scene.reaches("demo", "final", 5);
    });

    it("a transaction that the pool lost is sent again unchanged", async () => {
      await store(3);
      const { tx } = await scene.inFlight();
      await node.drop(tx);
      assert.equal(await node.transaction(tx), null);
      await eventually("the same transaction is back", async () => (await node.transaction(tx)) !== null);
      await isAnchored();
    });

    it("a waiting transaction is replaced with an eighth more", async () => {
      await store(3);
      const first = await scene.inFlight(({ attempts }) => attempts === 1);
      const second = await scene.inFlight(({ attempts }) => attempts === 2);
      assert.equal(second.nonce, first.nonce);
      assert.notEqual(second.tx, first.tx);
      for (const field of ["maxFee", "tip"] as const) {
        const [old, now] = [first.transaction[field], second.transaction[field]];
        assert.ok(now * 8n >= old * 9n, `${field}: from ${old} to ${now}`);
      }
      if (kind === "hardhat") assert.equal(await node.transaction(first.tx), null, "only one of them is in the pool");
      await isAnchored();
      assert.equal(await node.count(scene.operator.address), first.nonce + 1, "one of the two was mined");
    });

    it(`the pool ${kind === "hardhat" ? "refuses" : "takes"} a hundredth more`, async () => {
      const stranger = account(7);
      const nonce = await node.count(stranger.address);
      await node.send(stranger, stranger.address, "0x", { nonce, gwei: "100" });
      const replaced = node.send(stranger, stranger.address, "0x", { nonce, gwei: "101" });
      if (kind === "hardhat") await assert.rejects(replaced, /replacement|underpriced|higher/i);
      else await replaced;
    });

    it("a transaction behind a gap of nonces hinders no other", async () => {
      const { operator } = scene;
      const nonce = await node.count(operator.address);
      const behind = await node.send(operator, operator.address, "0x", { nonce: nonce + 1 });
      await node.mine();
      assert.equal((await node.transaction(behind))?.block, null, "it can't be mined before the gap is closed");
      await store(3);
      assert.equal((await scene.inFlight()).nonce, nonce, "ours closes the gap");
      await isAnchored();
      await store(2);
      await isAnchored();
      assert.equal(await node.count(operator.address), nonce + 3);
    });

    it("an account without ether is reported, and goes on with some", async () => {
      const { operator } = scene;
      await node.setBalance(operator.address, 0n);
      await store(4);
      const { lastError } = await eventually("it says that it can't pay", async () => {
        const sending = await scene.sending();
        return sending.lastError !== null && sending;
      });
      assert.match(lastError ?? "", /fund|balance|wei/i);
      await node.setBalance(operator.address, ETHER);
      await isAnchored();
      await eventually("nothing is wrong any more", async () => (await scene.sending()).lastError === null);
    });

    it("and in the end the database says what the chain says", async () => {
      await scene.reachesMining("demo", "final", stored);
      await scene.assertAsOnChain();
      const anchors = await scene.anchors();
      assert.equal(
        anchors.reduce((next, { first, count }) => (first === next ? next + count : Number.NaN), 0),
        stored,
        "anchors touch and cover everything",
      );
    });
  });
}
