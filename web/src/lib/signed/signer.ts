// A signing key in the forms that frames, tokens and groups need.

import type { SigningKey } from "../web-keys.ts";
import { type Bytes, concat, type Hex, toBase64Url, utf8Bytes } from "../wire/bytes.ts";
import { authorOf, compress, keyText } from "./point.ts";

/** A key that signs for an author. */
export interface Signer {
  /** The compressed public key: 33 bytes. */
  readonly key: Bytes;
  /** The same as base64url. */
  readonly text: string;
  /** The author that the key is when no account stands behind it. */
  readonly self: Hex;
  readonly sign: (bytes: Bytes) => Promise<Bytes>;
}

/** The signer of a key pair. */
export function signerOf(pair: SigningKey): Signer {
  const key = compress(pair.point);
  return { key, text: keyText(key), self: authorOf(pair.point), sign: (bytes) => pair.sign(bytes) };
}

const PROOF_DOMAIN = utf8Bytes("streamchain/key-proof/v1");

/** Proves to the edge of this host that the key is at hand, at a time in seconds: `{seconds}.{signature}`. */
export async function keyProof({ key, sign }: Signer, host: string, seconds: number): Promise<string> {
  const name = utf8Bytes(host.toLowerCase());
  const [length, time] = [new Uint8Array(2), new Uint8Array(8)];
  new DataView(length.buffer).setUint16(0, name.length);
  new DataView(time.buffer).setBigUint64(0, BigInt(seconds));
  const signature = await sign(concat([PROOF_DOMAIN, length, name, key, time]));
  return `${seconds}.${toBase64Url(signature)}`;
}
