// The checks of imports: circles and layers, on small trees made of texts.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { circles } from "../../scripts/lib/check/circles.mjs";
import { layers } from "../../scripts/lib/check/layers.mjs";
import { treeOf } from "../../scripts/lib/check/tree.mjs";

const MANIFEST = '[package]\nname = "a"\n';

/** A crate whose root declares `x` and `y`. */
const crateOf = (x: string, y: string, more: Record<string, string> = {}) =>
  treeOf({ "a/Cargo.toml": MANIFEST, "a/src/lib.rs": "mod x;\nmod y;\n", "a/src/x.rs": x, "a/src/y.rs": y, ...more });

const firstLines = (problems: string[]) => problems.map((problem) => problem.split("\n")[0]);

describe("circles of Rust modules", () => {
  test("two modules that import each other are one, with the way", () => {
    const tree = crateOf("use crate::y::{self, Y as Other};\npub struct X;", "\nuse super::x::X;\npub struct Y;");
    assert.deepEqual(circles(tree), [
      "a: a/src/x.rs → a/src/y.rs → a/src/x.rs\n" +
        "    a/src/x.rs:1 imports crate::y (a/src/y.rs)\n" +
        "    a/src/y.rs:2 imports super::x::X (a/src/x.rs)",
    ]);
  });

  test("a path in the code counts as an import", () => {
    assert.equal(circles(crateOf("fn f() { crate::y::g() }", "pub fn g() { super::x::f() }")).length, 1);
  });

  test("one direction is none", () => {
    assert.deepEqual(circles(crateOf("use crate::y::Y;", "pub struct Y;")), []);
  });

  test("tests, comments and strings import nothing", () => {
    const back = [
      "// use crate::x::X;",
      "/* use crate::x::X; /* inner */ */",
      'const TEXT: &str = "use crate::x::X;";',
      'const RAW: &str = r#"crate::x::X"#;',
      "#[cfg(test)]\nmod tests {\n use crate::x::X;\n}",
      "#[cfg(test)]\nuse crate::x::X;",
      "fn f<'a>(c: char) -> bool { c == '\"' }",
    ];
    assert.deepEqual(circles(crateOf("use crate::y::Y;\npub struct X;", `pub struct Y;\n${back.join("\n")}`)), []);
  });

  test("a parent and a child that need each other are one", () => {
    const parent = "mod z;\nuse z::Z;\npub struct X;";
    const tree = crateOf(parent, "", { "a/src/x/z.rs": "use super::X;\npub struct Z;" });
    assert.deepEqual(firstLines(circles(tree)), ["a: a/src/x.rs → a/src/x/z.rs → a/src/x.rs"]);
  });

  test("a re-export of a child is no import", () => {
    const parent = "mod z;\npub use z::Z;\npub struct X;";
    assert.deepEqual(circles(crateOf(parent, "", { "a/src/x/z.rs": "use super::X;\npub struct Z;" })), []);
  });

  test("an import is followed to where the item is defined", () => {
    const room = { "a/src/x/one.rs": "use super::Two;\npub struct One;", "a/src/x/two.rs": "use super::One;" };
    const tree = crateOf("mod one;\nmod two;\npub use one::One;\npub use two::*;", "", {
      ...room,
      "a/src/x/two.rs": `${room["a/src/x/two.rs"]}\npub struct Two;`,
    });
    assert.deepEqual(firstLines(circles(tree)), ["a: a/src/x/one.rs → a/src/x/two.rs → a/src/x/one.rs"]);
  });

  test("rooms that import each other are one, through whatever file", () => {
    const tree = crateOf("mod one;\nmod two;", "mod three;\nmod four;", {
      "a/src/x/one.rs": "use crate::y::three::Three;",
      "a/src/x/two.rs": "pub struct Two;",
      "a/src/y/three.rs": "pub struct Three;",
      "a/src/y/four.rs": "use crate::x::two::Two;",
    });
    assert.deepEqual(firstLines(circles(tree)), ["a: x → y → x"]);
  });
});

describe("circles of scripts", () => {
  test("types count as well as values, and so does import(…)", () => {
    const tree = treeOf({
      "w/a.ts": 'import type { B } from "./b.ts";\nexport interface A { b: B }',
      "w/b.ts": 'export const load = () => import("./c.ts");',
      "w/c.ts": 'export {\n  A,\n} from "./a.ts";',
    });
    assert.deepEqual(firstLines(circles(tree)), ["w/a.ts → w/b.ts → w/c.ts → w/a.ts"]);
  });

  test("a comment imports nothing", () => {
    const tree = treeOf({
      "a.ts": 'import { b } from "./b.ts";',
      "b.ts": '// import { a } from "./a.ts";\nexport const b = 1;',
    });
    assert.deepEqual(circles(tree), []);
  });

  test("folders that import each other are one", () => {
    const tree = treeOf({
      "one/a.ts": 'import { b } from "../two/b.ts";',
      "one/c.ts": "export const c = 1;",
      "two/b.ts": "export const b = 1;",
      "two/d.ts": 'import { c } from "../one/c.ts";',
    });
    assert.deepEqual(firstLines(circles(tree)), ["one → two → one"]);
  });
});

describe("layers", () => {
  const rooms = [{ of: "a", layers: [["x"], ["y", "z"]], complete: true }];

  test("an import towards the core is right, one outwards is not", () => {
    const right = crateOf("pub struct X;", "use crate::x::X;");
    assert.deepEqual(layers(right, { crates: {}, rooms }), []);
    const wrong = crateOf("use crate::y::Y;", "pub struct Y;");
    assert.deepEqual(layers(wrong, { crates: {}, rooms }), [
      "a/src/x.rs:1 imports crate::y::Y (a/src/y.rs): in a, y is not nearer the core than x.",
    ]);
  });

  test("rooms of one layer don't know each other", () => {
    const tree = crateOf("", "use crate::z::Z;", {
      "a/src/lib.rs": "mod x;\nmod y;\nmod z;",
      "a/src/z.rs": "pub struct Z;",
    });
    assert.equal(layers(tree, { crates: {}, rooms }).length, 1);
  });

  test("a complete table wants every room listed", () => {
    const tree = crateOf("", "", { "a/src/lib.rs": "mod x;\nmod y;\nmod q;", "a/src/q.rs": "use crate::x::X;" });
    assert.deepEqual(layers(tree, { crates: {}, rooms }), ["a: the room q is in no layer of tables/layers.mjs."]);
    const open = rooms.map((table) => ({ ...table, complete: false }));
    assert.deepEqual(layers(tree, { crates: {}, rooms: open }), []);
  });

  test("folders of scripts have layers as well", () => {
    const tree = treeOf({ "w/core.ts": 'import { p } from "./page/p.ts";', "w/page/p.ts": "export const p = 1;" });
    const table = [{ of: "w", layers: [["core"], ["page"]], complete: true }];
    assert.equal(layers(tree, { crates: {}, rooms: table }).length, 1);
  });

  test("a crate depends on the crates that the table names", () => {
    const text =
      '[package]\nname = "b"\n\n[dependencies]\na = { path = "../a" }\n\n[dev-dependencies]\nc.workspace = true\n';
    const named = (name: string) => `[package]\nname = "${name}"\n`;
    const tree = treeOf({ "a/Cargo.toml": named("a"), "b/Cargo.toml": text, "c/Cargo.toml": named("c") });
    assert.deepEqual(layers(tree, { crates: { b: ["a"] }, rooms: [] }), []);
    assert.deepEqual(layers(tree, { crates: {}, rooms: [] }), ["b/Cargo.toml: b must not depend on a."]);
  });
});
