// Revoking ends live sessions: on a real relay, between others that go on.

import assert from "node:assert/strict";
import { createHmac, hkdfSync } from "node:crypto";
import { before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { bareApiPage, bystanderOf, goesOn, sharedScene } from "../harness/pages.ts";

const STREAM = "revocation";
const STREAM_MOVED = 5;
const SESSION_ENDED = 7;
const NOT_ALLOWED = 3;

const scene = sharedScene();

/** An access token of the operator, as the edge would sign it. */
const operatorToken = (): string => {
  const { master, operator } = scene.system.system;
  const now = Math.floor(Date.now() / 1_000);
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: operator.address.toLowerCase(), iat: now, exp: now + 900 };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  const key = hkdfSync("sha256", Buffer.from(master, "hex"), new Uint8Array(), "streamchain/access/v1", 32);
  return `${signed}.${createHmac("sha256", Buffer.from(key)).update(signed).digest("base64url")}`;
};

const asOperator = async (method: string, path: string, body: unknown): Promise<void> => {
  const response = await fetch(`${scene.system.edge}${path}`, {
    method,
    headers: { authorization: `Bearer ${operatorToken()}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${await response.text()}`);
};

describe("a live session", () => {
  let page: Page;
  let bystander: Page;

  before(async () => {
    page = await bareApiPage(scene.browser, scene.system);
    bystander = await bystanderOf(scene.browser, scene.system, STREAM);
  });

  /** Opens a session by hand, and gives its author. */
  const open = (): Promise<string> =>
    page.evaluate(async (stream) => {
      let author = "";
      const ask = window.fetch;
      window.fetch = async (...asked) => {
        const response = await ask(...asked);
        author = response.headers.get("streamchain-author") ?? author;
        return response;
      };
      window.kept.raw = await window.tools.rawSession(stream);
      window.fetch = ask;
      return author;
    }, STREAM);

  /** The code of the relay's last word, once it has closed the channel. */
  const lastWord = (): Promise<number> =>
    page.evaluate(async () => {
      await window.kept.raw.closed();
      const said = window.kept.raw.frames.filter((frame) => frame.kind === "error");
      return (said.at(-1) as { code: number } | undefined)?.code ?? 0;
    });

  it("ends when its author's tokens are revoked, and no other does", async () => {
    const author = await open();
    assert.match(author, /^0x[0-9a-f]{40}$/);
    await asOperator("POST", "/v1/auth/revoke", { account: author });
    assert.equal(await lastWord(), SESSION_ENDED);
    await goesOn(bystander);
  });

  it("may only read once the stream is closed", async () => {
    await open();
    await asOperator("PATCH", `/v1/streams/${STREAM}`, { write: "closed" });
    assert.equal(await lastWord(), STREAM_MOVED);
    await open();
    const code = await page.evaluate(async () => {
      window.kept.raw.hello();
      await window.kept.raw.frame("welcome");
      window.kept.raw.publish(0, new Uint8Array([1]));
      return (await window.kept.raw.frame("error")).code;
    });
    assert.equal(code, NOT_ALLOWED);
  });
});
