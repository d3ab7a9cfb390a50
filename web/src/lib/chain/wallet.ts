// Wallets: found by EIP-6963 and called by EIP-1193; and the accounts of a local development chain, whose node signs.

import { type Bytes, concat, fromHex, type Hex, padLeft, toHex, toWord, utf8Bytes } from "../wire/bytes.ts";
import { rpcCall } from "./json-rpc.ts";
import { keccak } from "./keccak.ts";
import { readBlockNumber, readChainId, readInclusion } from "./node-answers.ts";

/** The provider that a wallet gives a page (EIP-1193). */
export interface WalletProvider {
  request(call: { method: string; params?: readonly unknown[] }): Promise<unknown>;
}

/** A wallet that a page may use. */
export interface Wallet {
  /** Which wallet it is, in reverse domain name notation (EIP-6963 `rdns`), or `local`. */
  readonly id: string;
  /** The name to show. */
  readonly name: string;
  readonly provider: WalletProvider;
}

/** Why a request to a wallet failed. */
export type WalletErrorCode =
  /** The user rejected the request (EIP-1193 code 4001). */
  | "rejected"
  /** The wallet does not switch to the right chain. */
  | "wrong-chain"
  /** The account can't pay for the transaction. */
  | "no-funds"
  /** The wallet shares no account with the page. */
  | "no-account"
  /** The contract refuses the call. */
  | "reverted"
  /** Anything else; the message is the wallet's own. */
  | "failed";

/** The error of every request to a wallet. */
export class WalletError extends Error {
  readonly code: WalletErrorCode;

  constructor(code: WalletErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "WalletError";
    this.code = code;
  }
}

/** EIP-1193: the user rejected the request. */
const USER_REJECTED = 4001;
/** EIP-3085: the wallet does not know the chain. */
const UNKNOWN_CHAIN = 4902;

/** The chain id of local development nodes (anvil, Hardhat), whose accounts are public. */
export const LOCAL_CHAIN_ID = 31_337;

/** Index of the local account that pages use: the first ones deploy the contract and anchor. */
const FIRST_LOCAL_ACCOUNT = 5;

const selector = (signature: string): Uint8Array => keccak(utf8Bytes(signature)).slice(0, 4);
const PUBLISH = selector("publish(bytes32,bytes)");
const OPEN = selector("open(bytes32,address)");

/** Calldata of `publish(stream, payload)`. */
export function publishCalldata(stream: Hex, payload: Uint8Array): Bytes {
  const padding = new Uint8Array((32 - (payload.length % 32)) % 32);
  return concat([PUBLISH, fromHex(stream, 32), toWord(64), toWord(payload.length), payload, padding]);
}

/** Where EIP-6963 wallets announce themselves: a window. */
type Announcements = Pick<EventTarget, "addEventListener" | "removeEventListener" | "dispatchEvent">;

/** Calls `found` once for each wallet that announces itself (EIP-6963); the returned function stops it. */
export function discoverWallets(
  found: (wallet: Wallet) => void,
  target: Announcements = globalThis.window,
): () => void {
  const known = new Set<string>();
  const announced = (event: Event): void => {
    const detail = (event as CustomEvent<{ info?: { rdns?: unknown; name?: unknown }; provider?: WalletProvider }>)
      .detail;
    const { info, provider } = detail ?? {};
    if (typeof info?.rdns !== "string" || typeof provider?.request !== "function" || known.has(info.rdns)) return;
    known.add(info.rdns);
    found({ id: info.rdns, name: typeof info.name === "string" ? info.name : info.rdns, provider });
  };
  target.addEventListener("eip6963:announceProvider", announced);
  target.dispatchEvent(new Event("eip6963:requestProvider"));
  return () => target.removeEventListener("eip6963:announceProvider", announced);
}

/**
 * An account of a local development chain as a wallet: its node holds the key and signs without asking. Only for the
 * chain id 31337; resolves to undefined when the node has no such account.
 */
