// Asks a wallet that is a contract whether a signature is its own (EIP-1271), also one that is not deployed yet (EIP-6492).

import { rpcCall } from "../chain/json-rpc.ts";
import { keccak } from "../chain/keccak.ts";
import { type Bytes, concat, fromHex, type Hex, toHex, toWord, utf8Bytes } from "../wire/bytes.ts";
import { ASKED_BY, deployingProgram, readUndeployed } from "./undeployed-wallet.ts";

/** Asks a wallet whether it made a signature of a hash. Rejects without an answer. */
export type AskWallet = (account: Hex, hash: Uint8Array, signature: Uint8Array) => Promise<boolean>;

/** A node of the chain, to ask wallets that are contracts. */
export interface NodeToAsk {
  /** The URL of its JSON-RPC. */
  readonly rpcUrl: string;
  readonly fetch?: typeof fetch;
}

/** The selector of `isValidSignature(bytes32,bytes)`, which is also what a wallet answers for a signature of its own. */
const MAGIC = toHex(keccak(utf8Bytes("isValidSignature(bytes32,bytes)")).subarray(0, 4));

/** The answer, a whole word: a contract that returns what it is called with does not give it. */
const AGREES = MAGIC.padEnd(66, "0");

/** Calldata of `isValidSignature(hash, signature)`. */
function validityCall(hash: Uint8Array, signature: Uint8Array): Bytes {
  const padding = new Uint8Array((32 - (signature.length % 32)) % 32);
  return concat([fromHex(MAGIC), hash, toWord(64), toWord(signature.length), signature, padding]);
}

/** How wallets are asked by a node. */
export const askBy =
  ({ rpcUrl, fetch: fetcher = fetch }: NodeToAsk): AskWallet =>
  async (account, hash, signature) => {
    const undeployed = readUndeployed(signature);
    const question = validityCall(hash, undeployed?.signature ?? signature);
    const call =
      undeployed === undefined
        ? { from: ASKED_BY, to: account, data: toHex(question) }
        : { from: ASKED_BY, data: toHex(deployingProgram(undeployed, fromHex(account, 20), question)) };
    const answer = await rpcCall(rpcUrl, "eth_call", [call, "latest"], fetcher).catch((error) => {
      if (/revert/i.test(String(error?.message))) return "0x";
      throw error;
    });
    return typeof answer === "string" && answer.toLowerCase() === AGREES;
  };
