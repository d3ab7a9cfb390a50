// The streams that match a pattern, for each of those who may read them, and the wait for new ones.

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  accessToken,
  asOperator,
  assertProblem,
  asUser,
  bearer,
  type Edge,
  OPERATOR,
  startEdge,
  until,
} from "./harness.ts";

const OWNER = `0x${"a1".repeat(20)}`;
const MEMBER = `0x${"b2".repeat(20)}`;
const STRANGER = `0x${"c3".repeat(20)}`;

interface Page {
  streams: { name: string; id: string }[];
  after: string;
  more?: boolean;
}

let edge: Edge;
before(async () => {
  edge = await startEdge();
});
after(() => edge.stop());

const ask = async (query: string, headers: Record<string, string> = {}): Promise<Page> => {
  const answer = await edge.get(`/v1/streams?${query}`, headers);
  assert.equal(answer.status, 200, answer.text);
  return answer.json as unknown as Page;
};

const names = ({ streams }: Page): string[] => streams.map(({ name }) => name);

/** Makes a stream of the operator, or of an owner, and waits until the database has it. */
const make = async (name: string, more: object = {}, headers = asOperator()): Promise<string> => {
  const made = await edge.postJson("/v1/streams", { name, ...more }, headers);
  assert.equal(made.status, 201, made.text);
  const owner = (made.json.owner as string) === OPERATOR ? asOperator() : headers;
  const isListed = async () => names(await ask(`match=${name}*&owner=${made.json.owner}`, owner)).includes(name);
  await until(`${name} is in the database`, isListed);
  return made.json.id as string;
};

describe("the streams of a pattern", () => {
  test("come in the order of their names, in pages, each once", async () => {
    for (const name of ["sensors.c", "sensors.a", "sensorsx", "sensors.b", "sensors.", "sensor"]) await make(name);
    const first = await ask("match=sensors.*&limit=2");
    assert.deepEqual([names(first), first.more], [["sensors.", "sensors.a"], true]);
    const second = await ask(`match=sensors.*&limit=2&after=${first.after}`);
    assert.deepEqual(names(second), ["sensors.b", "sensors.c"]);
    const third = await ask(`match=sensors.*&limit=2&after=${second.after}`);
    assert.deepEqual([names(third), third.more], [[], undefined]);
  });

  test("that are new are waited for, and come once", async () => {
    await make("later.a");
    const { after } = await ask("match=later.*");
    assert.deepEqual(names(await ask(`match=later.*&after=${after}`)), [], "without a wait it is answered at once");
    const asked = ask(`match=later.*&after=${after}&wait=20`);
    await make("elsewhere.a");
    await make("later.b");
    const found = await asked;
    assert.deepEqual(names(found), ["later.b"]);
    assert.deepEqual(names(await ask(`match=later.*&after=${found.after}`)), []);
  });

  test("of one owner are not those of another", async () => {
    await make("owned.x", { owner: OWNER }, asUser(OWNER));
    await make("owned.y");
    assert.deepEqual(names(await ask("match=owned.*")), ["owned.y"]);
    assert.deepEqual(names(await ask(`match=owned.*&owner=${OWNER}`)), ["owned.x"]);
  });
});

describe("a private stream", () => {
  const of = `match=secret.*&owner=${OWNER}`;
  let id: string;

  before(async () => {
    await make("secret.a", { owner: OWNER }, asUser(OWNER));
    id = await make("secret.plan", { owner: OWNER, read: "private" }, asUser(OWNER));
    await make("secret.z", { owner: OWNER }, asUser(OWNER));
  });

  test("is listed for its owner, the operator and its members alone", async () => {
    const put = { rights: ["read"] };
    const path = `/v1/streams/${id}/members/${MEMBER}`;
    const json = { "content-type": "application/json", ...asUser(OWNER) };
    const all = ["secret.a", "secret.plan", "secret.z"];
    const others = ["secret.a", "secret.z"];
    assert.deepEqual(names(await ask(of, asUser(MEMBER))), others);
    assert.equal((await edge.send("PUT", path, { headers: json, body: JSON.stringify(put) })).status, 200);
    for (const [who, seen] of [
      [asUser(OWNER), all],
      [asOperator(), all],
      [asUser(MEMBER), all],
      [asUser(STRANGER), others],
      [{}, others],
      [bearer(accessToken(OWNER, { scope: { streams: [id.slice(0, 42)], rights: ["write"] } })), []],
      [bearer(accessToken(OWNER, { scope: { rights: ["write"] } })), []],
    ] as const) {
      assert.deepEqual(names(await ask(of, { ...who })), seen, JSON.stringify(who));
    }
    assert.equal((await edge.send("DELETE", path, { headers: asUser(OWNER) })).status, 200);
    assert.deepEqual(names(await ask(of, asUser(MEMBER))), others);
  });

  test("changes nothing in what others are answered", async () => {
    // The same questions about names that are there and hidden, and about names that are not there.
    const hidden = await ask(`match=secret.p*&owner=${OWNER}&limit=1`, asUser(STRANGER));
    const absent = await ask(`match=secret.q*&owner=${OWNER}&limit=1`, asUser(STRANGER));
    assert.deepEqual(hidden, absent);
    const page = await ask(`${of}&limit=1`, asUser(STRANGER));
    const next = await ask(`${of}&limit=1&after=${page.after}`, asUser(STRANGER));
    assert.deepEqual([names(page), names(next)], [["secret.a"], ["secret.z"]]);
    assert.ok(!`${page.after}${next.after}`.includes("plan"));
  });
});

test("other patterns and cursors are refused", async () => {
  for (const query of ["match=*", "match=", "match=a", "match=a*b*", "match=A*", "match=_audit*", "match=%25*"]) {
    assertProblem(await edge.get(`/v1/streams?${query}`), 400, "bad-request");
  }
  for (const more of ["after=x", "after=1-", "after=-1", "wait=x"]) {
    assertProblem(await edge.get(`/v1/streams?match=a*&${more}`), 400, "bad-request");
  }
  assertProblem(await edge.get("/v1/streams?match=a*&owner=0x12"), 400, "bad-id");
});

test("a question that waits ends in time", async () => {
  const { after } = await ask("match=never.*");
  assert.deepEqual(names(await ask(`match=never.*&after=${after}&wait=1`)), []);
});
