// What is refused, or only read, leaves nothing behind: no object has tables without rows in them.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { assertProblem, asUser, bearer, type Edge, startEdge, until } from "./harness.ts";

const USER = `0x${"ab".repeat(20)}`;
const ABSENT = `0x${"9".repeat(40)}`;
const ROUTES = join(import.meta.dirname, "..", "..", "src", "routes.rs");

/** How long the runtime may hold a database's lock, ms. */
const LOCK_TIMEOUT_MS = 30_000;

/** An object's database, beside the runtime, which may be writing it. */
const open = (file: string, { readOnly = true } = {}): DatabaseSync =>
  new DatabaseSync(file, { readOnly, timeout: LOCK_TIMEOUT_MS });

let edge: Edge;

before(async () => {
  edge = await startEdge({ vars: { RATE_LIMITS: "streams-address=1/3600" } });
});
after(() => edge.stop());

/** The tables of each object of streams and accounts that has any, with how many rows they have. */
const objects = async (): Promise<Record<string, number>[]> => {
  const files = await readdir(edge.folder, { recursive: true });
  const all = files
    .filter((file) => file.endsWith(".sqlite"))
    .map((file) => {
      const database = open(join(edge.folder, file));
      try {
        const query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '[_s]*_*'";
        const names = database
          .prepare(query)
          .all()
          .map(({ name }) => String(name));
        const rows = (name: string) => Number(database.prepare(`SELECT count(*) AS n FROM "${name}"`).get()?.n);
        const found = Object.fromEntries(names.map((name) => [name, rows(name)]));
        if (!names.includes("state")) return found;
        const state = String(database.prepare("SELECT json FROM state").get()?.json ?? "");
        return state.includes('"name":"_audit"') ? { ...found, audit: 1 } : found;
      } finally {
        database.close();
      }
    });
  // The log of what is refused is a stream of its own, made by the system.
  return all.filter((tables) => ("state" in tables || "account" in tables) && !("audit" in tables));
};

const assertNothingEmpty = async (what: string): Promise<number> => {
  const found = await objects();
  for (const tables of found)
    assert.ok((tables.state ?? tables.account ?? 0) > 0, `${what}: ${JSON.stringify(tables)}`);
  return found.length;
};

test("a creation that is refused for its rate leaves no tables", async () => {
  assert.equal((await edge.postJson("/v1/streams", { name: "first" }, asUser(USER))).status, 201);
  const made = await assertNothingEmpty("the first");
  assert.equal(made, 1, "the test sees the objects' tables");
  for (const name of ["second", "third"]) {
    assertProblem(await edge.postJson("/v1/streams", { name }, asUser(USER)), 429, "rate-limited");
    assertProblem(
      await edge.postJson(`/v1/streams/${name}-by-message/messages`, { text: "x" }, asUser(USER)),
      429,
      "rate-limited",
    );
  }
  assert.equal(await assertNothingEmpty("refused"), made);
});

test("no route leaves anything of what is not there", async () => {
  const before = await assertNothingEmpty("before");
  const source = await readFile(ROUTES, "utf8");
  const routes = [...source.matchAll(/^ {4}(GET|POST|PUT|PATCH|DELETE) "([^"]+)"/gm)];
  assert.ok(routes.length > 30, `${routes.length} routes`);
  for (const [, method = "", path = ""] of routes) {
    // These make something on purpose.
    if (method === "POST" && ["/v1/keys", "/v1/streams"].includes(path)) continue;
    const filled = path
      .replace("{stream}", ABSENT)
      .replace("{member}", USER)
      .replace("{session}", ABSENT.slice(2) + "7".repeat(16))
      .replace("{seq}", "0")
      .replace("{key}", "7".repeat(16))
      .replace("{relay}", "r1")
      .replace("{producer}", "7".repeat(32));
    // A revocation that is one leaves the account's row, which ends with its tokens: see below.
    const sent = path === "/v1/auth/revoke" ? '{"unknown":true}' : "{}";
    const body = method === "GET" ? {} : { body: sent };
    const headers = { "content-type": "application/json", ...asUser(USER) };
    const answer = await edge.send(method, `${filled}${path.endsWith("/events") ? "?life=1" : ""}`, {
      headers,
      ...body,
    });
    assert.notEqual(answer.status, 500, `${method} ${filled}: ${answer.text}`);
    assert.equal(await assertNothingEmpty(`${method} ${path}`), before, `${method} ${path} left something`);
  }
});

/** The SQLite files of the edge's objects that have this table. */
const filesWith = async (folder: string, table: string): Promise<string[]> => {
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(".sqlite"));
  return files
    .map((file) => join(folder, file))
    .filter((file) => {
      let database: DatabaseSync | undefined;
      try {
        database = open(file);
        const query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?";
        return database.prepare(query).get(table) !== undefined;
      } catch (error) {
        if (existsSync(file)) throw error;
        return false; // the object deleted itself meanwhile
      } finally {
        database?.close();
      }
    });
};

const change = (file: string, sql: string): void => {
  const database = open(file, { readOnly: false });
  database.exec(sql);
  database.close();
};

test("an object with tables and no stream deletes itself", async () => {
  let own = await startEdge();
  try {
    const { short } = (await own.postJson("/v1/streams", { name: "emptied" })).json as { short: string };
    await own.dispose();
    const [file = "", ...others] = await filesWith(own.folder, "state");
    assert.deepEqual(others, [], "the only stream");
    change(file, "DELETE FROM state");

    own = await startEdge({ folder: own.folder });
    assertProblem(await own.get(`/v1/streams/${short}`), 404, "no-such-stream");
    // What that made is in the audit log, which is a stream of its own.
    await until("its tables are gone", async () => !(await filesWith(own.folder, "state")).includes(file));
    assert.equal((await own.postJson("/v1/streams", { name: "emptied" })).status, 201, "it can be made again");
  } finally {
    await own.stop();
  }
});

test("an account deletes itself when nothing of it matters", async () => {
  let own = await startEdge();
  try {
    const guest = (await own.send("POST", "/v1/auth/guest")).json as { token: string };
    assert.equal((await own.postJson("/v1/auth/revoke", {}, bearer(guest.token))).status, 200);
    await own.dispose();
    const [file = "", ...others] = await filesWith(own.folder, "account");
    assert.deepEqual(others, [], "the guest's, and no other");
    const [DAYS_31_S, LONG_AGO_NS] = [31 * 24 * 3_600, 1_000_000_000];
    change(
      file,
      `UPDATE account SET json = json_set(json, '$.revoked', json_extract(json, '$.revoked') - ${DAYS_31_S})`,
    );
    // The platform keeps the time in the object and beside it, in nanoseconds.
    const alarms = await filesWith(own.folder, "_cf_ALARM");
    assert.ok(alarms.length > 0, "the alarm was set");
    for (const alarm of alarms) change(alarm, `UPDATE _cf_ALARM SET scheduled_time = ${LONG_AGO_NS}`);
    change(file, `UPDATE _cf_METADATA SET value = ${LONG_AGO_NS} WHERE key = 1`);

    own = await startEdge({ folder: own.folder });
    await until("the account is gone", async () => (await filesWith(own.folder, "account")).length === 0);
  } finally {
    await own.stop();
  }
});
