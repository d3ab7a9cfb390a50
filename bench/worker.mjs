// The Worker as it is deployed: its size, and how long it takes to start.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { ROOT } from "../scripts/lib/paths.mjs";
import { median, milliseconds, ratio, repeated, rounded } from "./lib/statistics.mjs";

const BUILD = join(ROOT, "build");
/** Another build of the Worker to measure beside it, as that of an earlier version: a folder like `build`. */
const BEFORE = process.env.STREAMCHAIN_WORKER_BEFORE;
const GZIP_BEST = 9;
const KB = 1_000;
const TARGET_KB = 150;
const STARTS = 7;

/** What wrangler uploads: the module and the WebAssembly that it imports. */
const modules = (folder = BUILD) =>
  readdirSync(folder)
    .filter((name) => /\.(js|wasm)$/.test(name))
    .map((name) => join(folder, name));

const sizeOf = (/** @type {string} */ folder) => {
  const files = modules(folder).map((path) => readFileSync(path));
  const gzipped = files.map((bytes) => gzipSync(bytes, { level: GZIP_BEST }).length).reduce((a, b) => a + b);
  const plain = files.map((bytes) => bytes.length).reduce((a, b) => a + b);
  return { gzipped, plain };
};

const sizeRows = () => {
  const { gzipped, plain } = sizeOf(BUILD);
  const before = BEFORE === undefined ? [] : [ratio(gzipped / KB, sizeOf(BEFORE).gzipped / KB, "the build before")];
  return {
    figure: "Worker, gzipped",
    value: rounded(gzipped / KB, 4),
    unit: "KB",
    note: [`target at most ${TARGET_KB}`, `${rounded(plain / KB, 4)} KB before gzip`, ...before].join("; "),
  };
};

const own = (/** @type {string} */ folder) => () => ({
  modules: modules(folder).map((path) => ({ type: path.endsWith(".wasm") ? "CompiledWasm" : "ESModule", path })),
  modulesRoot: folder,
  durableObjects: Object.fromEntries(
    ["Stream", "Relays", "Anchorer", "Batcher", "Listener"].map((className) => [
      className.toUpperCase(),
      { className, useSQLite: true },
    ]),
  ),
  d1Databases: ["DB"],
  bindings: { CHAIN_ID: "31337", MASTER_SECRET: "11".repeat(32), ANCHORER_KEY: "22".repeat(32) },
});

const empty = () => ({ modules: true, script: "export default { fetch: () => new Response('ok') };" });

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
  /** The builds in turns, so that all meet the same machine. */
  const kinds = [empty, own(BUILD), ...(BEFORE === undefined ? [] : [own(BEFORE)])];
  const rounds = await repeated(STARTS, async () => {
    const times = [];
    for (const kind of kinds) times.push(await coldStart(kind)());
    return times;
  });
  const [idle = 0, now = 0, before = 0] = kinds.map((_, kind) => median(rounds.map((times) => times[kind] ?? 0)));
  const beside = BEFORE === undefined ? [] : [ratio(now, before, "the build before")];
  return {
    figure: `Worker start-up, median of ${STARTS}`,
    value: rounded(now - idle),
    unit: "ms",
    note: [
      `to the first answer, beyond an empty Worker: ${rounded(now)} ms against ${rounded(idle)} ms in workerd`,
      ...beside,
    ].join("; "),
  };
};

export const benches = [
  { name: "worker size", run: async () => sizeRows() },
  { name: "worker start", run: startRow },
];
