// A stream whose anchors are shared offers its runs to its batcher, which is played by a class of this test.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { asOperator, type Edge, type FakeRelay, messagesOf, PRODUCER, startEdge, until } from "./harness.ts";

/** A batcher that answers `OfferRun` as its storage says, and tells what it was offered. */
const BATCHER = `
  import { DurableObject } from "cloudflare:workers";
  export * from "./index.js";
  export { default } from "./index.js";
  export class Batcher extends DurableObject {
    async fetch(request) {
      const { pathname } = new URL(request.url);
      const { storage } = this.ctx;
      if (pathname === "/offers") return Response.json((await storage.get("offers")) ?? []);
      if (pathname === "/answer") {
        const [answer] = await request.json();
        await storage.put("answer", answer);
        return new Response();
      }
      if (!pathname.startsWith("/OfferRun")) return new Response();
      const [stream, owner, first, count, root, watched] = await request.json();
      const offers = (await storage.get("offers")) ?? [];
      await storage.put("offers", [...offers, { stream, owner, first, count, root, watched }]);
      const { begin = first, refused = null } = (await storage.get("answer")) ?? {};
      return new Response(JSON.stringify([begin, refused]));
    }
  }
`;

interface Offer {
  stream: string;
  first: number;
  count: number;
  root: string;
  watched: boolean;
}

let edge: Edge;
let relay: FakeRelay;
before(async () => {
  edge = await startEdge({
    around: [{ type: "ESModule", name: "batcher.js", contents: BATCHER }],
    vars: { SEGMENT_MAX_AGE_MS: "200", ANCHOR_INTERVAL_MS: "300" },
  });
  relay = edge.relay("r1");
});
after(() => edge.stop());

/** The object of a stream's bucket group: there are 16 of 16 buckets each. */
const group = (id: string): string => `${Number(id.slice(0, 4)) & 0xf0}`;

const answerWith = async (id: string, answer: object): Promise<void> => {
  assert.equal((await edge.ask("BATCHER", group(id), "answer", answer)).status, 200);
};

const offersOf = async (id: string): Promise<Offer[]> => {
  const offers = (await edge.ask("BATCHER", group(id), "offers")).json as unknown as Offer[];
  return offers.filter(({ stream }) => stream === id);
};

const newest = (id: string, end: number): Promise<Offer> =>
  until(`a run up to ${end} is offered`, async () => {
    const last = (await offersOf(id)).at(-1);
    return last !== undefined && last.first + last.count === end && last;
  });

const made = (name: string) => edge.streamOn(relay, name, { anchor: "shared" });

const store = async (
  { id, short, epoch }: { id: string; short: string; epoch: number },
  first: number,
  count: number,
) => {
  const answer = await relay.batch(short, epoch, first, messagesOf(PRODUCER, first, count));
  assert.equal(answer.status, 200, answer.text);
  await edge.flushed(id, first + count);
};

test("a run grows until a round has it, the next begins there", async () => {
  const stream = await made("rounds");
  await store(stream, 0, 3);
  const first = await newest(stream.id, 3);
  assert.deepEqual([first.first, first.watched], [0, true]);
  const segments = async () => (await edge.get("/v1/streams/rounds/segments")).json.segments as { root: string }[];
  assert.equal(first.root, (await segments())[0]?.root, "of one segment the root is the run's");
  await store(stream, 3, 2);
  assert.equal((await newest(stream.id, 5)).first, 0, "in no round yet");

  await answerWith(stream.id, { begin: 3 });
  await store(stream, 5, 1);
  // The first offer of them may still be from the old beginning: its answer says where the run begins.
  const next = await until("a run is offered that begins there", async () =>
    (await offersOf(stream.id)).find(({ first, count }) => first + count === 6 && first === 3),
  );
  assert.equal(next.count, 3);
  const database = await edge.database();
  const rows = await database.prepare("SELECT DISTINCT anchor FROM segments WHERE stream = ?").bind(stream.id).all();
  assert.deepEqual(rows.results, [{ anchor: "shared" }]);
});

test("a stream that becomes shared offers what it seals then", async () => {
  const { id, short, epoch } = await edge.streamOn(relay, "changed", { anchor: "own" });
  await store({ id, short, epoch }, 0, 4);
  const changed = await edge.send("PATCH", `/v1/streams/${id}`, {
    headers: { "content-type": "application/json", ...asOperator() },
    body: JSON.stringify({ anchor: "shared" }),
  });
  assert.equal(changed.status, 200, changed.text);
  await store({ id, short, epoch }, 4, 2);
  const offered = await newest(id, 6);
  assert.deepEqual([offered.first, offered.count], [4, 2]);
});

test("a refusal keeps the stream going, and it offers again", async () => {
  const stream = await made("refused");
  await answerWith(stream.id, { refused: "the share of the account is full" });
  await store(stream, 0, 2);
  await newest(stream.id, 2);
  await store(stream, 2, 1);
  assert.equal((await edge.get("/v1/streams/refused")).json.head, 3);
  await answerWith(stream.id, {});
  // An object that begins anew does not know of the refusal, and need not wait for its end.
  edge = await edge.restart({
    around: [{ type: "ESModule", name: "batcher.js", contents: BATCHER }],
    vars: { SEGMENT_MAX_AGE_MS: "200", ANCHOR_INTERVAL_MS: "300" },
  });
  assert.equal((await edge.get("/v1/streams/refused")).json.head, 3);
  assert.equal((await newest(stream.id, 3)).first, 0);
});
