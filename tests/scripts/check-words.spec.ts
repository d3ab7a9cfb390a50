// The check of retired words: each is found where it is meant, and innocent English is left alone.

import assert from "node:assert/strict";
import { test } from "node:test";
import { RETIRED_WORDS } from "../../scripts/lib/check/tables/words.mjs";
import { treeOf } from "../../scripts/lib/check/tree.mjs";
import { words } from "../../scripts/lib/check/words.mjs";

const found = (file: string, text: string) => words(treeOf({ [file]: text }));

test("a retired word is named with its line and what to say", () => {
  assert.deepEqual(found("src/a.rs", "fn a() {}\nstruct NotHolder;\n"), [
    'src/a.rs:2 has "NotHolder" (holder); say: leader',
  ]);
});

/** One example of each: the file, and a text that has the word. */
const EXAMPLES: Record<string, [file: string, text: string]> = {
  "take up": ["docs/A.md", "A relay takes it up."],
  holder: ["src/a.rs", "holder: RelayId,"],
  reign: ["a.md", "a new reign begins"],
  "let go": ["a.rs", "fn let_go()"],
  Sealed: ["a.rs", "enum X { Sealed }"],
  SegmentBody: ["a.rs", "struct SegmentBody;"],
  "tell, told, hear": ["a.rs", "fn tell_relay() {}"],
  untold: ["a.rs", "let untold = 1;"],
  remind: ["a.rs", "fn remind() {}"],
  bell: ["a.rs", "struct Bell;"],
  "Log (of the relay)": ["relay-node/src/core/a.rs", "pub struct Log {"],
  outlet: ["a.rs", "struct Outlet;"],
  "Worker (the thread)": ["relay-node/src/a.rs", "pub struct Worker {"],
  "side, side door": ["relay-node/src/a.rs", "use crate::side::SidePacket;"],
  "audit (of a stream against the chain)": ["README.md", "relay-node audit"],
  complaints: ["web/a.ts", "class Complaints {"],
  ways: ["web/a.ts", 'import { Tried } from "./ways.ts";'],
  intake: ["web/a.ts", "this.#intake"],
  pace: ["web/a.ts", 'import { x } from "./pace.ts";'],
  "http-path": ["web/a.ts", "class HttpPath {"],
  diagnosis: ["web/a.ts", "const diagnosis = 1;"],
  X_MAX: ["a.rs", "pub const FRAME_MAX_BYTES: usize = 1;"],
  riddles: ["a.md", "as often as you like"],
  "one-word doc comment": ["a.rs", "struct A {\n    /// Random.\n    b: u8,\n}"],
};

for (const { word } of RETIRED_WORDS) {
  test(`"${word}" is found`, () => {
    const [file, text] = EXAMPLES[word] ?? assert.fail(`no example of ${word}`);
    assert.ok(
      found(file, text).some((problem) => problem.includes(`(${word})`)),
      text,
    );
  });
}

test("a file's name counts", () => {
  for (const file of [
    "relay-node/src/side.rs",
    "web/src/lib/complaints.ts",
    "src/tell.rs",
    "relay-node/src/outlet.rs",
  ]) {
    assert.equal(found(file, "").length, 1, file);
  }
});

test("innocent English is left alone", () => {
  const innocent = [
    "Two streams can be told apart; a placeholder tells the reader.",
    "The other side of the connection. There are two ways. Keep pace.",
    "What a token's holder may do; when a peer was last heard; a foreign key.",
    "One or more requests are taken. Each takes up to 5 s.",
    "foreign keys, u64::MAX, MAX_FRAME_BYTES, i32::MAX_VALUE",
    "/// A whole sentence says more.\n/// Really.",
  ];
  for (const file of ["a.rs", "relay-node/src/a.rs", "web/a.ts", "a.md"]) {
    assert.deepEqual(found(file, innocent.join("\n")), [], file);
  }
});

test("names on the wire may stay", () => {
  assert.deepEqual(found("a.rs", '#[serde(rename = "holder")]\nleader: RelayId,'), []);
});

test("the change log says what was", () => {
  assert.deepEqual(found("CHANGELOG.md", "the holder"), []);
});
