// `npm start`: the whole system on this machine. See `npm start -- --help`.

import { existsSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compileEdgeAhead } from "./lib/build/edge.mjs";
import { buildRelayBehind, relayPath } from "./lib/build/relay.mjs";
import { box, elapsed, Failure, green, heading, main, messageOf, printFailure } from "./lib/console.mjs";
import { BEGAN_MS } from "./lib/node.mjs";
import { cargoOutput, ROOT, STATE } from "./lib/paths.mjs";
import { leftText, Remaining } from "./lib/remaining.mjs";
import { edgeBindgenPath } from "./lib/setup/cargo-tools.mjs";
import { setUp } from "./lib/setup/index.mjs";
import { startInOrder } from "./lib/start.mjs";

const HELP = `npm start [-- options]

Installs missing tools, builds what changed, and runs the whole system on this machine: a local chain with the
contract, the edge Worker, and one relay. The page works before the relay is compiled: it publishes and reads by HTTP until then.
Ctrl-C stops all of it. Its state stays in .streamchain/ for the next start.

  --fresh              delete the chain, the streams and the keys of earlier starts first
  --port N             HTTP port of the edge, for the browser        (default 8787)
  --chain-port N       JSON-RPC port of the local chain              (default 8545)
  --relay-port N       UDP port of the relay                         (default 7100)
  --advertise ADDRESS  this machine's address for other machines, so that they can reach the relay
  --tunnel             also serve the edge at a public address, by wrangler's tunnel (add --advertise for the relay)
  --help               print this text

The ports can also be set in the environment: STREAMCHAIN_PORT, STREAMCHAIN_CHAIN_PORT, STREAMCHAIN_RELAY_PORT.`;

/** @satisfies {import("node:util").ParseArgsOptionsConfig} */
const OPTIONS = {
  fresh: { type: "boolean", default: false },
  port: { type: "string", default: process.env.STREAMCHAIN_PORT ?? "8787" },
  "chain-port": { type: "string", default: process.env.STREAMCHAIN_CHAIN_PORT ?? "8545" },
  "relay-port": { type: "string", default: process.env.STREAMCHAIN_RELAY_PORT ?? "7100" },
  advertise: { type: "string" },
  tunnel: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

/** @typedef {Awaited<ReturnType<typeof import("./lib/system/index.mjs").startSystem>>} System */

const HIGHEST_PORT = 65_535;

/** The part of a start that comes after the page. */
const RELAY = "relay";

const options = () => {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    throw new Failure(messageOf(error), ["npm start -- --help"]);
  }
};

/** @param {ReturnType<typeof options>} flags @param {"port" | "chain-port" | "relay-port"} name */
const port = (flags, name) => {
  const number = Number(flags[name]);
  if (Number.isInteger(number) && number > 0 && number <= HIGHEST_PORT) return number;
  throw new Failure(`--${name} must be a port number: ${flags[name]}`);
};

/** @param {{ chain: number, edge: number, relay: number }} ports */
const requirePorts = async (ports) => {
  const { requireFree } = await import("./lib/system/ports.mjs");
  await requireFree({ what: "local chain", transport: "tcp", port: ports.chain, flag: "--chain-port" });
  await requireFree({ what: "edge", transport: "tcp", port: ports.edge, flag: "--port" });
  await requireFree({ what: "relay", transport: "udp", port: ports.relay, flag: "--relay-port" });
};

/**
 * Makes `npx wrangler dev` serve the same chain; a .dev.vars that is there keeps all that is not the chain's.
 * @param {System} system
 */
const writeDevVars = async (system) => {
  const { writeEdgeVars } = await import("./lib/deploy.mjs");
  const { writeVars } = await import("./lib/system/edge.mjs");
  const file = join(ROOT, ".dev.vars");
  if (!existsSync(file)) {
    const { key, address } = system.operator;
    writeVars(file, { MASTER_SECRET: system.master, ANCHORER_KEY: key, OPERATORS: address });
  }
  if (system.contract) await writeEdgeVars(file, system.contract, system.urls.rpc);
};

