// Signs what waits in the outbox, group by group: a group is what was published while the one before it was being signed.
//
// What always holds: one group is signed at a time, so each knows the digest of the one before; a group whose messages were
// given another number or failed meanwhile is dropped, and nobody sees its signature.

import { keccak } from "../chain/merkle.ts";
import { StreamChainError } from "../errors.ts";
import { MAX_COALESCED_BYTES, MAX_GROUP_MESSAGES } from "../limits.ts";
import { groupPreimage, groupRoot } from "../signed/group.ts";
import type { Signer } from "../signed/signer.ts";
import type { Keys } from "../web-keys.ts";
import type { Bytes } from "../wire/bytes.ts";
import type { Producer } from "./producer.ts";
import type { Publication, SealedGroup } from "./publication.ts";

/** What groups are signed with, and for which stream and author. */
export interface Signing {
  readonly signer: Signer;
  readonly keys: Keys;
  /** The stream's id: 32 bytes. */
  readonly stream: Bytes;
  /** 20 bytes. */
  readonly author: Bytes;
}

/** Where the messages wait. */
interface Waiting {
  /** The messages that have no signature, the oldest first; a group is at most as many of them. */
  unsealed(): readonly Publication[];
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
    if (group.length > 0 && (isFull || message.kept !== group[0]?.kept)) break;
    if (message.producerSeq < 0) break;
    group.push(message);
  }
  return group;
}

/** Why a stream for signed messages takes none from here. */
export const unsignedError = (): StreamChainError =>
  new StreamChainError("signature-required", "the stream takes signed messages alone, and this connection signs none");

/** The sealer of one outbox. */
export class Sealer {
  readonly #waiting: Waiting;
  #signing: Signing | null = null;
  #sealing: Promise<boolean> | null = null;

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
  }

  /** Signs the next group; resolves to whether the browser signed it, or null when there is nothing to sign. Never rejects. */
  seal(maxMessages: number): Promise<boolean> | null {
    this.#sealing ??= this.#begin(maxMessages);
    return this.#sealing;
  }

  #begin(maxMessages: number): Promise<boolean> | null {
    const producer = this.#waiting.producer();
    const signing = this.#signing;
    const messages = groupOf(this.#waiting.unsealed(), maxMessages);
    if (messages.length === 0 || producer === null || signing === null) return null;
    if (producer.key !== signing.signer.text || producer.chain.next !== messages[0]?.producerSeq) return null;
    return this.#sign(signing, producer, messages).finally(() => {
      this.#sealing = null;
    });
  }

  async #sign(signing: Signing, producer: Producer, publications: readonly Publication[]): Promise<boolean> {
    const { signer, keys, stream, author } = signing;
    const { id, chain } = producer;
    const [first, count, previous] = [chain.next, publications.length, chain.digest];
    const root = groupRoot(
      first,
      publications.map(({ payload }) => keccak(payload)),
    );
    const preimage = groupPreimage({ stream, author, producer: id, first, count, previous, root });
    try {
      const [signature, digest] = await Promise.all([signer.sign(preimage), keys.sha256(preimage)]);
      const isSame = this.#signing === signing && this.#waiting.producer() === producer && producer.id === id;
      const isWhole = publications.every(
        ({ state, producerSeq }, i) => state !== "failed" && producerSeq === first + i,
      );
      if (isSame && isWhole && producer.chain.next === first) {
        this.#waiting.sealed({ first, count, previous, signature, publications }, digest);
      }
      return true;
    } catch {
      return false; // the messages wait for another attempt
    }
  }
}
