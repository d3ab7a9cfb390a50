// Deploying the contract. What always holds: a deployment is recorded only after its code was seen on the chain, and
// a chain that has our code where the record says gets no second one. Bytecode carries no metadata (foundry.toml), so
// "our code" is a comparison of bytes.

import { chmod, mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  BaseError,
  createPublicClient,
  createWalletClient,
  defineChain,
  encodeDeployData,
  formatEther,
  http,
  isHex,
  size,
  TransactionReceiptNotFoundError,
  WaitForTransactionReceiptTimeoutError,
} from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { CONTRACT_ARTIFACT } from "./build/contracts.mjs";
import { codeOf, Failure, messageOf } from "./console.mjs";
import { STATE } from "./paths.mjs";

/** The chain id of a local development chain (anvil), whose node signs for its own accounts. */
const LOCAL_CHAIN_ID = 31337;

/** How long one JSON-RPC request may take. */
const REQUEST_TIMEOUT_MS = 15_000;
/** How long to wait for the transaction: several minutes of full blocks on a public chain. */
const RECEIPT_TIMEOUT_MS = 300_000;
const LOCAL_POLLING_MS = 100;
/** A local chain that mines by itself does so within this time. */
const LOCAL_MINING_MS = 3_000;
const PUBLIC_POLLING_MS = 2_000;
/** Only the owner reads a file of the edge's variables: it may hold secrets. */
const PRIVATE_FILE = 0o600;

/**
 * A deployment as its JSON file has it.
 * @typedef {{chainId: number, address: `0x${string}`, block: number, transaction: `0x${string}`}} Deployment
 *
 * @typedef {import("viem").PublicClient<import("viem").HttpTransport, import("viem").Chain>} Client a chain's node
 * @typedef {import("viem").HttpTransport} Transport
 * @typedef {{ abi: import("viem").Abi, bytecode: `0x${string}`, code: string }} Contract `code`: what runs, lower case
 * @typedef {(line: string) => void} Log
 */

/** Where the command records a chain's deployment by default. @param {number} chainId */
export const deploymentFile = (chainId) => join(STATE, "deployments", `${chainId}.json`);

/**
 * Makes sure that the contract is on the chain behind `rpc`, and records its address.
 *
 * @param {object} options
 * @param {string} options.rpc JSON-RPC over HTTP
 * @param {string | undefined} [options.key] private key of the paying account, hex; not needed on the local chain
 * @param {number | undefined} [options.chainId] fail unless the RPC serves this chain
 * @param {string | ((chainId: number) => string)} [options.out] the deployment's JSON file; without it the call
 *   neither looks for an earlier deployment nor keeps a record
 * @param {string | undefined} [options.artifact] forge's JSON of the compiled contract
 * @param {(line: string) => void} [options.log] gets a line for each step
 * @returns {Promise<Deployment & {isNew: boolean}>} `isNew`: whether this call deployed it
 * @throws {Failure} what a person can put right: RPC, chain, key, funds, build
 */
export const deployContract = async ({
  rpc,
  key,
  chainId: wanted,
  out,
  artifact = CONTRACT_ARTIFACT,
  log = console.log,
}) => {
  const contract = await readArtifact(artifact);
  const transport = transportTo(rpc);
  const id = await chainIdBehind(rpc, transport);
  if (wanted !== undefined && id !== wanted) {
    throw new Failure(`The RPC endpoint serves chain ${id}, not ${wanted}.`, ["Check the RPC URL and the chain id."]);
  }

  const client = createPublicClient({ chain: chainOf(id, rpc), transport, pollingInterval: pollingFor(id) });
  const file = typeof out === "function" ? out(id) : out;
  const known = file ? await findRecorded(client, contract, file, log) : null;
  if (known) {
    log(`The contract is on chain ${id} already, at ${known.address} since block ${known.block}.`);
    return { ...known, isNew: false };
  }
  const deployment = await deployNew({ client, contract, key, transport, log });
  if (file) await writeWhole(file, `${JSON.stringify(deployment, null, 2)}\n`);
  log(`Deployed to chain ${id} at ${deployment.address} in block ${deployment.block}.`);
  return { ...deployment, isNew: true };
};

