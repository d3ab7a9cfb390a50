import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { inProcess } from "../../scripts/lib/test/group-process.mjs";
import { inLanes } from "../../scripts/lib/test/lanes.mjs";

type Group = { name: string; besideOthers?: boolean };

/** Runs the groups; what ran at the same time, in the order in which they began, and their results. */
const watch = async (groups: Group[], lanes?: number) => {
  const running = new Set<string>();
  const seen: string[] = [];
  const results = await inLanes(
    groups,
    async ({ name }, isAlone) => {
      running.add(name);
      seen.push([...running].sort().join("+") + (isAlone ? " alone" : ""));
      for (let turn = 0; turn < 5; turn += 1) await Promise.resolve();
      running.delete(name);
      return name;
    },
    lanes,
  );
  return { seen, results };
};

const beside = (name: string): Group => ({ name, besideOthers: true });

test("two at a time where both may; the others alone", async () => {
  const { seen, results } = await watch([{ name: "a" }, { name: "b" }, beside("c"), beside("d"), beside("e")]);
  assert.deepEqual(results, ["a", "b", "c", "d", "e"]);
  assert.deepEqual(seen.slice(0, 2), ["a alone", "b alone"]);
  assert.equal(seen[3], "c+d");
  assert.ok(seen.slice(2).every((names) => names.split("+").length <= 2));
});

test("one group or one lane runs alone", async () => {
  assert.deepEqual((await watch([beside("a")])).seen, ["a alone"]);
  assert.deepEqual((await watch([beside("a"), beside("b")], 1)).seen, ["a alone", "b alone"]);
  assert.deepEqual((await watch([beside("a"), { name: "b" }, beside("c")])).seen, ["a alone", "b alone", "c alone"]);
});

test("a process without counts has failed", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "lanes-"));
  t.after(() => rm(folder, { recursive: true }));
  const program = async (text: string) => {
    const path = join(folder, "program.mjs");
    await writeFile(path, text);
    return inProcess("edge", path);
  };
  const counted = await program(
    "console.log(process.argv[2]); process.send({ passed: 3, failed: 0 }); process.disconnect();",
  );
  assert.deepEqual(counted, { counts: { passed: 3, failed: 0 }, output: "edge\n" });
  const crashed = await program("console.error('no'); process.exit(1)");
  assert.deepEqual(crashed, { counts: { passed: 0, failed: 1 }, output: "no\n" });
  const failedLate = await program("process.send({ passed: 3, failed: 0 }, () => process.exit(2));");
  assert.deepEqual(failedLate.counts, { passed: 3, failed: 1 });
});
