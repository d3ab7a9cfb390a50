// Messages that their authors sign, from the key in the browser to what *Verify* shows.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Page, Route } from "playwright-core";
import { appUrl, bareApiPage, blankPage, openApp, sessionOpen, sharedScene } from "../harness/pages.ts";
import { streamReaches } from "../harness/streams.ts";

const scene = sharedScene();

/** A contract that says of every signature that it made it (EIP-1271). */
const AGREEING_WALLET = "0x631626ba7e60e01b60005260206000f3";
const CONTRACT_WALLET = "0x00000000000000000000000000000000c0ffee01";

type WalletCall = { method: string; params?: unknown[] };

/** A page in which a wallet announces itself, which this process answers for. */
const pageWithWallet = async (stream: string, answer: (call: WalletCall) => Promise<unknown>): Promise<Page> => {
  const page = await blankPage(scene.browser);
  await page.exposeFunction("askTheWallet", answer);
  await page.addInitScript(() => {
    const { askTheWallet } = window as unknown as { askTheWallet: (call: unknown) => Promise<unknown> };
    const info = {
      uuid: "6a1c8fd8-3f5c-4a5e-9f62-000000000002",
      name: "Test wallet",
      icon: "data:,",
      rdns: "test.wallet",
    };
    addEventListener("eip6963:requestProvider", () =>
      dispatchEvent(
        new CustomEvent("eip6963:announceProvider", { detail: { info, provider: { request: askTheWallet } } }),
      ),
    );
  });
  await page.goto(appUrl(scene.system.edge, stream));
  await sessionOpen(page);
  return page;
};

/** A script that publishes one message in a worker, and says whose it is and whether it is signed. */
const workerSource = async (edge: string): Promise<string> => {
  const contents = `
    import { connect } from "./web/src/lib/index.ts";
    const connection = connect({ edge: "${edge}", stream: "signed-worker" });
    const publication = connection.publish("in a worker");
    publication.stored.then(() => {
      postMessage([connection.author, publication.signed]);
      connection.close();
    }, (error) => reportError(error));`;
  const stdin = { contents, resolveDir: fileURLToPath(new URL("../..", import.meta.url)) };
  const built = await build({ stdin, bundle: true, format: "iife", target: "es2022", write: false });
  return built.outputFiles[0]?.text ?? "";
};

const author = (page: Page): Promise<string | undefined> =>
  page.evaluate(() => window.streamchain.connection.author as string | undefined);

const send = async (page: Page, text: string): Promise<void> => {
  await page.getByTestId("composer").fill(text);
  await page.getByTestId("send").click();
};

/** The row of a text, once its author was checked with this outcome. */
const shown = (page: Page, text: string, signature: string): Promise<void> =>
  page.locator(`[data-testid=message][data-signature=${signature}]`).filter({ hasText: text }).first().waitFor();

/** Publishes as a client without a key does. */
const publishUnsigned = async (stream: string, text: string): Promise<void> => {
  const { edge } = scene.system;
  const made = (await (await fetch(`${edge}/v1/auth/guest`, { method: "POST" })).json()) as { token: string };
  const headers = { authorization: `Bearer ${made.token}`, "content-type": "application/octet-stream" };
  const answer = await fetch(`${edge}/v1/streams/${stream}/messages`, { method: "POST", headers, body: text });
  assert.ok(answer.ok, `${answer.status} ${await answer.text()}`);
};

/** What *Verify* says of the first message, or of the one with this text. */
const verified = async (page: Page, text = ""): Promise<string> => {
  await page.getByTestId("message").filter({ hasText: text }).first().click();
  await page.getByTestId("rpc").fill(scene.system.chain);
  await page.getByTestId("verify-run").click();
  await page.locator("[data-testid=verify-result][data-ok=true]").waitFor();
  return page.getByTestId("verify-dialog").innerText();
};

