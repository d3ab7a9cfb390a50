// The types that are served beside client.js: one file that a stranger's compiler takes.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { bundledTypes } from "../../scripts/lib/build/types.mjs";
import * as lib from "../../web/src/lib/index.ts";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const tsc = (...args: string[]): string => {
  try {
    return execFileSync(process.execPath, [here("../../node_modules/typescript/bin/tsc"), ...args], {
      encoding: "utf8",
    });
  } catch (error) {
    return String((error as { stdout?: unknown }).stdout);
  }
};

/** What a stranger writes: each line uses a type that the library gives. */
const CONSUMER = `
import { connect, type AuthorChange, checkDeployment, checkProof, type Receipt, type StreamMessage } from "./client.js";
const stream = connect({ stream: "demo", edge: "https://edge.example", token: async () => "token" });
stream.on("author", (change: AuthorChange) => console.log(change.former));
const seq: number | null = await stream.publish("hello").stored;
for await (const message of stream.subscribe({ from: 0 })) { const one: StreamMessage = message; console.log(one.payload, seq); }
const receipt: Receipt = await stream.edge.receipt("demo", 0);
const ok: boolean = checkProof(receipt).ok && checkDeployment(receipt, { chainId: 1, contract: "0x00" }).ok;
console.log(ok);
export {};
`;

describe("the types of client.js", () => {
  let folder = "";
  let types = "";
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "streamchain-types-"));
    assert.equal(tsc("--project", here("../../web/tsconfig.types.json"), "--outDir", join(folder, "parts")), "");
    types = await bundledTypes(join(folder, "parts", "index.d.ts"));
    writeFileSync(join(folder, "client.d.ts"), types);
    writeFileSync(join(folder, "package.json"), '{"type": "module"}');
    const options = { noEmit: true, strict: true, target: "es2023", module: "nodenext", types: [] };
    const project = { compilerOptions: options, files: ["consumer.ts"] };
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(project));
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const compile = (source: string): string => {
    writeFileSync(join(folder, "consumer.ts"), source);
    return tsc("--project", folder);
  };

  test("compile in a stranger's project, without any package", () => {
    assert.equal(compile(CONSUMER), "");
    assert.doesNotMatch(types, /^import |[}*] from "/m);
  });

  test("leave out what no export needs, and the DOM's WebRTC", () => {
    assert.doesNotMatch(types, /readCandidatePaths/);
    assert.doesNotMatch(types.replace(/\/\*[\s\S]*?\*\//g, ""), /\bRTC(?!PeerConnection: new)/);
  });

  test("refuse what the library does not take", () => {
    assert.match(compile(CONSUMER.replace('stream: "demo", ', "")), /error TS2741/);
    assert.match(compile(CONSUMER.replace("connect,", "connect, nothingOfThisName,")), /error TS2305/);
  });

  test("export every value of the module", () => {
    const names = Object.keys(lib);
    const source = `import { ${names.join(", ")} } from "./client.js";\nconsole.log(${names.join(", ")});\n`;
    assert.equal(compile(source), "");
  });
});
