// Why a key speaks for an author, checked: the author is the key, or a wallet signed a text (EIP-4361) that names the key,
// or nobody but the operator says so.
//
// What always holds: what the operator alone could have written is never said to be a wallet's word.

import type { Certificate } from "../chain/author-part.ts";
import { rpcCall } from "../chain/json-rpc.ts";
import { keccak } from "../chain/merkle.ts";
import { type Bytes, concat, fromHex, type Hex, toHex, toWord, utf8Bytes } from "../wire/bytes.ts";
import { authorOf, keyText } from "./point.ts";
import { recoverAccount, textHash } from "./recover.ts";

/** Who vouches for a key, as far as it was checked. */
export type Voucher =
  /** The author is the key. */
  | "self"
  /** The author's wallet signed for the key. */
  | "wallet"
  /** A wallet that is a contract must be asked on the chain, and was not. */
  | "contract-wallet"
  /** The operator alone. */
  | "operator";

/** A certificate that was checked; `reason` says why it does not hold. */
export type CheckedCertificate =
  | { readonly ok: true; readonly voucher: Voucher }
  | { readonly ok: false; readonly reason: string };

/** Whom a key is to speak for, and when. */
interface Claim {
  readonly author: Hex;
  /** The compressed key, 33 bytes. */
  readonly key: Uint8Array;
  /** The point of the key, 65 bytes. */
  readonly point: Uint8Array;
  /** The time of the message, ms since the Unix epoch. */
  readonly time: number;
}

/** How far, in seconds, the clocks of relays and edge may be apart. */
const CLOCK_LEEWAY_S = 300;

/** What names a key among the resources of a sign-in text. */
export const KEY_RESOURCE = "urn:streamchain:key:p256:";

const GREETING = " wants you to sign in with your Ethereum account:";

/** The answer of a contract wallet that made a signature (EIP-1271), which is also the call's selector. */
const MAGIC = toHex(keccak(utf8Bytes("isValidSignature(bytes32,bytes)")).subarray(0, 4));

/** Whether the text is a sign-in of this account that names this key, and no other. */
function namesKey(text: string, { author, key }: Claim): boolean {
  const lines = text.split("\n");
  const at = lines.indexOf("Resources:");
  const resources = at < 0 ? [] : lines.slice(at + 1);
  const keys = resources.filter((line) => line.startsWith(`- ${KEY_RESOURCE}`));
  return (
    lines[0]?.endsWith(GREETING) === true &&
    lines[1]?.toLowerCase() === author &&
    resources.every((line) => line.startsWith("- ")) &&
    keys.length === 1 &&
    keys[0] === `- ${KEY_RESOURCE}${keyText(key)}`
  );
}

const seconds = (text: string, field: string): number => {
  const line = text.split("\n").find((one) => one.startsWith(`${field}: `));
  return line === undefined ? Number.NaN : Date.parse(line.slice(field.length + 2)) / 1_000;
};

/** Why the certificate does not cover the time of the message; undefined when it does. */
function outsideOf(certificate: Certificate, { time }: Claim): string | undefined {
  const { kind, message = "", issued = 0, expires, revoked } = certificate;
  const at = time / 1_000;
  const signedUntil = kind === "wallet" ? seconds(message, "Expiration Time") : Number.NaN;
  const until = Math.min(expires ?? Number.POSITIVE_INFINITY, Number.isNaN(signedUntil) ? Infinity : signedUntil);
  if (at + CLOCK_LEEWAY_S < issued) return "the message is older than the key's certificate";
  if (at > until + CLOCK_LEEWAY_S) return "the key's certificate had expired";
  if (revoked !== undefined && at > revoked + CLOCK_LEEWAY_S) return "the key's certificate had been revoked";
  return undefined;
}

/** Calldata of `isValidSignature(hash, signature)`. */
function validityCall(hash: Uint8Array, signature: Uint8Array): Bytes {
  const padding = new Uint8Array((32 - (signature.length % 32)) % 32);
  return concat([fromHex(MAGIC), hash, toWord(64), toWord(signature.length), signature, padding]);
}

/** Whether a wallet that is a contract says that it made the signature (EIP-1271). Rejects with `rpc` without an answer. */
async function contractSigned(
  author: Hex,
  hash: Uint8Array,
  signature: Uint8Array,
  ask: { readonly rpcUrl: string; readonly fetcher: typeof fetch },
): Promise<boolean> {
  const call = { to: author, data: toHex(validityCall(hash, signature)) };
  const answer = await rpcCall(ask.rpcUrl, "eth_call", [call, "latest"], ask.fetcher).catch((error) => {
    if (/revert/i.test(String(error?.message))) return "0x";
    throw error;
  });
  return typeof answer === "string" && answer.toLowerCase().startsWith(MAGIC);
}

/**
 * Checks a certificate. A wallet that is a contract is asked when there is a node to ask it by; without one its answer is
 * not known, and the voucher says so.
 */
export async function checkCertificate(
  certificate: Certificate,
  claim: Claim,
  ask?: { readonly rpcUrl: string; readonly fetcher: typeof fetch },
): Promise<CheckedCertificate> {
  const { author, point } = claim;
  const { kind, message, signature } = certificate;
  if (kind === "self") {
    if (authorOf(point) !== author) return { ok: false, reason: "the author is not this key" };
    return { ok: true, voucher: "self" };
  }
  const outside = outsideOf(certificate, claim);
  if (outside !== undefined) return { ok: false, reason: outside };
  if (kind === "service") return { ok: true, voucher: "operator" };
  if (message === undefined || signature === undefined || !namesKey(message, claim)) {
    return { ok: false, reason: "the wallet's text does not name this author and this key" };
  }
  const [hash, bytes] = [textHash(message), fromHex(signature)];
  if (recoverAccount(hash, bytes) === author) return { ok: true, voucher: "wallet" };
  if (ask === undefined) return { ok: true, voucher: "contract-wallet" };
  if (await contractSigned(author, hash, bytes, ask)) return { ok: true, voucher: "wallet" };
  return { ok: false, reason: "the author's wallet did not sign for this key" };
}
