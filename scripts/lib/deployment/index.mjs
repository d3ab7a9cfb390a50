// Deploying everything on Cloudflare and a chain. Each step looks first and makes only what is missing, so the whole can be
// run again after a failure, a changed value or an update.
//
// What always holds: nothing is written before the keys are kept in their file, and no secret that the Worker has is replaced by
// a new one.

import { existsSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { configure, knownAnswers } from "../configure/index.mjs";
import { rpcIsSecret, rpcUrls } from "../configure/settings.mjs";
import { Failure } from "../console.mjs";
import { deployContract, deploymentFile } from "../deploy.mjs";
import { addressIn, databases, hasBucket, secretNames } from "./cloudflare.mjs";
import { health } from "./health.mjs";
import { addressOf, deploymentKeys, relayKey } from "./keys.mjs";

const PRIVATE_FILE = 0o600;
/** The names that wrangler.toml has. */
const DATABASE = "streamchain";
const BUCKET = "streamchain";

/**
 * @typedef {object} Options
 * @property {Record<string, string>} given answers by options
 * @property {string | undefined} answers a JSON file with answers
 * @property {string} template wrangler.toml
 * @property {string} out the configuration
 * @property {string} folder where keys and the relays' environment files are kept
 * @property {string[]} relays ids of relays that get a key
 * @property {boolean | undefined} [metrics] have a token by which Prometheus reads the metrics
 * @property {string | undefined} url where the edge is served, unless wrangler says it
 * @property {boolean} dryRun look, and say what would be done
 * @property {boolean} offline don't ask the RPC endpoints, and don't look at the deployed edge
 * @property {((question: string) => Promise<string>) | null} ask null: nobody is there to answer
 * @property {NodeJS.ProcessEnv} env
 * @property {(line: string) => void} log
 * @property {import("./cloudflare.mjs").Wrangler} wrangler
 * @property {(chainId: number) => string} [record] where the deployment of a chain's contract is recorded
 * @property {number} [patienceMs] how long the deployed edge may take until it answers
 */

/** Deploys; resolves to whether the edge works. @param {Options} options */
export const deploy = async (options) => {
  if (dirname(options.out) !== dirname(options.template)) {
    throw new Failure("--out must stand beside wrangler.toml, since its paths are relative to it.");
  }
  const run = new Deployment(options);
  await run.keys();
  await run.database();
  await run.bucket();
  await run.contract();
  const answers = await run.configuration();
  await run.worker(answers);
  await run.relays();
  await run.metrics();
  return run.report();
};

/** @param {string} file @param {string} text */
const writePrivate = async (file, text) => {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text, { mode: PRIVATE_FILE });
  await chmod(file, PRIVATE_FILE);
};

