// `streamchain pub` and `streamchain sub` as two processes, with the relay killed between them: no line is lost, doubled
// or out of order.

import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { runningSystem, type TestSystem } from "../harness/system.ts";
import { Run } from "./streamchain.ts";

const LINES = 100_000;
const line = (number: number): string => `${number} of the lines that are published\n`;
const linesOf = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, index) => line(from + index)).join("");

let system: TestSystem;
before(async () => {
  system = await runningSystem({});
});
after(() => system.stop());

describe("a hundred thousand lines through pub and sub", () => {
  it("arrive once and in order with the relay killed midway", async () => {
    const sub = new Run(system, ["sub", "lines", "--from", "0", "--count", `${LINES}`]);
    const pub = new Run(system, ["pub", "lines"]);
    const start = Date.now();
    pub.child.stdin.write(linesOf(0, LINES / 2));
    await sub.wrote(LINES / 4);
    pub.child.stdin.end(linesOf(LINES / 2, LINES));
    await sub.wrote(LINES / 2);
    await system.system.kill("relay");
    assert.ok(sub.lines < LINES, `${sub.lines} lines were there when the relay was killed`);
    await system.system.restart("relay");
    assert.equal(await pub.ended, 0, pub.error);
    assert.equal(await sub.ended, 0, sub.error);
    const seconds = (Date.now() - start) / 1_000;
    assert.ok(sub.out === linesOf(0, LINES), "the output is the input");
    const { stored } = await system.get<{ stored: number }>("/v1/streams/lines");
    assert.equal(stored, LINES, "and nothing else is stored");
    console.log(
      `    ${LINES} lines in ${seconds.toFixed(1)} s, ${Math.round(LINES / seconds)} a second, one relay killed`,
    );
  });

  it("are not stored again by a second run of the same producer", async () => {
    const key = await (await fetch(`${system.edge}/v1/auth/guest`, { method: "POST" })).json();
    const env = { STREAMCHAIN_TOKEN: key.token as string };
    const args = ["pub", "again", "--producer", "ab".repeat(16)];
    for (const count of [1_000, 1_500]) {
      const pub = new Run(system, args, env);
      pub.child.stdin.end(linesOf(0, count));
      assert.equal(await pub.ended, 0, pub.error);
      const { stored } = await system.get<{ stored: number }>("/v1/streams/again");
      assert.equal(stored, count);
    }
  });

  it("go by HTTP where no relay is alive", async () => {
    await system.system.stopPart("relay");
    const pub = new Run(system, ["pub", "without-relay"]);
    const sub = new Run(system, ["sub", "without-relay", "--from", "0", "--count", "100"]);
    pub.child.stdin.end(linesOf(0, 100));
    assert.equal(await pub.ended, 0, pub.error);
    assert.equal(await sub.ended, 0, sub.error);
    assert.equal(sub.out, linesOf(0, 100));
    await system.system.restart("relay");
  });

  it("have a rate without a relay that dies", async () => {
    const bench = new Run(system, ["bench", "--messages", "20000", "--quiet"]);
    assert.equal(await bench.ended, 0, bench.error);
    const { messagesPerSecond } = JSON.parse(bench.out);
    assert.ok(messagesPerSecond > 0);
    console.log(`    ${bench.out.trim()}`);
  });
});
