// A panic takes the WebAssembly instance away, and with it every request that it was working on. The product has no way to
// panic on purpose, so here the platform makes it: the address of a request is read by Rust, and reading that of a
// request with `?trap` runs into an instruction `unreachable`, as a panic does.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Answer, assertProblem, type Edge, startEdge } from "./harness.ts";

/** `(module (func (export "trap") unreachable))` */
const TRAP = Buffer.from("0061736d0100000001040160000003020100070801047472617000000a05010300000b", "hex");

const TRAPPING = `
  import trap from "./trap.wasm";
  const { exports } = new WebAssembly.Instance(trap);
  const { get, ...rest } = Object.getOwnPropertyDescriptor(Request.prototype, "url");
  Object.defineProperty(Request.prototype, "url", {
    ...rest,
    get() {
      const url = get.call(this);
      if (url.endsWith("?trap")) exports.trap();
      return url;
    },
  });
  export * from "./index.js";
  export { default } from "./index.js";
`;

let edge: Edge;
/** The requests that reached the node, each to be answered when the test says so. */
const atNode: (() => void)[] = [];

before(async () => {
  edge = await startEdge({
    around: [
      { type: "ESModule", name: "trapping.js", contents: TRAPPING },
      { type: "CompiledWasm", name: "trap.wasm", contents: TRAP },
    ],
    outbound: () => new Promise((resolve) => atNode.push(() => resolve(new Response("down", { status: 503 })))),
  });
});
after(async () => {
  for (const answer of atNode) answer();
  await edge.stop();
});

const isLost = (answer: Answer): void => {
  const { detail } = assertProblem(answer, 500, "internal");
  assert.match(String(detail), /may be sent again/);
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
};

test("a request that panics is answered with a problem", async () => {
  for (let time = 0; time < 3; time += 1) {
    isLost(await edge.get("/v1/health?trap"));
    assert.equal((await edge.get("/v1/health")).status, 200);
  }
});

test("a request that waited meanwhile is answered too", async () => {
  const asked = atNode.length;
  const waiting = edge.get("/v1/costs");
  while (atNode.length === asked) await new Promise((resolve) => setTimeout(resolve, 10));
  isLost(await edge.get("/v1/health?trap"));
  isLost(await waiting);
});

test("what was stored before is there, and streams go on", async () => {
  const made = await edge.postJson("/v1/streams", { name: "lasting" });
  assert.equal(made.status, 201, made.text);
  isLost(await edge.get("/v1/streams/lasting?trap"));
  assert.equal((await edge.get("/v1/streams/lasting")).json.id, made.json.id);
});

test("the answer to HEAD has no body", async () => {
  const answer = await edge.send("HEAD", "/v1/health?trap");
  assert.deepEqual([answer.status, answer.text], [500, ""]);
});
