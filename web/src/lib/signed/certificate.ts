// Why a key speaks for an author, checked: the author is the key, or a wallet signed a text (EIP-4361) that names the key,
// or nobody but the operator says so.
//
// What always holds: what the operator alone could have written is never said to be a wallet's word.

import type { Certificate } from "../chain/author-part.ts";
import { fromHex, type Hex } from "../wire/bytes.ts";
import type { AskWallet } from "./contract-wallet.ts";
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
  /** The operator, for the key of a service. */
  | "service"
  /** The operator, for a message that nobody signed. */
  | "operator";

/** A certificate that was checked. */
export type CheckedCertificate =
  | { readonly state: "holds"; readonly voucher: Voucher }
  /** It does not hold. */
  | { readonly state: "refused"; readonly reason: string }
  /** The author's wallet did not sign itself. If it is a contract, the chain can say whether it did; nobody asked there. */
  | { readonly state: "not-asked" };

/** Whom a key is to speak for, where and when. */
interface Claim {
  readonly author: Hex;
  /** The compressed key, 33 bytes. */
  readonly key: Uint8Array;
  /** The point of the key, 65 bytes. */
  readonly point: Uint8Array;
  /** The time of the message, ms since the Unix epoch. */
  readonly time: number;
  /** The name is undefined where the edge does not show the stream. */
  readonly stream: { readonly id: Hex; readonly name: string | undefined };
  /** The chain that the wallet's text must be for, if it is known. */
  readonly chainId?: number;
}

/** Bytes of a stream's short id. */
const SHORT_ID_CHARS = 42;

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

const refused = (reason: string): CheckedCertificate => ({ state: "refused", reason });

/** Checks a certificate. A wallet whose own key did not sign is asked on the chain, if there is a way to ask. */
export async function checkCertificate(
  certificate: Certificate,
  claim: Claim,
  ask?: AskWallet,
): Promise<CheckedCertificate> {
  const { author, point } = claim;
  const { kind, message = "", signature } = certificate;
  if (kind === "self") {
    return authorOf(point) === author ? { state: "holds", voucher: "self" } : refused("the author is not this key");
  }
  if (kind === "wallet" && signature === undefined) return refused("the wallet's signature is missing");
  const reason = (kind === "wallet" ? wrongText(certificate, claim) : undefined) ?? outsideOf(certificate, claim);
  if (reason !== undefined) return refused(reason);
  if (kind === "service") return { state: "holds", voucher: "service" };
  const [hash, bytes] = [textHash(message), fromHex(signature)];
  if (recoverAccount(hash, bytes) === author) return { state: "holds", voucher: "wallet" };
  if (ask === undefined) return { state: "not-asked" };
  const isWallets = await ask(author, hash, bytes);
  return isWallets
    ? { state: "holds", voucher: "contract-wallet" }
    : refused("the author's wallet did not sign for this key");
}
