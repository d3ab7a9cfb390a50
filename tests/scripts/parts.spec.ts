// The parts of a system are child processes; these tests use small ones of their own.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { Failure } from "../../scripts/lib/console.mjs";
import { migrate } from "../../scripts/lib/system/migrations.mjs";
import { Part } from "../../scripts/lib/system/part.mjs";
import { freePort, LOCALHOST, requireFree } from "../../scripts/lib/system/ports.mjs";
import { claimFolder, masterSecret, rememberRun } from "../../scripts/lib/system/state.mjs";
import { eventually } from "../harness/system.ts";

const folder = (): string => mkdtempSync(join(tmpdir(), "streamchain-parts-"));

const nodePart = (script: string, onDeath: (part: Part, how: string) => void = () => {}): Part =>
  new Part("sample", { command: process.execPath, args: ["-e", script], log: join(folder(), "log") }, onDeath);

/** Resolves when the process has ended (and whoever inherited it has taken notice). */
const gone = (pid: number): Promise<boolean> =>
  eventually(`process ${pid} is gone`, async () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });

/** Prints its child's process id, and neither of the two ends by itself. */
const PARENT_AND_CHILD = `
  const child = require("node:child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  console.log("child", child.pid);
  setInterval(() => {}, 1000);`;

const childPid = (part: Part): Promise<number> =>
  part.until(async () => Number(readFileSync(part.log, "utf8").match(/^child (\d+)$/m)?.[1]), {
    what: "printed its child's process id",
    timeoutMs: 10_000,
  });

test("a free port is none that a connection may take meanwhile", async () => {
  for (const transport of ["tcp", "udp"] as const) {
    const port = await freePort(transport);
    assert.ok(port >= 1_024 && port < 32_768, `${transport} port ${port}`);
  }
});

test("stopping a part ends what it had spawned as well", async () => {
  const part = nodePart(PARENT_AND_CHILD);
  part.start();
  const child = await childPid(part);
  await part.stop();
  await gone(child);
  assert.equal(part.running, false);
});

test("a part that ignores the request to stop is killed", async () => {
  const part = nodePart(`process.on("SIGTERM", () => {}); console.log("child 1"); setInterval(() => {}, 1000);`);
  part.start();
  await childPid(part);
  await part.stop(100);
  assert.equal(part.running, false);
});

test("a part that dies shows its log and ends its children", async () => {
  const death = Promise.withResolvers<string>();
  const part = nodePart(`${PARENT_AND_CHILD} setTimeout(() => process.exit(7), 300);`, (_, how) => death.resolve(how));
  part.start();
  const child = await childPid(part);
  assert.equal(await death.promise, "exit code 7");
  assert.ok(part.failure("died").advice.some((line: string) => line.includes(`child ${child}`)));
  await part.stop();
  await gone(child);
});

test("a part that cannot start fails at once, with its log", async () => {
  const part = nodePart(`console.error("no such luck"); process.exit(1);`);
  part.start();
  await assert.rejects(
    part.until(async () => false, { what: "answered", timeoutMs: 60_000 }),
    (error: unknown) => error instanceof Failure && error.advice.some((line) => line.includes("no such luck")),
  );
});

test("a taken port is reported with its process and the flag", async () => {
  const server = createServer();
  const port = await freePort("tcp");
  await new Promise<void>((resolve) => server.listen(port, LOCALHOST, resolve));
  try {
    await assert.rejects(requireFree({ what: "edge", transport: "tcp", port, flag: "--port" }), (error: unknown) => {
      assert.ok(error instanceof Failure);
      assert.match(error.message, new RegExp(`tcp port ${port}, and it is in use by process ${process.pid}`));
      assert.match(error.advice.join(), /--port N/);
      return true;
    });
  } finally {
    server.close();
  }
});

test("a folder's secret is made once and is 32 bytes", () => {
  const dir = folder();
  const secret = masterSecret(dir);
  assert.match(secret, /^[0-9a-f]{64}$/);
  assert.equal(masterSecret(dir), secret);
  assert.notEqual(masterSecret(folder()), secret);
});

test("a folder whose system runs cannot be started twice", () => {
  const dir = folder();
  rememberRun(dir, []);
  assert.throws(() => claimFolder(dir, () => {}), /runs here already/);
});

test("what a killed start left behind is ended by the next one", async () => {
  const dir = folder();
  const part = nodePart(PARENT_AND_CHILD);
  part.start();
  const child = await childPid(part);
  rememberRun(dir, [part.pid]);
  const run = JSON.parse(readFileSync(join(dir, "run.json"), "utf8"));
  writeFileSync(join(dir, "run.json"), JSON.stringify({ ...run, self: { pid: run.self.pid, start: "another time" } }));

  const said: string[] = [];
  claimFolder(dir, (line: string) => said.push(line));
  await part.stop();
  assert.match(said.join(), /left over/);
  await gone(child);
});

/** How long the runtime may hold the database's lock, ms. */
const LOCK_TIMEOUT_MS = 30_000;

/** Asks the only database of a system's folder. */
const query = (dir: string, sql: string): unknown[] => {
  const databases = join(dir, "edge", "v3", "d1", "miniflare-D1DatabaseObject");
  const [file, ...more] = readdirSync(databases).filter((name) => /^[0-9a-f]+\.sqlite$/.test(name));
  assert.deepEqual(more, []);
  const database = new DatabaseSync(join(databases, file ?? ""), { timeout: LOCK_TIMEOUT_MS });
  try {
    // Rows have no prototype, which deepEqual would mind.
    return database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
};

test("a new database is migrated; an older one is kept and updated", async () => {
  const [one, other] = [folder(), folder()];
  const log = join(one, "log");
  for (const dir of [one, other]) await migrate({ dir, log });
  const applied = (dir: string): unknown[] => query(dir, "SELECT name FROM d1_migrations ORDER BY name");
  const all = readdirSync("migrations")
    .sort()
    .map((name) => ({ name }));
  assert.deepEqual([applied(one), applied(other)], [all, all]);

  query(one, "CREATE TABLE mine (x)");
  writeFileSync(join(one, "edge", "migrations-applied"), "those of last year");
  await migrate({ dir: one, log });
  const mine = (dir: string): unknown[] => query(dir, "SELECT name FROM sqlite_schema WHERE name = 'mine'");
  assert.deepEqual([mine(one).length, mine(other).length], [1, 0]);
  assert.match(readFileSync(log, "utf8"), /No migrations to apply/);
  assert.notEqual(readFileSync(join(one, "edge", "migrations-applied"), "utf8"), "those of last year");
});
