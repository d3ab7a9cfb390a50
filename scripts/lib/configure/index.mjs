// Makes the configuration of a deployment: answers from options, a file, the file of the time before, the recorded
// deployment of the contract and the person, in this order; nothing is written before all of them are fit.

import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { dirname, relative } from "node:path";
import { createPublicClient, http } from "viem";
import { codeOf, Failure, messageOf } from "../console.mjs";
import { deploymentFile } from "../deploy.mjs";
import { answersIn, render } from "./file.mjs";
import { problemsOf, rpcIsSecret, rpcUrls, SETTINGS, secretProblems } from "./settings.mjs";

/** How long one RPC endpoint may take. */
const REQUEST_TIMEOUT_MS = 15_000;
/** Only the owner reads the file: it may hold addresses of internal services. */
const PRIVATE_FILE = 0o600;

/** @typedef {import("./settings.mjs").Answers} Answers */

/**
 * @typedef {object} Options
 * @property {Answers} given by options
 * @property {string | undefined} answers a JSON file with answers
 * @property {string} template wrangler.toml
 * @property {string} out the file to write
 * @property {boolean} overwrite whether a file that is there may be replaced without asking
 * @property {boolean} dryRun print instead of writing
 * @property {boolean} offline don't ask the RPC endpoints
 * @property {((question: string) => Promise<string>) | null} ask null: nobody is there to answer
 * @property {NodeJS.ProcessEnv} env
 * @property {(line: string) => void} log
 * @property {boolean} [isStep] whether the caller goes on with the deployment, so that no next step is named
 * @property {((chainId: number) => string)} [record] where the deployment of a chain's contract is recorded
 */

/**
 * Writes the configuration, and returns the answers that are in it.
 * @param {Options} options
 */
export const configure = async (options) => {
  const before = await readIfThere(options.out);
  const answers = await complete(await knownAnswers(options), options);
  const problems = [...problemsOf(answers), ...secretProblems(options.env, answers)];
  if (problems.length === 0 && !options.offline) problems.push(...(await chainProblems(answers)));
  if (problems.length > 0) throw new Failure("The configuration is not written.", problems);
  const text = render(await readFile(options.template, "utf8"), answers, before);
  if (options.dryRun) {
    options.log(text.trimEnd());
    return answers;
  }
  await write(text, before, options);
  if (!options.isStep) for (const line of nextSteps(options.out, answers)) options.log(line);
  return answers;
};

/**
 * What is answered already: by the file of the time before, an answers file, and options, the last one first.
 * @param {Pick<Options, "given" | "answers" | "out">} options
 * @returns {Promise<Answers>}
 */
export const knownAnswers = async ({ given, answers, out }) => {
  const before = await readIfThere(out);
  return { ...(before === null ? {} : earlier(before, out)), ...(await answersOf(answers)), ...given };
};

/** @param {string} text @param {string} file */
const earlier = (text, file) => {
  try {
    return answersIn(text);
  } catch (cause) {
    throw new Failure(`${file} can't be read: ${messageOf(cause)}`, ["Move it away to begin anew."]);
  }
};

/** @param {string | undefined} file @returns {Promise<Answers>} */
const answersOf = async (file) => {
  if (file === undefined) return {};
  const text = await readIfThere(file);
  if (text === null) throw new Failure(`There is no ${file}.`);
  /** @type {unknown} */
  let value;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Failure(`${file} is no JSON: ${messageOf(cause)}`);
  }
  const names = new Set(SETTINGS.map(({ name }) => name));
  const entries = Object.entries(typeof value === "object" && value !== null ? value : {});
  const unknown = entries.map(([name]) => name).filter((name) => !names.has(name));
  // A misspelt name would leave its setting at a default.
  if (unknown.length > 0)
    throw new Failure(`${file}: unknown: ${unknown.join(", ")}.`, [`Known: ${[...names].join(", ")}`]);
  return Object.fromEntries(entries.map(([name, answer]) => [name, String(answer)]));
};

