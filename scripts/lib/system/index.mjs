// The whole system on one machine: chain, contract, edge, relay; started in this order, stopped in the reverse one
// (a relay that stops sends its unstored messages to the edge, and the edge writes to the chain).
//
// `npm start` runs one in .streamchain/ on known ports; each test runs its own in a temporary folder on free ports.
// Nothing is built here: see ../build.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONTRACT_ARTIFACT } from "../build/contracts.mjs";
import { Failure } from "../console.mjs";
import { deployContract } from "../deploy.mjs";
import { CHAIN_ID, chainPart, chainReady, developmentAccount, rpcCall } from "./chain.mjs";
import { edgePart, edgeReady, hasEdgeState, runCron, startCron, tunnelUrl, writeVars } from "./edge.mjs";
import { localEdgeVars } from "./edge-vars.mjs";
import { migrate } from "./migrations.mjs";
import { freePort, LOCALHOST } from "./ports.mjs";
import { relayPart, relayReady } from "./relay.mjs";
import { claimFolder, clearSystem, forgetRun, masterSecret, rememberRun } from "./state.mjs";

/** The local chain's accounts: who deploys the contract, and who signs for the edge. */
const DEPLOYER = 0;
const ANCHORER = 1;

/** The logs that are this run's only, beside those of the relays. */
const LOGS = ["chain", "edge", "migrations"];

/** The relay that every system has; with more of them the others are `local-2`, `local-3` … */
const RELAY_ID = "local";

/** The id of a relay by its index. @param {number} index */
const relayIdAt = (index) => (index === 0 ? RELAY_ID : `${RELAY_ID}-${index + 1}`);

/** The name of a relay's part, and of its log, by the relay's id. @param {string} id */
const relayPartOf = (id) => id.replace(RELAY_ID, "relay");

/**
 * @typedef {import("./part.mjs").Part} Part
 *
 * @typedef {object} SystemOptions
 * @property {string} dir where its state and logs are
 * @property {{ chain?: number, edge?: number, relay?: number }} [ports] free ones when left out
 * @property {boolean} [fresh] forget what the folder holds
 * @property {"interval" | "auto" | "manual"} [mining] a block each second; for each transaction; only when asked
 * @property {{ epoch?: number, stateIntervalS?: number }} [chain] see chainPart: how far finality is behind (two epochs, a
 *   slot a block), and how many seconds of the chain a crash of it loses
 * @property {Record<string, string>} [vars] more variables for the edge, or other values
 * @property {number} [relays] how many relays to start with, 1 unless given; `addRelay` starts further ones
 * @property {(relay: string, edge: string) => Promise<string>} [edgeFor] the address at which a relay finds the edge, if
 *   not the edge's own: a test's proxy
 * @property {string[]} [relayArgs] more arguments for `relay-node run`
 * @property {number} [shards] how many threads each relay has, each on a free port of its own; 1 unless given
 * @property {boolean} [links] link the relays to each other, so that each serves any stream
 * @property {boolean} [metrics] have each relay serve its metrics, on a TCP port of their own
 * @property {string | undefined} [advertise] the address of this machine that other machines reach, for the relay
 * @property {string} [relay] the relay's executable, unless it is the one that is shipped
 * @property {boolean} [rateLimits] hold clients to the usual rates; else to none, for the many sessions of a test have one
 *   address
 * @property {boolean} [tunnel] expose the edge through wrangler's tunnel
 * @property {(line: string) => void} [log]
 */

/** No rate limits at the edge, and none at the relay. */
const UNLIMITED_VARS = { RATE_LIMITS: "off" };
const UNLIMITED_ARGS = ["session-messages", "session-bytes", "stream-messages", "stream-bytes"].flatMap((rate) => [
  `--${rate}`,
  "0",
]);

class System {
  #stopCron = () => {};
  /** @type {Promise<void> | undefined} */
  #stopping;
  #died = Promise.withResolvers();