describe("a guest's messages", () => {
  it("are signed with a key that stays over reloads", async () => {
    const page = await openApp(scene.browser, scene.system, "signed-guest");
    const guest = await author(page);
    await send(page, "by my key");
    await shown(page, "by my key", "signed");
    await page.reload();
    await sessionOpen(page);
    assert.equal(await author(page), guest);
    await page.evaluate(() => localStorage.clear());
    await page.reload();
    await sessionOpen(page);
    assert.equal(await author(page), guest, "the key is the author, whatever became of the token");
    await page.context().close();
  });

  it("come from one author in tabs that start at once", async () => {
    const first = await blankPage(scene.browser);
    const second = await first.context().newPage();
    await Promise.all([first, second].map((page) => page.goto(appUrl(scene.system.edge, "signed-tabs"))));
    await Promise.all([first, second].map(sessionOpen));
    assert.equal(await author(first), await author(second));
    await first.context().close();
  });

  it("can't be signed by a script that copies the key", async () => {
    const page = await openApp(scene.browser, scene.system, "signed-guest");
    const copied = await page.evaluate(async () => {
      const opening = indexedDB.open("streamchain");
      await new Promise((resolve) => {
        opening.onsuccess = resolve;
      });
      const all = opening.result.transaction("keys").objectStore("keys").getAll();
      await new Promise((resolve) => {
        all.onsuccess = resolve;
      });
      const [{ privateKey }] = all.result as CryptoKeyPair[] as [CryptoKeyPair];
      return crypto.subtle.exportKey("pkcs8", privateKey).then(
        () => "copied",
        (error: Error) => error.name,
      );
    });
    assert.equal(copied, "InvalidAccessError");
    await page.context().close();
  });

  it("are signed in a worker too, by the same author", async () => {
    const { edge } = scene.system;
    const page = await blankPage(scene.browser);
    // A site of the edge's origin with a worker of its own; the edge's pages allow themselves none.
    const context = page.context();
    const answer = (contentType: string, body: string) => (route: Route) => route.fulfill({ contentType, body });
    await context.route(`${edge}/site`, answer("text/html", "<!doctype html>"));
    await context.route(`${edge}/worker.js`, answer("text/javascript", await workerSource(edge)));
    await page.goto(`${edge}/site`);
    const found = await page.evaluate(async () => {
      const connection = window.tools.lib.connect({ stream: "signed-worker" });
      await connection.publish("in the page").stored;
      const worker = new Worker("/worker.js");
      const [author, signed] = await new Promise<[string, boolean]>((resolve, reject) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => reject(new Error(event.message));
      });
      worker.terminate();
      connection.close();
      return { isSame: author === connection.author, signed };
    });
    assert.deepEqual(found, { isSame: true, signed: true });
    const history = await scene.system.get<{ messages: { author: string; signed?: boolean }[] }>(
      "/v1/streams/signed-worker/messages",
    );
    assert.deepEqual(
      history.messages.map(({ signed }) => signed),
      [true, true],
    );
    await context.close();
  });

  it("are signed without IndexedDB, by a key of the page", async () => {
    const page = await blankPage(scene.browser);
    await page.addInitScript(() => Object.defineProperty(window, "indexedDB", { value: undefined }));
    await bareApiPage(scene.browser, scene.system, page);
    const publish = () =>
      page.evaluate(async () => {
        const authors: unknown[] = [];
        for (const text of ["one", "two"]) {
          const connection = window.tools.lib.connect({ stream: "signed-page" });
          const publication = connection.publish(text);
          await publication.stored;
          if (publication.signed) authors.push(connection.author);
          connection.close();
        }
        return authors;
      });
    const [first, second] = await publish();
    assert.ok(first !== undefined && first === second, "both connections of the page sign as one author");
    await page.reload();
    const [later] = await publish();
    assert.ok(later !== undefined && later !== first, "the next page is another one, and signs too");
    await page.context().close();
  });

  it("are verified by their receipts, beside what nobody signed", async () => {
    const page = await openApp(scene.browser, scene.system, "signed-receipt");
    await send(page, "signed by me");
    await shown(page, "signed by me", "signed");
    await publishUnsigned("signed-receipt", "by no key");
    await shown(page, "by no key", "unsigned");
    await streamReaches(scene.system, "signed-receipt", "anchored", 2);
    assert.match(await verified(page), /The author signed it; the author is the key itself/);
    await page.keyboard.press("Escape");
    assert.match(await verified(page, "by no key"), /the operator attests the author/);
    await page.context().close();
  });
});

describe("one signature of the wallet", () => {
  const signsIn = async (
    stream: string,
    account: string,
    sign: (call: WalletCall) => Promise<unknown>,
    mark = "signed",
  ): Promise<void> => {
    let popups = 0;
    const page = await pageWithWallet(stream, async (call) => {
      if (call.method === "eth_requestAccounts") return [account];
      if (call.method === "personal_sign") {
        popups++;
        return sign(call);
      }
      return scene.system.system.rpc(call.method, call.params ?? []);
    });
    await page.getByTestId("account").click();
    await Promise.all([page.waitForEvent("load"), page.getByTestId("account-wallet").click()]);
    await sessionOpen(page);
    assert.equal(await author(page), account.toLowerCase());
    await send(page, "by my wallet's key");
    await shown(page, "by my wallet's key", mark);
    assert.equal(popups, 1, "for the sign-in and the first signed message");
    await streamReaches(scene.system, stream, "anchored", 1);
    assert.match(await verified(page), /The author signed it, with a key for which the author's wallet/);
    await page.context().close();
  };

  it("is enough for an account with a key", async () => {
    const [account = ""] = ((await scene.system.system.rpc("eth_accounts", [])) as string[]).slice(6);
    await signsIn("signed-wallet", account, ({ method, params }) => scene.system.system.rpc(method, params ?? []));
  });

  it("is enough for a wallet that is a contract", async () => {
    await scene.system.system.rpc("anvil_setCode", [CONTRACT_WALLET, AGREEING_WALLET]);
    const sign = async (): Promise<string> => `0x${"12".repeat(70)}`;
    await signsIn("signed-contract", CONTRACT_WALLET, sign, "unknown"); // until *Verify* asks the contract
  });
});

describe("a stream for signed messages", () => {
  it("takes a page's, and refuses one that signs nothing", async () => {
    const page = await bareApiPage(scene.browser, scene.system);
    const outcome = await page.evaluate(async () => {
      const { connect, postJson } = window.tools.lib;
      const { origin } = location;
      const owner = connect({ stream: "signed-required-before" });
      await owner.publish("the owner is here").stored;
      const token = window.tools.lib.keptToken(localStorage, origin);
      const made = await postJson(
        `${origin}/v1/streams`,
        { name: "required", owner: owner.author, signed: "required" },
        token,
      );
      const stream = made.text("id");
      const signed = connect({ stream });
      const unsigned = connect({ stream, key: null });
      await signed.publish("signed").stored;
      const refused = await unsigned.publish("not signed").stored.then(
        () => "stored",
        (error: { code: string }) => error.code,
      );
      for (const connection of [owner, signed, unsigned]) connection.close();
      return refused;
    });
    assert.equal(outcome, "signature-required");
    await page.context().close();
  });
});
