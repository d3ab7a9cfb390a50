// `streamchain pub` signs, and `sub --verify` checks who wrote each message, also when the publisher was killed midway.

import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { accessToken } from "../edge/harness.ts";
import { eventually, runningSystem, type TestSystem } from "../harness/system.ts";
import { Run } from "./streamchain.ts";

const LINES = 4_000;
const linesOf = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, index) => `${from + index}\n`).join("");

let system: TestSystem;
let folder: string;
before(async () => {
  system = await runningSystem({});
  folder = await mkdtemp(join(tmpdir(), "streamchain-signed-"));
});
after(async () => {
  await system.stop();
  await rm(folder, { recursive: true, force: true });
});

const post = async (path: string, body: object, token?: string): Promise<Record<string, string>> => {
  const headers = { "content-type": "application/json", ...(token ? { authorization: `Bearer ${token}` } : {}) };
  const answer = await fetch(`${system.edge}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  return (await answer.json()) as Record<string, string>;
};

const published = async (args: readonly string[], lines: string): Promise<Run> => {
  const pub = new Run(system, ["pub", ...args]);
  pub.child.stdin.end(lines);
  await pub.ended;
  return pub;
};

describe("signed messages of the command", () => {
  it("are taken where signatures are required", async () => {
    const { token, author } = await post("/v1/auth/guest", {});
    const { id = "" } = await post("/v1/streams", { name: "strict", owner: author, signed: "required" }, token);
    const refused = await published([id, "--unsigned"], "nobody's\n");
    assert.equal(await refused.ended, 1, refused.error);
    for (const way of [[], ["--http"]]) {
      const pub = await published([id, ...way], "a\nb\n");
      assert.equal(await pub.ended, 0, pub.error);
    }
    const sub = new Run(system, ["sub", id, "--from", "1", "--count", "3", "--verify", "--json"]);
    assert.equal(await sub.ended, 0, sub.error);
    const shown = sub.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      shown.map(({ text, signed }) => [text, signed.voucher]),
      [
        ["b", "self"],
        ["a", "self"],
        ["b", "self"],
      ],
    );
    assert.notEqual(shown[0].author, shown[1].author, "each run is a guest of its own");
  });

  it("go on in one chain when the publisher was killed", async () => {
    const key = join(folder, "author.key");
    const args = ["pub", "killed", "--key", key, "--producer", "cd".repeat(16)];
    const killed = new Run(system, args);
    killed.child.stdin.write(linesOf(0, LINES / 2));
    const storedIs = async (atLeast: number) => {
      const stream = await system.get<{ stored?: number }>("/v1/streams/killed").catch(() => ({ stored: 0 }));
      return (stream.stored ?? 0) >= atLeast;
    };
    await eventually("some messages are stored", () => storedIs(1));
    killed.child.kill("SIGKILL");
    assert.equal(await killed.ended, "SIGKILL");
    for (const [lines, ways] of [
      [LINES - 1_000, ["--http"]],
      [LINES, []],
      [LINES, []],
    ] as const) {
      const pub = new Run(system, [...args, ...ways]);
      pub.child.stdin.end(linesOf(0, lines));
      assert.equal(await pub.ended, 0, pub.error);
      const { stored } = await system.get<{ stored: number }>("/v1/streams/killed");
      assert.equal(stored, lines);
    }
    const sub = new Run(system, ["sub", "killed", "--from", "0", "--count", `${LINES}`, "--verify"]);
    assert.equal(await sub.ended, 0, sub.error);
    assert.ok(sub.out === linesOf(0, LINES), "every group follows the one before it");
    assert.equal((await stat(key)).mode & 0o777, 0o600);
    const chain = (await readdir(folder)).filter((name) => name.endsWith(".chain"));
    assert.equal(chain.length, 1, "beside the key");
  });

  it("are told from what nobody signed", async () => {
    const first = await published(["mixed"], "signed\n");
    assert.equal(await first.ended, 0, first.error);
    const second = await published(["mixed", "--unsigned"], "not signed\n");
    assert.equal(await second.ended, 0, second.error);
    const args = ["sub", "mixed", "--from", "0", "--count", "2", "--verify"];
    const strict = new Run(system, args);
    assert.equal(await strict.ended, 1);
    assert.equal(strict.out, "signed\n");
    assert.match(strict.error, /message 1: it is not signed/);
    for (const way of [[], ["--http"]]) {
      const lenient = new Run(system, [...args, "--allow-unsigned", "--json", ...way]);
      assert.equal(await lenient.ended, 0, lenient.error);
      assert.match(lenient.out, /"signed":\{"key":"0x0[23].*\n.*"signed":false/);
    }
  });

  it("of a service are refused unless its key is named", async () => {
    const { operator, master } = system.system;
    const token = accessToken(operator.address.toLowerCase(), {}, master);
    const key = join(folder, "service.key");
    const make = ["keys", "make", "service", "--rights", "read,write", "--key", key];
    const made = new Run(system, make, { STREAMCHAIN_TOKEN: token });
    assert.equal(await made.ended, 0, made.error);
    const pub = new Run(system, ["pub", "served", "--key", key], { STREAMCHAIN_TOKEN: made.out.trim() });
    pub.child.stdin.end("the service's\n");
    assert.equal(await pub.ended, 0, pub.error);

    const args = ["sub", "served", "--from", "0", "--count", "1", "--verify"];
    const strict = new Run(system, args);
    assert.equal(await strict.ended, 1);
    assert.equal(strict.out, "");
    assert.match(strict.error, /message 0: the operator alone says that key 0x0[23]\w+ is its author's/);
    const marked = new Run(system, [...args, "--allow-unsigned"]);
    assert.equal(await marked.ended, 0, marked.error);
    assert.equal(marked.out, "operator\tthe service's\n");
    const lenient = new Run(system, [...args, "--allow-unsigned", "--json"]);
    assert.equal(await lenient.ended, 0, lenient.error);
    const { author, signed } = JSON.parse(lenient.out);
    assert.equal(signed.voucher, "operator");
    for (const [name, code] of [
      [author, 0],
      [operator.address, 1],
    ] as const) {
      const named = new Run(system, [...args, "--author-key", `${name}=${signed.key}`, "--json"]);
      assert.equal(await named.ended, code, named.error);
      assert.equal(named.out.includes('"voucher":"named"'), code === 0);
    }
  });
});
