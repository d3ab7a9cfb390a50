// The configuration of a deployment: what is refused, what is written, and that nothing is lost.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, test } from "node:test";
import { answersIn, render } from "../../scripts/lib/configure/file.mjs";
import { configure } from "../../scripts/lib/configure/index.mjs";
import { readOptions, settingsHelp } from "../../scripts/lib/configure/options.mjs";
import { problemsOf, SETTINGS, secretProblems } from "../../scripts/lib/configure/settings.mjs";
import { Failure } from "../../scripts/lib/console.mjs";
import { NODE, ROOT } from "../../scripts/lib/paths.mjs";
import { developmentAccount } from "../../scripts/lib/system/chain.mjs";

const TEMPLATE = join(ROOT, "wrangler.toml");
const CHECKSUMMED = "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045";
const GOOD = {
  name: "streamchain",
  "database-id": "3f2a1b00-0000-4000-8000-0000000000aa",
  "chain-id": "11155111",
  rpc: "https://rpc.example, https://other.example/rpc",
  contract: CHECKSUMMED,
  "contract-block": "12",
  "siwe-domains": "streamchain.example,streamchain.example:8443",
  operators: CHECKSUMMED,
};
const LOCAL = {
  ...GOOD,
  "chain-id": "31337",
  rpc: "http://127.0.0.1:8545",
  contract: "0x5FbDB2315678afecb367f032d93F642f64180aa3",
  "contract-block": "0",
  "siwe-domains": "localhost:8787",
  operators: developmentAccount(1).address,
  "gas-owners": "*",
};

const folder = () => mkdtempSync(join(tmpdir(), "streamchain-configure-"));

/** Runs without a person and without the network; gives what was said. */
const run = async (out: string, more: Partial<Parameters<typeof configure>[0]> = {}) => {
  const said: string[] = [];
  await configure({
    given: GOOD,
    answers: undefined,
    template: TEMPLATE,
    out,
    overwrite: false,
    dryRun: false,
    offline: true,
    ask: null,
    env: {},
    log: (line: string) => said.push(line),
    record: () => join(out, "..", "no-record.json"),
    ...more,
  });
  return said.join("\n");
};

const refused = (work: Promise<unknown>, reason: RegExp) =>
  assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof Failure, `a Failure, not ${error}`);
    assert.match([error.message, ...error.advice].join("\n"), reason);
    return true;
  });

suite("values", () => {
  test("good ones are taken, and those of a development chain on one", () => {
    assert.deepEqual(problemsOf(GOOD), []);
    assert.deepEqual(problemsOf(LOCAL), []);
  });

  test("development values are refused for another chain", () => {
    for (const name of ["rpc", "contract", "contract-block", "siwe-domains", "operators", "gas-owners"] as const) {
      const problems = problemsOf({ ...GOOD, [name]: LOCAL[name] });
      assert.equal(problems.length, 1, `${name}: ${problems}`);
      assert.match(problems[0] ?? "", new RegExp(`^--${name}: `));
    }
  });

  test("an operator's contract wallet takes two RPC nodes", () => {
    const named = { ...GOOD, "contract-operators": CHECKSUMMED };
    assert.deepEqual(problemsOf(named), []);
    const [problem, ...others] = problemsOf({ ...named, rpc: "https://rpc.example" });
    assert.match(problem ?? "", /^--contract-operators: a single RPC node/);
    assert.deepEqual(others, []);
  });

  test("unfit ones are refused, each by its name", () => {
    const unfit: [string, string][] = [
      ["name", "Stream Chain"],
      ["database-id", "00000000-0000-0000-0000-000000000000"],
      ["database-id", "streamchain"],
      ["chain-id", "0"],
      ["chain-id", "0x1"],
      ["rpc", ""],
      ["rpc", "wss://rpc.example"],
      ["rpc", "https://user:key@rpc.example"],
      ["rpc", "http://rpc.example"],
      ["rpc", "https://rpc.example,https://localhost"],
      ["contract", CHECKSUMMED.toLowerCase()],
      ["contract", CHECKSUMMED.replace("dA6B", "Da6B")],
      ["contract", "0x12"],
      ["contract", `0x${"0".repeat(40)}`],
      ["siwe-domains", ""],
      ["siwe-domains", "https://streamchain.example"],
      ["siwe-domains", "streamchain.example/"],
      ["siwe-domains", "Streamchain.example"],
      ["operators", ""],
      ["operators", `${CHECKSUMMED},0x12`],
      ["contract-operators", "0x12"],
      ["gas-owners", CHECKSUMMED.replace("dA6B", "Da6B")],
      ["daily-gas", "0"],
      ["daily-gas", ""],
      ["max-fee-gwei", "0"],
      ["max-fee-gwei", "1e3"],
      ["client-address-header", "X-Forwarded-For"],
      ["client-address-header", "a b"],
      ["anchor-interval-ms", "60s"],
      ["auto-create-streams", "yes"],
      ["segment-max-age-ms", "0"],
      ["batchers", "3"],
      ["batchers", "512"],
      ["rounds-owner", `${CHECKSUMMED},${CHECKSUMMED}`],
      ["rounds-owner", "0x12"],
      ["public-rpc", "https://rpc.example/v2/0123456789abcdef0123"],
    ];
    for (const [name, value] of unfit) {
      const problems = problemsOf({ ...GOOD, [name]: value });
      assert.ok(
        problems.some((problem) => problem.startsWith(`--${name}: `)),
        `${name} = ${value}: ${problems}`,
      );
    }
  });

  test("the keys that everybody knows are refused, and never printed", () => {
    const { key } = developmentAccount(1);
    const problems = secretProblems({ ANCHORER_KEY: key, MASTER_SECRET: "4d".repeat(32) }, GOOD);
    assert.equal(problems.length, 2);
    assert.ok(!problems.join().includes(key.slice(2)), "the key is not shown");
    assert.deepEqual(secretProblems({ ANCHORER_KEY: key }, LOCAL), []);
    const random = "3f9c0d51e2a7b8461c90fe23d5a4b7980112233445566778899aabbccddeeff0";
    assert.deepEqual(secretProblems({ ANCHORER_KEY: random, MASTER_SECRET: random }, GOOD), []);
    assert.match(secretProblems({ METRICS_TOKEN: "x".repeat(31) }, GOOD).join(), /^METRICS_TOKEN is not 32 or more/);
    assert.deepEqual(secretProblems({ METRICS_TOKEN: "x".repeat(32) }, GOOD), []);
  });
});

