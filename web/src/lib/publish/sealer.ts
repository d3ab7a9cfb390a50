// Signs what waits in the outbox, group by group. A group is what one turn of the page published; when the signatures of
// MAX_GROUPS_IN_SIGNING groups are being made, it is what was published until one of them was there.
//
// What always holds: a group knows the digest of the one before, whose signature it does not wait for; signatures come out
// in the order of the groups. A group whose messages failed meanwhile, were given another number or go out under another key
// or none is dropped, with those behind it, and nobody sees its signature.

import { hashFaster } from "../chain/fast-keccak.ts";
import { keccak } from "../chain/keccak.ts";
import { StreamChainError } from "../errors.ts";
import { MAX_COALESCED_BYTES, MAX_GROUP_MESSAGES, MAX_GROUPS_IN_SIGNING } from "../limits.ts";
import { groupDigest, groupPreimage, groupRoot } from "../signed/group.ts";
import type { Signer } from "../signed/signer.ts";
import type { Bytes } from "../wire/bytes.ts";
import type { ChainEnd } from "./kept-groups.ts";
import type { Producer } from "./producer.ts";
import type { Publication, SealedGroup } from "./publication.ts";

/** What groups are signed with, and for which stream and author. */
export interface Signing {
  readonly signer: Signer;
  /** The stream's id: 32 bytes. */
  readonly stream: Bytes;
  /** 20 bytes. */
  readonly author: Bytes;
}

/** Where the messages wait. */
interface Waiting {
  /** The messages that have no signature, the oldest first, without the first `skipped` of them; a group is at most as many. */
  unsealed(skipped: number): readonly Publication[];
  producer(): Producer | null;
  /** The group is signed. */
  sealed(group: SealedGroup, digest: Bytes): void;
}

/** The first of these messages that one group can have: as many and as large as allowed, and all kept or all not. */
function groupOf(messages: readonly Publication[], maxMessages: number): Publication[] {
  const group: Publication[] = [];
  let bytes = 0;
  for (const message of messages) {
    bytes += message.payload.length;
    const isFull = group.length >= Math.min(maxMessages, MAX_GROUP_MESSAGES) || bytes > MAX_COALESCED_BYTES;
    if (group.length > 0 && (isFull || message.control.kept !== group[0]?.control.kept)) break;
    if (message.producerSeq < 0) break;
    group.push(message);
  }
  return group;
}

/** Why a stream for signed messages takes none from here. */
export const unsignedError = (): StreamChainError =>
  new StreamChainError("signature-required", "the stream takes signed messages alone, and this connection signs none");

/** A group whose signature is being made. */
interface InSigning {
  readonly signing: Signing;
  readonly producer: Producer;
  /** The producer's id when it began. */
  readonly id: Uint8Array;
  readonly first: number;
  readonly publications: readonly Publication[];
  /** Where the chain ends with it. */
  readonly end: ChainEnd;
  /** Resolves to whether the browser signed it. */
  readonly done: Promise<boolean>;
}

/** The sealer of one outbox. */
export class Sealer {
  readonly #waiting: Waiting;
  #signing: Signing | null = null;
  #inSigning: readonly InSigning[] = [];

  constructor(waiting: Waiting) {
    this.#waiting = waiting;
  }

  /** Whether groups can be signed: the key, the author and the stream are known. */
  get isReady(): boolean {
    return this.#signing !== null;
  }

  /** The public key; empty while groups cannot be signed. */
  get publicKey(): Uint8Array {
    return this.#signing?.signer.key ?? new Uint8Array();
  }

  /** Signs with this from now on; null until it is known. */
  use(signing: Signing | null): void {
    this.#signing = signing;
    if (signing !== null) void hashFaster(); // a group is hashed before it is signed
  }

  /**
   * Begins to sign the next group; resolves to whether the browser signed it. Null when there is nothing to sign, or enough is
   * being signed. Never rejects.
   */
  begin(maxMessages: number): Promise<boolean> | null {
    const before = this.#current();
    const producer = this.#waiting.producer();
    const signing = this.#signing;
    if (before.length >= MAX_GROUPS_IN_SIGNING || producer === null || signing === null) return null;
    const skipped = before.reduce((sum, { publications }) => sum + publications.length, 0);
    const messages = groupOf(this.#waiting.unsealed(skipped), maxMessages);
    const chain = before.at(-1)?.end ?? producer.chain;
    if (messages.length === 0 || producer.key !== signing.signer.text) return null;
    if (chain.next !== messages[0]?.producerSeq) return null;
    return this.#sign(signing, producer, chain, messages);
  }

  /** As `begin`; where nothing can be begun, resolves with the last of the groups that are being signed. */
  seal(maxMessages: number): Promise<boolean> | null {
    return this.begin(maxMessages) ?? this.#current().at(-1)?.done ?? null;
  }

  /** The groups that are being signed and still stand. */
  #current(): readonly InSigning[] {
    const fallen = this.#inSigning.findIndex((group) => !this.#stands(group));
    if (fallen >= 0) this.#inSigning = this.#inSigning.slice(0, fallen);
    return this.#inSigning;
  }

  #stands({ signing, producer, id, first, publications }: InSigning): boolean {
    const isSame = this.#signing === signing && this.#waiting.producer() === producer && producer.id === id;
    const isSigned = producer.key === signing.signer.text; // an id that nobody used goes on unsigned where the relay wants that
    return (
      isSame &&
      isSigned &&
      publications.every(({ state, producerSeq }, i) => state !== "failed" && producerSeq === first + i)
    );
  }

  #sign(
    signing: Signing,
    producer: Producer,
    { next: first, digest: previous }: ChainEnd,
    publications: readonly Publication[],
  ): Promise<boolean> {
    const { signer, stream, author } = signing;
    const { id } = producer;
    const count = publications.length;
    const root = groupRoot(
      first,
      publications.map(({ payload }) => keccak(payload)),
    );
    const preimage = groupPreimage({ stream, author, producer: id, first, count, previous, root });
    const signed = signer.sign(preimage); // on another thread, while the digest is computed here
    const digest = groupDigest(preimage);
    const before = this.#inSigning.at(-1)?.done;
    const finish = async (): Promise<boolean> => {
      try {
        const signature = await signed;
        if (before !== undefined) await before;
        if (!this.#current().includes(group) || producer.chain.next !== first) return true;
        this.#waiting.sealed({ first, count, previous, signature, publications }, digest);
        return true;
      } catch {
        return false; // the messages wait for another attempt
      } finally {
        this.#drop(group);
      }
    };
    const done = finish();
    const group: InSigning = { signing, producer, id, first, publications, end: { next: first + count, digest }, done };
    this.#inSigning = [...this.#inSigning, group];
    return done;
  }

  /** The group is signed, or it is not: then those behind it name one that there is not. */
  #drop(group: InSigning): void {
    const at = this.#inSigning.indexOf(group);
    if (at < 0) return;
    const isSealed = group.producer.chain.next === group.end.next;
    this.#inSigning = isSealed ? this.#inSigning.slice(at + 1) : this.#inSigning.slice(0, at);
  }
}
