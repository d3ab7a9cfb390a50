// History moves into the archive under load and under `kill -9`: nothing is lost, nothing is there twice.

import assert from "node:assert/strict";
import { test } from "node:test";
import { moveHistory } from "./moving.ts";

const USUAL = { batch: 400, bytes: 100, packBytes: 64 * 1024, behind: 4 };

test("history in rounds moves while it is written, read and killed", async () => {
  const moved = await moveHistory({ ...USUAL, anchor: "shared", messages: 24_000, kills: 3 });
  assert.equal(moved.kills, 3);
  assert.ok(moved.packed > 12_000, `packed: ${moved.packed}`);
  assert.ok(moved.databaseBytes < moved.storedBytes, `${moved.databaseBytes} of ${moved.storedBytes} bytes`);
  assert.ok(moved.events >= 24_000 && moved.receipts > 0, `${moved.events} events, ${moved.receipts} receipts`);
});

test("history with anchors of its own moves the same way", async () => {
  const moved = await moveHistory({ ...USUAL, anchor: "own", messages: 8_000, kills: 1 });
  assert.ok(moved.packed > 4_000, `packed: ${moved.packed}`);
  assert.ok(moved.receipts > 0);
});