class Deployment {
  /** @type {Partial<import("./keys.mjs").Keys>} */
  #keys = {};
  /** @type {Record<string, string>} */
  #given;
  /** @type {string | null} */
  #url;

  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.#given = { ...options.given };
    this.#url = options.url ?? null;
  }

  /** Says what was found or done. @param {string} line */
  #say(line) {
    this.options.log(`  ${line}`);
  }

  /** Says what is about to be made; false where only that is wanted. @param {string} what */
  #begin(what) {
    this.options.log(`${this.options.dryRun ? "would" : "…"} ${what}`);
    return !this.options.dryRun;
  }

  async keys() {
    const { folder, env, dryRun, wrangler, out, relays, metrics } = this.options;
    const file = join(folder, "keys.json");
    const deployed = await secretNames(wrangler, existsSync(out) ? out : this.options.template);
    const { keys, made } = await deploymentKeys({ file, env, deployed, dryRun, metrics });
    this.#keys = keys;
    if (relays.length > 0 && !keys.MASTER_SECRET) {
      const advice = ["Set MASTER_SECRET in the environment, or restore the file of keys."];
      throw new Failure("The Worker has a master secret that is not at hand, so relays get no keys.", advice);
    }
    if (made.length > 0)
      this.#begin(`make ${made.join(" and ")}, in ${relative(process.cwd(), file)}: keep a copy of it`);
    if (keys.ANCHORER_KEY) this.#say(`anchoring account: ${addressOf(keys.ANCHORER_KEY)}`);
  }

  async database() {
    const { wrangler } = this.options;
    const known = (await databases(wrangler)).get(DATABASE);
    if (known) this.#say(`D1 database ${DATABASE}: ${known}`);
    else if (this.#begin(`make the D1 database ${DATABASE}`)) await wrangler(["d1", "create", DATABASE]);
    // In a dry run there is none; this one is no database's.
    const id = known ?? (await databases(wrangler)).get(DATABASE) ?? "ffffffff-ffff-4fff-8fff-ffffffffffff";
    this.#given["database-id"] ??= id;
  }

  async bucket() {
    const { wrangler } = this.options;
    if (await hasBucket(wrangler, BUCKET)) return this.#say(`R2 bucket ${BUCKET} is there`);
    if (this.#begin(`make the R2 bucket ${BUCKET}`)) await wrangler(["r2", "bucket", "create", BUCKET]);
  }

  /** The contract: one that is configured or recorded, or a new one, which DEPLOYER_KEY pays. */
  async contract() {
    const { env, log, record = deploymentFile, dryRun } = this.options;
    const known = await knownAnswers({ ...this.options, given: this.#given });
    if (known.contract) return this.#say(`contract ${known.contract}`);
    await this.#askFor(known, "chain-id", "Chain id (EIP-155), such as 11155111 for Sepolia");
    await this.#askFor(known, "rpc", "JSON-RPC URLs of the chain, with commas between");
    const [rpc] = rpcUrls(this.#given.rpc ? this.#given : known);
    const chainId = Number(this.#given["chain-id"] ?? known["chain-id"]);
    if (!rpc || !chainId)
      throw new Failure("Which chain?", ["Give --chain-id and --rpc, or --contract and --contract-block."]);
    if (!this.#begin(`deploy the contract to chain ${chainId}, unless it is recorded there`)) return;
    const made = await deployContract({ rpc, chainId, key: env.DEPLOYER_KEY, out: record, log });
    if (dryRun) return;
    this.#given.contract = made.address;
    this.#given["contract-block"] = String(made.block);
  }

  /** @param {Record<string, string>} known @param {string} name @param {string} question */
  async #askFor(known, name, question) {
    const { ask } = this.options;
    if (known[name] || ask === null) return;
    this.#given[name] = (await ask(`${question}: `)).trim();
  }

  async configuration() {
    const { dryRun, offline, env, out } = this.options;
    // Nothing of the environment is checked twice: the keys that count are those of the step before.
    const keys = { ...env, ...this.#keys };
    this.#begin(`write ${relative(process.cwd(), out) || out}`);
    return configure({
      ...this.options,
      given: this.#given,
      overwrite: true,
      isStep: true,
      offline: offline || dryRun,
      env: keys,
    });
  }

  /** @param {Record<string, string>} answers */
  async worker(answers) {
    const { wrangler, out } = this.options;
    const config = ["-c", out];
    if (this.#begin("apply the database's migrations")) {
      await wrangler(["d1", "migrations", "apply", DATABASE, "--remote", ...config]);
    }
    if (this.#begin("build and deploy the Worker")) {
      this.#url ??= addressIn(await wrangler(["deploy", ...config]));
    }
    const secrets = { ...this.#keys, ...(rpcIsSecret(answers) ? { CHAIN_RPC_URLS: answers.rpc } : {}) };
    const names = Object.keys(secrets);
    if (names.length > 0 && this.#begin(`set the secrets ${names.join(", ")}`)) {
      await wrangler(["secret", "bulk", ...config], JSON.stringify(secrets));
    }
    this.#url ??= answers["siwe-domains"] ? `https://${answers["siwe-domains"].split(",")[0]?.trim()}` : null;
  }

  /** An environment file for each relay. */
  async relays() {
    const { relays, folder } = this.options;
    const master = this.#keys.MASTER_SECRET;
    for (const id of relays) {
      if (master === undefined) return;
      const file = join(folder, `relay-${id}.env`);
      const name = relative(process.cwd(), file);
      if (!this.#begin(`write ${name}, for /etc/relay-node/relay.env of relay ${id}`)) continue;
      const lines = [
        `STREAMCHAIN_RELAY_ID=${id}`,
        `STREAMCHAIN_RELAY_KEY=${relayKey(master, id)}`,
        `STREAMCHAIN_EDGE=${this.#url ?? ""}`,
        "STREAMCHAIN_LISTEN=0.0.0.0:7100",
        "# The address that browsers reach this machine at:",
        "#STREAMCHAIN_ADVERTISE=203.0.113.7",
      ];
      await writePrivate(file, `${lines.join("\n")}\n`);
    }
  }

  /** The file that Prometheus reads the token from (`credentials_file` in docs/monitoring/prometheus.yml). */
  async metrics() {
    const { metrics, folder } = this.options;
    if (!metrics) return;
    const token = this.#keys.METRICS_TOKEN;
    if (token === undefined) {
      this.#say(
        "The Worker has a METRICS_TOKEN that is not at hand: set it in the environment to have its file written.",
      );
      return;
    }
    const file = join(folder, "metrics-token");
    if (this.#begin(`write ${relative(process.cwd(), file)}, the token of /v1/metrics for Prometheus`)) {
      await writePrivate(file, `${token}\n`);
    }
  }

  async report() {
    const { dryRun, offline, log, patienceMs } = this.options;
    if (dryRun || offline) return true;
    if (this.#url === null) throw new Failure("Where is the edge served?", ["Give --url https://…"]);
    return health({ url: this.#url, log, patienceMs });
  }
}
