// What runs in the containers of compose.yaml beside the relay: the local chain, and the edge in workerd. `--help` explains.

import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { choose } from "./lib/choice.mjs";
import { Failure, main, messageOf } from "./lib/console.mjs";

const ABOUT = {
  command: "node scripts/container.mjs",
  does: `A demo of StreamChain without Cloudflare and without a public chain, for the images of containers/Dockerfile. Variables:
  STREAMCHAIN_DATA   folder of what is kept (/data)
  STREAMCHAIN_HOST   address to listen on (0.0.0.0)
  STREAMCHAIN_PORT   port of the edge (8787) or of the chain (8545)
  CHAIN_RPC_URL      the chain as the edge reaches it (http://chain:8545)
  PUBLIC_RPC_URL     the chain as pages reach it (http://localhost:8545)
  RELAY_ID           the relay's id (demo); its key is written to RELAY_KEY_FILE (/keys/relay.key)`,
  kind: "part",
};

const PARTS = [
  { name: "chain", title: "A local chain (anvil)" },
  { name: "edge", title: "The edge; it deploys the contract where the chain has none" },
];

/** @param {string} name @param {string} fallback */
const setting = (name, fallback) => process.env[name] || fallback;

/** @param {number} fallback */
const port = (fallback) => {
  const number = Number(setting("STREAMCHAIN_PORT", `${fallback}`));
  if (Number.isInteger(number) && number > 0 && number < 65_536) return number;
  throw new Failure(`STREAMCHAIN_PORT is no port: ${process.env.STREAMCHAIN_PORT}`);
};

const place = () => ({
  dir: setting("STREAMCHAIN_DATA", "/data"),
  host: setting("STREAMCHAIN_HOST", "0.0.0.0"),
});

/** How long the edge waits for its chain, which another container starts at the same time, and how often it asks. */
const CHAIN_TIMEOUT_MS = 120_000;
const CHAIN_POLL_MS = 500;

/** Resolves once a chain answers there: not every tool that runs compose.yaml waits for what a service depends on. @param {string} rpc */
const chainAnswers = async (rpc) => {
  const { rpcCall } = await import("./lib/system/chain.mjs");
  const { delay } = await import("./lib/system/part.mjs");
  const deadline = Date.now() + CHAIN_TIMEOUT_MS;
  for (;;) {
    try {
      return await rpcCall(rpc, "eth_chainId");
    } catch (error) {
      if (Date.now() > deadline) throw new Failure(`No chain answers at ${rpc}: ${messageOf(error)}`);
      await delay(CHAIN_POLL_MS);
    }
  }
};

/** @type {Record<string, (serving: { died: (reason: unknown) => void }) => Promise<import("./lib/system/part.mjs").Part>>} */
const START = {
  chain: async ({ died }) => {
    const { chainPart, chainReady } = await import("./lib/system/chain.mjs");
    const at = { ...place(), port: port(8_545) };
    const how = { ...at, mining: /** @type {const} */ ("interval"), log: join(at.dir, "logs", "chain.log") };
    const part = chainPart(how, (dead, reason) => died(dead.failure(`The chain ended unexpectedly (${reason}).`)));
    part.start();
    await chainReady(part, `http://127.0.0.1:${at.port}`);
    return part;
  },
  edge: async ({ died }) => {
    const { startEdgeAlone } = await import("./lib/system/edge-alone.mjs");
    const { relayKey } = await import("./lib/deployment/keys.mjs");
    const rpc = setting("CHAIN_RPC_URL", "http://chain:8545");
    await chainAnswers(rpc);
    const { part, master } = await startEdgeAlone(
      {
        ...place(),
        port: port(8_787),
        rpc,
        publicRpc: setting("PUBLIC_RPC_URL", "http://localhost:8545"),
        log: console.log,
      },
      (dead, reason) => died(dead.failure(`The edge ended unexpectedly (${reason}).`)),
    );
    const file = setting("RELAY_KEY_FILE", "/keys/relay.key");
    mkdirSync(dirname(file), { recursive: true });
    // It is read-only, so that it can't be written a second time.
    rmSync(file, { force: true });
    writeFileSync(file, relayKey(master, setting("RELAY_ID", "demo")));
    // The relay has another user; only the containers of both see this folder.
    chmodSync(file, 0o444);
    return part;
  },
};

await main(async () => {
  const [chosen, ...more] = choose(process.argv.slice(2), PARTS, ABOUT) ?? [];
  if (chosen === undefined) return 0;
  if (more.length > 0) throw new Failure("One part at a time: chain or edge.");
  const { promise: died, reject } = /** @type {PromiseWithResolvers<never>} */ (Promise.withResolvers());
  died.catch(() => {});
  const asked = new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, resolve);
  });
  const part = await START[chosen.name]?.({ died: reject });
  console.log(`The ${chosen.name} serves.`);
  try {
    await Promise.race([died, asked]);
  } finally {
    await part?.stop();
  }
  process.exit(0);
});