/**
 * Writes where the contract is into the file the edge reads its variables from, leaving every other line as it is.
 * A list of RPC URLs for the same chain that has this URL among others stays.
 *
 * @param {string} file a dotenv file, such as `.dev.vars`; made if missing
 * @param {Deployment} deployment
 * @param {string} rpc the RPC URL that the edge shall use
 */
export const writeEdgeVars = async (file, deployment, rpc) => {
  const before = (await readIfThere(file)) ?? "";
  const after = withVars(before, {
    CHAIN_RPC_URLS: rpcUrlsFor(before, deployment.chainId, rpc),
    CHAIN_ID: String(deployment.chainId),
    CONTRACT_ADDRESS: deployment.address,
    CONTRACT_BLOCK: String(deployment.block),
  });
  if (after !== before) await writeWhole(file, after, PRIVATE_FILE);
};

/**
 * The dotenv text with these variables set: in place where they are, at the end where they are not.
 * @param {string} text
 * @param {Record<string, string>} vars
 */
export const withVars = (text, vars) => {
  const missing = new Map(Object.entries(vars));
  const lines = text.split("\n").map((line) => {
    const name = nameOf(line);
    if (name === null || !(name in vars)) return line;
    missing.delete(name);
    return `${name}="${vars[name]}"`;
  });
  if (lines.at(-1) === "") lines.pop();
  for (const [name, value] of missing) lines.push(`${name}="${value}"`);
  return `${lines.join("\n")}\n`;
};

/** @param {string} line */
const nameOf = (line) => /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=/.exec(line)?.[1] ?? null;

