// A short run of `npm run chaos`: three relays, and two ends of each kind of part under load, and nothing that was stored is lost, doubled,
// out of order or undelivered, and every message is in a signed group that is whole and holds.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { runChaos } from "./run.mjs";

const SHORT = { kills: 8, minutes: 0.75, publishers: 6, subscribers: 12, streams: 3, rate: 120 };

test("everything holds while each part is ended twice", async (context) => {
  // A new schedule each time; a run that fails says how to have it again.
  const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 2 ** 32);
  const dir = await mkdtemp(join(tmpdir(), "streamchain-chaos-"));
  const lines: string[] = [];
  try {
    const { faults, counts, kills, mesh, audit } = await runChaos({
      ...SHORT,
      seed,
      dir,
      log: (line: string) => lines.push(line),
    });
    const run = `CHAOS_SEED=${seed}\n${lines.join("\n")}\n${audit}`;
    assert.deepEqual(faults, [], run);
    assert.deepEqual(kills, { leader: 2, follower: 2, worker: 2, chain: 2 }, run);
    const { published = 0, reported, stored, groups = 0, checked = 0 } = counts;
    assert.ok(published > 0 && reported === published && stored === published && groups > 0 && checked > 0, run);
    context.diagnostic(`seed ${seed}: ${JSON.stringify(counts)}; ${mesh}; ${audit.split("\n").at(-1)}`);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
