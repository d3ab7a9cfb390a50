// Who may have settings that spend the operator's gas, off development chains.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { type Answer, asOperator, assertProblem, asUser, type Edge, OPERATOR, startEdge } from "./harness.ts";

const LISTED = `0x${"a1".repeat(20)}`;
const STRANGER = `0x${"b2".repeat(20)}`;
const STATE = ["mode", "prove", "anchoredAs"] as const;

let edge: Edge;
before(async () => {
  edge = await startEdge({ vars: { CHAIN_ID: "1" } });
});
after(() => edge.stop());

const patch = (id: unknown, settings: object, token: Record<string, string>): Promise<Answer> =>
  edge.send("PATCH", `/v1/streams/${id}`, {
    headers: { "content-type": "application/json", ...token },
    body: JSON.stringify(settings),
  });

const shown = async (id: unknown, token: Record<string, string>): Promise<unknown[]> => {
  const { json } = await edge.get(`/v1/streams/${id}`, token);
  return STATE.map((name) => json[name]);
};

test("a stranger's stream that would spend gas is not made", async () => {
  const wanted = [
    [{ mode: "hash" }, "mode"],
    [{ mode: "payload", prove: true }, "mode"],
    [{ prove: true }, "prove"],
  ] as const;
  for (const [settings, field] of wanted) {
    const body = { name: "costly", owner: STRANGER, ...settings };
    for (const token of [asUser(STRANGER), asOperator()]) {
      const problem = assertProblem(await edge.postJson("/v1/streams", body, token), 403, "gas-not-granted");
      assert.equal(problem.field, field);
      assert.match(problem.detail as string, /GAS_OWNERS/);
    }
  }
  const made = await edge.postJson("/v1/streams", { name: "costly", owner: STRANGER }, asUser(STRANGER));
  assert.equal(made.status, 201, "none of those made it");
});

test("a change that would spend gas is refused, others are not", async () => {
  const token = asUser(STRANGER);
  const { json } = await edge.postJson("/v1/streams", { name: "changing", owner: STRANGER }, token);
  const change = (settings: object) => patch(json.id, settings, token);
  assertProblem(await change({ mode: "payload" }), 403, "gas-not-granted");
  assertProblem(await change({ prove: true, write: "closed" }), 403, "gas-not-granted");
  assert.equal((await change({ mode: "root", prove: false, write: "closed" })).status, 200);
  assert.deepEqual(await shown(json.id, token), ["root", false, undefined]);
});

test("the operator's and listed owners' streams may spend gas", async () => {
  const made = await edge.postJson("/v1/streams", { name: "own", mode: "payload", prove: true }, asOperator());
  assert.equal(made.status, 201, made.text);
  assert.equal(made.json.owner, OPERATOR);
  edge = await edge.restart({ vars: { CHAIN_ID: "1", GAS_OWNERS: LISTED } });
  const token = asUser(LISTED);
  const theirs = await edge.postJson("/v1/streams", { name: "listed", owner: LISTED, mode: "hash" }, token);
  assert.equal(theirs.status, 201, theirs.text);
  assert.deepEqual(await shown(theirs.json.id, token), ["hash", false, undefined]);

  // The operator takes the owner off the list: the stream stays, and falls back to its roots.
  edge = await edge.restart({ vars: { CHAIN_ID: "1" } });
  assert.deepEqual(await shown(theirs.json.id, token), ["hash", false, "root"]);
  const closed = await patch(theirs.json.id, { mode: "hash", write: "closed" }, token);
  assert.equal(closed.status, 200, "what it has is no new wish");
  assert.equal(closed.json.anchoredAs, "root");
});
