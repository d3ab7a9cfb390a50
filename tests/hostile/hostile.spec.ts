// Every attack against a system of its own: nothing may get through but what docs/SECURITY.md names (`known`), and none may
// be left out.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { NODE, ROOT } from "../../scripts/lib/paths.mjs";
import { developmentAccount } from "../../scripts/lib/system/chain.mjs";
import { runningSystem, type TestSystem } from "../harness/system.ts";
import { ATTACKS } from "./attacks.mjs";
import { runAttack } from "./lib/run.mjs";
import { Target } from "./lib/target.mjs";

const SCRIPT = join(ROOT, "tests", "hostile", "run.mjs");
/** An operator who is not the account that anchors. */
const OPERATOR = developmentAccount(2).address;

suite("attacks", () => {
  let system: TestSystem;
  let target: Target;

  before(async () => {
    // Gas as off development chains: only for the operators' streams.
    const vars = { OPERATORS: OPERATOR, GAS_OWNERS: OPERATOR };
    system = await runningSystem({ rateLimits: true, vars });
    const { master } = system.system;
    target = await Target.at({ edge: system.edge, rpc: system.chain, master, operator: OPERATOR });
  });
  after(() => system.stop());

  for (const attack of ATTACKS) {
    const what = attack.known ? "no more than is known" : "nothing";
    test(`${attack.name} gets ${what} through`, async (t) => {
      assert.deepEqual(target.lacks(attack.needs), []);
      const tally = await runAttack(attack, target);
      for (const line of tally.notes) t.diagnostic(line);
      t.diagnostic(`tried ${tally.tried}, got through: ${tally.through.length}`);
      const through = tally.through.map((line) => line.split(": ")[0]);
      assert.deepEqual(through, attack.known ?? [], tally.through.join("\n"));
      assert.ok(tally.tried > 0, "an attack tries something");
    });
  }
});

suite("the command", () => {
  test("refuses a target that is not on this machine", () => {
    for (const args of [
      ["--edge", "https://streamchain.example"],
      ["--edge", "http://127.0.0.1.evil.example"],
      ["--edge", "http://localhost@evil.example"],
      ["--edge", "http://127.0.0.1:1", "--rpc", "https://rpc.example"],
    ]) {
      const { status, stderr } = spawnSync(NODE, [SCRIPT, ...args], { encoding: "utf8" });
      assert.equal(status, 1, args.join(" "));
      assert.match(stderr, /not on this machine/, args.join(" "));
    }
  });

  test("lists its attacks, one for each point at least", () => {
    const list = execFileSync(NODE, [SCRIPT, "--list"], { encoding: "utf8" });
    for (const point of ["A1", "A2", "A3", "A4", "A5", "A6", "B1", "B2", "B3", "B4", "B5", "B6", "B7"]) {
      assert.match(list, new RegExp(`^${point}-`, "m"), point);
    }
  });
});