suite("the file", () => {
  test("has the answers, safe values, and all tables", async () => {
    const out = join(folder(), "wrangler.production.toml");
    const said = await run(out);
    assert.match(said, /wrangler deploy -c /);
    const text = readFileSync(out, "utf8");
    assert.equal(statSync(out).mode & 0o777, 0o600);
    const tables = (toml: string) => toml.split("\n").filter((line) => line.startsWith("["));
    assert.deepEqual(tables(text), tables(readFileSync(TEMPLATE, "utf8")));
    for (const line of [
      `name = "streamchain"`,
      `name = "REQUESTS"`,
      `database_id = "${GOOD["database-id"]}"`,
      `CONTRACT_ADDRESS = "${CHECKSUMMED}"`,
      `SIWE_DOMAINS = "${GOOD["siwe-domains"]}"`,
      `DAILY_GAS_BUDGET = "80000000"`,
      `AUTO_CREATE_STREAMS = "false"`,
      `SEGMENT_MAX_AGE_MS = "60000"`,
      `BATCHERS = "16"`,
    ]) {
      assert.ok(text.split("\n").includes(line), line);
    }
    assert.doesNotMatch(text, /31337|127\.0\.0\.1|SECRET =|KEY =/);
    const answers = answersIn(text);
    for (const [name, value] of Object.entries(GOOD)) assert.equal(answers[name], value, name);
  });

  test("with a key in an RPC URL leaves the URLs to a secret", async () => {
    const rpc = "https://rpc.example/v2/0123456789abcdef0123";
    const out = join(folder(), "out.toml");
    const said = await run(out, { given: { ...GOOD, rpc } });
    assert.doesNotMatch(readFileSync(out, "utf8"), /0123456789abcdef/);
    assert.match(said, /secret put CHAIN_RPC_URLS/);
  });

  test("that is there is kept unless its replacement is asked for", async () => {
    const out = join(folder(), "out.toml");
    await run(out);
    const own = readFileSync(out, "utf8")
      .replace('main = "build', 'routes = [{ pattern = "streamchain.example", custom_domain = true }]\nmain = "build')
      .replace('RATE_LIMITS = ""', 'RATE_LIMITS = "sessions-address=9/60"\nICE_SERVERS = "stun:stun.example"');
    writeFileSync(out, own);
    const change = { given: { "daily-gas": "7" } };
    await refused(run(out, change), /stays as it is/);
    await refused(run(out, { ...change, ask: async () => "" }), /stays as it is/);
    assert.equal(readFileSync(out, "utf8"), own);
    await run(out, { ...change, overwrite: true });
    const text = readFileSync(out, "utf8");
    for (const line of [
      /^DAILY_GAS_BUDGET = "7"$/m,
      /^routes = /m,
      /^RATE_LIMITS = "sess/m,
      /^ICE_SERVERS = "stun:/m,
    ]) {
      assert.equal(text.match(new RegExp(line, "gm"))?.length, 1, `${line}`);
    }
    assert.equal(readFileSync(`${out}.before`, "utf8"), own);
    assert.equal(render(readFileSync(TEMPLATE, "utf8"), answersIn(text), text), text, "made again, it is the same");
  });

  test("is not written when a value is unfit or missing, or in a try", async () => {
    const dir = folder();
    const out = join(dir, "out.toml");
    const answers = join(dir, "answers.json");
    await refused(run(out, { given: { ...GOOD, contract: "0x12" } }), /--contract/);
    await refused(run(out, { given: {} }), /--chain-id is missing/);
    await refused(run(out, { env: { ANCHORER_KEY: developmentAccount(0).key } }), /ANCHORER_KEY/);
    writeFileSync(answers, '{"chain_id": 1}');
    await refused(run(out, { answers }), /unknown: chain_id/);
    assert.match(await run(out, { dryRun: true }), /CHAIN_ID = "11155111"/);
    assert.ok(!existsSync(out));
    writeFileSync(answers, JSON.stringify({ ...GOOD, "chain-id": 5 }));
    await run(out, { given: {}, answers });
    assert.match(readFileSync(out, "utf8"), /CHAIN_ID = "5"/);
  });

  test("takes the contract from the record of its deployment", async () => {
    const dir = folder();
    const out = join(dir, "out.toml");
    const record = join(dir, "record.json");
    const address = CHECKSUMMED.toLowerCase();
    writeFileSync(record, JSON.stringify({ chainId: 11155111, address, block: 77 }));
    const { contract: _, "contract-block": __, ...given } = GOOD;
    await run(out, { given, record: () => record });
    assert.match(readFileSync(out, "utf8"), new RegExp(`CONTRACT_ADDRESS = "${address}"\nCONTRACT_BLOCK = "77"`));
  });

  test("asks again until an answer is fit, with the usual one shown", async () => {
    const out = join(folder(), "out.toml");
    const asked: string[] = [];
    const tried = new Set<string>();
    const ask = async (question: string) => {
      asked.push(question);
      const isContract = question.startsWith("Address of the StreamChain contract");
      if (isContract && !tried.has("contract")) {
        tried.add("contract");
        return "0x12";
      }
      return "";
    };
    const said = await run(out, { ask });
    assert.equal(asked.filter((question) => question.startsWith("Address of the StreamChain contract")).length, 2);
    assert.match(said, /0x12 is no address/);
    assert.ok(asked.some((question) => question.includes("[80000000]")));
  });
});

