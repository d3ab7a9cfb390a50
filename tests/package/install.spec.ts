// The packed package in an empty folder: it imports, its types compile for several kinds of projects, and it is packed
// from a fresh clone.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import { npmBin, ROOT } from "../../scripts/lib/paths.mjs";
import { packClient, readmeExamples, StrangersFolder, versionOf } from "./stranger.ts";

/** Uses a type of each entry, and what the index and the entries share. */
const CONSUMER = `
import { connect, type StreamMessage, StreamChainError, type Receipt } from "@streamchain/client";
import { checkProof, parseReceipt, StreamChainError as SameError } from "@streamchain/client/receipt";
import { type Wallet, connectWallet } from "@streamchain/client/wallet";

const stream = connect({ edge: "https://edge.example", stream: "demo", rtc: { iceTransportPolicy: "relay" } });
stream.on("state", ({ state, error }) => console.log(state satisfies string, error?.code));
const seq: number | null = await stream.publish("hello").stored;
for await (const message of stream.subscribe({ from: 0 })) { const one: StreamMessage = message; console.log(one.payload, seq); }
const receipt: Receipt = parseReceipt("{}");
const error: StreamChainError = new SameError("closed", checkProof(receipt).ok ? "yes" : "no");
const sign = async (wallet: Wallet): Promise<string> => connectWallet(wallet);
console.log(error, sign);
`;

const REACT_CONSUMER = `
import { connect, type StreamConnection } from "@streamchain/client";
import { useStream, usePublish, useReceipt } from "@streamchain/client/react";
function Component(): string {
  const stream = useStream({ edge: "https://edge.example", stream: "demo", from: 0, maxMessages: 5 });
  const connection: StreamConnection | null = stream.connection;
  const { publish, failed } = usePublish(stream);
  const { state } = useReceipt(stream, 0, { expected: { chainId: 1, contract: "0x00" }, rpcUrl: "https://rpc.example" });
  publish(new Uint8Array(3));
  return \`\${connection?.stream} \${failed.length} \${state satisfies string} \${typeof connect}\`;
}
console.log(Component);
`;

/** Compilers' settings that projects have, each with the name of its kind. */
const PROJECTS: Record<string, object> = {
  "a page with a bundler": { module: "esnext", moduleResolution: "bundler", lib: ["es2023", "dom"], types: [] },
  "a program for Node, without the DOM's types": { module: "nodenext", lib: ["es2023"], types: ["node"] },
  "a program for Node with the DOM's types": { module: "nodenext", lib: ["es2023", "dom"], types: ["node"] },
};

