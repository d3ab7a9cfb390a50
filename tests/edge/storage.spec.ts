// What is refused, or only read, leaves nothing behind: no object has tables without rows in them.

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, test } from "node:test";
import { assertProblem, asUser, type Edge, startEdge } from "./harness.ts";

const USER = `0x${"ab".repeat(20)}`;
const ABSENT = `0x${"9".repeat(40)}`;
const ROUTES = join(import.meta.dirname, "..", "..", "src", "routes.rs");

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
      const database = new DatabaseSync(join(edge.folder, file), { readOnly: true });
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
    if (path.startsWith("/v1/auth/") || (method === "POST" && ["/v1/keys", "/v1/streams"].includes(path))) continue;
    const filled = path
      .replace("{stream}", ABSENT)
      .replace("{member}", USER)
      .replace("{session}", ABSENT.slice(2) + "7".repeat(16))
      .replace("{seq}", "0")
      .replace("{key}", "7".repeat(16))
      .replace("{relay}", "r1")
      .replace("{producer}", "7".repeat(32));
    const body = method === "GET" ? {} : { body: "{}" };
    const headers = { "content-type": "application/json", ...asUser(USER) };
    const answer = await edge.send(method, `${filled}${path.endsWith("/events") ? "?life=1" : ""}`, {
      headers,
      ...body,
    });
    assert.notEqual(answer.status, 500, `${method} ${filled}: ${answer.text}`);
    assert.equal(await assertNothingEmpty(`${method} ${path}`), before, `${method} ${path} left something`);
  }
});
