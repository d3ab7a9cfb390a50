// What `npm run configure` asks for, and what makes an answer unfit. Pure: no files, no network.
//
// What always holds: off development chains no value is taken that only a development chain has: its contract, its
// accounts, an RPC URL or a domain on this machine.

import { getAddress, isAddress } from "viem";
import { CHAIN_ID, developmentAccount } from "../system/chain.mjs";

/** The chains of local development: anvil and Hardhat, geth's developer mode. */
const DEVELOPMENT_CHAINS = [CHAIN_ID, 1_337];
/** How many accounts anvil and Hardhat give money to. */
const DEVELOPMENT_ACCOUNTS = 20;
/** The address of the first contract of the first development account. */
const DEVELOPMENT_CONTRACT = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
/** A path part of a URL of at least this many characters is a provider's key. */
const KEY_CHARACTERS = 16;

/**
 * @typedef {Record<string, string>} Answers by the settings' names
 *
 * @typedef {object} Setting
 * @property {string} name as an option (`--name`), in an answers file, and in messages
 * @property {string} [variable] the Worker's variable that it becomes
 * @property {string} question
 * @property {string} [fallback] what holds without an answer; a setting without one must be answered
 * @property {(value: string, answers: Answers) => string | null} problem why the value is unfit; null when it is fit
 */

/** @param {Answers} answers */
const isDevelopment = (answers) => DEVELOPMENT_CHAINS.includes(Number(answers["chain-id"]));

/** @type {{ address: string, key: string }[] | undefined} */
let accounts;
const developmentAccounts = () =>
  (accounts ??= Array.from({ length: DEVELOPMENT_ACCOUNTS }, (_, index) => developmentAccount(index)).map(
    ({ address, key }) => ({ address: address.toLowerCase(), key }),
  ));

/** @param {string} list */
const parts = (list) =>
  list
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

/** Whether a host is this machine or a name that no public DNS has. @param {string} host */
const isLocalHost = (host) =>
  /^(localhost|.*\.localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1?\])$/.test(host.toLowerCase());

/** @param {string} text @param {bigint} least */
const wholeNumber = (text, least) =>
  /^\d{1,18}$/.test(text) && BigInt(text) >= least ? null : `it is a whole number, at least ${least}`;

/** @param {bigint} least @returns {Setting["problem"]} */
const numberFrom = (least) => (value) => wholeNumber(value, least);

/** @param {string} text */
const addressProblem = (text) => {
  if (!isAddress(text, { strict: false })) return `${text} is no address: 0x and 40 hexadecimal digits`;
  const isPlain = text === text.toLowerCase();
  return isPlain || isAddress(text) ? null : `${text} has a wrong checksum (EIP-55): ${getAddress(text)}?`;
};

/** @param {string} value */
const batchersProblem = (value) => {
  const count = /^\d{1,3}$/.test(value) ? Number(value) : 0;
  return count >= 1 && count <= 256 && Number.isInteger(Math.log2(count)) ? null : "it is a power of two, 1 to 256";
};

/** @param {string} list @param {Answers} answers */
const accountsProblem = (list, answers) => {
  for (const address of parts(list)) {
    const problem = addressProblem(address);
    if (problem) return problem;
    const isKnown = developmentAccounts().some((account) => account.address === address.toLowerCase());
    if (isKnown && !isDevelopment(answers)) {
      return `${address} is an account of every development chain, whose key everybody knows`;
    }
  }
  return null;
};

/** @type {Setting["problem"]} */
const accountProblem = (value, answers) =>
  value.includes(",") ? "it is one account" : accountsProblem(value, answers);

/** @type {Setting["problem"]} */
const rpcProblem = (list, answers) => {
  if (parts(list).length === 0) return "at least one URL is needed";
  for (const text of parts(list)) {
    const url = URL.canParse(text) ? new URL(text) : null;
    if (!url || !/^https?:$/.test(url.protocol)) return "each is a URL that begins with https:// (or http://)";
    if (url.username || url.password) return `${url.host}: user name and password do not belong into the URL`;
    if (isDevelopment(answers)) continue;
    if (isLocalHost(url.hostname)) return `${url.host} is this machine, which the deployed edge does not reach`;
    if (url.protocol !== "https:") return `${url.host}: without TLS anybody on the way can forge the chain`;
  }
  return null;
};

/** @type {Setting["problem"]} */
const contractProblem = (value, answers) => {
  const problem = addressProblem(value);
  if (problem) return problem;
  if (/^0x0{40}$/.test(value)) return "it is the zero address";
  if (value.toLowerCase() === DEVELOPMENT_CONTRACT && !isDevelopment(answers)) {
    return "it is the first contract of a development chain; anybody can put another there on other chains";
  }
  const isRecorded = value === answers["recorded-contract"];
  return value === value.toLowerCase() && !isRecorded && /[a-f]/.test(value)
    ? `it has no checksum, so a mistyped digit would not show: is it ${getAddress(value)}?`
    : null;
};