describe("the packed package", () => {
  let archive = "";
  let folder: StrangersFolder;
  before(async () => {
    archive = await packClient();
    const packages = ["react", "react-dom", "@types/react", "@types/node"];
    const versions = await Promise.all(packages.map(async (name) => `${name}@${await versionOf(name)}`));
    folder = await StrangersFolder.with(archive, ...versions);
  });
  after(async () => {
    await folder?.remove();
    if (archive !== "") await rm(dirname(archive), { recursive: true, force: true });
  });

  it("brings no other package", async () => {
    const alone = await StrangersFolder.with(archive);
    try {
      const lock = JSON.parse(await alone.read("package-lock.json"));
      assert.deepEqual(Object.keys(lock.packages), ["", "node_modules/@streamchain/client"]);
    } finally {
      await alone.remove();
    }
  });

  it("is imported by Node, and its entries share their classes", async () => {
    const { code, text } = await folder.runModule(`
      import * as index from "@streamchain/client";
      import * as receipt from "@streamchain/client/receipt";
      import * as wallet from "@streamchain/client/wallet";
      import * as react from "@streamchain/client/react";
      for (const entry of [receipt, wallet]) {
        for (const [name, value] of Object.entries(entry)) if (index[name] !== value) throw new Error(name);
      }
      console.log(Object.keys(react).join(" "), index.toHex(index.keccak(new Uint8Array())));
    `);
    const empty = "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470";
    assert.deepEqual([code, text.trim()], [0, `usePublish useReceipt useStream ${empty}`]);
  });

  it("is loaded by CommonJS where Node can do so", async () => {
    await folder.write("old.cjs", `console.log(typeof require("@streamchain/client").connect);`);
    const { code, text } = await folder.start(["--no-warnings", "old.cjs"]).ended;
    assert.deepEqual([code, text.trim()], [0, "function"]);
  });

  it("renders on a server, where nothing connects", async () => {
    const { code, text } = await folder.runModule(`
      import { createElement } from "react";
      import { renderToString } from "react-dom/server";
      import { usePublish, useReceipt, useStream } from "@streamchain/client/react";
      globalThis.fetch = () => { throw new Error("no request is made"); };
      const Page = () => {
        const stream = useStream({ stream: "demo" });
        return [stream.state, useReceipt(stream, 0).state, usePublish(stream).unstored.length].join(" ");
      };
      console.log(renderToString(createElement(Page)));
    `);
    assert.deepEqual([code, text.trim()], [0, "connecting waiting 0"]);
  });

  it("hides its inner modules", async () => {
    const { text } = await folder.runModule(
      `await import("@streamchain/client/lib/index.js").catch((e) => console.log(e.code));`,
    );
    assert.equal(text.trim(), "ERR_PACKAGE_PATH_NOT_EXPORTED");
  });

  const compile = async (source: string, settings: object): Promise<string> => {
    await folder.write("consumer.ts", source);
    const options = { noEmit: true, strict: true, target: "es2022", skipLibCheck: false, ...settings };
    await folder.write("tsconfig.json", JSON.stringify({ compilerOptions: options, files: ["consumer.ts"] }));
    return (await folder.start([npmBin("tsc"), "--project", folder.path]).ended).text;
  };

  for (const [kind, settings] of Object.entries(PROJECTS)) {
    it(`has types for ${kind}`, async () => {
      assert.equal(await compile(CONSUMER, settings), "");
      const wrong = CONSUMER.replace('stream: "demo", ', "");
      assert.match(await compile(wrong, settings), /error TS2345|error TS2741/, "the types are not just any");
    });
  }

  it("has types for React", async () => {
    assert.equal(await compile(REACT_CONSUMER, PROJECTS["a page with a bundler"] ?? {}), "");
  });

  it("takes the browser's own WebRTC types", async () => {
    const source = `
      import { connect } from "@streamchain/client";
      const rtc: RTCConfiguration = { iceServers: [{ urls: ["turn:t.example"], username: "u", credential: "c" }] };
      connect({ stream: "demo", rtc, webrtc: { RTCPeerConnection } });
    `;
    assert.equal(await compile(source, PROJECTS["a page with a bundler"] ?? {}), "");
  });

  it("has a README whose examples compile", async () => {
    const examples = await readmeExamples();
    assert.deepEqual([...examples.keys()], ["publish-and-read", "check-a-receipt", "react"]);
    for (const name of ["publish-and-read", "check-a-receipt"]) {
      assert.equal(
        await compile(`${examples.get(name)}\nexport {};`, PROJECTS["a page with a bundler"] ?? {}),
        "",
        name,
      );
    }
  });
});

describe("a fresh clone", () => {
  it("packs the package with nothing built before", async () => {
    const clone = await mkdtemp(join(tmpdir(), "streamchain-clone-"));
    try {
      const names = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], {
        cwd: ROOT,
        encoding: "utf8",
      });
      for (const name of names.split("\0").filter((path) => path !== "" && !path.startsWith("fuzz/"))) {
        await mkdir(dirname(join(clone, name)), { recursive: true });
        await cp(join(ROOT, name), join(clone, name)).catch(() => {}); // deleted, and not committed yet
      }
      await symlink(join(ROOT, "node_modules"), join(clone, "node_modules"));
      const archive = await packClient(clone);
      const listed = execFileSync("tar", ["tzf", archive], { encoding: "utf8" });
      for (const name of ["lib/index.js", "lib/react.d.ts", "LICENSE-MIT", "CHANGELOG.md"]) {
        assert.match(listed, new RegExp(`^package/${name.replace(".", "\\.")}$`, "m"));
      }
      assert.doesNotMatch(listed, /\.ts$(?<!\.d\.ts)|examples|src\//m);
      await rm(dirname(archive), { recursive: true, force: true });
    } finally {
      await rm(clone, { recursive: true, force: true });
    }
  });
});
