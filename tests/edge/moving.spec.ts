// History moves into the archive under load and under `kill -9`: nothing is lost, nothing is there twice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { moveHistory } from "./moving.ts";

test("history moves while it is written, read and killed", async () => {
  const moved = await moveHistory({
    messages: 24_000,
    batch: 400,
    bytes: 100,
    kills: 3,
    packBytes: 64 * 1024,
    behind: 4,
  });
  assert.equal(moved.kills, 3);
  assert.ok(moved.packed > 12_000, `packed: ${moved.packed}`);
  assert.ok(moved.databaseBytes < moved.storedBytes, `${moved.databaseBytes} of ${moved.storedBytes} bytes`);
});
