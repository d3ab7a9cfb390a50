// Rights that are over are over at once: on event streams, in the answers to batches, and in the notices of relays.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { accessToken, asOperator, asUser, bearer, type Edge, type Json, messagesOf, startEdge } from "./harness.ts";

const WRITER = `0x${"ab".repeat(20)}`;
const MEMBER = `0x${"cd".repeat(20)}`;

let edge: Edge;

before(async () => {
  edge = await startEdge();
});
after(() => edge.stop());

/** An event stream whose first event came; and what else it sends, until it ends or sends a message. */
const opened = async (path: string, headers: Record<string, string> = {}) => {
  const response = await edge.raw(path, { headers });
  assert.equal(response.status, 200);
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  const first = decoder.decode((await reader.read()).value);
  assert.match(first, /^event: state$/m);
  const read = async (): Promise<string> => {
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return text;
      text += decoder.decode(value, { stream: true });
      if (/^event: stored$/m.test(text)) await reader.cancel();
    }
  };
  return { rest: read() };
};

const post = async (stream: string): Promise<void> => {
  const answer = await edge.postJson(`/v1/streams/${stream}/messages`, { text: "late" }, bearer(accessToken(WRITER)));
  assert.equal(answer.status, 201, answer.text);
};

const patch = async (stream: string, change: Json): Promise<void> => {
  const headers = { ...asOperator(), "content-type": "application/json" };
  const answer = await edge.send("PATCH", `/v1/streams/${stream}`, { headers, body: JSON.stringify(change) });
  assert.equal(answer.status, 200, answer.text);
};

const putMember = async (stream: string, rights: string[]): Promise<void> => {
  const headers = { ...asOperator(), "content-type": "application/json" };
  const path = `/v1/streams/${stream}/members/${MEMBER}`;
  const answer = await edge.send("PUT", path, { headers, body: JSON.stringify({ rights }) });
  assert.equal(answer.status, 200, answer.text);
};

test("a reader who waits gets nothing once the stream is private", async () => {
  await edge.postJson("/v1/streams", { name: "shut" });
  const { rest } = await opened("/v1/streams/shut/events");
  await patch("shut", { read: "private" });
  await post("shut");
  assert.doesNotMatch(await rest, /event: stored/, "the response ended before the message");
});

test("a member who was removed gets nothing more", async () => {
  await edge.postJson("/v1/streams", { name: "members", read: "private" }, asOperator());
  await putMember("members", ["read"]);
  const { rest } = await opened("/v1/streams/members/events", asUser(MEMBER));
  const path = `/v1/streams/members/members/${MEMBER}`;
  assert.equal((await edge.send("DELETE", path, { headers: asOperator() })).status, 200);
  await post("members");
  assert.doesNotMatch(await rest, /event: stored/);
});

test("an account whose tokens were revoked gets nothing more", async () => {
  await edge.postJson("/v1/streams", { name: "tokens", read: "private" }, asOperator());
  await putMember("tokens", ["read"]);
  const { rest } = await opened("/v1/streams/tokens/events", asUser(MEMBER));
  const revoked = await edge.postJson("/v1/auth/revoke", {}, asUser(MEMBER));
  assert.equal(revoked.status, 200, revoked.text);
  await post("tokens");
  assert.doesNotMatch(await rest, /event: stored/);
});

test("the next answer to a batch names sessions that are over", async () => {
  const relay = edge.relay("r1");
  const { short, epoch } = await edge.streamOn(relay, "batches");
  const producer = Buffer.alloc(16, 1);
  const first = await relay.batch(short, epoch, 0, messagesOf(producer, 0, 1));
  assert.equal(first.json.withdrawn, undefined, first.text);
  await patch("batches", { read: "private" });
  const second = await relay.batch(short, epoch, 1, messagesOf(producer, 1, 1));
  const [withdrawn] = (second.json.withdrawn ?? []) as Json[];
  assert.equal(withdrawn?.author, null, second.text);
  assert.equal(typeof withdrawn?.before, "number");
  await relay.goodbye();
});

test("thirty changes of a member are one notice", async () => {
  const relay = edge.relay("r2");
  const { short } = await edge.streamOn(relay, "changes");
  for (let change = 0; change < 30; change++)
    await putMember("changes", change % 2 === 0 ? ["read"] : ["read", "write"]);
  const notices = (await relay.register()).json.notices as Json[];
  const withdrawn = notices.filter(({ kind, stream }) => kind === "withdrawn" && stream === short);
  assert.deepEqual(
    withdrawn.map(({ author }) => author),
    [MEMBER],
  );
  await relay.goodbye();
});
