// `streamchain sub 'sensors.*'`: every stream that matches, those that are there and those that are made meanwhile.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { eventually, runningSystem, type TestSystem } from "../harness/system.ts";
import { Run } from "./streamchain.ts";

let system: TestSystem;
before(async () => {
  system = await runningSystem({});
});
after(() => system?.stop());

const publish = async (stream: string, lines: readonly string[], ...options: string[]): Promise<void> => {
  const pub = new Run(system, ["pub", stream, ...options]);
  pub.child.stdin.end(lines.map((line) => `${line}\n`).join(""));
  assert.equal(await pub.ended, 0, pub.error);
};

/** The edge lists so many streams that match. */
const listed = (pattern: string, count: number): Promise<boolean> =>
  eventually(`${count} streams match ${pattern}`, async () => {
    const { streams } = await system.get<{ streams: object[] }>(`/v1/streams?match=${pattern}`);
    return streams.length === count;
  });

interface Shown {
  readonly stream: string;
  readonly seq: number;
  readonly text: string;
  readonly signed?: { voucher: string };
}

const shown = (run: Run): Shown[] =>
  run.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));

/** What was written of each stream, in the order in which it was. */
const byStream = (run: Run): Record<string, string[]> => {
  const all: Record<string, string[]> = {};
  for (const { stream, text } of shown(run)) all[stream] = [...(all[stream] ?? []), text];
  return all;
};

describe("the streams of a pattern", () => {
  it("are read, also those that are made meanwhile", async () => {
    await publish("plant.a", ["a0", "a1"]);
    await publish("plant.b", ["b0"]);
    await publish("plants", ["none of them"]);
    await listed("plant.*", 2);
    for (const way of [[], ["--http"]]) {
      const made = `plant.c${way.length}`;
      const before = {
        "plant.a": ["a0", "a1"],
        "plant.b": ["b0"],
        ...(way.length > 0 && { "plant.c0": ["c0", "c1"] }),
      };
      const there = Object.values(before).flat().length;
      const sub = new Run(system, ["sub", "plant.*", "--from", "0", "--count", `${there + 2}`, "--json", ...way]);
      await sub.wrote(there);
      await publish(made, ["c0", "c1"]);
      assert.equal(await sub.ended, 0, sub.error);
      assert.deepEqual(byStream(sub), { ...before, [made]: ["c0", "c1"] });
    }
  });

  it("begin now if they are there, and at 0 if they are new", async () => {
    await publish("fresh.old", ["before"]);
    await listed("fresh.*", 1);
    const sub = new Run(system, ["sub", "fresh.*", "--count", "3", "--json"]);
    await eventually("fresh.old is read", async () => sub.error.includes("fresh.old: connected"));
    await publish("fresh.new", ["first", "second"]);
    await publish("fresh.old", ["since"]);
    assert.equal(await sub.ended, 0, sub.error);
    assert.deepEqual(byStream(sub), { "fresh.old": ["since"], "fresh.new": ["first", "second"] });
  });

  it("have their names before each line of text", async () => {
    await publish("text.a", ['{"text":"one\\ntext.b\\ttwo"}'], "--json");
    const sub = new Run(system, ["sub", "text.*", "--from", "0", "--count", "1"]);
    assert.equal(await sub.ended, 0, sub.error);
    assert.equal(sub.out, "text.a\tone\ntext.a\ttext.b\ttwo\n", "no author writes a line of another stream");
  });

  it("of an owner are not those of the operator", async () => {
    const post = async (path: string, body: object, token = ""): Promise<Record<string, string>> => {
      const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
      const answer = await fetch(`${system.edge}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
      return (await answer.json()) as Record<string, string>;
    };
    const { token = "", author = "" } = await post("/v1/auth/guest", {});
    const { id = "" } = await post("/v1/streams", { name: "own.a", owner: author }, token);
    await publish("own.b", ["the operator's"]);
    await publish(id, ["the owner's"]);
    for (const [options, expected] of [
      [["--owner", author], "own.a\tthe owner's\n"],
      [[], "own.b\tthe operator's\n"],
    ] as const) {
      const sub = new Run(system, ["sub", "own.*", "--from", "0", "--count", "1", ...options]);
      assert.equal(await sub.ended, 0, sub.error);
      assert.equal(sub.out, expected);
    }
  });
});

describe("the streams of a pattern with --verify", () => {
  it("have who vouches for each message", async () => {
    await publish("proven.a", ["a"]);
    await publish("proven.b", ["b"]);
    const sub = new Run(system, ["sub", "proven.*", "--from", "0", "--count", "2", "--verify", "--json"]);
    assert.equal(await sub.ended, 0, sub.error);
    assert.deepEqual(
      shown(sub).map(({ signed }) => signed?.voucher),
      ["self", "self"],
    );
  });

  it("end with 1 at a message that is not signed", async () => {
    await publish("doubt.a", ["nobody's"], "--unsigned");
    const sub = new Run(system, ["sub", "doubt.*", "--from", "0", "--verify"]);
    assert.equal(await sub.ended, 1, sub.error);
    assert.match(sub.error, /doubt\.a: message 0: it is not signed/);
  });
});
