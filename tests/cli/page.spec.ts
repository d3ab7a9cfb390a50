// Every command of docs/CLI.md is run as it stands there, against a system of its own.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { privateKeyToAccount } from "viem/accounts";
import { createSiweMessage } from "viem/siwe";
import { streamchainPath } from "../../scripts/lib/build/relay.mjs";
import { freePort } from "../../scripts/lib/system/ports.mjs";
import { runningSystem, type TestSystem } from "../harness/system.ts";
import { Run } from "./streamchain.ts";

const page = await readFile(join(import.meta.dirname, "..", "..", "docs", "CLI.md"), "utf8");

/** The blocks of shell commands, with the heading that each stands under. */
const blocks = [...page.matchAll(/^## (.+)$|^```sh\n([\s\S]*?)^```$/gm)].reduce<{ title: string; script: string }[]>(
  (all, [, heading, script]) => {
    if (heading !== undefined) all.push({ title: heading.replaceAll("`", ""), script: "" });
    const last = all.at(-1);
    if (script !== undefined && last) last.script += script;
    return all;
  },
  [],
);

let system: TestSystem;
let folder: string;
let env: Record<string, string>;

/** The access token of a wallet that signed in. */
const signIn = async (): Promise<string> => {
  const wallet = privateKeyToAccount(`0x${"5a".repeat(32)}`);
  const post = async (path: string, body: object): Promise<Record<string, string>> => {
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${system.edge}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
    return (await answer.json()) as Record<string, string>;
  };
  const { nonce = "" } = await post("/v1/auth/nonce", {});
  const { host } = new URL(system.edge);
  const said = { address: wallet.address, nonce, domain: host, uri: `http://${host}/`, version: "1", chainId: 31_337 };
  const message = createSiweMessage({ ...said, version: "1" });
  const { token } = await post("/v1/auth/wallet", { message, signature: await wallet.signMessage({ message }) });
  assert.ok(token, "the wallet signed in");
  return token;
};

before(async () => {
  system = await runningSystem({});
  folder = await mkdtemp(join(tmpdir(), "streamchain-cli-"));
  env = {
    ...(process.env as Record<string, string>),
    PATH: `${dirname(streamchainPath())}${delimiter}${process.env.PATH}`,
    STREAMCHAIN_EDGE: system.edge,
    STREAMCHAIN_VERIFY_CONFIG: system.system.verifyConfig,
    MASTER_SECRET: system.system.master,
    WALLET_TOKEN: await signIn(),
    RELAY_PORT: `${await freePort("udp")}`,
  };
});
after(async () => {
  await system.stop();
  await rm(folder, { recursive: true, force: true });
});

const runs = (script: string): Promise<{ code: number | null; output: string }> =>
  new Promise((resolve, reject) => {
    const shell = spawn("bash", ["-euo", "pipefail", "-c", script], { cwd: folder, env });
    let output = "";
    for (const stream of [shell.stdout, shell.stderr]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
    }
    shell.on("error", reject);
    shell.on("close", (code) => resolve({ code, output }));
  });

describe("the commands of docs/CLI.md", () => {
  for (const { title, script } of blocks) {
    if (script === "") continue;
    it(`run as they stand: ${title}`.slice(0, 60), async () => {
      const { code, output } = await runs(script);
      assert.equal(code, 0, `${script}\n${output}`);
    });
  }

  it("are all that the program has", async () => {
    const help = new Run(system, ["--help"]);
    assert.equal(await help.ended, 0);
    const commands = help.out.split("Commands:")[1]?.split("\n\n")[0] ?? "";
    const names = [...commands.matchAll(/^ {2}([a-z-]+) {2}/gm)].map(([, name]) => name);
    assert.ok(names.length >= 11, names.join(" "));
    const scripts = blocks.map(({ script }) => script).join("\n");
    for (const name of names) {
      if (name !== "help") assert.match(scripts, new RegExp(`streamchain ${name}\\b`), `docs/CLI.md runs ${name}`);
    }
  });
});