export async function localWallet(
  rpcUrl: string,
  chainId: number,
  fetcher: typeof fetch = fetch,
): Promise<Wallet | undefined> {
  if (chainId !== LOCAL_CHAIN_ID) return undefined;
  const call = (method: string, params: readonly unknown[]): Promise<unknown> =>
    rpcCall(rpcUrl, method, params, fetcher);
  const accounts = await call("eth_accounts", []).catch(() => []);
  const account = Array.isArray(accounts) ? accounts[Math.min(FIRST_LOCAL_ACCOUNT, accounts.length - 1)] : undefined;
  if (typeof account !== "string") return undefined;
  const provider: WalletProvider = {
    request: ({ method, params = [] }) =>
      method === "eth_requestAccounts" ? Promise.resolve([account]) : call(method, params),
  };
  return { id: "local", name: "local", provider };
}

/** How deep wallets wrap the error of another layer. */
const MAX_ERROR_DEPTH = 5;

/** Fields under which wallets put the error that they wrap: MetaMask, WalletConnect, ethers and viem each have theirs. */
const WRAPPED = ["data", "originalError", "error", "cause", "info", "innerError"];

/** An error and those that it wraps, the outermost first: objects, or JSON texts of them. */
function layersOf(cause: unknown, depth = 0): Record<string, unknown>[] {
  const value = typeof cause === "string" && cause.startsWith("{") ? parsed(cause) : cause;
  if (typeof value !== "object" || value === null || depth > MAX_ERROR_DEPTH) return [];
  const layer = value as Record<string, unknown>;
  return [layer, ...WRAPPED.flatMap((field) => layersOf(layer[field], depth + 1))];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Whether an error, or one that it wraps, has this code: a number, or a text of one. */
const hasCode = (cause: unknown, code: number): boolean => layersOf(cause).some((layer) => Number(layer.code) === code);

/** The texts of an error and of those that it wraps. */
const messagesOf = (cause: unknown): string =>
  layersOf(cause)
    .map(({ message }) => message)
    .filter((message) => typeof message === "string")
    .join("\n");

/** The typed error of a value that a wallet threw. */
function asWalletError(cause: unknown): WalletError {
  if (cause instanceof WalletError) return cause;
  const message = String((cause as { message?: unknown } | null)?.message ?? cause);
  const all = `${message}\n${messagesOf(cause)}`;
  if (hasCode(cause, USER_REJECTED) || /user (rejected|denied)/i.test(all)) {
    return new WalletError("rejected", message, cause);
  }
  if (/insufficient funds/i.test(all)) return new WalletError("no-funds", message, cause);
  if (/revert/i.test(all)) return new WalletError("reverted", message, cause);
  return new WalletError("failed", message, cause);
}

/** Whether a wallet refused to switch because it does not know the chain. */
const isUnknownChain = (cause: unknown): boolean =>
  hasCode(cause, UNKNOWN_CHAIN) ||
  /unrecognized chain|unknown chain|add(ing)? (it|the chain|this chain)/i.test(messagesOf(cause));

const request = async (wallet: Wallet, method: string, params: readonly unknown[] = []): Promise<unknown> => {
  try {
    return await wallet.provider.request({ method, params });
  } catch (cause) {
    throw asWalletError(cause);
  }
};

/** The account that the wallet shares with the page; the wallet asks the user the first time. */
export async function connectWallet(wallet: Wallet): Promise<Hex> {
  const accounts = await request(wallet, "eth_requestAccounts");
  const account = Array.isArray(accounts) ? accounts[0] : undefined;
  if (typeof account !== "string" || !/^0x[0-9a-fA-F]{40}$/.test(account)) {
    throw new WalletError("no-account", `${wallet.name} shares no account with this page`);
  }
  return account.toLowerCase() as Hex;
}

const chainOf = async (wallet: Wallet): Promise<number> => {
  const answer = await request(wallet, "eth_chainId");
  try {
    return readChainId(answer);
  } catch (cause) {
    throw new WalletError("failed", `${wallet.name} does not say on which chain it is`, cause);
  }
};

/** Switches the wallet to a chain (EIP-3326). A chain unknown to the wallet is added (EIP-3085) when `rpcUrl` names a node. */
export async function useChain(wallet: Wallet, chainId: number, rpcUrl?: string): Promise<void> {
  if ((await chainOf(wallet)) === chainId) return;
  const id = `0x${chainId.toString(16)}`;
  try {
    await wallet.provider.request({ method: "wallet_switchEthereumChain", params: [{ chainId: id }] });
  } catch (cause) {
    const error = asWalletError(cause);
    if (error.code === "rejected") throw error;
    if (!isUnknownChain(cause) || rpcUrl === undefined) {
      throw new WalletError("wrong-chain", `${wallet.name} does not switch to chain ${chainId}`, cause);
    }
    const nativeCurrency = { name: "Ether", symbol: "ETH", decimals: 18 };
    const chain = { chainId: id, chainName: `Chain ${chainId}`, rpcUrls: [rpcUrl], nativeCurrency };
    await request(wallet, "wallet_addEthereumChain", [chain]);
  }
  if ((await chainOf(wallet)) !== chainId) {
    throw new WalletError("wrong-chain", `${wallet.name} is on another chain than ${chainId}`);
  }
}

/** Sends `publish(stream, payload)` from the account; resolves to the hash of the transaction. */
export async function sendPublish(
  wallet: Wallet,
  from: Hex,
  contract: Hex,
  stream: Hex,
  payload: Uint8Array,
): Promise<Hex> {
  return sendCall(wallet, from, contract, publishCalldata(stream, payload));
}

/** Sends `open(nameHash, anchorer)`: the account becomes the owner of the stream of this name, which `anchorer` may anchor. */
export async function openStream(wallet: Wallet, from: Hex, contract: Hex, nameHash: Hex, anchorer: Hex): Promise<Hex> {
  const data = concat([OPEN, fromHex(nameHash, 32), padLeft(fromHex(anchorer, 20))]);
  return sendCall(wallet, from, contract, data);
}

async function sendCall(wallet: Wallet, from: Hex, to: Hex, calldata: Bytes): Promise<Hex> {
  const hash = await request(wallet, "eth_sendTransaction", [{ from, to, data: toHex(calldata) }]);
  return toHex(fromHex(hash, 32));
}

/** Has the account sign a text (EIP-191, `personal_sign`), as sign-in with Ethereum needs it. */
export async function signText(wallet: Wallet, account: Hex, text: string): Promise<Hex> {
  const signature = await request(wallet, "personal_sign", [toHex(utf8Bytes(text)), account]);
  return toHex(fromHex(signature));
}

/** Where a transaction is. */
export type TransactionState =
  /** The transaction is in no block yet. */
  | { readonly state: "waiting" }
  | { readonly state: "in-block"; readonly block: number }
  /** The transaction is in a final block. */
  | { readonly state: "final"; readonly block: number }
  /** A reorganisation took its block back; the transaction may be included again. */
  | { readonly state: "taken-back" }
  /** The transaction is in a block, and failed. */
  | { readonly state: "reverted"; readonly block: number };

/** How often the wallet's node is polled for a transaction, in ms: a few times a block. */
const FOLLOW_POLL_MS = 1_000;

async function readState(wallet: Wallet, hash: Hex, seen: boolean): Promise<TransactionState> {
  const receipt = readInclusion((await request(wallet, "eth_getTransactionReceipt", [hash])) ?? null);
  if (receipt === null) return { state: seen ? "taken-back" : "waiting" };
  const { block } = receipt;
  if (receipt.succeeded === false) return { state: "reverted", block };
  // A node that does not know the word `finalized` leaves the transaction in its block.
  const finalized = await request(wallet, "eth_getBlockByNumber", ["finalized", false])
    .then((answer) => readBlockNumber(answer ?? null))
    .catch(() => null);
  return { state: finalized !== null && finalized >= block ? "final" : "in-block", block };
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });

/**
 * Calls `notify` with the state of a transaction, each time that it changes, until it is final or failed, or until the
 * signal aborts. A node that does not answer is asked again.
 */
export async function followTransaction(
  wallet: Wallet,
  hash: Hex,
  notify: (state: TransactionState) => void,
  signal: AbortSignal,
  everyMs: number = FOLLOW_POLL_MS,
): Promise<void> {
  let notified = "";
  let seen = false;
  while (!signal.aborted) {
    const state: TransactionState | undefined = await readState(wallet, hash, seen).catch(() => undefined);
    if (state !== undefined && !signal.aborted) {
      seen ||= state.state === "in-block";
      const text = JSON.stringify(state);
      if (text !== notified) notify(state);
      notified = text;
      if (state.state === "final" || state.state === "reverted") return;
    }
    await pause(everyMs, signal);
  }
}