  /** @param {SystemOptions} options @param {{ chain: number, edge: number, relay: number }} ports */
  constructor(options, ports) {
    this.dir = options.dir;
    this.options = options;
    this.ports = ports;
    this.log = options.log ?? (() => {});
    /** @type {{ edge: string, rpc: string, tunnel?: string }} */
    this.urls = { edge: `http://${LOCALHOST}:${ports.edge}`, rpc: `http://${LOCALHOST}:${ports.chain}` };
    this.master = masterSecret(this.dir);
    /** @type {import("../deploy.mjs").Deployment & { isNew: boolean } | null} the contract on the chain */
    this.contract = null;
    /** Whom `relay-node verify --config` believes about this system. */
    this.verifyConfig = join(this.dir, "verify.json");
    /** The account that signs for the edge. */
    this.operator = developmentAccount(ANCHORER);
    /** By name: chain, edge, relay, relay-2 … They are there once the system was started. */
    this.parts = /** @type {Record<"chain" | "edge" | "relay", Part> & Record<string, Part>} */ ({});
    /** @type {Record<string, number>} each relay's port, by its id */
    this.relayPorts = {};
    /** Where each relay answers with its metrics, with the option `metrics`. @type {Record<string, string>} */
    this.relayMetrics = {};
    /** The ids under which the edge knows the relays. */
    this.relayIds = Array.from({ length: options.relays ?? 1 }, (_, i) => relayIdAt(i));
    // Without a handler a rejection would end the process.
    this.#died.promise.catch(() => {});
  }

  /** Rejects, saying why, when a part ends unexpectedly. */
  get died() {
    return this.#died.promise;
  }

