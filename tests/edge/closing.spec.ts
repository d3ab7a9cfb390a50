// A stream that is closed while a request reads the database: what was read is not given out.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { asOperator, type Edge, startEdge } from "./harness.ts";

/** Says each read of the database to the test, and waits for its answer, before the Worker gets the rows. */
const WATCHED = `
  import { env } from "cloudflare:workers";
  const prototype = Object.getPrototypeOf(env.DB.prepare("SELECT 1"));
  for (const method of ["raw", "all"]) {
    const original = prototype[method];
    prototype[method] = async function (...values) {
      const rows = await original.apply(this, values);
      await fetch("http://test.invalid/read", { method: "POST", body: String(this.statement) });
      return rows;
    };
  }
  export * from "./index.js";
  export { default } from "./index.js";
`;

let edge: Edge;
/** Called with each statement that read. */
let onRead: (statement: string) => Promise<void> = async () => {};

before(async () => {
  edge = await startEdge({
    around: [{ type: "ESModule", name: "watched.js", contents: WATCHED }],
    outbound: async (request) => {
      if (!request.url.startsWith("http://test.invalid/")) return new Response("down", { status: 503 });
      await onRead(await request.text());
      return new Response("go on");
    },
  });
});
after(() => edge.stop());

const close = async (stream: string): Promise<void> => {
  const headers = { ...asOperator(), "content-type": "application/json" };
  const body = JSON.stringify({ read: "private" });
  const answer = await edge.send("PATCH", `/v1/streams/${stream}`, { headers, body });
  assert.equal(answer.status, 200, answer.text);
};

for (const [path, table] of [
  ["segments", "segments"],
  ["anchors", "anchors"],
  ["chain", "chain_events"],
  ["messages/0/receipt", "anchors"],
] as const) {
  test(`a page of ${path} that was being read is not given out`, async () => {
    const relay = edge.relay("r1");
    const name = `closing-${path.replaceAll("/", "-")}`;
    const stream = await edge.streamOn(relay, name);
    await edge.storeSegments(relay, stream, [2]);
    assert.equal((await edge.get(`/v1/streams/${name}/segments`)).status, 200, "it is public before");
    let closed = 0;
    onRead = async (statement) => {
      if (closed > 0 || !new RegExp(`FROM ${table}\\b`).test(statement)) return;
      closed += 1;
      await close(name);
    };
    const answer = await edge.get(`/v1/streams/${name}/${path}`);
    onRead = async () => {};
    assert.equal(closed, 1, "it was closed while the database was read");
    assert.ok([401, 404].includes(answer.status), `${answer.status} ${answer.text}`);
    assert.doesNotMatch(answer.text, /not-anchored|"segments"|"anchors"|"events"/);
  });
}
