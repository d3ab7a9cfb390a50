// Streams that a wallet owns, on chain too: the edge anchors them only once their owner lets it; and wallets that are
// contracts, asked on the chain.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import {
  concat,
  encodeAbiParameters,
  encodeFunctionData,
  getAddress,
  getCreate2Address,
  type Hex,
  keccak256,
  parseAbi,
  parseAbiParameters,
  toBytes,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { asOperator, assertProblem, bearer } from "../edge/harness.ts";
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

/** Creation code of a contract with this code: PUSH1 size, PUSH1 12, PUSH1 0, CODECOPY, PUSH1 size, PUSH1 0, RETURN. */
const deploying = (code: Hex): Hex => {
  const size = (code.length / 2 - 1).toString(16).padStart(2, "0");
  return `0x60${size}600c60003960${size}6000f3${code.slice(2)}`;
};

const FACTORY: Hex = `0x${"fa".repeat(20)}`;

/** CALLDATACOPY of all, CREATE2 of that with salt 0. */
const MAKES_WHAT_IT_IS_GIVEN = "0x365f5f375f365f5ff55000";

/** Where the factory makes a contract of this creation code. */
const madeOf = (bytecode: Hex): Hex => getCreate2Address({ from: FACTORY, salt: `0x${"00".repeat(32)}`, bytecode });

/** A signature of a wallet that `factory` makes when it is called with `calldata` (EIP-6492). */
const undeployed = (factory: string, calldata: Hex): Hex =>
  concat([
    encodeAbiParameters(parseAbiParameters("address, bytes, bytes"), [factory as Hex, calldata, "0x1234"]),
    `0x${"6492".repeat(16)}`,
  ]);

/** Called with nothing it remembers that, and says yes from then on. */
const YES_ONCE_CALLED = "0x3660095760015f55005b631626ba7e60e01b5f54025f5260205ff3";

/** Says yes when the transaction is by the address zero, which a node takes unless told otherwise. */
const YES_TO_NOBODY = "0x3215631626ba7e60e01b025f5260205ff3";

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
          anchorer: { inFlight: unknown; blockedStreams: { stream: string; reason: string }[] };
        };
        // The audit log's transaction, of its entry for the new stream, may come first: nothing else is looked at before.
        if (anchorer.inFlight) await node.mine();
        return anchorer.blockedStreams.some((one) => one.stream === stream && reason.test(one.reason));
      },
      PATIENCE_MS,
    );

  /** Checks that the status names the stream, which is blocked, to operators alone while it is private. */
  const isNamedToOperatorsAlone = async (): Promise<void> => {
    const change = (read: string) =>
      scene.edge.send("PATCH", `/v1/streams/${stream}`, {
        headers: { ...token, "content-type": "application/json" },
        body: JSON.stringify({ read }),
      });
    const isShown = async (headers?: Record<string, string>): Promise<boolean> => {
      const { anchorer } = (await scene.edge.get("/v1/status", headers)).json as {
        anchorer: { blockedStreams: { stream: string }[] };
      };
      return anchorer.blockedStreams.some((one) => one.stream === stream);
    };
    assert.equal((await change("private")).status, 200);
    await eventually("strangers are not shown it", async () => !(await isShown()), PATIENCE_MS);
    assert.ok(await isShown(asOperator()), "an operator is");
    assert.equal((await change("public")).status, 200);
    await eventually("all are shown it", () => isShown(), PATIENCE_MS);
  };

  it("is not opened by the edge, which says what it waits for", async () => {
    await publish("before it is open");
    await isBlocked(/its owner has not opened it/);
    await node.mine(2);
    const data = encodeFunctionData({ abi: ABI, functionName: "streams", args: [stream as Hex] });
    const record = await node.rpc<Hex>("eth_call", [{ to: scene.contract, data }, "latest"]);
    assert.equal(BigInt(record), 0n, "nobody has opened it");
  });

  it("is anchored once its owner opened it for the edge", async () => {
    await onChain("open", scene.operator.address);
    await scene.reachesMining(stream, "anchored", 1);
    const anchor = (await scene.anchorsOnChain()).find((one) => one.stream === stream);
    assert.deepEqual([anchor?.first, anchor?.count], [0, 1]);
  });

  it("waits while its owner has delegated it to another", async () => {
    await onChain("delegate", account(5).address);
    await publish("while it is another's");
    await isBlocked(new RegExp(`lets ${account(5).address} anchor`, "i"));
    await isNamedToOperatorsAlone();
    await onChain("delegate", scene.operator.address);
    await scene.reachesMining(stream, "anchored", 2);
  });

  /** A sign-in of the wallet of a contract, with this signature. */
  const signed = async (wallet: string, signature: Hex = "0x1234") =>
    postSigned(scene.edge, messageOf(scene.edge, getAddress(wallet), await newNonce(scene.edge)), signature);

  const isRefused = async (wallet: string, signature?: Hex): Promise<void> => {
    assert.equal(assertProblem(await signed(wallet, signature), 401, "sign-in-refused").reason, "signature");
  };

  it("may be made by a contract wallet that accepts the signature", async () => {
    const [yes, no, none] = [`0x${"a1".repeat(20)}`, `0x${"a2".repeat(20)}`, `0x${"a3".repeat(20)}`];
    await node.rpc("hardhat_setCode", [yes, answering("1626ba7e")]);
    await node.rpc("hardhat_setCode", [no, answering("ffffffff")]);
    const taken = await signed(yes);
    assert.deepEqual([taken.status, taken.json.author], [201, yes]);
    for (const wallet of [no, none]) await isRefused(wallet);
  });

  it("may be made by a contract wallet that is not deployed yet", async () => {
    await node.rpc("hardhat_setCode", [FACTORY, MAKES_WHAT_IT_IS_GIVEN]);
    const [yes, no] = [deploying(answering("1626ba7e")), deploying(answering("ffffffff"))];
    const taken = await signed(madeOf(yes), undeployed(FACTORY, yes));
    assert.deepEqual([taken.status, taken.json.author], [201, madeOf(yes).toLowerCase()]);
    assert.equal(await node.rpc("eth_getCode", [madeOf(yes), "latest"]), "0x", "nothing was deployed");
    await isRefused(madeOf(no), undeployed(FACTORY, no));
    await isRefused(madeOf(no), undeployed(FACTORY, yes)); // another wallet's deployment
    await isRefused(madeOf(yes), undeployed(account(9).address, yes)); // a factory that makes nothing
    await isRefused(madeOf(yes)); // not deployed, and not said how
  });

  it("may not be made by changing another's wallet first", async () => {
    const [opened, simulated] = [`0x${"a4".repeat(20)}`, `0x${"a5".repeat(20)}`] as const;
    await node.rpc("hardhat_setCode", [opened, YES_ONCE_CALLED]);
    await isRefused(opened, undeployed(opened, "0x"));
    await node.send(owner, opened, "0x");
    await node.mine();
    assert.equal((await signed(opened)).status, 201, "it was never called before");
    await node.rpc("hardhat_setCode", [simulated, YES_TO_NOBODY]);
    await isRefused(simulated, undeployed(FACTORY, "0x"));
  });
});
