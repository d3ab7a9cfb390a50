// Speaking through the chain from the page: with a wallet that announces itself (EIP-6963), and with the local chain's
// own account.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Page } from "playwright-core";
import { appUrl, blankPage, openApp, sessionOpen, sharedScene } from "../harness/pages.ts";
import { miningUntil, streamReaches } from "../harness/streams.ts";
import { eventually } from "../harness/system.ts";

const scene = sharedScene({ mining: "manual" });

interface ChainEvents {
  events: { author: string; payload: string; state: string }[];
}

type WalletCall = { method: string; params?: unknown[] };
type WalletAnswer = { result?: unknown; error?: { code: number; message: string } };

/** One of the local chain's accounts. */
const account = async (index: number): Promise<string> =>
  ((await scene.system.system.rpc("eth_accounts", [])) as string[])[index] as string;

/** A page in which a wallet announces itself; this process answers for it, by the local chain's node. */
const pageWithWallet = async (stream: string, answer: (call: WalletCall) => Promise<WalletAnswer>): Promise<Page> => {
  const page = await blankPage(scene.browser);
  await page.exposeFunction("askTheWallet", answer);
  await page.addInitScript(() => {
    const ask = (window as unknown as { askTheWallet: (call: WalletCall) => Promise<WalletAnswer> }).askTheWallet;
    const provider = {
      request: async (call: WalletCall): Promise<unknown> => {
        const { result, error } = await ask(call);
        if (error !== undefined) throw Object.assign(new Error(error.message), { code: error.code });
        return result;
      },
    };
    const info = {
      uuid: "6a1c8fd8-3f5c-4a5e-9f62-000000000001",
      name: "Test wallet",
      icon: "data:,",
      rdns: "test.wallet",
    };
    addEventListener("eip6963:requestProvider", () =>
      dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) })),
    );
  });
  await page.goto(appUrl(scene.system.edge, stream));
  await sessionOpen(page);
  return page;
};

const byNode = async ({ method, params = [] }: WalletCall): Promise<WalletAnswer> => ({
  result: await scene.system.system.rpc(method, params),
});

const sentIs = (page: Page, state: string): Promise<void> =>
  page.locator(`[data-testid=chain-sent][data-state=${state}]`).waitFor();

const write = async (page: Page, text: string): Promise<void> => {
  await page.getByTestId("composer").fill(text);
  await page.getByTestId("send-chain").click();
};

const published = (stream: string, text: string): Promise<ChainEvents["events"][number]> =>
  eventually(`the edge has heard ${text}`, async () => {
    const { events } = await scene.system.get<ChainEvents>(`/v1/streams/${stream}/chain`);
    return events.find(({ payload }) => payload === `0x${Buffer.from(text).toString("hex")}`);
  });

describe("a message through the chain", () => {
  it("is followed from the wallet to its finality", async () => {
    const from = await account(6);
    const page = await pageWithWallet("by-wallet", async (call) =>
      call.method === "eth_requestAccounts" ? { result: [from] } : byNode(call),
    );
    await write(page, "from my wallet");
    await sentIs(page, "waiting");
    assert.equal(await page.getByTestId("composer").inputValue(), "", "the field is free again");
    await scene.system.mine();
    await sentIs(page, "in-block");
    await scene.system.mine(4);
    await sentIs(page, "final");
    const event = await published("by-wallet", "from my wallet");
    assert.equal(event.author, from.toLowerCase());
    await page.context().close();
  });

  it("that is rejected says so, sends nothing and keeps the text", async () => {
    const from = await account(6);
    const before = await scene.system.system.rpc("eth_getTransactionCount", [from, "pending"]);
    const page = await pageWithWallet("rejected", async (call) => {
      if (call.method === "eth_requestAccounts") return { result: [from] };
      if (call.method !== "eth_sendTransaction") return byNode(call);
      return { error: { code: 4001, message: "User rejected the request." } };
    });
    await write(page, "on second thought");
    await page.getByTestId("chain-send-error").filter({ hasText: "You rejected" }).waitFor();
    assert.equal(await page.getByTestId("composer").inputValue(), "on second thought");
    assert.equal(await page.getByTestId("chain-sent").count(), 0);
    assert.equal(await scene.system.system.rpc("eth_getTransactionCount", [from, "pending"]), before);
    await page.context().close();
  });

  it("from a wallet on another chain that it won't leave says so", async () => {
    const from = await account(6);
    const page = await pageWithWallet("other-chain", async ({ method }) => {
      if (method === "eth_requestAccounts") return { result: [from] };
      return { result: method === "eth_chainId" ? "0x1" : null };
    });
    await write(page, "where am I?");
    await page.getByTestId("chain-send-error").filter({ hasText: "another chain" }).waitFor();
    await page.context().close();
  });

  it("needs no wallet on a local chain", async () => {
    const page = await openApp(scene.browser, scene.system, "by-account");
    await write(page, "from the local chain");
    await sentIs(page, "waiting");
    await scene.system.mine();
    const event = await published("by-account", "from the local chain");
    assert.equal(event.author, (await account(5)).toLowerCase());
    await page.context().close();
  });
});

describe("a new stream", () => {
  it("has on chain what its maker picked, with its cost", async () => {
    const page = await openApp(scene.browser, scene.system, "before");
    await page.getByTestId("new-stream").click();
    for (const choice of ["root", "hash", "payload", "prove"]) {
      await page
        .getByTestId(`cost-${choice}`)
        .filter({ hasText: /\d gas, .+ per (message|anchor)$/ })
        .waitFor();
    }
    assert.ok(await page.getByTestId("mode-root").isChecked(), "the cheapest, unless another is picked");
    await page.getByTestId("new-name").fill("picked");
    await page.getByTestId("mode-hash").check();
    await page.getByTestId("mode-payload").check();
    assert.equal(await page.getByTestId("mode-hash").isChecked(), false, "one of the three");
    await page.getByTestId("new-prove").check();
    await page.getByTestId("new-stream-make").click();
    await page.waitForURL(/stream=0x/);
    await scene.system.mine();

    const stream = new URL(page.url()).searchParams.get("stream") ?? "";
    const { name, owner, mode, prove } = await scene.system.get<Record<string, unknown>>(`/v1/streams/${stream}`);
    const maker = (await account(5)).toLowerCase();
    assert.deepEqual({ name, owner, mode, prove }, { name: "picked", owner: maker, mode: "payload", prove: true });
    await sessionOpen(page);
    await page.getByTestId("composer").fill("word for word");
    await page.getByTestId("send").click();
    await miningUntil(scene.system, streamReaches(scene.system, stream, "anchored", 1));
    const filter = [{ address: scene.system.system.contract?.address, fromBlock: "0x0" }];
    const logs = (await scene.system.system.rpc("eth_getLogs", filter)) as { data: string }[];
    const emitted = logs.filter(({ data }) => data.includes(Buffer.from("word for word").toString("hex")));
    assert.equal(emitted.length, 1, "the message itself is in the contract's log, once");
    await page.context().close();
  });
});
