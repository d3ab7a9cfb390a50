// The local chain: anvil, with its state in a file that survives a restart.

import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { toHex } from "viem";
import { mnemonicToAccount } from "viem/accounts";
import { npmBin } from "../paths.mjs";
import { Part } from "./part.mjs";
import { LOCALHOST } from "./ports.mjs";

export const CHAIN_ID = 31337;

/**
 * anvil's finalized block is two epochs behind the newest. An epoch of one block makes "final" a matter of seconds;
 * on Ethereum it takes about 15 minutes.
 */
const SLOTS_IN_AN_EPOCH = 1;

/** What is lost when anvil is killed rather than stopped. */
const STATE_INTERVAL_S = 5;
const START_TIMEOUT_MS = 20_000;

/** The mnemonic of every development chain: known to all, with funds on local chains only. */
const MNEMONIC = "test test test test test test test test test test test junk";

/** One of anvil's funded accounts. @param {number} index @returns {{ address: `0x${string}`, key: `0x${string}` }} */
export const developmentAccount = (index) => {
  const account = mnemonicToAccount(MNEMONIC, { addressIndex: index });
  const { privateKey } = account.getHdKey();
  if (!privateKey) throw new Error(`Development account ${index} has no private key.`);
  return { address: account.address, key: toHex(privateKey) };
};

/**
 * One JSON-RPC call; fails on an error answer.
 * @param {string} url
 * @param {string} method
 * @param {unknown[]} params
 */
export const rpcCall = async (url, method, params = []) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  const { result, error } = await response.json();
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
};

/** The binary itself: npm's wrapper would end before anvil has written its state. */
const anvilPath = () => {
  const require = createRequire(import.meta.url);
  const platform = process.platform === "win32" ? "win32" : process.platform;
  const cpu = process.arch === "x64" ? "amd64" : process.arch;
  const suffix = process.platform === "win32" ? ".exe" : "";
  try {
    return require.resolve(`@foundry-rs/anvil-${platform}-${cpu}/bin/anvil${suffix}`);
  } catch {
    return npmBin("anvil");
  }
};

const MINING = {
  /** A block every second, transactions or not. */
  interval: ["--block-time", "1"],
  /** A block for each transaction. */
  auto: [],
  /** Blocks only when `evm_mine` asks for one. */
  manual: ["--no-mining"],
};

/**
 * @param {{ dir: string, port: number, mining: keyof typeof MINING, log: string, epoch?: number,
 *   stateIntervalS?: number, host?: string }} how `epoch`: in blocks; what is two of them old is final. `stateIntervalS`:
 *   what is lost, in seconds, when anvil is killed. `host`: the address it listens on, the loopback interface's unless given
 * @param {import("./part.mjs").OnDeath} onDeath
 */
export const chainPart = (how, onDeath) => {
  const {
    dir,
    port,
    mining,
    log,
    epoch = SLOTS_IN_AN_EPOCH,
    stateIntervalS = STATE_INTERVAL_S,
    host = LOCALHOST,
  } = how;
  const state = join(dir, "chain");
  mkdirSync(state, { recursive: true });
  const args = ["--host", host, "--port", `${port}`, "--chain-id", `${CHAIN_ID}`, "--mnemonic", MNEMONIC];
  args.push("--slots-in-an-epoch", `${epoch}`, ...MINING[mining]);
  args.push("--state", join(state, "state.json"), "--state-interval", `${stateIntervalS}`);
  return new Part("local chain", { command: anvilPath(), args, log }, onDeath);
};

/** @param {import("./part.mjs").Part} part @param {string} url */
export const chainReady = (part, url) =>
  part.until(() => rpcCall(url, "eth_chainId"), { what: "answered", timeoutMs: START_TIMEOUT_MS });
