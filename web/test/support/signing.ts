// Signing in a test world: an origin's keys without WebCrypto's threads, so that nothing takes real time; and the checks
// that edge and relay make of a group.

import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto";
import { keccak } from "../../src/lib/chain/keccak.ts";
import { groupPreimage, groupRoot } from "../../src/lib/signed/group.ts";
import { authorOf, decompress, keyText } from "../../src/lib/signed/point.ts";
import type { Keys, SigningKey } from "../../src/lib/web-keys.ts";
import { type Bytes, concat, fromBase64Url, fromHex, type Hex, toHex, utf8Bytes } from "../../src/lib/wire/bytes.ts";

const copy = (bytes: Uint8Array): Bytes => new Uint8Array(bytes);

const publicKeyOf = (point: Uint8Array): KeyObject => {
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((word) => Buffer.from(word).toString("base64url"));
  return createPublicKey({ key: { kty: "EC", crv: "P-256", x: x as string, y: y as string }, format: "jwk" });
};

/** Whether this is the signature of these bytes by a compressed key. */
export function isSigned(key: Uint8Array, signature: Uint8Array, bytes: Uint8Array): boolean {
  const options = { key: publicKeyOf(decompress(key)), dsaEncoding: "ieee-p1363" as const };
  return verify("sha256", bytes, options, signature);
}

export const sha256 = (bytes: Uint8Array): Bytes => copy(createHash("sha256").update(bytes).digest());

/** The keys of one origin, shared by its pages. */
export class OriginKeys implements Keys {
  readonly #pairs = new Map<string, SigningKey>();
  /** Signatures that were made. */
  signatures = 0;
  /** The browser's cryptography fails. */
  fails = false;
  /** Signatures wait for `release`. */
  waits = false;
  readonly #held: (() => void)[] = [];

  /** Signatures that wait. */
  get held(): number {
    return this.#held.length;
  }

  /** Lets one of the signatures that wait come out: the newest, since threads keep no order. */
  release(): void {
    this.#held.pop()?.();
  }

  async of(name: string): Promise<SigningKey> {
    const known = this.#pairs.get(name);
    if (known !== undefined) return known;
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
    const { x = "", y = "" } = publicKey.export({ format: "jwk" });
    const point = concat([Uint8Array.of(4), fromBase64Url(x), fromBase64Url(y)]);
    const made: SigningKey = {
      point,
      sign: async (bytes) => {
        if (this.waits) await new Promise<void>((resolve) => this.#held.push(resolve));
        if (this.fails) throw new Error("the browser cannot sign");
        this.signatures++;
        return copy(sign("sha256", bytes, { key: privateKey, dsaEncoding: "ieee-p1363" }));
      },
    };
    this.#pairs.set(name, made);
    return made;
  }

  async forget(name: string): Promise<void> {
    this.#pairs.delete(name);
  }

  async verify(point: Uint8Array, signature: Uint8Array, bytes: Uint8Array): Promise<boolean> {
    const options = { key: publicKeyOf(point), dsaEncoding: "ieee-p1363" as const };
    return verify("sha256", bytes, options, signature);
  }

  async sha256(bytes: Uint8Array): Promise<Bytes> {
    return sha256(bytes);
  }
}

/** A group as edge and relay get it. */
export interface TakenGroup {
  readonly stream: Hex;
  readonly author: Uint8Array;
  readonly producer: Uint8Array;
  readonly producerSeq: number;
  readonly previous: Uint8Array;
  readonly key: Uint8Array;
  readonly signature: Uint8Array;
  readonly payloads: readonly Uint8Array[];
}

/** The bytes that the group's signature is over. */
export function preimageOf({ stream, author, producer, producerSeq, previous, payloads }: TakenGroup): Bytes {
  const root = groupRoot(
    producerSeq,
    payloads.map((payload) => keccak(payload)),
  );
  return groupPreimage({
    stream: fromHex(stream, 32),
    author,
    producer,
    first: producerSeq,
    count: payloads.length,
    previous,
    root,
  });
}

/** The author that a request with `StreamChain-Key` proves to be; null when the proof does not hold. */
export function provenAuthor(headers: Headers, host: string, nowS: number): Hex | "time" | null | undefined {
  const key = headers.get("streamchain-key");
  if (key === null) return undefined;
  const [seconds = "", signature = ""] = (headers.get("streamchain-key-proof") ?? "").split(".");
  if (Math.abs(Number(seconds) - nowS) > 300) return "time";
  const [length, time] = [new Uint8Array(2), new Uint8Array(8)];
  new DataView(length.buffer).setUint16(0, host.length);
  new DataView(time.buffer).setBigUint64(0, BigInt(seconds));
  const bytes = concat([utf8Bytes("streamchain/key-proof/v1"), length, utf8Bytes(host), fromBase64Url(key), time]);
  return isSigned(fromBase64Url(key), fromBase64Url(signature), bytes) ? selfOf(fromBase64Url(key)) : null;
}

/** The author that a compressed key is by itself. */
export const selfOf = (key: Uint8Array): Hex => authorOf(decompress(key));

/** The signatures of a world: what its relay and its edge take, and what they know of keys. */
export class Signatures {
  /** Groups are taken; else relay and edge are those of the version before. */
  taken = false;
  /** The stream takes signed messages alone. */
  required = false;
  /** The keys (as text) of accounts. */
  readonly certified = new Map<Hex, string>();
  readonly stream: Hex;
  constructor(stream: Hex) {
    this.stream = stream;
  }

  /** The error code that refuses a group; null when it is taken. */
  refusal(group: TakenGroup, expected: number, last: Hex | null): 4 | 11 | 13 | null {
    if (group.producerSeq !== expected) return 4;
    const author = toHex(group.author);
    const isKey = selfOf(group.key) === author || this.certified.get(author) === keyText(group.key);
    if (!isKey || !isSigned(group.key, group.signature, preimageOf(group))) return 11;
    return toHex(group.previous) === (last ?? `0x${"00".repeat(32)}`) ? null : 13;
  }
}
