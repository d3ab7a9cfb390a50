// Checks who wrote a message: its group's signature over all payloads of the group, and why the key speaks for the author.
//
// What always holds: nothing that relay or edge says makes a message signed, except that an operator vouches for the keys of
// services, which the result says. What could not be looked at is `unknown`, never `signed` and never `invalid`; so is the word
// of a wallet that only the chain can be asked about, where there is no node to ask it by.

import type { Certificate } from "../chain/author-part.ts";
import { hashFaster } from "../chain/fast-keccak.ts";
import { keccak } from "../chain/keccak.ts";
import { retryableError, StreamChainError } from "../errors.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import {
  CERTIFICATE_AGE_MS,
  GROUP_WAIT_MS,
  MAX_GROUP_MESSAGES,
  MAX_KNOWN_ANSWERS,
  MAX_KNOWN_GROUPS,
  MAX_KNOWN_KEYS,
  MAX_KNOWN_PAGES,
} from "../limits.ts";
import type { Platform } from "../platform.ts";
import { type CheckedCertificate, checkCertificate, type Voucher } from "../signed/certificate.ts";
import { type AskWallet, askBy, type NodeToAsk } from "../signed/contract-wallet.ts";
import { groupPreimage, groupRoot } from "../signed/group.ts";
import { wrongPlace } from "../signed/group-place.ts";
import { authorOf, decompress } from "../signed/point.ts";
import { type Bytes, fromHex, type Hex, sameBytes, toHex } from "../wire/bytes.ts";
import type { DirectGroup } from "../wire/frames.ts";
import { isSameMessage, type MessageSignature, type StreamMessage } from "../wire/records.ts";
import type { Place } from "./stream-id.ts";

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
  /** The id and the name, which a wallet's sign-in may be for. */
  readonly place: () => Promise<Place>;
  /** The message that the page holds at a seq, if it does. It may be tentative, and of an epoch that is over. */
  readonly held: (seq: number) => StreamMessage | undefined;
  /** Every message below is stored. */
  readonly committed: () => number;
}

/** A group whose signature was checked, and the hashes of the payloads that it was checked with. */
interface VerifiedGroup {
  /** Why the group is none of its author's here; undefined where it is. */
  readonly wrong: string | undefined;
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

  forget(key: string): void {
    this.#known.delete(key);
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

const NO_SIGNATURE = "the signature does not hold";

const unknown = (reason: string): AuthorCheck => ({ state: "unknown", reason });

/** The verifier of one connection. */
export class AuthorVerifier {
  readonly #options: AuthorVerifierOptions;
  readonly #groups = new Remembered<VerifiedGroup>(MAX_KNOWN_GROUPS);
  /** Pages of history that messages without their signatures were looked up in. */
  readonly #pages = new Remembered<StreamMessage[]>(MAX_KNOWN_PAGES);
  readonly #certificates = new Remembered<Certificate | undefined>(MAX_KNOWN_KEYS);
  /** What wallets that are contracts said of signatures. */
  readonly #answers = new Remembered<boolean>(MAX_KNOWN_ANSWERS);

  constructor(options: AuthorVerifierOptions) {
    this.#options = options;
  }

  /** Checks a message of the stream; wallets that are contracts are asked by the node, if there is one. Never rejects. */
  async check(message: StreamMessage, node?: NodeToAsk): Promise<AuthorCheck> {
    try {
      return await this.#check(message, node);
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

  async #check(given: StreamMessage, node: NodeToAsk | undefined): Promise<AuthorCheck> {
    if (given.signed === false) return { state: "unsigned" };
    const stored = given.signature === undefined ? await this.#stored(given.seq) : given;
    if (stored === undefined) return unknown("the message is not stored yet");
    const { signature } = stored;
    if (signature === undefined) return { state: "unsigned" };
    const place = (): string | undefined => wrongPlace(signature, given.author, this.#beside(given));
    return this.#whole(given, signature, () => this.#members(signature, given), { node, place });
  }

  async #whole(
    message: StreamMessage,
    signature: MessageSignature,
    membersOf: () => Promise<readonly StreamMessage[] | undefined>,
    { node, place = () => undefined }: { node?: NodeToAsk | undefined; place?: () => string | undefined } = {},
  ): Promise<AuthorCheck> {
    const { keys } = this.#options.platform;
    if (keys === null) return unknown("there is no WebCrypto here to check signatures by");
    void hashFaster(); // there are more groups to come, most often
    const { key } = signature;
    let point: Bytes;
    try {
      point = decompress(fromHex(key));
    } catch {
      return { state: "invalid", key, reason: "the key is no point of the curve" };
    }
    const reason = await this.#wrong(message, signature, membersOf, point, place);
    if (reason !== undefined) return { state: "invalid", key, reason };
    return this.#voucher(message, signature, point, node);
  }

  /** Why the signature is of no group in which this very message has its place. */
  async #wrong(
    message: StreamMessage,
    signature: MessageSignature,
    membersOf: () => Promise<readonly StreamMessage[] | undefined>,
    point: Bytes,
    place: () => string | undefined,
  ): Promise<string | undefined> {
    const at = message.seq - signature.seq;
    if (at < 0 || at >= signature.count) return NO_SIGNATURE;
    const verify = async (): Promise<VerifiedGroup> => {
      const members = await membersOf();
      if (members === undefined) throw retryableError("closed", "the rest of the message's group has not arrived");
      const { holds, hashes } = await this.#verified(signature, message.author, members, point);
      return { wrong: holds ? place() : NO_SIGNATURE, hashes };
    };
    const name = [message.author, ...Object.values(signature)].join(" ");
    const known = await this.#groups.get(name, verify);
    // What was checked before was of the same signature; whether it was of this message, its hash says.
    const isSame = sameBytes(known.hashes[at] ?? NOTHING, hashOf(message));
    return (isSame ? known : await verify()).wrong;
  }

  async #voucher(
    message: StreamMessage,
    { key }: MessageSignature,
    point: Bytes,
    node: NodeToAsk | undefined,
  ): Promise<AuthorCheck> {
    if (authorOf(point) === message.author) return { state: "signed", key, voucher: "self" };
    const ask = node === undefined ? undefined : this.#asking(node);
    const newest = await this.#certified(message, key, point, ask);
    // A key may have been certified several times: the newest certificate need not be the one of the message's time.
    const checked = newest?.state === "refused" ? await this.#certified(message, key, point, ask, true) : newest;
    if (checked === undefined) return { state: "invalid", key, reason: "nobody vouches for the key" };
    if (checked.state === "not-asked") return unknown("whether the author's wallet vouches must be asked on the chain");
    return checked.state === "holds"
      ? { state: "signed", key, voucher: checked.voucher }
      : { state: "invalid", key, reason: checked.reason };
  }

  async #certified(
    { author, time }: StreamMessage,
    key: Hex,
    point: Bytes,
    ask: AskWallet | undefined,
    isExact = false,
  ): Promise<CheckedCertificate | undefined> {
    const { edge, place, platform } = this.#options;
    const at = isExact ? Math.floor(time / 1_000) : undefined;
    const { id, name } = await place();
    const stream = { id: toHex(id), name };
    const request = (): Promise<Certificate | undefined> => edge.authorKey(author, fromHex(key), stream, at);
    // One that was revoked meanwhile is noticed.
    const turn = Math.floor(platform.now() / CERTIFICATE_AGE_MS);
    const certificate = await this.#certificates.get(`${author} ${key} ${at ?? ""} ${turn}`, request);
    if (certificate === undefined) return undefined;
    return checkCertificate(certificate, { author, key: fromHex(key), point, time, stream }, ask);
  }

