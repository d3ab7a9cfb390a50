// Why a key speaks for an author, checked: the author is the key, or a wallet signed a text (EIP-4361) that names the key,
// or nobody but the operator says so.
//
// What always holds: what the operator alone could have written is never said to be a wallet's word.

import type { Certificate } from "../chain/author-part.ts";
import { rpcCall } from "../chain/json-rpc.ts";
import { keccak } from "../chain/keccak.ts";
import { type Bytes, concat, fromHex, type Hex, toHex, toWord, utf8Bytes } from "../wire/bytes.ts";
import { authorOf, keyText } from "./point.ts";
import { recoverAccount, textHash } from "./recover.ts";
import { readSignIn } from "./sign-in-text.ts";

/** Who vouches for an author, as far as it was checked. */
export type Voucher =
  /** The author is the key. */
  | "self"
  /** The author's wallet signed for the key. */
  | "wallet"
  /** The author's wallet is a contract, which said on the chain that it signed for the key. */
  | "contract-wallet"
  /** The author's wallet must be asked on the chain, and was not. */
  | "wallet-not-asked"
  /** The operator, for the key of a service. */
  | "service"
  /** The operator, for a message that nobody signed. */
  | "operator";

/** A certificate that was checked; `reason` says why it does not hold. */
export type CheckedCertificate =
  | { readonly ok: true; readonly voucher: Voucher }
  | { readonly ok: false; readonly reason: string };

/** Whom a key is to speak for, where and when. */
interface Claim {
  readonly author: Hex;
  /** The compressed key, 33 bytes. */
  readonly key: Uint8Array;
  /** The point of the key, 65 bytes. */
  readonly point: Uint8Array;
  /** The time of the message, ms since the Unix epoch. */
  readonly time: number;
  readonly stream: { readonly id: Hex; readonly name: string };
  /** The chain that the wallet's text must be for, if it is known. */
  readonly chainId?: number;
}

/** A node of the chain, to ask wallets that are contracts. */
export interface NodeToAsk {
  readonly rpcUrl: string;
  readonly fetcher: typeof fetch;
}

/** Bytes of a stream's short id. */
const SHORT_ID_CHARS = 42;

/** The answer of a contract wallet that made a signature (EIP-1271), which is also the call's selector. */
const MAGIC = toHex(keccak(utf8Bytes("isValidSignature(bytes32,bytes)")).subarray(0, 4));

const isOneOf = (streams: readonly string[], { id, name }: Claim["stream"]): boolean =>
  streams.length === 0 || streams.some((one) => one === name || one === id || one === id.slice(0, SHORT_ID_CHARS));

/** Why a wallet's text does not vouch for this; undefined when it does. */
function wrongText(certificate: Certificate, claim: Claim): string | undefined {
  const text = readSignIn(certificate.message ?? "");
  if (text === undefined) return "the wallet's text names no key, or is not EIP-4361";
  if (text.account !== claim.author) return "the wallet's text is of another account";
  if (text.key !== keyText(claim.key)) return "the wallet's text names another key";
  if (claim.chainId !== undefined && text.chainId !== claim.chainId) return "the wallet's text is for another chain";
  if (!isOneOf(text.streams, claim.stream)) return "the wallet's text is for other streams";
  if (certificate.issued !== text.issued || certificate.expires !== text.expires)
    return "the certificate's times are not those of the wallet's text";
  return undefined;
}

/** Why the certificate does not cover the time of the message; undefined when it does. */
function outsideOf({ issued = 0, expires, revoked }: Certificate, { time }: Claim): string | undefined {
  const second = Math.floor(time / 1_000);
  if (second < issued) return "the key did not sign for the author yet";
  if (revoked !== undefined && second > revoked) return "the key had been revoked";
  if (expires !== undefined && second > expires) return "the key's certificate had expired";
  return undefined;
}

/** Calldata of `isValidSignature(hash, signature)`. */
function validityCall(hash: Uint8Array, signature: Uint8Array): Bytes {
  const padding = new Uint8Array((32 - (signature.length % 32)) % 32);
  return concat([fromHex(MAGIC), hash, toWord(64), toWord(signature.length), signature, padding]);
}

/** Whether a wallet that is a contract says that it made the signature (EIP-1271). Rejects with `rpc` without an answer. */
async function contractSigned(author: Hex, hash: Uint8Array, signature: Uint8Array, ask: NodeToAsk): Promise<boolean> {
  const call = { to: author, data: toHex(validityCall(hash, signature)) };
  const answer = await rpcCall(ask.rpcUrl, "eth_call", [call, "latest"], ask.fetcher).catch((error) => {
    if (/revert/i.test(String(error?.message))) return "0x";
    throw error;
  });
  return typeof answer === "string" && answer.toLowerCase().startsWith(MAGIC);
}

/** What EIP-6492 puts behind the signature of a wallet that is not deployed yet. */
const UNDEPLOYED = /6492649264926492649264926492649264926492649264926492649264926492$/;

/**
 * Checks a certificate. A wallet that is a contract is asked when there is a node to ask it by; without one its answer is
 * not known, and the voucher says so; so is that of a wallet which was not deployed when it signed (EIP-6492).
 */
export async function checkCertificate(
  certificate: Certificate,
  claim: Claim,
  ask?: NodeToAsk,
): Promise<CheckedCertificate> {
  const { author, point } = claim;
  const { kind, message = "", signature } = certificate;
  if (kind === "self") {
    if (authorOf(point) !== author) return { ok: false, reason: "the author is not this key" };
    return { ok: true, voucher: "self" };
  }
  if (kind === "wallet" && signature === undefined) return { ok: false, reason: "the wallet's signature is missing" };
  const reason = (kind === "wallet" ? wrongText(certificate, claim) : undefined) ?? outsideOf(certificate, claim);
  if (reason !== undefined) return { ok: false, reason };
  if (kind === "service") return { ok: true, voucher: "service" };
  const [hash, bytes] = [textHash(message), fromHex(signature)];
  if (recoverAccount(hash, bytes) === author) return { ok: true, voucher: "wallet" };
  if (ask === undefined) return { ok: true, voucher: "wallet-not-asked" };
  if (await contractSigned(author, hash, bytes, ask)) return { ok: true, voucher: "contract-wallet" };
  if (UNDEPLOYED.test(signature ?? "")) return { ok: true, voucher: "wallet-not-asked" };
  return { ok: false, reason: "the author's wallet did not sign for this key" };
}