/** @param {System} system @param {string} left how long the relay's compilation takes */
const announcePage = (system, left) => {
  const lines = ["The page works.", "", `  Open      ${system.urls.edge}`];
  if (system.urls.tunnel) lines.push(`  Public    ${system.urls.tunnel}`);
  lines.push(`  Chain     ${system.urls.rpc} (id 31337)`, `  Contract  ${system.contract?.address}`);
  lines.push("  Logs      .streamchain/logs/", "");
  if (left) {
    lines.push(`The relay is being compiled, ${left}. Until then the page publishes and reads by HTTP;`);
    lines.push("then it goes over to WebRTC by itself.", "");
  }
  lines.push("Ctrl-C stops all of it; the next start goes on where it left off.");
  console.log(`\n${green(box(lines))}`);
};

/** @param {System} system */
const announceRelay = (system) => {
  const port = system.relayPorts[system.relayIds[0] ?? ""];
  console.log(
    green(
      `The relay works too (UDP port ${port}): messages are live now. Everything is there after ${elapsed(BEGAN_MS)}.`,
    ),
  );
};

/** Resolves at the first signal after the system serves; one that comes before ends us, and our children, at once. */
const catchSignals = () => {
  /** @type {(value?: unknown) => void} */
  let resolve = () => process.exit(1);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => resolve());
  return { next: () => new Promise((done) => (resolve = done)) };
};

/** @param {string[]} path */
const has = (...path) => existsSync(join(ROOT, ...path));

const isSetUp = () => has("node_modules", ".streamchain-lock") && existsSync(edgeBindgenPath());

/** What a start with empty caches does, in this order, measured on two quiet cores (`npm run bench -- first-start`). The Worker is compiled beside the tools. */
const parts = () => {
  const worker = cargoOutput("wasm32-unknown-unknown", "start", "streamchain_edge.wasm");
  return [
    { name: "tools", seconds: 130, isDone: isSetUp() },
    { name: "contracts", seconds: 6, isDone: has("contracts", "out", "StreamChain.sol") },
    { name: "web app", seconds: 2, isDone: has("web", "dist", "index.html") },
    { name: "edge Worker", seconds: existsSync(worker) || !isSetUp() ? 10 : 80, isDone: has("build", "index_bg.wasm") },
    { name: "starting", seconds: 14, isDone: false },
    { name: RELAY, seconds: 190, isDone: existsSync(relayPath("start")) },
  ];
};

/** @param {ReturnType<typeof options>} flags @param {Remaining} remaining */
const run = async (flags, remaining) => {
  const { startSystem } = await import("./lib/system/index.mjs");
  const { claimFolder } = await import("./lib/system/state.mjs");
  const ports = { chain: port(flags, "chain-port"), edge: port(flags, "port"), relay: port(flags, "relay-port") };
  claimFolder(STATE, console.log);
  await requirePorts(ports);
  const { buildForPage } = await import("./lib/build/index.mjs");
  const signals = catchSignals();
  const failure = await startInOrder({
    buildPage: () => buildForPage(remaining),
    startSystem: () => {
      heading("Starting");
      return startSystem({
        dir: STATE,
        ports,
        fresh: flags.fresh,
        tunnel: flags.tunnel,
        advertise: flags.advertise,
        rateLimits: true,
        relays: 0,
        relay: relayPath("start"),
        log: (line) => console.log(`  ${line}`),
      });
    },
    pageWorks: async (/** @type {System} */ system) => {
      await writeDevVars(system);
      announcePage(system, leftText(remaining.secondsFrom(RELAY, Date.now())));
    },
    buildRelay: buildRelayBehind,
    relayWorks: announceRelay,
    asked: signals.next,
    ends: (error) => {
      if (error) printFailure(error);
      console.log("\nStopping the relay, the edge and the chain …");
    },
  });
  console.log("Everything is stopped.");
  return failure ? 1 : 0;
};

await main(async () => {
  const flags = options();
  if (flags.help) return console.log(HELP);
  const remaining = new Remaining(parts(), Date.now() - performance.now());
  const left = leftText(remaining.secondsFrom("tools", Date.now(), RELAY), "until the page works");
  if (left) console.log(`Everything is installed and built once: ${left}.`);
  await setUp(isSetUp() ? {} : { beside: compileEdgeAhead });
  process.exit(await run(flags, remaining));
});
