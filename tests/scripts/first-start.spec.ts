import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { FirstStart } from "../../bench/lib/first-start.mjs";

/** The lines that `npm start` prints, each with the seconds at which it comes. */
const LINES: [number, string][] = [
  [1, "> streamchain@0.1.0 start"],
  [2, "Everything is installed and built once: about 2 min until the page works."],
  [22, "  ✓ npm packages (npm ci; about a minute) (21 s)"],
  [25, "  ✓ edge-bindgen 0.2.129 (compiling it once takes half a minute) (23 s)"],
  [26, "Building the contracts (about 2 min until the page works)"],
  [31, "Building the web app"],
  [34, "Building the edge Worker (about 80 s until the page works)"],
  [114, "Starting"],
  [126, "│ The page works.                            │"],
  [276, "The relay works too (UDP port 7100): messages are live now. Everything is there after 4 min 36 s."],
];

const read = (lines: readonly [number, string][]): FirstStart => {
  const start = new FirstStart();
  for (const [second, line] of lines) start.line(line, () => ({ wallMs: second * 1_000, cpuMs: second * 1_500 }));
  return start;
};

suite("the parts of a first start", () => {
  test("follow from the lines, and their sum is the whole", () => {
    const start = read(LINES);
    assert.deepEqual(
      start.parts.map(({ wallMs }) => wallMs / 1_000),
      [26, 5, 3, 80, 12, 150],
    );
    assert.deepEqual(start.totals.page, { wallMs: 126_000, cpuMs: 189_000 });
    assert.deepEqual(start.totals.everything, { wallMs: 276_000, cpuMs: 414_000 });
  });

  test("say what took their time", () => {
    const [tools, , , worker] = read(LINES).parts;
    assert.deepEqual(tools?.details, ["npm 21 s", "edge-bindgen 23 s"]);
    assert.deepEqual(worker?.details, []);
  });

  test("of a start that did not come to its end are no result", () => {
    const start = read(LINES.slice(0, -1));
    assert.equal(start.isOver, false);
    assert.throws(() => start.totals, /did not come further than: relay/);
  });
});