/** @type {Setting["problem"]} */
const domainsProblem = (list, answers) => {
  if (parts(list).length === 0) return isDevelopment(answers) ? null : "at least one domain is needed";
  for (const domain of parts(list)) {
    if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$/.test(domain)) {
      return `${domain} is no host name in lower case, with a port or without: no scheme, no path`;
    }
    if (isLocalHost(domain.replace(/:\d+$/, "")) && !isDevelopment(answers)) return `${domain} is this machine`;
  }
  return null;
};

/** @type {Setting["problem"]} */
const publicRpcProblem = (value, answers) => {
  if (value === "") return null;
  if (value.includes(",")) return "it is one URL";
  const problem = rpcProblem(value, answers);
  return problem ?? (hasKey(value) ? "it seems to have a key in it, and every page would show it" : null);
};

/** @type {Setting[]} */
export const SETTINGS = [
  {
    name: "name",
    question: "Name of the Worker",
    fallback: "streamchain",
    problem: (value) => (/^[a-z0-9][a-z0-9-]{0,62}$/.test(value) ? null : "it has 1 to 63 of a-z 0-9 -"),
  },
  {
    name: "database-id",
    question: "The database_id that `wrangler d1 create streamchain` printed",
    problem: (value) =>
      /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value) && /[1-9a-f]/i.test(value)
        ? null
        : "it is a UUID, as `wrangler d1 create` prints it",
  },
  {
    name: "chain-id",
    variable: "CHAIN_ID",
    question: "Chain id (EIP-155), such as 11155111 for Sepolia",
    problem: numberFrom(1n),
  },
  {
    name: "rpc",
    variable: "CHAIN_RPC_URLS",
    question: "JSON-RPC URLs of the chain, the preferred one first, with commas between (two providers are better)",
    problem: rpcProblem,
  },
  {
    name: "contract",
    variable: "CONTRACT_ADDRESS",
    question: "Address of the StreamChain contract, with its checksum",
    problem: contractProblem,
  },
  {
    name: "contract-block",
    variable: "CONTRACT_BLOCK",
    question: "Block that the contract was deployed in",
    problem: (value, answers) => wholeNumber(value, isDevelopment(answers) ? 0n : 1n),
  },
  {
    name: "siwe-domains",
    variable: "SIWE_DOMAINS",
    question: "Domains at which people sign in, such as streamchain.example, with commas between",
    problem: domainsProblem,
  },
  {
    name: "operators",
    variable: "OPERATORS",
    question: "Operators: addresses that may do everything, with commas between",
    problem: (value, answers) =>
      parts(value).length === 0 ? "at least one operator is needed" : accountsProblem(value, answers),
  },
  {
    name: "contract-operators",
    variable: "CONTRACT_OPERATORS",
    question: "Further operators that are contract wallets, which sign in by the word of all your RPC nodes (none)",
    fallback: "",
    problem: (value, answers) =>
      parts(value).length > 0 && rpcUrls(answers).length < 2
        ? "a single RPC node could then sign in as an operator: name two or more, of different providers"
        : accountsProblem(value, answers),
  },
  {
    name: "daily-gas",
    variable: "DAILY_GAS_BUDGET",
    question: "Gas that anchoring may use in a day",
    fallback: "80000000",
    problem: numberFrom(1n),
  },
  {
    name: "max-fee-gwei",
    variable: "MAX_FEE_GWEI",
    question: "Most that is paid for one gas, in gwei; above it anchors wait",
    fallback: "50",
    problem: (value) =>
      /^\d{1,9}(\.\d{1,9})?$/.test(value) && Number(value) > 0 ? null : "it is a number above 0, such as 50 or 0.05",
  },
  {
    name: "gas-owners",
    variable: "GAS_OWNERS",
    question: "Owners, beside the operators, whose streams may put digests and messages on chain (none)",
    fallback: "",
    problem: (value, answers) =>
      value === "*" && !isDevelopment(answers)
        ? "* lets everybody spend your gas: list the owners"
        : value === "*"
          ? null
          : accountsProblem(value, answers),
  },
  {
    name: "client-address-header",
    variable: "CLIENT_ADDRESS_HEADER",
    question: "Header in which a client's address comes; Cloudflare's own unless another proxy is in front",
    fallback: "cf-connecting-ip",
    problem: (value) => (/^[a-z0-9-]{1,64}$/.test(value) ? null : "it is the name of a header, in lower case"),
  },
  {
    name: "anchor-interval-ms",
    variable: "ANCHOR_INTERVAL_MS",
    question: "Least time between anchors, in milliseconds",
    fallback: "60000",
    problem: numberFrom(1_000n),
  },
  {
    name: "segment-max-age-ms",
    variable: "SEGMENT_MAX_AGE_MS",
    question:
      "How long messages may stay in their stream's object before they are written to the database, in milliseconds",
    fallback: "60000",
    problem: numberFrom(100n),
  },
  {
    name: "batchers",
    variable: "BATCHERS",
    question: "Objects that gather the runs of streams for rounds; it stays as it is once there are streams",
    fallback: "16",
    problem: batchersProblem,
  },
  {
    name: "rounds-owner",
    variable: "ROUNDS_OWNER",
    question: "Account that owns the stream of rounds; the anchoring account itself unless another one delegated it",
    fallback: "",
    problem: accountProblem,
  },
  {
    name: "listen-interval-ms",
    variable: "LISTEN_INTERVAL_MS",
    question: "How often the chain is read, in milliseconds: its block time",
    fallback: "12000",
    problem: numberFrom(250n),
  },
  {
    name: "auto-create-streams",
    variable: "AUTO_CREATE_STREAMS",
    question: "Whether the first session on a name makes the stream (true or false)",
    fallback: "false",
    problem: (value) => (["true", "false"].includes(value) ? null : "it is true or false"),
  },
  {
    name: "public-rpc",
    variable: "PUBLIC_RPC_URL",
    question: "A JSON-RPC URL without a key that pages may ask (none)",
    fallback: "",
    problem: publicRpcProblem,
  },
];

