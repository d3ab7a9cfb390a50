// The interface that is served is the contract's own.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { contractAbi } from "../../scripts/lib/build/abi.mjs";
import { ROOT } from "../../scripts/lib/paths.mjs";

test("abi.json is what the compiler makes of the contract", async () => {
  const served = await readFile(join(ROOT, "web", "static", "abi.json"), "utf8");
  assert.deepEqual(JSON.parse(served), JSON.parse(contractAbi()));
  const events = (JSON.parse(served) as { type: string; name: string; inputs: { indexed?: boolean }[] }[]).filter(
    ({ type }) => type === "event",
  );
  assert.ok(events.some(({ name, inputs }) => name === "Anchored" && inputs.some(({ indexed }) => indexed)));
});