  /** Asks a wallet for a signature once. */
  #asking(node: NodeToAsk): AskWallet {
    const ask = askBy(node);
    return (account, hash, signature) => {
      const question = [node.rpcUrl, account, toHex(hash), toHex(signature)].join(" ");
      return this.#answers.get(question, () => ask(account, hash, signature));
    };
  }

  /** The message as history has it, with its signature. */
  async #stored(seq: number): Promise<StreamMessage | undefined> {
    const { edge, stream } = this.#options;
    const first = seq - (seq % MAX_GROUP_MESSAGES);
    const read = (): Promise<StreamMessage[]> => edge.messages(stream, first, MAX_GROUP_MESSAGES, undefined, true);
    const known = (await this.#pages.get(String(first), read))[seq - first];
    if (known !== undefined) return known;
    // A page that was read before the message was stored does not have it.
    this.#pages.forget(String(first));
    return (await this.#pages.get(String(first), read))[seq - first];
  }

  /** Whether the page holds this very message, and not another one at its seq, or none. */
  #isHeld(message: StreamMessage): boolean {
    const own = this.#options.held(message.seq);
    return own !== undefined && isSameMessage(own, message);
  }

  /** What the page holds beside a message. Beside one that it does not hold, what is tentative may be of an epoch that is over. */
  #beside(message: StreamMessage): (seq: number) => StreamMessage | undefined {
    const { held, committed } = this.#options;
    const isHeld = this.#isHeld(message);
    return (seq) => (isHeld || seq < committed() ? held(seq) : undefined);
  }

  /** The group of a message that history brought before the page heard that it is stored; undefined where it is none. */
  async #inHistory({ seq, count }: MessageSignature, message: StreamMessage): Promise<StreamMessage[] | undefined> {
    const { edge, stream, committed } = this.#options;
    if (message.seq < committed() || this.#isHeld(message)) return undefined;
    const page = await edge.messages(stream, seq, count, undefined, true);
    const own = page[message.seq - seq];
    return page.length >= count && own !== undefined && isSameMessage(own, message) ? page : undefined;
  }

  /** All messages of the group; undefined while some have not arrived. */
  async #members(signature: MessageSignature, message: StreamMessage): Promise<StreamMessage[] | undefined> {
    const { platform, edge, stream, held, committed } = this.#options;
    const { seq, count } = signature;
    const stored = await this.#inHistory(signature, message);
    if (stored !== undefined) return stored;
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
  ): Promise<{ readonly holds: boolean; readonly hashes: readonly Uint8Array[] }> {
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