/**
 * Adds what is recorded, asked and usual, in the order of the settings, since later ones depend on the chain.
 * @param {Answers} given
 * @param {Options} options
 */
const complete = async (given, { ask, log, record = deploymentFile }) => {
  /** @type {Answers} */
  const answers = { ...given };
  for (const setting of SETTINGS) {
    if (setting.name === "rpc") Object.assign(answers, await recorded(answers, record));
    const usual = given[setting.name] ?? answers[`recorded-${setting.name}`] ?? setting.fallback;
    if (ask === null) {
      if (usual !== undefined) answers[setting.name] = usual;
      continue;
    }
    for (;;) {
      const shown = usual === undefined || usual === "" ? "" : ` [${usual}]`;
      const value = (await ask(`${setting.question}${shown}: `)).trim() || usual || "";
      const problem = setting.problem(value, answers);
      if (problem === null) {
        answers[setting.name] = value;
        break;
      }
      log(`  ${problem}`);
    }
  }
  return answers;
};

/** What the deployment of the contract recorded. @param {Answers} answers @param {(chainId: number) => string} record */
const recorded = async (answers, record) => {
  const text = await readIfThere(record(Number(answers["chain-id"])));
  if (text === null) return {};
  try {
    const { address, block } = JSON.parse(text);
    return { "recorded-contract": String(address), "recorded-contract-block": String(block) };
  } catch {
    return {};
  }
};

/** What the RPC endpoints say against the chain id and the contract. @param {Answers} answers */
const chainProblems = async (answers) => {
  const contract = /** @type {`0x${string}`} */ (answers.contract);
  const found = await Promise.all(
    rpcUrls(answers).map(async (url) => {
      const { host } = new URL(url);
      try {
        const client = createPublicClient({ transport: http(url, { timeout: REQUEST_TIMEOUT_MS, retryCount: 1 }) });
        const chainId = await client.getChainId();
        if (String(chainId) !== answers["chain-id"])
          return `${host} serves chain ${chainId}, not ${answers["chain-id"]}`;
        const code = await client.getCode({ address: contract });
        return code ? null : `${host}: there is no contract at ${contract}`;
      } catch {
        // Without the cause, which holds the URL and its key.
        return `${host} does not answer (--offline leaves this check out)`;
      }
    }),
  );
  return found.filter((problem) => problem !== null);
};

/** @param {string} text @param {string | null} before @param {Options} options */
const write = async (text, before, { out, overwrite, ask, log }) => {
  const name = relative(process.cwd(), out) || out;
  if (before === text) return log(`${name} is as it should be already.`);
  if (before !== null) {
    const agreed = overwrite || (ask !== null && /^y(es)?$/i.test((await ask(`Replace ${name}? [y/N]: `)).trim()));
    if (!agreed) throw new Failure(`${name} is there and stays as it is.`, ["--overwrite replaces it."]);
    await rename(out, `${out}.before`);
    log(`The file as it was: ${name}.before`);
  }
  await mkdir(dirname(out), { recursive: true });
  await writeFile(out, text, { mode: PRIVATE_FILE, flag: "wx" });
  await chmod(out, PRIVATE_FILE);
  log(`${name} is written.`);
};

/** @param {string} out @param {Answers} answers */
const nextSteps = (out, answers) => {
  const config = `-c ${relative(process.cwd(), out) || out}`;
  const secrets = ["MASTER_SECRET", "ANCHORER_KEY", ...(rpcIsSecret(answers) ? ["CHAIN_RPC_URLS"] : [])];
  return [
    "Next:",
    `  wrangler d1 migrations apply streamchain --remote ${config}`,
    `  wrangler deploy ${config}`,
    ...secrets.map((name) => `  wrangler secret put ${name} ${config}`),
    "Where Prometheus reads /v1/metrics:",
    `  wrangler secret put METRICS_TOKEN ${config}`,
  ];
};

/** @param {string} path */
const readIfThere = async (path) => {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return null;
    throw cause;
  }
};
