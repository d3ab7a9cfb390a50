// What streams cost: computed from the counters of a run, and the same in the documents.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  costTable,
  documentsOf,
  dollarsOf,
  lastRun,
  MAX_DOLLARS,
  type Measured,
  objectRowsEachCommit,
  partsOf,
} from "../../scripts/lib/docs/costs.mjs";

/** Two streams that commit each second for 100 seconds, beside what an idle deployment does. */
const MEASURED: Measured = {
  periodMs: 1_000,
  streams: 2,
  spent: { seconds: 100, counts: { commits: 200, objectCalls: 240, objectRows: 260, d1Rows: 30, rounds: 2 } },
  idle: { seconds: 50, counts: { commits: 0, objectCalls: 10, objectRows: 10, d1Rows: 5, rounds: 1 } },
};

describe("the costs of a stream", () => {
  const dollars = (measured: Measured) => {
    const found = partsOf(measured).map(({ what, dollars }) => [what.split(" ")[0], Number(dollars.toFixed(4))]);
    assert.equal(found.length, 7);
    return found;
  };

  test("are those of its commits, and of its share of the rest", () => {
    // 2.592 million commits a month, each with 1.1 calls, 1.2 rows and 0.1 rows of D1.
    assert.deepEqual(dollars(MEASURED), [
      ["requests", 0.7776],
      ["requests", 0.4277],
      ["rows", 3.1104],
      ["rows", 0.2592],
      ["duration", 4.1472],
      ["packs", 0.0002],
      ["a", 0.006],
    ]);
    assert.equal(objectRowsEachCommit(MEASURED).toFixed(3), "1.200");
  });

  test("have a column for each rate, and their sum", () => {
    const table = costTable({ date: "", measured: [MEASURED, { ...MEASURED, periodMs: 50 }] });
    const [rows = "", rest] = table.split("\n\n");
    const lines = rows.split("\n");
    assert.equal(lines.length, 10);
    assert.match(lines[0] ?? "", /one message each 1 s, a month \| a batch each 50 ms, a month/);
    assert.match(lines.at(-1) ?? "", /^\| all \| {2}\| \*\*\$8\.73\*\* \| \*\*\$\d+\.\d\d\*\* \|$/);
    // 15 rows and 10 calls in 50 seconds.
    assert.match(
      rest ?? "",
      /writes 0\.778 million rows in a month and makes 0\.518 million calls of objects: \$0\.86,/,
    );
  });
});

describe("the run that the documents are made of", () => {
  const run = lastRun();

  test("measured streams in rounds, at the rates that have a bound", () => {
    assert.deepEqual(
      run.measured.map(({ periodMs }) => periodMs),
      Object.keys(MAX_DOLLARS)
        .map(Number)
        .sort((a, b) => b - a),
    );
    for (const { spent } of run.measured) assert.ok(spent.counts.rounds > 0 && spent.counts.commits > 0);
  });

  test("is inside the bounds", () => {
    for (const measured of run.measured) {
      const all = dollarsOf(partsOf(measured));
      assert.ok(all <= (MAX_DOLLARS[measured.periodMs] ?? 0), `${measured.periodMs} ms: $${all}`);
    }
  });

  test("is what the documents say", () => {
    for (const { file, is, due } of documentsOf(run)) assert.equal(is, due, `${file}: npm run bench -- streams`);
  });
});
