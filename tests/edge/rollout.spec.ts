// While a new version is rolled out: the Worker is of this version, the objects of streams are still of the one before, which
// has no method but those that the platform calls.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertProblem, type Edge, messagesOf, PRODUCER, startEdge } from "./harness.ts";

const VERSION_BEFORE = `
  import { DurableObject } from "cloudflare:workers";
  import * as built from "./index.js";
  export * from "./index.js";
  export { default } from "./index.js";
  if (typeof built.Stream.prototype.call !== "function") throw new Error("this version has no such method either");
  export class Stream extends DurableObject {
    #inner;
    constructor(state, env) {
      super(state, env);
      this.#inner = new built.Stream(state, env);
    }
    fetch(request) {
      return this.#inner.fetch(request);
    }
    alarm() {
      return this.#inner.alarm();
    }
  }
`;

let edge: Edge;
before(async () => {
  edge = await startEdge({ around: [{ type: "ESModule", name: "before.js", contents: VERSION_BEFORE }] });
});
after(() => edge.stop());

test("objects of the version before are asked by HTTP", async () => {
  const relay = edge.relay("r1");
  await relay.register();
  const { short, epoch } = await edge.streamOn(relay, "before");
  const stored = await relay.batch(short, epoch, 0, messagesOf(PRODUCER, 0, 3));
  assert.deepEqual([stored.status, stored.json], [200, { committed: 3 }]);
  const refused = assertProblem(await relay.batch(short, epoch, 7, messagesOf(PRODUCER, 7, 1)), 409, "gap");
  assert.equal(refused.expected, 3, "a problem is whole");
});