  /** @param {string} name */
  #logFile(name) {
    return join(this.dir, "logs", `${name}.log`);
  }

  /** @type {import("./part.mjs").OnDeath} */
  #onDeath = (part, how) => {
    if (!this.#stopping) this.#died.reject(part.failure(`The ${part.name} ended unexpectedly (${how}).`));
  };

  #rememberParts() {
    const pids = Object.values(this.parts).map(({ pid }) => pid);
    rememberRun(this.dir, pids);
  }

  async start() {
    await this.#startChain();
    await this.#deploy();
    await this.#startEdge();
    for (const id of this.relayIds) await this.#startRelay(id);
    return this;
  }

  async #startChain() {
    const { mining = "interval" } = this.options;
    const how = { ...this.options.chain, dir: this.dir, port: this.ports.chain, mining, log: this.#logFile("chain") };
    this.parts.chain = chainPart(how, this.#onDeath);
    this.log(`local chain (anvil, chain id ${CHAIN_ID}) on ${this.urls.rpc}`);
    await this.#run("chain");
  }

  async #deploy() {
    const { key } = developmentAccount(DEPLOYER);
    const hadStreams = hasEdgeState(this.dir);
    const out = join(this.dir, "contract.json");
    this.contract = await deployContract({ rpc: this.urls.rpc, key, out, artifact: CONTRACT_ARTIFACT, log: this.log });
    if (this.contract.isNew && hadStreams) {
      this.log("The streams of earlier starts have their anchors on another contract: --fresh begins anew.");
    }
    const { address, chainId } = this.contract;
    const believed = { rpc: this.urls.rpc, chainId, contract: address, anchorer: this.operator.address };
    writeFileSync(this.verifyConfig, `${JSON.stringify(believed, null, 2)}\n`);
  }

  /** @param {import("../deploy.mjs").Deployment} contract */
  #edgeVars(contract) {
    return {
      ...localEdgeVars({
        rpc: this.urls.rpc,
        publicRpc: this.urls.rpc,
        contract,
        master: this.master,
        anchorer: this.operator,
      }),
      ...(this.options.rateLimits ? {} : UNLIMITED_VARS),
      ...this.options.vars,
    };
  }

  async #startEdge() {
    if (!this.contract) throw new Error("The contract comes before the edge.");
    this.log("D1 migrations");
    await migrate({ dir: this.dir, log: this.#logFile("migrations") });
    const vars = join(this.dir, "edge", "vars");
    writeVars(vars, this.#edgeVars(this.contract));
    const how = { dir: this.dir, port: this.ports.edge, inspectorPort: await freePort("tcp"), vars };
    this.parts.edge = edgePart(
      { ...how, tunnel: this.options.tunnel ?? false, log: this.#logFile("edge") },
      this.#onDeath,
    );
    this.log(`edge (wrangler dev) on ${this.urls.edge}`);
    await this.#run("edge");
    if (this.options.tunnel) this.urls.tunnel = await tunnelUrl(this.#part("edge"));
    this.#stopCron = startCron(this.urls.edge);
  }

  /** Starts one more relay, and resolves to its id once the edge says that it is alive. */
  async addRelay() {
    const id = relayIdAt(this.relayIds.length);
    this.relayIds.push(id);
    await this.#startRelay(id);
    return id;
  }

  /** @param {string} id */
  async #startRelay(id) {
    const { advertise, relayArgs = [], rateLimits } = this.options;
    const shards = this.options.shards ? ["--shards", `${this.options.shards}`] : [];
    const own = [...shards, ...(await this.#metricsArgs(id)), ...(await this.#linkArgs())];
    const extraArgs = [...(rateLimits ? [] : UNLIMITED_ARGS), ...own, ...relayArgs];
    const name = relayPartOf(id);
    const ownPort = id === RELAY_ID ? this.ports.relay : await freePort("udp");
    const port = this.options.shards ? 0 : ownPort;
    this.relayPorts[id] = port;
    const edge = (await this.options.edgeFor?.(id, this.urls.edge)) ?? this.urls.edge;
    const how = { dir: this.dir, id, port, edge, master: this.master, program: this.options.relay };
    this.parts[name] = relayPart({ ...how, advertise, extraArgs, log: this.#logFile(name) }, this.#onDeath);
    this.log(`${name} on UDP port ${port}`);
    await this.#run(name);
  }

  /** @param {string} id @returns {Promise<string[]>} */
  async #metricsArgs(id) {
    if (!this.options.metrics) return [];
    const address = `${LOCALHOST}:${await freePort("tcp")}`;
    this.relayMetrics[id] = `http://${address}/metrics`;
    return ["--metrics-listen", address];
  }

  /** @returns {Promise<string[]>} */
  async #linkArgs() {
    return this.options.links ? ["--link-listen", `${LOCALHOST}:${await freePort("udp")}`] : [];
  }

  /** @param {string} name */
  #part(name) {
    const part = this.parts[name];
    if (!part) throw new Failure(`There is no part ${name} in this system.`);
    return part;
  }

  /** Starts a part's process and waits until it serves. @param {string} name */
  async #run(name) {
    const part = this.#part(name);
    // A relay may be added while the system is being stopped, and would then run on.
    if (this.#stopping) throw new Failure("The system is being stopped.");
    part.start();
    this.#rememberParts();
    if (name === "chain") await chainReady(part, this.urls.rpc);
    if (name === "edge") await edgeReady(part, this.urls.edge);
    const id = this.relayIds.find((relay) => relayPartOf(relay) === name);
    if (id) await relayReady(part, this.urls.edge, id);
  }

  /** The name of the part of the relay that the edge knows by this id. @param {string} id */
  relayPartName(id) {
    return relayPartOf(id);
  }

  /** The part of the relay that the edge knows by this id. @param {string} id */
  relayPart(id) {
    const part = this.parts[relayPartOf(id)];
    if (!part) throw new Failure(`There is no relay ${id} in this system.`);
    return part;
  }

  /** Ends a part as a crash would. @param {string} name */
  async kill(name) {
    await this.#part(name).kill();
  }

  /** Ends a part as its keeper would. @param {string} name */
  async stopPart(name) {
    await this.#part(name).stop();
  }

  /** Starts a part again that was stopped or killed (stops it if not). @param {string} name */
  async restart(name) {
    await this.#part(name).stop();
    await this.#run(name);
  }

  /** One JSON-RPC call to the chain. @param {string} method @param {unknown[]} params */
  rpc(method, params = []) {
    return rpcCall(this.urls.rpc, method, params);
  }

  /** Runs the edge's cron trigger once, as Cloudflare does each minute. */
  cron() {
    return runCron(this.urls.edge);
  }

  /** Stops every part and waits until all their processes are gone. */
  stop() {
    this.#stopping ??= (async () => {
      this.#stopCron();
      const relays = this.relayIds.map(relayPartOf);
      for (const name of [...relays, "edge", "chain"]) await this.parts[name]?.stop();
      forgetRun(this.dir);
    })();
    return this.#stopping;
  }
}

/**
 * Starts a system and resolves when all of it serves.
 * @param {SystemOptions} options
 */
export const startSystem = async (options) => {
  if (!("withResolvers" in Promise))
    throw new Failure("Node 22 is needed here.", ["npm run …, or node_modules/.bin/node"]);
  const { dir, log = () => {} } = options;
  claimFolder(dir, log);
  if (options.fresh) clearSystem(dir);
  mkdirSync(dir, { recursive: true });
  const ports = {
    chain: options.ports?.chain ?? (await freePort("tcp")),
    edge: options.ports?.edge ?? (await freePort("tcp")),
    relay: options.ports?.relay ?? (await freePort("udp")),
  };
  const system = new System(options, ports);
  for (const name of [...LOGS, ...system.relayIds.map(relayPartOf)])
    rmSync(join(dir, "logs", `${name}.log`), { force: true });
  try {
    return await system.start();
  } catch (error) {
    await system.stop();
    throw error;
  }
};
