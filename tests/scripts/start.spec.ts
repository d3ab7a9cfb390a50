// `npm start`: the page comes before the relay, and nothing that was begun runs on in the end.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { Failure } from "../../scripts/lib/console.mjs";
import { runLogged } from "../../scripts/lib/run.mjs";
import { startInOrder } from "../../scripts/lib/start.mjs";

/** A start whose steps are noted; `relay` is what compiling the relay does, and `asked` when the end is asked for. */
const start = async (how: {
  relay?: (signal: AbortSignal) => Promise<unknown>;
  asked?: Promise<unknown>;
  died?: Promise<unknown>;
  addRelay?: () => Promise<unknown>;
}) => {
  const done: string[] = [];
  const note = (what: string) => async () => void done.push(what);
  const never = new Promise(() => {});
  let finished = (): void => {};
  const everything = new Promise<void>((resolve) => {
    finished = resolve;
  });
  const failure = await startInOrder({
    buildPage: note("page built"),
    startSystem: async () => {
      done.push("system started");
      return {
        died: how.died ?? never,
        addRelay: how.addRelay ?? note("relay added"),
        stop: async () => void done.push("stopped"),
      };
    },
    pageWorks: note("page announced"),
    buildRelay: how.relay ?? note("relay built"),
    relayWorks: () => {
      done.push("relay announced");
      finished();
    },
    asked: () => how.asked ?? everything,
    ends: (error) => done.push(error === null ? "asked to end" : "failed"),
  });
  return { done, failure };
};

suite("a start", () => {
  test("has the page before the relay, and everything in the end", async () => {
    const { done, failure } = await start({});
    const page = ["page built", "system started", "page announced"];
    const relay = ["relay built", "relay added", "relay announced"];
    assert.deepEqual(done, [...page, ...relay, "asked to end", "stopped"]);
    assert.equal(failure, null);
  });

  test("that is ended while the relay is compiled adds none", async () => {
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>();
    const relay = (signal: AbortSignal): Promise<void> =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve());
        ask();
      });
    const { done, failure } = await start({ relay, asked });
    assert.deepEqual(done.slice(3), ["asked to end", "stopped"]);
    assert.equal(failure, null);
  });

  test("whose relay does not compile ends with the reason", async () => {
    const reason = new Failure("relay failed");
    const { done, failure } = await start({ relay: () => Promise.reject(reason) });
    assert.deepEqual([done.slice(3), failure], [["failed", "stopped"], reason]);
  });

  test("whose parts die ends with the reason", async () => {
    const reason = new Failure("the edge ended");
    const { failure } = await start({ died: Promise.reject(reason), relay: () => new Promise((r) => setImmediate(r)) });
    assert.equal(failure, reason);
  });
});

test("a command in the background is ended with all it started", async () => {
  const folder = mkdtempSync(join(tmpdir(), "streamchain-background-"));
  const ending = new AbortController();
  const script = `
    const { spawn } = require("node:child_process");
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "inherit" });
    console.log("child", child.pid);
    setInterval(() => {}, 1000);`;
  const log = join(folder, "log");
  const run = runLogged("sleeper", process.execPath, ["-e", script], { log, background: ending.signal });
  // It resolves only when nothing holds its output any more, the child's child included.
  const ended = assert.rejects(run, /sleeper failed \(SIGTERM\)/);
  while (!/child \d+/.test(readFileSync(log, { encoding: "utf8", flag: "a+" }))) await new Promise(setImmediate);
  ending.abort();
  await ended;
});