/** @param {string} text @param {string} wanted */
const valueIn = (text, wanted) => {
  const line = text.split("\n").findLast((candidate) => nameOf(candidate) === wanted);
  if (line === undefined) return "";
  const value = line.slice(line.indexOf("=") + 1).trim();
  return /^(["'])(.*)\1$/.exec(value)?.[2] ?? value;
};

/** @param {string} text @param {number} chainId @param {string} rpc */
const rpcUrlsFor = (text, chainId, rpc) => {
  const list = valueIn(text, "CHAIN_RPC_URLS");
  const sameChain = valueIn(text, "CHAIN_ID") === String(chainId);
  return sameChain && list.split(",").some((url) => url.trim() === rpc) ? list : rpc;
};

/** @param {string} path @returns {Promise<Contract>} */
const readArtifact = async (path) => {
  const text = await readIfThere(path);
  const build = ["Run `npm run build` first."];
  if (text === null) throw new Failure(`The contract is not built: ${path} is missing.`, build);
  try {
    const { abi, bytecode, deployedBytecode } = JSON.parse(text);
    if (!isCode(bytecode.object) || !isCode(deployedBytecode.object)) throw new Error("it has no bytecode");
    return { abi, bytecode: bytecode.object, code: deployedBytecode.object.toLowerCase() };
  } catch (cause) {
    throw new Failure(`${path} is no compiled contract: ${messageOf(cause)}.`, build);
  }
};

/** @param {unknown} value */
const isCode = (value) => isHex(value) && size(value) > 0;

/** @param {string} rpc */
const transportTo = (rpc) => {
  if (!/^https?:\/\/[^\s",]+$/.test(rpc ?? "")) {
    throw new Failure(`${rpc} is no RPC URL.`, ["It begins with http:// or https://."]);
  }
  return http(rpc, { timeout: REQUEST_TIMEOUT_MS, retryCount: 1 });
};

/** @param {string} rpc @param {Transport} transport */
const chainIdBehind = async (rpc, transport) => {
  try {
    return await createPublicClient({ transport }).getChainId();
  } catch (cause) {
    throw new Failure(`The RPC endpoint at ${withoutSecrets(rpc)} does not answer: ${reasonOf(cause)}`, [
      "Is the chain running, and the URL right? `npm start` runs a local chain at http://127.0.0.1:8545.",
    ]);
  }
};

/** A URL fit for a log: providers put keys into user name, path and query. @param {string} rpc */
const withoutSecrets = (rpc) => {
  try {
    return new URL(rpc).origin;
  } catch {
    return "that URL";
  }
};

/** What a node or viem says, shortest first. @param {unknown} error */
const reasonOf = (error) => (error instanceof BaseError ? error.details || error.shortMessage : messageOf(error));

/** @param {number} id @param {string} rpc */
const chainOf = (id, rpc) =>
  defineChain({
    id,
    name: `chain ${id}`,
    nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: { default: { http: [rpc] } },
  });

/** @param {number} chainId */
const pollingFor = (chainId) => (chainId === LOCAL_CHAIN_ID ? LOCAL_POLLING_MS : PUBLIC_POLLING_MS);

/**
 * The recorded deployment when the chain has our code there; null on a new chain or with an older contract.
 * @param {Client} client @param {Contract} contract @param {string} file @param {Log} log
 * @returns {Promise<Deployment | null>}
 */
const findRecorded = async (client, contract, file, log) => {
  const record = parseRecord(await readIfThere(file));
  if (record === null || record.chainId !== client.chain.id) return null;
  const code = await client.getCode({ address: record.address });
  if (code?.toLowerCase() !== contract.code) {
    const found = code ? "has other code" : "has no code";
    log(`The recorded address ${record.address} ${found} on chain ${record.chainId}: deploying anew.`);
    return null;
  }
  return { ...record, block: (await blockOf(client, record.transaction)) ?? record.block };
};

/** @param {string | null} text @returns {Deployment | null} */
const parseRecord = (text) => {
  if (text === null) return null;
  try {
    const { chainId, address, block, transaction } = JSON.parse(text);
    const sound = Number.isSafeInteger(chainId) && Number.isSafeInteger(block) && isHex(address) && isHex(transaction);
    return sound ? { chainId, address, block, transaction } : null;
  } catch {
    return null;
  }
};

/**
 * The block that has the transaction, or null when the node does not know: it may have pruned the receipt.
 * @param {Client} client
 * @param {`0x${string}`} hash
 */
const blockOf = async (client, hash) => {
  try {
    return Number((await client.getTransactionReceipt({ hash })).blockNumber);
  } catch (cause) {
    if (cause instanceof TransactionReceiptNotFoundError) return null;
    throw cause;
  }
};

/**
 * @param {{ client: Client, contract: Contract, key: string | undefined, transport: Transport, log: Log }} how
 * @returns {Promise<Deployment>}
 */
const deployNew = async ({ client, contract, key, transport, log }) => {
  const account = key ? accountFrom(key) : await localAccount(client);
  const address = typeof account === "string" ? account : account.address;
  const wallet = createWalletClient({ account, chain: client.chain, transport });
  const data = encodeDeployData({ abi: contract.abi, bytecode: contract.bytecode });
  const fees = await feesFor(client, address, data);
  const transaction = await wallet.sendTransaction({ account, data, ...fees }).catch((cause) => {
    throw new Failure(`The node refused the deployment: ${reasonOf(cause)}`, [`The paying account is ${address}.`]);
  });
  log(`Sent transaction ${transaction} from ${address}; waiting for its block.`);
  const { contractAddress, blockNumber } = await receiptOf(client, transaction);
  if (!contractAddress) throw new Failure(`Transaction ${transaction} made no contract.`);
  const code = await client.getCode({ address: contractAddress });
  if (code?.toLowerCase() !== contract.code) {
    throw new Failure(`The code at ${contractAddress} is not what was sent.`, [
      "Run this again; if it stays so, this chain does not run the EVM version in contracts/foundry.toml.",
    ]);
  }
  // Addresses are in lower case everywhere in StreamChain.
  const at = /** @type {`0x${string}`} */ (contractAddress.toLowerCase());
  return { chainId: client.chain.id, address: at, block: Number(blockNumber), transaction };
};

/** @param {string} key */
const accountFrom = (key) => {
  /** @type {`0x${string}`} */
  const hex = `0x${key.replace(/^0x/, "")}`;
  try {
    return privateKeyToAccount(hex);
  } catch {
    // Without the cause, which might print the key.
    throw new Failure("The deployer's key is no private key.", ["It is 32 bytes in hex, with or without 0x."]);
  }
};

/** Methods that only development nodes have. @param {Client} client @param {"eth_accounts" | "evm_mine"} method */
const localRequest = (client, method) =>
  /** @type {(call: object) => Promise<any>} */ (client.request)({ method, params: [] });

/** @param {Client} client @returns {Promise<`0x${string}`>} */
const localAccount = async (client) => {
  const [first] = client.chain.id === LOCAL_CHAIN_ID ? await localRequest(client, "eth_accounts") : [];
  if (first) return first;
  throw new Failure("A private key is needed to pay for the deployment.", [
    "Set the environment variable DEPLOYER_KEY (hex), or give --key.",
  ]);
};

/**
 * Gas and EIP-1559 fees of the deployment, once it is known that the account can pay them.
 * @param {Client} client
 * @param {`0x${string}`} account
 * @param {`0x${string}`} data
 */
const feesFor = async (client, account, data) => {
  const block = await client.getBlock();
  if (block.baseFeePerGas === null || block.baseFeePerGas === undefined) {
    throw new Failure(`Chain ${client.chain.id} has no EIP-1559 fees.`, [
      "The edge needs them too: take another chain.",
    ]);
  }
  const [{ maxFeePerGas, maxPriorityFeePerGas }, gas, balance] = await Promise.all([
    client.estimateFeesPerGas(),
    client.estimateGas({ account, data }).catch((cause) => cause),
    client.getBalance({ address: account }),
  ]);
  const needed = typeof gas === "bigint" ? gas * maxFeePerGas : 1n;
  if (balance < needed) {
    const about = typeof gas === "bigint" ? `up to ${formatEther(needed)} ETH is needed` : "it has to pay for gas";
    throw new Failure(`The account ${account} has ${formatEther(balance)} ETH on chain ${client.chain.id}; ${about}.`, [
      "Send it some, or use another key.",
    ]);
  }
  if (typeof gas !== "bigint") throw new Failure(`The node cannot estimate the deployment's gas: ${reasonOf(gas)}`);
  return { gas, maxFeePerGas, maxPriorityFeePerGas };
};

/**
 * Asks a local chain to mine a block when it didn't by itself (`anvil --no-mining`).
 * @param {Client} client
 * @param {`0x${string}`} hash
 */
const mineIfIdle = async (client, hash) => {
  if (client.chain.id !== LOCAL_CHAIN_ID) return;
  const wait = { hash, timeout: LOCAL_MINING_MS };
  const mined = await client.waitForTransactionReceipt(wait).catch(() => null);
  if (mined === null) await localRequest(client, "evm_mine");
};

/** @param {Client} client @param {`0x${string}`} hash */
const receiptOf = async (client, hash) => {
  try {
    await mineIfIdle(client, hash);
    const receipt = await client.waitForTransactionReceipt({ hash, timeout: RECEIPT_TIMEOUT_MS });
    if (receipt.status === "success") return receipt;
  } catch (cause) {
    if (!(cause instanceof WaitForTransactionReceiptTimeoutError)) throw cause;
    throw new Failure(`Transaction ${hash} is in no block after ${RECEIPT_TIMEOUT_MS / 60_000} minutes.`, [
      "It may still get into one. Running this again sends another deployment, which does no harm but costs its fee.",
    ]);
  }
  throw new Failure(`The deployment was reverted in transaction ${hash}.`, [
    "Does this chain run the EVM version in contracts/foundry.toml?",
  ]);
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

/**
 * Writes a file whole or not at all; one that is there keeps its permissions, a new one gets `mode`.
 * @param {string} file
 * @param {string} text
 */
const writeWhole = async (file, text, mode = 0o644) => {
  await mkdir(dirname(file), { recursive: true });
  const permissions = await stat(file).then(
    (found) => found.mode & 0o777,
    () => mode,
  );
  const draft = `${file}.${process.pid}.tmp`;
  await writeFile(draft, text, { mode: permissions });
  await chmod(draft, permissions);
  await rename(draft, file);
};
