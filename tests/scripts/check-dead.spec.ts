// The checks that find what nobody uses: public items, exported symbols, npm packages; and files that are too long.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { length, MAX_FILE_LINES, MAX_FUNCTION_LINES } from "../../scripts/lib/check/length.mjs";
import { npmDependencies } from "../../scripts/lib/check/npm-dependencies.mjs";
import { deadPublicItems } from "../../scripts/lib/check/rust/exports.mjs";
import { unusedExports } from "../../scripts/lib/check/script/exports.mjs";
import { treeOf } from "../../scripts/lib/check/tree.mjs";

describe("public items of a crate", () => {
  const dead = (library: string, other: string, more: Record<string, string> = {}) =>
    deadPublicItems(
      treeOf({
        "a/Cargo.toml": '[package]\nname = "a"\n',
        "a/src/lib.rs": library,
        "b/src/lib.rs": other,
        ...more,
      }),
      ["a"],
    );

  test("what nobody outside uses is dead", () => {
    assert.deepEqual(dead("/// One.\npub fn one() {}\npub fn two() { one() }", "use a::two;"), [
      "a/src/lib.rs:2 declares one `pub`, and nothing outside of a uses it.",
    ]);
  });

  test("what is not quite public is not looked at", () => {
    assert.deepEqual(dead("pub(crate) fn one() {}\nfn two() {}", ""), []);
  });

  test("what a used item shows is used", () => {
    const library =
      "pub struct Field;\npub struct Shown { pub field: Field }\npub const fn make() -> Shown { todo!() }";
    assert.deepEqual(dead(library, "use a::make;"), []);
    assert.equal(dead(library, "").length, 3);
  });

  test("what a used function's body names is not shown", () => {
    assert.equal(dead("pub fn inner() {}\npub fn outer() { inner() }", "a::outer();").length, 1);
  });

  test("tests and the main file are outside, unit tests are not", () => {
    const library = "pub fn one() {}\n#[cfg(test)]\nmod tests {\n fn f() { super::one() }\n}";
    assert.equal(dead(library, "").length, 1);
    assert.deepEqual(dead(library, "", { "a/tests/t.rs": "a::one();" }), []);
    assert.deepEqual(dead(library, "", { "a/src/main.rs": "a::one();" }), []);
  });

  test("an associated type and a doc example use", () => {
    const library =
      "pub struct Item;\nimpl Iterator for Own {\n type Item = Item;\n}\n/// ```\n/// a::one();\n/// ```\npub fn one() {}";
    assert.deepEqual(dead(library, ""), []);
  });
});

describe("exported symbols of scripts", () => {
  test("what no other file imports is dead", () => {
    const tree = treeOf({
      "a.ts": "export const one = 1;\nexport function two() {}",
      "b.ts": 'import { two } from "./a.ts";',
    });
    assert.deepEqual(unusedExports(tree), ["a.ts: no other file imports one."]);
  });

  test("a name in a file that doesn't import the file is no use", () => {
    const tree = treeOf({ "a.ts": "export const one = 1;", "b.ts": "const one = 2;" });
    assert.equal(unusedExports(tree).length, 1);
  });

  test("a type that its own file names is part of its face", () => {
    const text = "export interface Options { a: 1 }\nexport type Dead = 1;\nexport const f = (o: Options) => o;";
    const tree = treeOf({ "a.ts": text, "b.ts": 'import { f } from "./a.ts";' });
    assert.deepEqual(unusedExports(tree), ["a.ts: no other file imports Dead."]);
  });

  test("what an index exports is for everybody", () => {
    const tree = treeOf({
      "lib/index.ts": 'export { one } from "./a.ts";\nexport const two = 2;',
      "lib/a.ts": "export const one = 1;",
    });
    assert.deepEqual(unusedExports(tree), []);
  });

  test("the types of comments are imports", () => {
    const tree = treeOf({ "a.mjs": "export class One {}", "b.mjs": '/** @type {import("./a.mjs").One} */\nlet one;' });
    assert.deepEqual(unusedExports(tree), []);
  });

  test("what the table allows may stay", () => {
    const tree = treeOf({ "bench/a.mjs": "export const benches = [];" });
    assert.equal(unusedExports(tree).length, 1);
    assert.deepEqual(unusedExports(tree, [{ file: /^bench\//, name: "benches" }]), []);
  });
});

describe("npm packages", () => {
  const found = (
    packages: Record<string, string>,
    texts: Record<string, string>,
    commands = (_: string): string[] => [],
  ) => npmDependencies(treeOf({ "package.json": JSON.stringify({ devDependencies: packages }), ...texts }), commands);

  test("a package that nothing names is unused", () => {
    assert.deepEqual(found({ solc: "1" }, { "a.mjs": "const solcish = 1;" }), ["package.json: nothing uses solc."]);
  });

  test("an import, a path and a command are uses", () => {
    assert.deepEqual(found({ "@a/b": "1" }, { "a.ts": 'import { c } from "@a/b/c.js";' }), []);
    assert.deepEqual(found({ oz: "1" }, { "foundry.toml": 'remappings = ["x/=node_modules/oz/"]' }), []);
    const commands = (name: string) => (name === "typescript" ? ["tsc"] : []);
    assert.deepEqual(found({ typescript: "1" }, { "a.mjs": 'npmBin("tsc")' }, commands), []);
  });

  test("a package of types is used by a tsconfig", () => {
    assert.deepEqual(found({ "@types/node": "1" }, { "tsconfig.json": '{ "types": ["node"] }' }), []);
    assert.equal(found({ "@types/jest": "1" }, { "tsconfig.json": '{ "types": ["node"] }' }).length, 1);
  });

  test("an import of a package that isn't named is a fault", () => {
    assert.deepEqual(found({}, { "a.ts": 'import x from "no-such-package";\nimport fs from "node:fs";' }), [
      "a.ts: imports no-such-package, which no package.json names.",
    ]);
  });
});

test("a source file of more than 500 lines is too long", () => {
  const lines = (count: number) => "x\n".repeat(count);
  const tree = treeOf({
    "a.rs": lines(MAX_FILE_LINES),
    "b.ts": lines(MAX_FILE_LINES + 1),
    "c.md": lines(2 * MAX_FILE_LINES),
  });
  assert.deepEqual(length(tree), ["b.ts has 501 lines; 500 are allowed."]);
});

test("a test of more than 70 lines is too long, a group is not", () => {
  const body = (count: number) => "    f();\n".repeat(count);
  const text = (count: number) => `describe("a", () => {\n  it("b", async () => {\n${body(count)}  });\n});\n`;
  assert.deepEqual(length(treeOf({ "a.spec.ts": text(MAX_FUNCTION_LINES) })), []);
  assert.deepEqual(length(treeOf({ "a.spec.ts": text(MAX_FUNCTION_LINES + 1) })), [
    "a.spec.ts:2: the function has 71 lines; 70 are allowed.",
  ]);
});
