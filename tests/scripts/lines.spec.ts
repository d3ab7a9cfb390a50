// What builds print: whole lines, as they come, without those that say nothing.

import assert from "node:assert/strict";
import { test } from "node:test";
import { BRIEF_WAIT } from "../../scripts/lib/build/cargo.mjs";
import { linesWithout } from "../../scripts/lib/run.mjs";

const WAITS = "    Blocking waiting for file lock on package cache\n";

test("cargo's short waits are left out of its output", () => {
  const output = `   Compiling a v1.0.0\n${WAITS}${WAITS}   Compiling b v1.0.0\n\nwarning: ü\n${WAITS}last`;
  const expected = "   Compiling a v1.0.0\n   Compiling b v1.0.0\n\nwarning: ü\nlast";
  for (const size of [1, 7, output.length]) {
    const lines = linesWithout(BRIEF_WAIT);
    let shown = "";
    for (let at = 0; at < output.length; at += size) shown += lines.take(output.slice(at, at + size));
    assert.equal(shown + lines.rest(), expected, `in pieces of ${size}`);
  }
});

test("waiting for another build is told", () => {
  const lines = linesWithout(BRIEF_WAIT);
  const told = "    Blocking waiting for file lock on build directory\n";
  assert.equal(lines.take(told), told);
});
