// The check of the names of tests, in each language that has tests.

import assert from "node:assert/strict";
import { test } from "node:test";
import { testNames } from "../../scripts/lib/check/test-names.mjs";
import { treeOf } from "../../scripts/lib/check/tree.mjs";

const found = (file: string, text: string) => testNames(treeOf({ [file]: text }));
const [longest, longer] = ["a".repeat(60), "a".repeat(61)];

test("a name of 61 characters is found, and one of 60 is not", () => {
  const texts: [file: string, of: (name: string) => string][] = [
    ["src/a.rs", (name) => `#[test]\nfn ${name}() {}`],
    ["src/b.rs", (name) => `#[tokio::test(flavor = "current_thread")]\n#[cfg(unix)]\nasync fn ${name}() {}`],
    ["tests/a.spec.ts", (name) => `test("${name}", () => {});`],
    ["web/test/a.test.ts", (name) => `  it(\n    \`${name}\`, async () => {});`],
    ["contracts/test/A.t.sol", (name) => `function test${name.slice(4)}() public {}`],
  ];
  for (const [file, of] of texts) {
    assert.deepEqual(found(file, of(longest)), [], file);
    assert.match(found(file, of(longer)).join(), /has 61 characters; 60 are allowed/, file);
  }
});

test("a value in a template counts as one character", () => {
  const named = (tail: string) => ["test(`$", "{value.toUpperCase()}", tail, "`, run);"].join("");
  assert.deepEqual(found("a.spec.ts", named("a".repeat(59))), []);
  assert.equal(found("a.spec.ts", named(longest)).length, 1);
});

test("a function that is no test may have any name", () => {
  assert.deepEqual(found("src/a.rs", `fn ${longer}() {}`), []);
});
