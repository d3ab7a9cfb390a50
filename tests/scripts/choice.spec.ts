// What `npm test` and `npm run bench` run of what there is.

import assert from "node:assert/strict";
import { test } from "node:test";
import { choose, helpOnly } from "../../scripts/lib/choice.mjs";

const ALL = [
  { name: "one", title: "The first" },
  { name: "three", title: "The last" },
];
const ABOUT = { command: "npm run numbers", does: "Runs numbers.", kind: "number" };

const namesOf = (words: string[]): string[] | undefined => choose(words, ALL, ABOUT)?.map(({ name }) => name);

test("without words all is chosen, with words what they name", () => {
  assert.deepEqual(namesOf([]), ["one", "three"]);
  assert.deepEqual(namesOf(["three"]), ["three"]);
  assert.deepEqual(namesOf(["three", "one"]), ["one", "three"]);
});

test("a word that names nothing is refused with what there is", () => {
  assert.throws(
    () => choose(["one", "two"], ALL, ABOUT),
    ({ message, advice }: Error & { advice: string[] }) =>
      message === "No such number: two" && advice[0] === "There are: one, three",
  );
});

test("help lists everything and chooses nothing", (context) => {
  const log = context.mock.method(console, "log", () => {});
  for (const word of ["--help", "-h", "--list"]) assert.equal(choose([word], ALL, ABOUT), null);
  const [printed] = log.mock.calls[0]?.arguments ?? [];
  assert.equal(
    printed,
    "npm run numbers [-- NAME…]\n\nRuns numbers.\nWithout a name, all of them run:\n\n  one    The first\n  three  The last",
  );
});

test("a command without options prints its help or refuses", (context) => {
  const log = context.mock.method(console, "log", () => {});
  assert.equal(helpOnly([], "npm run numbers", "Prints numbers."), false);
  assert.equal(log.mock.callCount(), 0);
  assert.equal(helpOnly(["--help"], "npm run numbers", "Prints numbers."), true);
  assert.deepEqual(log.mock.calls[0]?.arguments, ["npm run numbers\n\nPrints numbers."]);
  assert.throws(() => helpOnly(["--fast"], "npm run numbers", "Prints numbers."), { message: /no option --fast/ });
});
