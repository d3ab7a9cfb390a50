// Every command of the documents is run as it stands there, against one system; but for those that no test can run
// (tests/harness/not-run.ts).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { copyFile, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { privateKeyToAccount } from "viem/accounts";
import { createSiweMessage } from "viem/siwe";
import { relayPath, streamchainPath } from "../../scripts/lib/build/relay.mjs";
import { ROOT } from "../../scripts/lib/paths.mjs";
import { freePort } from "../../scripts/lib/system/ports.mjs";
import { accessToken } from "../edge/harness.ts";
import { type CodeBlock, codeBlocks, commandsIn, DOCUMENTS, isShell } from "../harness/documents.ts";
import { ENDLESS_COMMANDS, isNotRun } from "../harness/not-run.ts";
import { streamReaches } from "../harness/streams.ts";
import { runningSystem, type TestSystem } from "../harness/system.ts";
import { Run } from "./streamchain.ts";

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

/** A folder as a checkout is after `npm start`, as far as the commands use it. */
const makeFolder = async (): Promise<string> => {
  const made = await mkdtemp(join(tmpdir(), "streamchain-documents-"));
  for (const name of [".streamchain", "target/start", "target/relay"])
    await mkdir(join(made, name), { recursive: true });
  for (const profile of ["start", "relay"]) await symlink(relayPath(), join(made, "target", profile, "relay-node"));
  await symlink(join(ROOT, "node_modules"), join(made, "node_modules"));
  await copyFile(system.system.verifyConfig, join(made, ".streamchain", "verify.json"));
  return made;
};

before(async () => {
  system = await runningSystem({});
  folder = await makeFolder();
  const { operator, master, verifyConfig } = system.system;
  env = {
    ...(process.env as Record<string, string>),
    PATH: [dirname(streamchainPath()), dirname(relayPath()), process.env.PATH].join(delimiter),
    STREAMCHAIN_EDGE: system.edge,
    STREAMCHAIN_VERIFY_CONFIG: verifyConfig,
    MASTER_SECRET: master,
    WALLET_TOKEN: await signIn(),
    TOKEN: accessToken(operator.address.toLowerCase(), {}, master),
    RELAY_PORT: `${await freePort("udp")}`,
  };
});
after(async () => {
  await system.stop();
  await rm(folder, { recursive: true, force: true });
});

/** What stands in the documents for a reader's own: addresses, keys, the contract. */
const ownValues = (): [string | RegExp, string][] => {
  const { contract, operator, master } = system.system;
  return [
    [/http:\/\/127\.0\.0\.1:8787|https:\/\/streamchain\.example/g, system.edge],
    [/https:\/\/rpc\.example/g, system.chain],
    [/--contract 0x…/g, `--contract ${contract?.address}`],
    [/--owner 0x…/g, `--owner ${operator.address}`],
    [/MASTER_SECRET=…/g, `MASTER_SECRET=${master}`],
    [/0x…/g, `0x${"5a".repeat(32)}`],
  ];
};

/** A command as it is run: with values of this system, and interrupted once it did its work if it has no end. */
const asRun = (command: string): string => {
  const own = ownValues().reduce((text, [from, to]) => text.replaceAll(from, to), command);
  const endless = ENDLESS_COMMANDS.find(({ begins }) => command.startsWith(begins));
  return endless === undefined ? own : `timeout 60 grep -q -m 1 '${endless.until}' < <(${own} 2> /dev/null)`;
};

/** An answer of the edge that is a refusal fails the command, as a reader would see by eye. */
const PRELUDE = 'curl() { command curl --fail-with-body --no-progress-meter "$@"; }';

const scriptOf = (block: CodeBlock): string => {
  const commands = commandsIn(block).filter((command) => !isNotRun(block.document, command));
  return commands.length === 0 ? "" : [PRELUDE, ...commands.map(asRun)].join("\n");
};

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

/** The page of the command comes first: the streams that the others read are made there. */
const documents = ["docs/CLI.md", ...DOCUMENTS.filter((document) => document !== "docs/CLI.md")];

/** Whether a document has a command to run. */
const hasCommands = (document: string): boolean =>
  codeBlocks(document)
    .filter(isShell)
    .flatMap(commandsIn)
    .some((command) => !isNotRun(document, command));

/** The shell commands of a document, by the heading that they stand under. */
const bySection = (document: string): Map<string, CodeBlock[]> =>
  Map.groupBy(codeBlocks(document).filter(isShell), ({ heading }) => heading);

for (const document of documents.filter(hasCommands)) {
  describe(`the commands of ${document}`, () => {
    for (const [heading, blocks] of bySection(document)) {
      const commands = blocks.flatMap(commandsIn);
      if (commands.every((command) => isNotRun(document, command))) continue;
      it(`run as they stand: ${heading}`.slice(0, 60), async () => {
        if (commands.some((command) => command.includes("/receipt ")))
          await streamReaches(system, "demo", "anchored", 1);
        const script = blocks.map(scriptOf).join("\n");
        const { code, output } = await runs(script);
        assert.equal(code, 0, `${script}\n${output}`);
      });
    }
  });
}

describe("docs/CLI.md", () => {
  it("has every command of the program", async () => {
    const help = new Run(system, ["--help"]);
    assert.equal(await help.ended, 0);
    const commands = help.out.split("Commands:")[1]?.split("\n\n")[0] ?? "";
    const names = [...commands.matchAll(/^ {2}([a-z-]+) {2}/gm)].map(([, name]) => name);
    assert.ok(names.length >= 11, names.join(" "));
    const scripts = codeBlocks("docs/CLI.md").filter(isShell).flatMap(commandsIn).join("\n");
    for (const name of names) {
      if (name !== "help") assert.match(scripts, new RegExp(`streamchain ${name}\\b`), `docs/CLI.md runs ${name}`);
    }
  });
});

describe("the options of a relay", () => {
  it("that the documents name are those of the program", async () => {
    const { code, output } = await runs("relay-node run --help");
    assert.equal(code, 0, output);
    const blocks = documents.flatMap((document) => codeBlocks(document));
    const commands = blocks
      .filter(isShell)
      .flatMap(commandsIn)
      .filter((command) => command.startsWith("relay-node run"));
    const named = commands.flatMap((command) => command.match(/--[a-z-]+/g) ?? []);
    const settings = blocks
      .filter(({ language }) => language === "ini")
      .flatMap(({ text }) => text.match(/STREAMCHAIN_\w+/g) ?? []);
    assert.ok(named.length >= 6 && settings.length >= 10);
    for (const name of [...named, ...settings]) assert.match(output, new RegExp(`${name}\\b`), name);
  });
});
