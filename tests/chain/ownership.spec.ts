// Streams that a wallet owns, on chain too: the edge anchors them only once their owner lets it; and wallets that are
// contracts, asked on the chain.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { encodeFunctionData, getAddress, type Hex, keccak256, parseAbi, toBytes } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { assertProblem, bearer } from "../edge/harness.ts";
import { messageOf, newNonce, postSigned, signIn } from "../edge/siwe.ts";
import { eventually } from "../harness/system.ts";
import { account, ChainNode } from "./nodes.ts";
import { ChainScene } from "./scene.ts";

const ABI = parseAbi([
  "function open(bytes32 nameHash, address anchorer)",
  "function delegate(bytes32 nameHash, address anchorer)",
  "function streams(bytes32 stream) view returns (address anchorer, uint96 nextSeq)",
]);
const NAME_HASH = keccak256(toBytes("owned"));

/** The runtime code of a contract that answers every call with `word`: PUSH4 word, PUSH1 224, SHL, MSTORE, RETURN. */
const answering = (word: string): Hex => `0x63${word}60e01b60005260206000f3`;

/** How long the edge may take to look at the contract again, on a busy machine. */
const PATIENCE_MS = 60_000;

describe("a wallet's own stream", () => {
  const owner = account(3);
  let node: ChainNode;
  let scene: ChainScene;
  let token: Record<string, string>;
  let stream: string;

  before(async () => {
    node = await ChainNode.start("anvil");
    scene = await ChainScene.on(node);
    await scene.relay.register(); // wakes the Listener; the stream is the edge's own to write
    token = bearer(await signIn(scene.edge, privateKeyToAccount(owner.key)));
    const made = await scene.edge.postJson("/v1/streams", { name: "owned", owner: owner.address }, token);
    assert.equal(made.status, 201, made.text);
    stream = made.json.id as string;
    scene.count(stream);
  });
  after(async () => {
    await scene?.stop();
    await node?.stop();
  });

  const publish = async (text: string): Promise<void> => {
    const { status } = await scene.edge.postJson(`/v1/streams/${stream}/messages`, { text }, token);
    assert.equal(status, 201);
  };

  const onChain = async (functionName: "open" | "delegate", anchorer: string): Promise<void> => {
    const data = encodeFunctionData({ abi: ABI, functionName, args: [NAME_HASH, anchorer as Hex] });
    await node.send(owner, scene.contract, data);
    await node.mine();
  };

  const isBlocked = (reason: RegExp) =>
    eventually(
      `the stream is blocked: ${reason}`,
      async () => {
        const { anchorer } = (await scene.edge.get("/v1/status")).json as {
          anchorer: { blockedStreams: { stream: string; reason: string }[] };
        };
        return anchorer.blockedStreams.some((one) => one.stream === stream && reason.test(one.reason));
      },
      PATIENCE_MS,
    );

  it("is not opened by the edge, which says what it waits for", async () => {
    await publish("before it is open");
    await isBlocked(/its owner has not opened it/);
    await node.mine(2);
    const data = encodeFunctionData({ abi: ABI, functionName: "streams", args: [stream as Hex] });
    const record = await node.rpc<Hex>("eth_call", [{ to: scene.contract, data }, "latest"]);
    assert.equal(BigInt(record), 0n, "nobody has opened it");
  });

  it("is anchored once its owner has opened it for the edge's account", async () => {
    await onChain("open", scene.operator.address);
    await scene.reachesMining(stream, "anchored", 1);
    const anchor = (await scene.anchorsOnChain()).find((one) => one.stream === stream);
    assert.deepEqual([anchor?.first, anchor?.count], [0, 1]);
  });

  it("waits while its owner has delegated it to another, and goes on when it is given back", async () => {
    await onChain("delegate", account(5).address);
    await publish("while it is another's");
    await isBlocked(new RegExp(`lets ${account(5).address} anchor`, "i"));
    await onChain("delegate", scene.operator.address);
    await scene.reachesMining(stream, "anchored", 2);
  });

  it("may be made by the wallet of a contract that says yes to a signature, and by no other", async () => {
    const [yes, no, none] = [`0x${"a1".repeat(20)}`, `0x${"a2".repeat(20)}`, `0x${"a3".repeat(20)}`];
    await node.rpc("hardhat_setCode", [yes, answering("1626ba7e")]);
    await node.rpc("hardhat_setCode", [no, answering("ffffffff")]);
    const signed = async (wallet: string) =>
      postSigned(scene.edge, messageOf(scene.edge, getAddress(wallet), await newNonce(scene.edge)), "0x1234");
    const taken = await signed(yes);
    assert.deepEqual([taken.status, taken.json.author], [201, yes]);
    for (const wallet of [no, none]) {
      assert.equal(assertProblem(await signed(wallet), 401, "sign-in-refused").reason, "signature");
    }
  });
});