test("chain id and contract are looked up at each endpoint", async () => {
  const out = join(folder(), "out.toml");
  let [chainId, code] = ["0x7a69", "0x00"];
  const node = createServer((request, response) => {
    let body = "";
    request.on("data", (part) => (body += part));
    request.on("end", () => {
      const { id, method } = JSON.parse(body);
      response.end(JSON.stringify({ jsonrpc: "2.0", id, result: method === "eth_chainId" ? chainId : code }));
    });
  });
  await new Promise<void>((resolve) => node.listen(0, "127.0.0.1", resolve));
  try {
    const rpc = `http://127.0.0.1:${(node.address() as AddressInfo).port}`;
    const here = { given: { ...LOCAL, rpc }, offline: false, dryRun: true };
    await run(out, here);
    code = "0x";
    await refused(run(out, here), /there is no contract/);
    [chainId, code] = ["0x1", "0x00"];
    await refused(run(out, here), /serves chain 1, not 31337/);
  } finally {
    node.close();
  }
  await refused(run(out, { given: { ...LOCAL, rpc: "http://127.0.0.1:1" }, offline: false }), /does not answer/);
});

test("the command works from flags alone and asks nothing", () => {
  const script = join(ROOT, "scripts", "configure.mjs");
  const flags = Object.entries(GOOD).flatMap(([name, value]) => [`--${name}`, value]);
  const printed = execFileSync(NODE, [script, ...flags, "--dry-run", "--offline"], { encoding: "utf8" });
  assert.match(printed, /SIWE_DOMAINS = /);
  const { status, stderr } = spawnSync(NODE, [script, "--dry-run", "--offline", "--out", join(folder(), "none.toml")], {
    encoding: "utf8",
  });
  assert.equal(status, 1);
  assert.match(stderr, /--siwe-domains is missing/);
  assert.match(readFileSync(join(ROOT, ".gitignore"), "utf8"), /^\/wrangler\.production\.toml$/m);
});

suite("the command lines", () => {
  test("take every setting and the options of both", () => {
    const args = ["--chain-id", " 5 ", "--dry-run", "--offline", "--rpc", "https://rpc.example"];
    const { values, given } = readOptions("npm run x", { own: { type: "string" } }, [...args, "--own", "1"]);
    assert.deepEqual(given, { "chain-id": "5", rpc: "https://rpc.example" });
    assert.deepEqual([values["dry-run"], values.offline, values["no-input"], values.own], [true, true, false, "1"]);
    for (const { name } of SETTINGS) assert.ok(settingsHelp().includes(`  --${name}\n`), name);
  });

  test("refuse an option that they don't have, and name the help", () => {
    assert.throws(
      () => readOptions("npm run x", {}, ["--chainid", "5"]),
      (error) =>
        error instanceof Failure && /--chainid/.test(error.message) && /npm run x -- --help/.test(error.advice.join()),
    );
  });
});
