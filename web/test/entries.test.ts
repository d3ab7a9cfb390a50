// The entries of the package beside its index.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import * as index from "../src/lib/index.ts";
import { connect } from "../src/lib/index.ts";
import { browserPlatform } from "../src/lib/platform.ts";
import * as receipt from "../src/lib/receipt.ts";
import * as wallet from "../src/lib/wallet.ts";

const ENTRIES = { receipt, wallet };

/** The entries that pass on a module of the index; those of `chain/` that are not listed are about receipts. */
const ENTRIES_OF: Record<string, string[]> = {
  "./chain/chain-events.ts": [],
  "./chain/wallet.ts": ["wallet"],
  "./errors.ts": ["receipt", "wallet"],
};

/** The names, types too, that a file passes on from each module. */
const passedOn = (file: string): Map<string, string[]> => {
  const source = readFileSync(new URL(`../src/lib/${file}.ts`, import.meta.url), "utf8");
  const lists = [...source.matchAll(/^export (?:type )?\{([^}]*)\} from "([^"]+)";/gm)];
  const names = (list: string): string[] => list.split(",").map((name) => name.trim().replace(/^type /, ""));
  return new Map(lists.map(([, list = "", from = ""]) => [from, names(list).filter((name) => name !== "")]));
};

describe("the entries of the package", () => {
  test("export the index's own values", () => {
    for (const [entry, names] of Object.entries(ENTRIES)) {
      for (const [name, value] of Object.entries(names)) {
        assert.equal(value, (index as Record<string, unknown>)[name], `${entry} exports ${name}`);
      }
    }
  });

  test("have all that the index has of receipts and wallets", () => {
    const all = passedOn("index");
    const ofChain = [...all.keys()].filter((module) => module.startsWith("./chain/"));
    for (const module of [...ofChain, "./errors.ts"]) {
      const entries = ENTRIES_OF[module] ?? ["receipt"];
      for (const entry of entries)
        assert.deepEqual(passedOn(entry).get(module), all.get(module), `${entry}: ${module}`);
    }
  });
});

describe("the README of the package", () => {
  const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
  const named = new Set([...read("../README.md").matchAll(/`([\w-]+)`/g)].map(([, name]) => name));

  test("names every value that an entry exports", () => {
    const values = [...Object.keys(index), ...Object.keys(receipt), ...Object.keys(wallet)];
    assert.deepEqual(
      values.filter((name) => !named.has(name)),
      [],
    );
  });

  test("names every error code", () => {
    const source = read("../src/lib/errors.ts");
    const codes = source.slice(source.indexOf("type ErrorCode"), source.indexOf("export interface Problem"));
    const all = [...codes.matchAll(/\| "([\w-]+)"/g)].map(([, code = ""]) => code);
    assert.ok(all.length > 10, "the codes are found");
    assert.deepEqual(
      all.filter((code) => !named.has(code)),
      [],
    );
  });

  test("names Node's version as the manifest does", () => {
    const { engines } = JSON.parse(read("../package.json"));
    assert.equal(engines.node, ">=22");
    assert.match(read("../README.md"), /Node 22 or later/);
  });
});

describe("a connection outside of a page", () => {
  test("needs to be given its edge", () => {
    assert.throws(() => connect({ stream: "demo" }), { code: "edge-unreachable", message: /option `edge`/ });
  });

  test("does not ask Node for its storage", () => {
    const before = Object.getOwnPropertyDescriptor(globalThis, "localStorage");
    let asked = false;
    const get = (): void => {
      asked = true; // Node 25 prints a warning now
    };
    Object.defineProperty(globalThis, "localStorage", { configurable: true, get });
    try {
      assert.deepEqual([browserPlatform().storage, asked], [null, false]);
    } finally {
      if (before === undefined) Reflect.deleteProperty(globalThis, "localStorage");
      else Object.defineProperty(globalThis, "localStorage", before);
    }
  });

  test("opens its sessions with the WebRTC that it is given", () => {
    const made: unknown[] = [];
    class RTCPeerConnection {
      constructor(configuration: unknown) {
        made.push(configuration);
        throw new Error("made");
      }
    }
    const connection = connect({
      stream: "demo",
      edge: "http://127.0.0.1:9",
      webrtc: { RTCPeerConnection },
      rtc: { iceTransportPolicy: "relay" },
      token: "t",
    });
    return new Promise<void>((resolve) => {
      connection.on("attempt", (attempt) => {
        assert.deepEqual([made, attempt.error?.message], [[{ iceTransportPolicy: "relay" }], "made"]);
        connection.close();
        resolve();
      });
    });
  });
});

describe("what the platform says of requests", () => {
  test("they wait for each other unless the protocol is known", (context) => {
    const entries: { name: string; nextHopProtocol: string }[] = [];
    context.mock.method(performance, "getEntriesByType", () => entries);
    context.mock.getter(navigator, "userAgent", () => "Mozilla/5.0");
    const queue = (): boolean => browserPlatform().queuesRequests("https://edge.test");
    const request = (name: string, nextHopProtocol: string): void => void entries.push({ name, nextHopProtocol });
    assert.equal(queue(), true, "nothing is known");
    request("https://edge.test.other/v1/health", "h2");
    request("https://edge.test/v1/health", "");
    assert.equal(queue(), true, "of another origin, and hidden");
    for (const [protocol, queues] of [
      ["h2", false],
      ["http/1.1", true],
      ["h3", false],
    ] as const) {
      request("https://edge.test/v1/health", protocol);
      request("https://edge.test/v1/health", "");
      assert.equal(queue(), queues, protocol);
    }
  });

  test("outside of browsers they do not", () => {
    assert.equal(browserPlatform().queuesRequests("https://edge.test"), false);
  });
});
