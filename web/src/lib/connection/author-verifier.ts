// Checks who wrote a message: its group's signature over all payloads of the group, and why the key speaks for the author.
//
// What always holds: nothing that relay or edge says makes a message signed, except that an operator vouches for the keys of
// services, which the result says. What could not be looked at is `unknown`, never `signed` and never `invalid`.

import type { Certificate } from "../chain/author-part.ts";
import { keccak } from "../chain/keccak.ts";
import { retryableError, StreamChainError } from "../errors.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import { GROUP_WAIT_MS, MAX_GROUP_MESSAGES, MAX_KNOWN_GROUPS, MAX_KNOWN_KEYS, MAX_KNOWN_PAGES } from "../limits.ts";
import type { Platform } from "../platform.ts";
import { type CheckedCertificate, checkCertificate, type Voucher } from "../signed/certificate.ts";
import { groupPreimage, groupRoot } from "../signed/group.ts";
import { authorOf, decompress } from "../signed/point.ts";
import { type Bytes, fromHex, type Hex, sameBytes, toHex } from "../wire/bytes.ts";
import type { DirectGroup } from "../wire/frames.ts";
import type { MessageSignature, StreamMessage } from "../wire/records.ts";

/** Who wrote a message, as far as it was checked. */
export type AuthorCheck =
  /** The author signed it, with this key; `voucher` says who vouches for the key. */
  | { readonly state: "signed"; readonly key: Hex; readonly voucher: Voucher }
  /** Nobody signed it: the operator attests the author. */
  | { readonly state: "unsigned" }
  /** It has a signature, which does not hold. */
  | { readonly state: "invalid"; readonly key: Hex; readonly reason: string }
  /** It could not be checked now. */
  | { readonly state: "unknown"; readonly reason: string };

/** What the verifier needs of its connection. */
interface AuthorVerifierOptions {
  readonly platform: Platform;
  readonly edge: EdgeClient;
  readonly stream: string;
  /** The stream's id. */
  readonly streamId: () => Promise<Bytes>;
  /** The message that the page holds at a seq, if it does. */
  readonly held: (seq: number) => StreamMessage | undefined;
  /** Every message below is stored. */
  readonly committed: () => number;
}

/** A group whose signature was checked, and the hashes of the payloads that it was checked with. */
interface VerifiedGroup {
  readonly holds: boolean;
  readonly hashes: readonly Uint8Array[];
}

/** The hash of a message's payload, which outlives an erased payload. */
const hashOf = ({ payload, erased }: StreamMessage): Uint8Array =>
  erased === undefined ? keccak(payload) : fromHex(erased.digest, 32);

/** Remembers what promises gave, the newest `max` of them; what failed is forgotten. */
class Remembered<Value> {
  readonly #max: number;
  readonly #known = new Map<string, Promise<Value>>();

  constructor(max: number) {
    this.#max = max;
  }

  get(key: string, ask: () => Promise<Value>): Promise<Value> {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const asked = ask();
    this.#known.set(key, asked);
    asked.catch(() => this.#known.delete(key));
    if (this.#known.size > this.#max) this.#known.delete(this.#known.keys().next().value as string);
    return asked;
  }
}

const NOTHING: Bytes = new Uint8Array();

const hexOf = ({ producer, previous, key, signature }: DirectGroup) => ({
  producer: toHex(producer),
  previous: toHex(previous),
  key: toHex(key),
  signature: toHex(signature),
});

/** How often the rest of a group that is arriving is looked for, in ms. */
const LOOK_AGAIN_MS = 250;

const unknown = (reason: string): AuthorCheck => ({ state: "unknown", reason });

/** The verifier of one connection. */
export class AuthorVerifier {
  readonly #options: AuthorVerifierOptions;
  readonly #groups = new Remembered<VerifiedGroup>(MAX_KNOWN_GROUPS);
  /** Pages of history that messages without their signatures were looked up in. */
  readonly #pages = new Remembered<StreamMessage[]>(MAX_KNOWN_PAGES);
  readonly #certificates = new Remembered<Certificate | undefined>(MAX_KNOWN_KEYS);

  constructor(options: AuthorVerifierOptions) {
    this.#options = options;
  }

  /** Checks a message of the stream. Never rejects. */
  async check(message: StreamMessage): Promise<AuthorCheck> {
    try {
      return await this.#check(message);
    } catch (error) {
      return unknown(error instanceof StreamChainError ? error.message : String(error));
    }
  }

  /** Checks a group that came directly from another browser. Never rejects. */
  async checkDirect(author: Hex, group: DirectGroup): Promise<AuthorCheck> {
    const { payloads, producerSeq } = group;
    const time = this.#options.platform.now();
    const signature = { ...hexOf(group), seq: 0, count: payloads.length, producerSeq };
    const members = payloads.map((payload, seq) => ({ seq, time, author, payload: payload as Bytes }));
    return this.#whole({ seq: 0, time, author, payload: NOTHING, signature }, signature, async () => members).catch(
      (error) => unknown(String(error)),
    );
  }

  async #check(given: StreamMessage): Promise<AuthorCheck> {
    if (given.signed === false) return { state: "unsigned" };
    const stored = given.signature === undefined ? await this.#stored(given.seq) : given;
    if (stored === undefined) return unknown("the message is not stored yet");
    const { signature } = stored;
    if (signature === undefined) return { state: "unsigned" };
    return this.#whole(given, signature, () => this.#members(signature, given));
  }

