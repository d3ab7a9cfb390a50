// Which stream a connection signs for: no id is the edge's word alone.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { streamId } from "../src/lib/chain/merkle.ts";
import { StreamIdentity } from "../src/lib/connection/stream-id.ts";
import type { StreamChainError } from "../src/lib/errors.ts";
import { EdgeClient } from "../src/lib/http/edge-client.ts";
import { fromHex, type Hex, toHex } from "../src/lib/wire/bytes.ts";
import { problem } from "./support/edge-parts.ts";
import { testPlatform, VirtualClock } from "./support/surroundings.ts";

const OWNER: Hex = `0x${"22".repeat(20)}`;
const ID = toHex(streamId(fromHex(OWNER, 20), "demo"));
const SHORT = ID.slice(0, 42);
const SHOWN = { id: ID, name: "demo", owner: OWNER, stored: 0 };

/** The identity of a stream that is called so, at an edge that gives these answers in turn, the last one again and again. */
function identityOf(stream: string, ...answers: (() => Response)[]): { identity: StreamIdentity; asked: string[] } {
  const asked: string[] = [];
  const edge = new EdgeClient("https://edge.test", async (input) => {
    asked.push(new URL(String(input)).pathname);
    const answer = answers.length > 1 ? answers.shift() : answers[0];
    return (answer as () => Response)();
  });
  const platform = testPlatform(new VirtualClock(), {});
  const { signal } = new AbortController();
  return { identity: new StreamIdentity(edge, stream, platform, Promise.resolve(), signal), asked };
}

const showing =
  (parts: Partial<typeof SHOWN> = {}) =>
  () =>
    Response.json({ ...SHOWN, ...parts });
const code = (expected: string) => (error: StreamChainError) => error.code === expected;

describe("the stream of a short id", () => {
  test("is the one of the owner and the name that the edge shows", async () => {
    const { identity, asked } = identityOf(SHORT, showing());
    assert.equal(toHex(await identity.id()), ID);
    const { id, name } = await identity.place();
    assert.deepEqual([toHex(id), name], [ID, "demo"]);
    assert.deepEqual(asked, [`/v1/streams/${SHORT}`], "the edge is asked once");
  });

  test("is no other that begins so, whatever the edge says", async () => {
    const id: Hex = `${SHORT as Hex}${"00".repeat(12)}`;
    const { identity } = identityOf(SHORT, showing({ id }));
    identity.belongsTo(`0x${"33".repeat(20)}`);
    assert.equal(toHex(await identity.id()), ID, "the end of an id is never the edge's word");
    await assert.rejects(identityOf(SHORT, showing({ id, name: "other" })).identity.id(), code("malformed"));
  });
});

describe("the name of a stream", () => {
  test("is that which the stream is called by", async () => {
    const { identity } = identityOf("demo", showing());
    identity.belongsTo(OWNER);
    const { id, name } = await identity.place();
    assert.deepEqual([toHex(id), name], [ID, "demo"]);
  });

  test("is the edge's for a whole id, if it gives the id", async () => {
    const { identity, asked } = identityOf(ID.toUpperCase().replace("0X", "0x"), showing());
    assert.equal(toHex(await identity.id()), ID);
    assert.deepEqual(asked, [], "an id alone is not asked about");
    for (let times = 0; times < 2; times++) assert.equal((await identity.place()).name, "demo");
    assert.equal(asked.length, 1);
    for (const other of [{ name: "other" }, { owner: `0x${"33".repeat(20)}` as Hex }]) {
      await assert.rejects(identityOf(ID, showing(other)).identity.place(), code("malformed"));
    }
  });

  test("is not known while the edge does not show the stream", async () => {
    const { identity } = identityOf(ID, problem(404, "no-such-stream"), problem(503, "unavailable"), showing());
    const { id, name } = await identity.place();
    assert.deepEqual([toHex(id), name], [ID, undefined]);
    await assert.rejects(identity.place(), code("refused"));
    assert.equal((await identity.place()).name, "demo");
  });
});
