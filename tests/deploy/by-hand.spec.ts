// The commands by which docs/DEPLOY.md sets up the edge by hand, as they stand there, against a fake of Cloudflare's API.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { childEnv, ROOT } from "../../scripts/lib/paths.mjs";
import { codeBlocks, commandsIn, isShell } from "../harness/documents.ts";
import { FakeCloudflare } from "./fake-cloudflare.ts";

const SECRET = "5a".repeat(32);
/** Its paths are relative to it, so it stands where wrangler.toml does. */
const CONFIG = `wrangler.by-hand-${process.pid}.toml`;

/** What `npm run configure` is answered, without the database's id. */
const ANSWERS = {
  "chain-id": "31337",
  rpc: "http://127.0.0.1:8545",
  contract: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
  "contract-block": "1",
  operators: "0x52908400098527886E0F7030069857D2E4169EE7",
  "siwe-domains": "streamchain.example",
};

/** The commands of the section, but for the sign-in (the fake takes any token) and the look at the deployed edge. */
const commands = codeBlocks("docs/DEPLOY.md")
  .filter((block) => isShell(block) && block.heading === "3. The edge")
  .flatMap(commandsIn)
  .filter((command) => command !== "wrangler login" && !command.startsWith("curl "));

describe("docs/DEPLOY.md, the edge by hand", () => {
  const cloudflare = new FakeCloudflare();
  before(() => cloudflare.listen());
  after(() => {
    cloudflare.close();
    rmSync(join(ROOT, CONFIG), { force: true });
  });

  const run = (script: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const usual = { CI: "1", NO_COLOR: "1", WRANGLER_SEND_METRICS: "false" };
      const child = spawn("bash", ["-euo", "pipefail", "-c", script], {
        cwd: ROOT,
        env: childEnv({ ...usual, ...cloudflare.env(), CONFIG: `-c ${CONFIG}` }),
      });
      let output = "";
      for (const stream of [child.stdout, child.stderr]) {
        stream.setEncoding("utf8").on("data", (text: string) => {
          output += text;
        });
      }
      child.on("error", reject);
      child.on("close", (code) => (code === 0 ? resolve() : reject(new Error(`${script}: ${code}\n${output}`))));
      child.stdin.on("error", () => {}); // a command that reads nothing may end first
      child.stdin.end(SECRET);
    });

  /** A command as it is run here: `configure` with answers instead of questions, into a file of this test. */
  const asRun = (command: string): string => {
    if (command === `export CONFIG="-c wrangler.production.toml"`) return ":";
    if (command !== "npm run configure") return command;
    const values = Object.entries({ ...ANSWERS, "database-id": cloudflare.databaseId }).map(
      ([name, value]) => `--${name} ${value}`,
    );
    return `node scripts/configure.mjs --no-input --offline --out ${CONFIG} ${values.join(" ")}`;
  };

  it("makes database, bucket, tables, Worker and secrets", async () => {
    assert.ok(commands.length >= 8, commands.join("\n"));
    for (const command of commands) await run(asRun(command));
    assert.deepEqual([...cloudflare.databases.keys()], ["streamchain"]);
    assert.ok(cloudflare.buckets.has("streamchain"));
    const [database] = cloudflare.databases.values();
    assert.ok(database?.prepare("SELECT 1 FROM sqlite_master WHERE name = 'segments'").get(), "the tables are there");
    const bindings = cloudflare.script?.bindings.map(({ name }) => name) ?? [];
    for (const name of ["STREAM", "DB", "ARCHIVE", "CONTRACT_ADDRESS"]) assert.ok(bindings.includes(name), name);
    assert.deepEqual(Object.fromEntries(cloudflare.secrets), { MASTER_SECRET: SECRET, ANCHORER_KEY: SECRET });
  });
});
