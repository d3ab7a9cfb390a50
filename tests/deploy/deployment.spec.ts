// `npm run deploy` by the real wrangler, against a fake of Cloudflare's API and a local chain.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { Failure } from "../../scripts/lib/console.mjs";
import { wranglerWith } from "../../scripts/lib/deployment/cloudflare.mjs";
import { findings } from "../../scripts/lib/deployment/health.mjs";
import { deploy, type Options } from "../../scripts/lib/deployment/index.mjs";
import { relayKey } from "../../scripts/lib/deployment/keys.mjs";
import { ROOT } from "../../scripts/lib/paths.mjs";
import { chainPart, chainReady, developmentAccount } from "../../scripts/lib/system/chain.mjs";
import { freePort, LOCALHOST } from "../../scripts/lib/system/ports.mjs";
import { FakeCloudflare } from "./fake-cloudflare.ts";

const OPERATOR = "0x52908400098527886E0F7030069857D2E4169EE7";

suite("a deployment", () => {
  const cloudflare = new FakeCloudflare();
  const dir = mkdtempSync(join(tmpdir(), "streamchain-deployment-"));
  const file = (name: string): string => join(dir, name);
  // Its paths are relative to it, so it stands where wrangler.toml does.
  const config = join(ROOT, `wrangler.test-${process.pid}.toml`);
  const keys = (): Record<string, string> => JSON.parse(readFileSync(file("keys.json"), "utf8"));
  let chain: ReturnType<typeof chainPart>;
  let given: Record<string, string>;

  before(async () => {
    await cloudflare.listen();
    const port = await freePort("tcp");
    const rpc = `http://${LOCALHOST}:${port}`;
    chain = chainPart({ dir, port, mining: "auto", log: file("chain.log") }, () => {});
    chain.start();
    await chainReady(chain, rpc);
    given = { "chain-id": "31337", rpc, operators: OPERATOR, "siwe-domains": "streamchain.example" };
  });
  after(async () => {
    cloudflare.close();
    await chain.stop();
    for (const path of [dir, config, `${config}.before`]) rmSync(path, { recursive: true, force: true });
  });

  const run = async (more: Partial<Options> = {}): Promise<string> => {
    const said: string[] = [];
    await deploy({
      given,
      relays: ["fra-1"],
      answers: undefined,
      template: join(ROOT, "wrangler.toml"),
      out: config,
      folder: dir,
      url: undefined,
      dryRun: false,
      offline: true,
      ask: null,
      env: { DEPLOYER_KEY: developmentAccount(0).key },
      log: (line) => said.push(line),
      wrangler: wranglerWith(cloudflare.env()),
      record: () => file("deployment.json"),
      ...more,
    });
    return said.join("\n");
  };

  test("a dry run says what it would do, and changes nothing", async () => {
    const said = await run({ dryRun: true, given: { ...given, contract: OPERATOR, "contract-block": "1" } });
    assert.match(said, /would make MASTER_SECRET and ANCHORER_KEY/);
    assert.match(said, /would make the D1 database streamchain/);
    assert.match(said, /would build and deploy the Worker/);
    assert.deepEqual(cloudflare.changes, []);
    assert.equal(existsSync(file("keys.json")), false);
    assert.equal(existsSync(config), false);
  });

  test("one that fails on the way goes on where it stopped", async () => {
    cloudflare.failing = "/r2/buckets";
    await assert.rejects(run(), (error) => error instanceof Failure && /wrangler r2 bucket/.test(error.message));
    assert.deepEqual([...cloudflare.databases.keys()], ["streamchain"]);
    const before = keys();
    await run();
    assert.deepEqual(keys(), before, "the keys are those of the first try");
  });

  test("everything is there then: tables, script, bindings, secrets", () => {
    const [database] = cloudflare.databases.values();
    const tables = database?.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all() as { name: string }[];
    for (const name of ["streams", "segments", "anchors", "rounds"]) {
      assert.ok(
        tables.some((table) => table.name === name),
        name,
      );
    }
    assert.ok(cloudflare.buckets.has("streamchain"));
    const bindings = cloudflare.script?.bindings.map(({ name }) => name) ?? [];
    for (const name of ["STREAM", "DB", "ARCHIVE", "OPERATORS", "CONTRACT_ADDRESS"])
      assert.ok(bindings.includes(name), name);
    const { MASTER_SECRET, ANCHORER_KEY } = keys();
    assert.deepEqual(Object.fromEntries(cloudflare.secrets), { MASTER_SECRET, ANCHORER_KEY });
  });

  test("keys are their owner's, and a relay's key is derived", () => {
    for (const path of [file("keys.json"), file("relay-fra-1.env"), config]) {
      assert.equal(statSync(path).mode & 0o077, 0, path);
    }
    const env = readFileSync(file("relay-fra-1.env"), "utf8");
    assert.match(env, new RegExp(`^STREAMCHAIN_RELAY_KEY=${relayKey(keys().MASTER_SECRET ?? "", "fra-1")}$`, "m"));
    assert.match(env, /^STREAMCHAIN_EDGE=https:\/\/streamchain\.fake\.workers\.dev$/m);
  });

  test("again, nothing is made a second time", async () => {
    const [before, begun] = [keys(), cloudflare.changes.length];
    const said = await run();
    assert.deepEqual(keys(), before);
    assert.match(said, /contract 0x/);
    const changes = cloudflare.changes.slice(begun).filter((change) => /d1\/database$|r2\/buckets$/.test(change));
    assert.deepEqual(changes, []);
  });

  test("a token for Prometheus is made when it is asked for", async () => {
    assert.equal(existsSync(file("metrics-token")), false);
    await run({ metrics: true });
    const { METRICS_TOKEN } = keys();
    assert.match(METRICS_TOKEN ?? "", /^[0-9a-f]{64}$/);
    assert.equal(readFileSync(file("metrics-token"), "utf8").trim(), METRICS_TOKEN);
    assert.equal(statSync(file("metrics-token")).mode & 0o077, 0);
    assert.equal(cloudflare.secrets.get("METRICS_TOKEN"), METRICS_TOKEN);
  });

  test("secrets that only the Worker has are never replaced", async () => {
    const before = Object.fromEntries(cloudflare.secrets);
    const folder = file("another");
    await run({ folder, relays: [] });
    assert.deepEqual(Object.fromEntries(cloudflare.secrets), before);
    await assert.rejects(run({ folder }), /master secret that is not at hand/);
  });
});

test("the report tells faults from what is still to be done", () => {
  const good = {
    chain: { ok: true, id: 1 },
    anchorer: { address: "0x1", balanceWei: "5" },
    storage: { database: { bytes: 1, capacity: 2 }, archive: { bound: true, error: null } },
    relays: [{ id: "fra-1", alive: true }],
    signIn: { ok: true },
  };
  assert.ok(findings(good).every(({ ok }) => ok === true));
  const marks = findings({ ...good, chain: { ok: false, error: "no node answers" }, relays: [], anchorer: {} });
  assert.deepEqual(
    marks.map(({ ok }) => ok),
    [false, true, true, true, null, null],
  );
});
