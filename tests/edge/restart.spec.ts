// Restart: everything that was said to be stored is there afterwards, and the stream goes on.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertProblem, messagesOf, offer, PRODUCER, startEdge } from "./harness.ts";

test("all that was stored outlives the Worker", async () => {
  let edge = await startEdge();
  try {
    const relay = edge.relay("r1");
    const { id, short, epoch } = await edge.streamOn(relay, "demo");
    const session = await edge.postOffer("demo", await offer("chromium"));
    await relay.batch(short, epoch, 0, messagesOf(PRODUCER, 0, 10));
    await edge.flushed(id, 10);
    // Some of it is not in the database yet when the Worker stops.
    await relay.batch(short, epoch, 10, messagesOf(PRODUCER, 10, 5));
    const before = (await edge.get("/v1/streams/demo")).json;

    edge = await edge.restart();
    const after = edge.relay("r1");
    after.incarnation = relay.incarnation;
    assert.deepEqual((await edge.get("/v1/streams/demo")).json, before);
    const { messages } = (await edge.get("/v1/streams/demo/messages")).json as { messages: { seq: number }[] };
    assert.equal(messages.length, 15);
    assert.equal((await edge.postOffer("demo", await offer("chromium"))).status, 201, "the relay is still known");
    assert.equal((await after.acquireEpoch(short)).json.epoch, epoch, "the same run has the same epoch");
    assert.equal((await after.producer(short, PRODUCER, epoch)).json.stored, 14);
    const retry = await after.batch(short, epoch, 10, messagesOf(PRODUCER, 10, 5));
    assert.equal(retry.json.committed, 15, "the batch whose answer was perhaps lost");
    const stale = await after.batch(short, epoch + 1, 15, messagesOf(PRODUCER, 15, 1));
    assertProblem(stale, 409, "stale-epoch");
    assert.equal((await after.batch(short, epoch, 15, messagesOf(PRODUCER, 15, 1))).json.committed, 16);
    await edge.flushed(id, 16);

    const location = session.headers.get("location") as string;
    const token = session.headers.get("streamchain-access-token") as string;
    const ended = await edge.send("DELETE", location, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(ended.status, 200);
    assert.equal(((await after.register()).json.notices as unknown[]).length, 1);
  } finally {
    await edge.stop();
  }
});
