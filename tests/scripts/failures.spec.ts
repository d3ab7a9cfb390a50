// The outputs are those of the runners, shortened.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { runChecks } from "../../scripts/lib/test/checks.mjs";
import {
  cargoFailures,
  failureLines,
  findings,
  forgeFailures,
  nodeFailures,
  unnamedFailure,
} from "../../scripts/lib/test/failures.mjs";

describe("cargo test", () => {
  test("a failed test has its file, its name and its report", () => {
    const output = `     Running unittests src/lib.rs (target/debug/deps/x-b885370c02d1f6ea)

running 3 tests
test tests::noisy ... FAILED
test tests::one ... FAILED
test tests::two ... ignored, needs a network

failures:

---- tests::noisy stdout ----
noise
Error: "bad"

---- tests::one stdout ----
what the test printed

thread 'tests::one' (14245) panicked at src/lib.rs:5:45:
assertion \`left == right\` failed: why
  left: 1
 right: 2
stack backtrace:
   0: __rustc::rust_begin_unwind


failures:
    tests::noisy
    tests::one

test result: FAILED. 0 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.21s

error: test failed, to rerun pass \`--lib\`
error: 1 target failed:
    \`--lib\`
`;
    assert.deepEqual(cargoFailures(output), [
      { test: "tests::two", file: "src/lib.rs", message: "It is ignored, so it did not run." },
      { test: "tests::noisy", file: "src/lib.rs", message: 'noise\nError: "bad"' },
      {
        test: "tests::one",
        file: "src/lib.rs",
        message:
          "thread 'tests::one' (14245) panicked at src/lib.rs:5:45:\nassertion `left == right` failed: why\n  left: 1\n right: 2",
      },
    ]);
  });

  test("a program that crashed is named beside tests that failed", () => {
    const output = `     Running tests/crash.rs (target/debug/deps/crash-d929e6344424ab36)

running 1 test
error: test failed, to rerun pass \`--test crash\`

Caused by:
  process didn't exit successfully: \`/x/crash-d929e6344424ab36\` (signal: 6, SIGABRT: process abort signal)
   Doc-tests x

---- src/lib.rs - f (line 1) stdout ----
Test executable failed (exit status: 101).
`;
    assert.deepEqual(cargoFailures(output), [
      {
        test: "the test program",
        file: "tests/crash.rs",
        message:
          "process didn't exit successfully: `/x/crash-d929e6344424ab36` (signal: 6, SIGABRT: process abort signal)",
      },
      {
        test: "src/lib.rs - f (line 1)",
        file: "documentation of x",
        message: "Test executable failed (exit status: 101).",
      },
    ]);
  });

  test("code that does not compile is a failure with its place", () => {
    const output = `\x1b[1m\x1b[91merror[E0308]\x1b[0m: mismatched types
  --> relay-node/src/cli.rs:7:5
   |
7  |     1
   |     ^ expected \`()\`, found integer

warning: unused
error: could not compile \`relay-node\` (lib) due to 1 previous error
`;
    const [first, second] = cargoFailures(output);
    assert.deepEqual([first?.test, first?.file], ["the compilation", "relay-node/src/cli.rs:7:5"]);
    assert.match(first?.message ?? "", /^error\[E0308\]: mismatched types\n.*expected `\(\)`, found integer$/s);
    assert.equal(second?.message, "error: could not compile `relay-node` (lib) due to 1 previous error");
  });
});

test("forge: each failed test once, with file and reason", () => {
  const output = `Ran 3 tests for test/A.t.sol:ATest
[FAIL: x; counterexample: calldata=0x65 args=[944]] testFuzz_x(uint256) (runs: 0, μ: 0, ~: 0)
[FAIL: why not] test_bad() (gas: 421)
[SKIP: later] test_skip() (gas: 0)
Suite result: FAILED. 0 passed; 2 failed; 1 skipped; finished in 1.07ms (806.60µs CPU time)

Failing tests:
Encountered 2 failing tests in test/A.t.sol:ATest
[FAIL: x; counterexample: calldata=0x65 args=[944]] testFuzz_x(uint256) (runs: 0, μ: 0, ~: 0)
[FAIL: why not] test_bad() (gas: 421)
\t[Sequence] (original: 1, shrunk: 1)

Encountered a total of 2 failing tests, 0 tests succeeded
`;
  assert.deepEqual(forgeFailures(output), [
    { test: "test_skip()", file: "test/A.t.sol", message: "[SKIP: later] test_skip() (gas: 0): it did not run." },
    {
      test: "testFuzz_x(uint256)",
      file: "test/A.t.sol",
      message: "[FAIL: x; counterexample: calldata=0x65 args=[944]] testFuzz_x(uint256) (runs: 0, μ: 0, ~: 0)",
    },
    {
      test: "test_bad()",
      file: "test/A.t.sol",
      message: "[FAIL: why not] test_bad() (gas: 421)\n\t[Sequence] (original: 1, shrunk: 1)",
    },
  ]);
});