/** Whether a URL holds what looks like a provider's key: a long part of the path, or a query. @param {string} text */
const hasKey = (text) => {
  const url = new URL(text);
  return url.search !== "" || url.pathname.split("/").some((part) => part.length >= KEY_CHARACTERS);
};

/** Whether any of the RPC URLs holds a key, which makes the whole list a secret. @param {Answers} answers */
export const rpcIsSecret = (answers) => parts(answers.rpc ?? "").some(hasKey);

/** The RPC URLs of an answer. @param {Answers} answers */
export const rpcUrls = (answers) => parts(answers.rpc ?? "");

/**
 * All that is wrong, a line each.
 * @param {Answers} answers
 */
export const problemsOf = (answers) =>
  SETTINGS.flatMap((setting) => {
    const value = answers[setting.name] ?? setting.fallback;
    if (value === undefined) return [`--${setting.name} is missing: ${setting.question}`];
    const problem = setting.problem(value, answers);
    return problem === null ? [] : [`--${setting.name}: ${problem}`];
  });

/** As the edge checks it (src/config/edge.rs). */
const MIN_METRICS_TOKEN_CHARS = 32;

/** What is wrong with a METRICS_TOKEN, or null. @param {string} token */
export const metricsTokenProblem = (token) =>
  token.length >= MIN_METRICS_TOKEN_CHARS && /^[!-~]+$/.test(token)
    ? null
    : `METRICS_TOKEN is not ${MIN_METRICS_TOKEN_CHARS} or more characters of ASCII without spaces`;

/**
 * What is wrong with the secrets that the environment happens to hold. They are never written, and never printed.
 * @param {{ ANCHORER_KEY?: string | undefined, MASTER_SECRET?: string | undefined, METRICS_TOKEN?: string | undefined }} secrets
 * @param {Answers} answers
 */
export const secretProblems = ({ ANCHORER_KEY, MASTER_SECRET, METRICS_TOKEN }, answers) => {
  const problems = [];
  const digits = (/** @type {string} */ text) => text.trim().toLowerCase().replace(/^0x/, "");
  const isHex = (/** @type {string} */ text) => /^[0-9a-f]{64}$/.test(text);
  if (ANCHORER_KEY) {
    const key = digits(ANCHORER_KEY);
    if (!isHex(key)) problems.push("ANCHORER_KEY is no private key: 64 hexadecimal digits");
    const isKnown = developmentAccounts().some((account) => digits(account.key) === key);
    if (isKnown && !isDevelopment(answers)) problems.push("ANCHORER_KEY is the key of a development account");
  }
  if (MASTER_SECRET) {
    const secret = digits(MASTER_SECRET);
    if (!isHex(secret)) problems.push("MASTER_SECRET is not 64 hexadecimal digits");
    if (isGuessable(secret) && !isDevelopment(answers))
      problems.push("MASTER_SECRET is not random: openssl rand -hex 32");
  }
  const ofToken = METRICS_TOKEN ? metricsTokenProblem(METRICS_TOKEN) : null;
  if (ofToken !== null) problems.push(ofToken);
  return problems;
};

/** 32 random bytes have fewer than 8 different ones about never. @param {string} hex */
const isGuessable = (hex) => new Set(hex.match(/../g)).size < 8;