  async #whole(
    message: StreamMessage,
    signature: MessageSignature,
    membersOf: () => Promise<readonly StreamMessage[] | undefined>,
  ): Promise<AuthorCheck> {
    const { keys } = this.#options.platform;
    if (keys === null) return unknown("there is no WebCrypto here to check signatures by");
    const { key } = signature;
    let point: Bytes;
    try {
      point = decompress(fromHex(key));
    } catch {
      return { state: "invalid", key, reason: "the key is no point of the curve" };
    }
    const holds = await this.#holds(message, signature, membersOf, point);
    if (!holds) return { state: "invalid", key, reason: "the signature does not hold" };
    return this.#voucher(message, signature, point);
  }

  /** Whether the signature is of a group in which this very message has its place. */
  async #holds(
    message: StreamMessage,
    signature: MessageSignature,
    membersOf: () => Promise<readonly StreamMessage[] | undefined>,
    point: Bytes,
  ): Promise<boolean> {
    const at = message.seq - signature.seq;
    if (at < 0 || at >= signature.count) return false;
    const verify = async (): Promise<VerifiedGroup> => {
      const members = await membersOf();
      if (members === undefined) throw retryableError("closed", "the rest of the message's group has not arrived");
      return this.#verified(signature, message.author, members, point);
    };
    const name = [message.author, ...Object.values(signature)].join(" ");
    const known = await this.#groups.get(name, verify);
    // What was checked before was of the same signature; whether it was of this message, its hash says.
    const isSame = sameBytes(known.hashes[at] ?? NOTHING, hashOf(message));
    return (isSame ? known : await verify()).holds;
  }

  async #voucher({ author, time }: StreamMessage, { key }: MessageSignature, point: Bytes): Promise<AuthorCheck> {
    if (authorOf(point) === author) return { state: "signed", key, voucher: "self" };
    const newest = await this.#certified(author, key, time, point);
    // A key may have been certified several times: the newest certificate need not be the one of the message's time.
    const checked = newest?.ok === false ? await this.#certified(author, key, time, point, true) : newest;
    if (checked === undefined) return { state: "invalid", key, reason: "nobody vouches for the key" };
    return checked.ok
      ? { state: "signed", key, voucher: checked.voucher }
      : { state: "invalid", key, reason: checked.reason };
  }

  async #certified(
    author: Hex,
    key: Hex,
    time: number,
    point: Bytes,
    isExact = false,
  ): Promise<CheckedCertificate | undefined> {
    const { edge, stream: name, streamId } = this.#options;
    const at = isExact ? Math.floor(time / 1_000) : undefined;
    const stream = { id: toHex(await streamId()), name };
    const ask = (): Promise<Certificate | undefined> => edge.authorKey(author, fromHex(key), stream, at);
    const certificate = await this.#certificates.get(`${author} ${key} ${at ?? ""}`, ask);
    if (certificate === undefined) return undefined;
    return checkCertificate(certificate, { author, key: fromHex(key), point, time, stream });
  }

  /** The message as history has it, with its signature. */
  async #stored(seq: number): Promise<StreamMessage | undefined> {
    const { edge, stream } = this.#options;
    const first = seq - (seq % MAX_GROUP_MESSAGES);
    const read = (): Promise<StreamMessage[]> => edge.messages(stream, first, MAX_GROUP_MESSAGES, undefined, true);
    // A page that was read before the message was stored does not have it.
    return (await this.#pages.get(String(first), read))[seq - first] ?? (await read())[seq - first];
  }

  /** All messages of the group; undefined while some have not arrived. */
  async #members({ seq, count }: MessageSignature, message: StreamMessage): Promise<StreamMessage[] | undefined> {
    const { platform, edge, stream, held, committed } = this.#options;
    const deadline = platform.clock() + GROUP_WAIT_MS;
    for (;;) {
      const members = Array.from({ length: count }, (_, i) => (seq + i === message.seq ? message : held(seq + i)));
      if (members.every((member) => member !== undefined)) return members;
      if (seq + count <= committed()) {
        const page = await edge.messages(stream, seq, count, undefined, true);
        return page.length < count ? undefined : page.map((one) => (one.seq === message.seq ? message : one));
      }
      if (platform.clock() >= deadline) return undefined;
      await new Promise<void>((resolve) => platform.setTimer(resolve, LOOK_AGAIN_MS));
    }
  }

  async #verified(
    signature: MessageSignature,
    author: Hex,
    members: readonly StreamMessage[],
    point: Bytes,
  ): Promise<VerifiedGroup> {
    const hashes = members.map(hashOf);
    const preimage = groupPreimage({
      stream: await this.#options.streamId(),
      author: fromHex(author, 20),
      producer: fromHex(signature.producer, 16),
      first: signature.producerSeq,
      count: signature.count,
      previous: fromHex(signature.previous, 32),
      root: groupRoot(signature.producerSeq, hashes),
    });
    const isAuthors = members.every((member) => member.author === author);
    const { keys } = this.#options.platform;
    const isSigned = (await keys?.verify(point, fromHex(signature.signature, 64), preimage)) === true;
    return { holds: isAuthors && isSigned, hashes };
  }
}