describe("node --test", () => {
  const output = `✖ adds (4.79ms)
﹣ skips (0.41ms) # no engine
▶ group
  ✔ fine (0.8ms)
▶ group (2ms)
Error [ERR_MODULE_NOT_FOUND]: Cannot find module '/x/missing.ts'

Node.js v22.23.3
✖ tests/edge/c.spec.ts (162.41ms)
ℹ tests 4
ℹ fail 2

✖ failing tests:

test at tests/edge/a.spec.ts:3:1
✖ adds (4.79ms)
  AssertionError [ERR_ASSERTION]: Expected values to be strictly deep-equal:

    {
      a: 1
    }

test at tests/edge/c.spec.ts:1:1
✖ tests/edge/c.spec.ts (162.41ms)
  'test failed'
`;

  test("failed tests have file and message; a skipped one failed", () => {
    const [adds, whole, skipped, ...others] = nodeFailures(output);
    assert.deepEqual([adds?.test, adds?.file], ["adds", "tests/edge/a.spec.ts:3:1"]);
    assert.match(adds?.message ?? "", /AssertionError.*\n\n {4}\{\n {6}a: 1\n {4}\}$/s);
    assert.deepEqual(whole, {
      test: "tests/edge/c.spec.ts",
      file: "tests/edge/c.spec.ts:1:1",
      message: "Error [ERR_MODULE_NOT_FOUND]: Cannot find module '/x/missing.ts'\n\nNode.js v22.23.3",
    });
    assert.deepEqual(skipped, {
      test: "skips",
      file: "",
      message: "It is skipped or left to be done: ﹣ skips (0.41ms) # no engine",
    });
    assert.deepEqual(others, []);
  });
});

test("a check's findings are without lines of progress", () => {
  const output = "    Checking relay-node v0.1.0\n\x1b[1mwarning\x1b[0m: unused\n    Finished `dev` profile\n";
  assert.equal(findings(output), "warning: unused");
});

test("a failed check is named with what it found", async () => {
  const program = "console.log('    Checking x v0.1.0'); console.error('a.ts(1,1): wrong'); process.exit(1)";
  const outcome = await runChecks([
    { name: "command", title: "A command", run: () => [process.execPath, "-e", program] },
    { name: "silent", title: "A command without output", run: () => [process.execPath, "-e", "process.exit(3)"] },
    { name: "tree", title: "A look at the tree", find: () => ["a.rs: too long", "b.rs: too long"] },
    { name: "fine", title: "A check that passes", find: () => [] },
  ]);
  assert.deepEqual(outcome, {
    passed: 1,
    failed: 3,
    failures: [
      { test: "command", file: "", message: "a.ts(1,1): wrong" },
      { test: "silent", file: "", message: `${process.execPath} ended with exit code 3.` },
      { test: "tree", file: "", message: "a.rs: too long\nb.rs: too long" },
    ],
  });
});

describe("the summary", () => {
  const failure = (test: string, message = "why") => ({ test, file: "a.ts", message });

  test("names the group, the file and the test", () => {
    const groups = [
      { group: "rust", failures: [] },
      { group: "edge", failures: [failure("adds")] },
    ];
    assert.deepEqual(failureLines(groups), ["Failed:", "✗ edge  a.ts  adds", "    why"]);
    assert.deepEqual(failureLines([{ group: "rust", failures: [] }]), []);
  });

  test("is bounded in tests, lines and the length of a line", () => {
    const long = Array.from({ length: 40 }, () => "x".repeat(400)).join("\n");
    const failures = Array.from({ length: 23 }, (_, i) => failure(`number ${i}`, long));
    const lines = failureLines([{ group: "edge", failures }]);
    assert.equal(lines.length, 1 + 20 * 16 + 1);
    assert.ok(lines.every((line) => line.length < 200));
    assert.equal(lines.at(-1), "… and 3 more, whose names are above.");
  });

  test("has the last lines of a runner that named no test", () => {
    const { message } = unnamedFailure(`${Array.from({ length: 30 }, (_, i) => `line ${i}`).join("\n")}\n`);
    assert.deepEqual([message.split("\n").length, message.split("\n").at(-1)], [15, "line 29"]);
  });
});
