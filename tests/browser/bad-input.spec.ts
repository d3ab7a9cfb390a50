// Rubbish from clients: each is refused with its reason, harms nobody else, and the next request is served.

import assert from "node:assert/strict";
import { afterEach, before, describe, it } from "node:test";
import type { Page } from "playwright-core";
import { bareApiPage, bystanderOf, goesOn, sharedScene } from "../harness/pages.ts";

const STREAM = "bad-input";
const MAX_PAYLOAD_BYTES = 65_536;
const MALFORMED = 1;
const TOO_LARGE = 2;
const PRODUCER_GAP = 4;
const UNEXPECTED = 9;

const OFFER_WITHOUT_FINGERPRINT = [
  "v=0",
  "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
  "s=-",
  "t=0 0",
  "a=group:BUNDLE 0",
  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
  "c=IN IP4 0.0.0.0",
  "a=ice-ufrag:abcd",
  "a=ice-pwd:abcdefghijklmnopqrstuvwx",
  "a=setup:actpass",
  "a=mid:0",
  "a=sctp-port:5000",
  "",
].join("\r\n");

const scene = sharedScene();

describe("bad input", () => {
  let page: Page;
  /** Answers as long as nobody else's rubbish harms it. */
  let bystander: Page;

  before(async () => {
    page = await bareApiPage(scene.browser, scene.system);
    bystander = await bystanderOf(scene.browser, scene.system, STREAM);
  });

  afterEach(async () => {
    await goesOn(bystander);
    assert.equal((await fetch(`${scene.system.edge}/v1/health`)).status, 200);
    assert.ok(scene.system.system.parts.relay.running && scene.system.system.parts.edge.running);
  });

  it("an offer is refused with a reason", async () => {
    const refusal = await page.evaluate(
      async ({ body, stream }) => {
        const headers = { "content-type": "application/sdp" };
        const response = await fetch(`/v1/streams/${stream}/sessions`, { method: "POST", headers, body });
        const problem = (await response.json()) as { type: string; detail: string };
        return { status: response.status, contentType: response.headers.get("content-type"), problem };
      },
      { body: OFFER_WITHOUT_FINGERPRINT, stream: STREAM },
    );
    assert.equal(refusal.status, 400);
    assert.match(refusal.contentType ?? "", /^application\/problem\+json/);
    assert.equal(refusal.problem.type, "https://streamchain.dev/problems/bad-offer");
    assert.match(refusal.problem.detail, /fingerprint/);
  });

  it("a message over 64 KiB is a typed error in the client", async () => {
    const outcome = await page.evaluate(async (size) => {
      const { lib } = window.tools;
      const connection = lib.connect({ stream: "oversize-in-client" });
      await connection.publish("first").stored;
      const codes: unknown[] = [];
      try {
        connection.publish(new Uint8Array(size + 1));
      } catch (error) {
        codes.push(error instanceof lib.StreamChainError && error.code);
      }
      const largest = await connection.publish(new Uint8Array(size)).stored;
      connection.close();
      return { codes, largest };
    }, MAX_PAYLOAD_BYTES);
    assert.deepEqual(outcome, { codes: ["too-large"], largest: 1 });
  });

  it("a frame with a message over 64 KiB gets an error frame", async () => {
    const outcome = await page.evaluate(async (size) => {
      const session = await window.tools.rawSession("oversize-on-the-wire");
      session.hello();
      await session.frame("welcome");
      session.publish(0, new Uint8Array(size + 1));
      const error = await session.frame("error");
      session.publish(0, new Uint8Array([1, 2, 3])); // nothing was taken: the number is still free
      const accepted = await session.frame("accepted");
      session.close();
      return { code: error.code, seq: accepted.seq };
    }, MAX_PAYLOAD_BYTES);
    assert.deepEqual(outcome, { code: TOO_LARGE, seq: 0 });
  });

  it("malformed CBOR closes that session with an error frame", async () => {
    const rubbish = [
      [0xff, 0xff, 0xff, 0xff],
      [0x82, 0x01], // an array that ends too soon
      [0x9f, 0x02, 0xff], // indefinite length
      [0xa1, 0x01, 0x02], // a map
      [0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // an array of 2^64 - 1
      [0x82, 0x02, 0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // bytes of 2^63 - 1
    ];
    const outcomes = await page.evaluate(
      ({ rubbish, stream }) =>
        Promise.all(
          rubbish.map(async (bytes) => {
            const session = await window.tools.rawSession(stream);
            session.send(new Uint8Array(bytes));
            await session.closed();
            const error = session.frames.find((frame) => frame.kind === "error");
            session.close();
            return error?.kind === "error" ? error.code : null;
          }),
        ),
      { rubbish, stream: STREAM },
    );
    assert.deepEqual(
      outcomes,
      rubbish.map(() => MALFORMED),
    );
  });

  it("frames in the wrong order get an error frame", async () => {
    const codes = await page.evaluate(async () => {
      const session = await window.tools.rawSession("out-of-order");
      session.publish(0, new Uint8Array([1]));
      const early = await session.frame("error");
      session.hello();
      await session.frame("welcome");
      session.frames.length = 0;
      session.publish(5, new Uint8Array([1]));
      const gap = await session.frame("error");
      session.publish(0, new Uint8Array([1]));
      await session.frame("accepted");
      session.close();
      return [early.code, gap.code];
    });
    assert.deepEqual(codes, [UNEXPECTED, PRODUCER_GAP]);
  });
});
