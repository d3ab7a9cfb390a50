// The part of a receipt that says who signed its message: the key, the group that the signature covers, and who vouches
// for the key. Here it is only read; `signed/receipt-author.ts` checks it.

import { malformed } from "../errors.ts";
import { MAX_CERTIFICATE_CHARS, MAX_GROUP_MESSAGES, MAX_GROUP_PROOF_STEPS } from "../limits.ts";
import type { Hex } from "../wire/bytes.ts";
import type { JsonObject } from "../wire/json.ts";

/** Who vouches for a key: the key itself, the wallet that signed for it, or the operator for an account of a service. */
export type CertificateKind = "self" | "wallet" | "service";

/** Why a key speaks for an author. Times are seconds since the Unix epoch. */
export interface Certificate {
  readonly kind: CertificateKind;
  /** The text (EIP-4361) that the wallet signed; it names the key. */
  readonly message?: string;
  /** The wallet's signature of it (EIP-191, EIP-1271 or EIP-6492). */
  readonly signature?: Hex;
  /** The account of a service whose key it is. */
  readonly account?: Hex;
  readonly issued?: number;
  readonly expires?: number;
  readonly revoked?: number;
}

/** The author's part of a receipt. Without it the operator attests the author. */
export interface ReceiptAuthor {
  /** The public key, 33 bytes. */
  readonly key: Hex;
  /** 16 bytes. */
  readonly producer: Hex;
  readonly producerSeq: number;
  readonly group: {
    readonly first: number;
    readonly count: number;
    readonly previous: Hex;
    readonly root: Hex;
    readonly proof: readonly Hex[];
  };
  /** r ‖ s, 64 bytes. */
  readonly signature: Hex;
  readonly certificate: Certificate;
}

const isKind = (kind: string): kind is CertificateKind => ["self", "wallet", "service"].includes(kind);

/** Reads a certificate, in a receipt or in an answer of the edge. */
export function readCertificate(json: JsonObject): Certificate {
  const kind = json.text("kind");
  if (!isKind(kind)) throw malformed("certificate.kind is not self, wallet or service");
  const time = (name: "issued" | "expires" | "revoked"): { readonly [key in typeof name]?: number } =>
    json.has(name) ? { [name]: json.uint(name) } : {};
  const message = json.textOr("message", undefined);
  if (message !== undefined && message.length > MAX_CERTIFICATE_CHARS)
    throw malformed(`certificate.message has ${message.length} characters, limit ${MAX_CERTIFICATE_CHARS}`);
  return {
    kind,
    ...(message === undefined ? {} : { message }),
    ...(json.has("signature") ? { signature: json.hex("signature") } : {}),
    ...(json.has("account") ? { account: json.hex("account", 20) } : {}),
    ...time("issued"),
    ...time("expires"),
    ...time("revoked"),
  };
}

/** Reads the part `author` of a receipt. */
export function readAuthor(json: JsonObject): ReceiptAuthor {
  const group = json.object("group");
  const [count, proof] = [group.uint("count"), group.hexes("proof", 32)];
  if (count < 1 || count > MAX_GROUP_MESSAGES)
    throw malformed(`receipt.author.group.count is ${count}, from 1 to ${MAX_GROUP_MESSAGES} expected`);
  if (proof.length > MAX_GROUP_PROOF_STEPS)
    throw malformed(`receipt.author.group.proof has ${proof.length} steps, limit ${MAX_GROUP_PROOF_STEPS}`);
  return {
    key: json.hex("key", 33),
    producer: json.hex("producer", 16),
    producerSeq: json.uint("producerSeq"),
    group: {
      first: group.uint("first"),
      count,
      previous: group.hex("previous", 32),
      root: group.hex("root", 32),
      proof,
    },
    signature: json.hex("signature", 64),
    certificate: readCertificate(json.object("certificate")),
  };
}
