// The table of odd answers of nodes, which the Rust side is tested by as well.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { rpcCall } from "../src/lib/chain/json-rpc.ts";
import { readBlockNumber, readChainId, readTransaction } from "../src/lib/chain/node-answers.ts";
import { StreamChainError } from "../src/lib/index.ts";

interface Row {
  readonly name: string;
  readonly method: string;
  readonly status?: number;
  readonly body?: unknown;
  readonly text?: string;
  readonly expected: { readonly is: string; readonly value?: unknown };
}

const table = JSON.parse(readFileSync(new URL("../../tests/fixtures/odd-answers.json", import.meta.url), "utf8"));
const rows: readonly Row[] = table.answers;

/** What the page reads, by method: in the form of the table. Other methods the page does not call. */
const READERS: Record<string, (result: unknown) => unknown> = {
  eth_chainId: readChainId,
  eth_getBlockByNumber: (result) => {
    const number = readBlockNumber(result);
    return number === null ? null : { number };
  },
  eth_getTransactionReceipt: (result) => {
    const found = readTransaction(result);
    if (found === null) return null;
    return { status: Number(found.succeeded), block: found.block, blockHash: found.blockHash };
  },
};

/** Rows about what the page has no use for: it takes no block by its hash. */
const NOT_READ = ["a block without its hash"];

const answering =
  ({ status = 200, body, text = JSON.stringify(body) }: Row): typeof fetch =>
  async () =>
    new Response(text, { status });

/** The members of an expected object that the reader gives too. */
function common(expected: unknown, given: unknown): unknown {
  if (typeof expected !== "object" || expected === null) return expected;
  const names = Object.keys(given as object);
  return Object.fromEntries(Object.entries(expected).filter(([name]) => names.includes(name)));
}

describe("the table of odd answers", () => {
  const read = rows.filter(({ method, name }) => method in READERS && !NOT_READ.includes(name));

  test("has rows for every method that the page reads", () => {
    for (const method of Object.keys(READERS))
      assert.ok(
        read.some((row) => row.method === method),
        method,
      );
    assert.ok(read.length >= 40, `${read.length} rows`);
    for (const name of NOT_READ)
      assert.ok(
        rows.some((row) => row.name === name),
        name,
      );
  });

  for (const row of read) {
    test(`${row.method}: ${row.name}`, async () => {
      const reading = rpcCall("http://node.test", row.method, [], answering(row)).then(READERS[row.method]);
      const { is, value } = row.expected;
      if (is === "value") {
        const given = await reading;
        assert.deepEqual(given, common(value, given));
      } else if (is === "none") {
        assert.equal(await reading, null);
      } else {
        assert.ok(["elsewhere", "limited"].includes(is), is);
        // No verdict: the error says that the node gave none.
        await assert.rejects(reading, (error) => error instanceof StreamChainError && error.code === "rpc");
      }
    });
  }
});
