// What runs in CI beside our own code is a commit, which nobody can change.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../../scripts/lib/paths.mjs";

test("every action of the workflows is pinned by its commit", async () => {
  const folder = join(ROOT, ".github", "workflows");
  const texts = await Promise.all((await readdir(folder)).map((name) => readFile(join(folder, name), "utf8")));
  const actions = texts.flatMap((text) => [...text.matchAll(/\buses:\s*(\S+)/g)].map(([, action]) => action ?? ""));
  assert.ok(actions.length > 0, "the workflows use actions");
  assert.deepEqual(
    actions.filter((action) => !action.startsWith("./") && !/@[0-9a-f]{40}$/.test(action)),
    [],
  );
});
