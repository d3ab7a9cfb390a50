// Two things that are started at once: what remains when one of them does not start.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Startable, startedTogether } from "../harness/together.ts";

const stopped: string[] = [];

const works = (name: string): Startable<string> => ({
  start: () => new Promise((resolve) => setImmediate(resolve, name)),
  stop: async (started) => stopped.push(started),
});

const fails = (reason: string): Startable<string> => ({
  start: () => Promise.reject(new Error(reason)),
  stop: async (started) => stopped.push(started),
});

describe("two things that are started at once", () => {
  it("are both there when both start", async () => {
    assert.deepEqual(await startedTogether(works("system"), works("browser")), ["system", "browser"]);
    assert.deepEqual(stopped, []);
  });

  it("are both gone when one does not start, with its reason", async () => {
    await assert.rejects(startedTogether(fails("no system"), works("browser")), /no system/);
    await assert.rejects(startedTogether(works("system"), fails("no browser")), /no browser/);
    assert.deepEqual(stopped, ["browser", "system"]);
    await assert.rejects(startedTogether(fails("no system"), fails("no browser")), /no system/);
    assert.deepEqual(stopped, ["browser", "system"]);
  });
});
