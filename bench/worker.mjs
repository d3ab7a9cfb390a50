// The Worker as it is deployed: its size, and how long it takes to start.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { ROOT } from "../scripts/lib/paths.mjs";
import { median, milliseconds, repeated, rounded } from "./lib/statistics.mjs";

const BUILD = join(ROOT, "build");
const GZIP_BEST = 9;
const KB = 1_000;
const TARGET_KB = 150;
const STARTS = 7;

/** What wrangler uploads: the module and the WebAssembly that it imports. */
const modules = () =>
  readdirSync(BUILD)
    .filter((name) => /\.(js|wasm)$/.test(name))
    .map((name) => join(BUILD, name));

const sizeRows = () => {
  const files = modules().map((path) => readFileSync(path));
  const gzipped = files.map((bytes) => gzipSync(bytes, { level: GZIP_BEST }).length).reduce((a, b) => a + b);
  const plain = files.map((bytes) => bytes.length).reduce((a, b) => a + b);
  return {
    figure: "Worker, gzipped",
    value: rounded(gzipped / KB, 4),
    unit: "KB",
    note: `target at most ${TARGET_KB}; ${rounded(plain / KB, 4)} KB before gzip`,
  };
};

const OWN = () => ({
  modules: modules().map((path) => ({ type: path.endsWith(".wasm") ? "CompiledWasm" : "ESModule", path })),
  modulesRoot: BUILD,
  durableObjects: Object.fromEntries(
    ["Stream", "Relays", "Anchorer", "Batcher", "Listener"].map((className) => [
      className.toUpperCase(),
      { className, useSQLite: true },
    ]),
  ),
  d1Databases: ["DB"],
  bindings: { CHAIN_ID: "31337", MASTER_SECRET: "11".repeat(32), ANCHORER_KEY: "22".repeat(32) },
});

const EMPTY = () => ({ modules: true, script: "export default { fetch: () => new Response('ok') };" });

/**
 * Milliseconds from the start of the runtime's process to the Worker's first answer.
 * @param {() => any} options of either kind of Worker
 */
const coldStart = (options) => async () => {
  /** @type {Miniflare | undefined} */
  let worker;
  const time = await milliseconds(async () => {
    worker = new Miniflare(convertV4MiniflareOptions({ compatibilityDate: "2026-10-01", ...options() }));
    const response = await worker.dispatchFetch("http://localhost/v1/health");
    await response.text();
    if (!response.ok) throw new Error(`/v1/health: ${response.status}`);
  });
  await worker?.dispose();
  return time;
};

const startRow = async () => {
  const empty = await repeated(STARTS, coldStart(EMPTY));
  const own = await repeated(STARTS, coldStart(OWN));
  return {
    figure: `Worker start-up, median of ${STARTS}`,
    value: rounded(median(own) - median(empty)),
    unit: "ms",
    note: `to the first answer, beyond an empty Worker: ${rounded(median(own))} ms against ${rounded(median(empty))} ms in workerd`,
  };
};

export const benches = [
  { name: "worker size", run: async () => sizeRows() },
  { name: "worker start", run: startRow },
];
