// Somebody speaks through the contract; a reorganisation takes it back; page and event stream say both.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { createWalletClient, type Hex, http, parseAbi, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { foundry } from "viem/chains";
import { developmentAccount, rpcCall } from "../../scripts/lib/system/chain.mjs";
import { type ChainEvent, EdgeClient, type EventFollower, followEvents } from "../../web/src/lib/index.ts";
import { openApp, sharedScene } from "../harness/pages.ts";
import { streamReaches } from "../harness/streams.ts";
import { eventually } from "../harness/system.ts";

const STREAM = "spoken";
const ABI = parseAbi(["function publish(bytes32 stream, bytes payload)"]);

/** Blocks behind which anvil calls a block final, and some more. */
const UNTIL_FINAL = 70;

const scene = sharedScene({ mining: "manual" });

describe("what a wallet publishes through the contract", () => {
  const told: { type: string; event: ChainEvent }[] = [];
  let page: Page;
  let stream: Hex;
  let follower: EventFollower | undefined;
  let following: Promise<void> | undefined;

  /** An independent client: viem and the contract's address, nothing of ours. */
  const publish = (text: string): Promise<Hex> => {
    const wallet = createWalletClient({
      account: privateKeyToAccount(developmentAccount(5).key),
      chain: foundry,
      transport: http(scene.system.chain),
    });
    const address = scene.system.system.contract?.address as Hex;
    const call = { address, abi: ABI, functionName: "publish", args: [stream, toHex(text)], gas: 200_000n } as const;
    return wallet.writeContract(call);
  };

  const row = (state: string, text: string, on: Page = page) =>
    on
      .getByTestId("chain-event")
      .and(on.locator(`[data-state="${state}"]`))
      .filter({ hasText: text });

  const isTold = (type: string, tx: Hex): Promise<unknown> =>
    eventually(`the event stream says ${type}`, async () =>
      told.some((one) => one.type === type && one.event.tx === tx),
    );

  before(async () => {
    page = await openApp(scene.browser, scene.system, STREAM);
    await page.evaluate(() => window.streamchain.connection.publish("first").stored);
    stream = (await streamReaches(scene.system, STREAM, "stored", 1)).id as Hex;
    const edge = new EdgeClient(scene.system.edge, fetch);
    await eventually("the Listener knows the stream", () => edge.chainEvents(STREAM).then(() => true));
    follower = followEvents({ edge: scene.system.edge, stream: STREAM, after: "0-0" });
    const events = follower;
    following = (async () => {
      for await (const { type, ...rest } of events) {
        if ("subject" in rest && rest.subject.kind === "chain") told.push({ type, event: rest.subject.event });
      }
    })();
  });

  after(async () => {
    follower?.close();
    await following;
  });

  it("comes to the page and to the event stream, with its block", async () => {
    const tx = await publish("heard everywhere");
    await scene.system.mine();
    await row("anchored", "heard everywhere").waitFor();
    await isTold("chain", tx);
    const event = told.find((one) => one.event.tx === tx)?.event;
    assert.equal(Buffer.from(event?.payload ?? []).toString(), "heard everywhere");
    assert.equal(event?.author, developmentAccount(5).address.toLowerCase());
  });

  it("is taken back visibly by a fork, and comes again when resent", async () => {
    const tx = await publish("never happened");
    await scene.system.mine();
    await row("anchored", "never happened").waitFor();
    await rpcCall(scene.system.chain, "anvil_reorg", [1, []]);
    await scene.system.mine();
    await row("reverted", "never happened").waitFor();
    assert.equal(await row("reverted", "never happened").locator("s").count(), 1, "it is struck through");
    await page.getByTestId("chain-notice").filter({ hasText: /./ }).waitFor();
    await isTold("reorg", tx);
    const listed = await scene.system.get<{ events: { tx: string }[] }>(`/v1/streams/${STREAM}/chain`);
    assert.ok(!listed.events.some((event) => event.tx === tx), "the list does not have it");
    await publish("happened after all");
    await scene.system.mine();
    await row("anchored", "happened after all").waitFor();
  });

  it("becomes final, and a page that comes later has it so", async () => {
    await scene.system.mine(UNTIL_FINAL);
    await row("final", "heard everywhere").waitFor();
    await row("final", "happened after all").waitFor();
    await eventually(
      "the event stream says final",
      async () => told.filter(({ type }) => type === "final").length === 2,
    );
    const later = await openApp(scene.browser, scene.system, STREAM);
    await row("final", "heard everywhere", later).waitFor();
    assert.equal(await later.getByTestId("chain-event").count(), 2, "what never happened is not there");
  });
});
