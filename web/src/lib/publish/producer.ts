// Producer ids: one per tab at a time, kept over reloads together with the messages that are not stored yet.
//
// What always holds:
// - One page uses a producer id at a time, because it is used only under its shared lock, which the browser frees when
//   the page ends.
// - A `producer_seq` never names two different messages, because the next one is written to storage before its message
//   is sent. What one turn publishes is written together (`write`), at its end at the latest.
// - An id is used by one author only, whose address is kept with it: another author's messages under it would be others.
//
// - The ids of a signing key are apart from those that nothing is signed under: a producer is signed from its number 0 on,
//   or never. What was signed is kept as it was signed, so that it is sent again unchanged.
//
// A duplicated tab finds the lock of its copied id taken, and uses another id. A tab opened later takes over the ids of
// closed tabs, with their unsent messages. Without shared locks or storage a page uses a new id and keeps nothing.

import { MAX_KEPT_BYTES, MAX_TRIED_PRODUCERS, PRODUCER_LOCK_WAIT_MS } from "../limits.ts";
import type { Platform, SharedLocks, TextStorage } from "../platform.ts";
import { type Bytes, fromBase64, type Hex, toBase64, toHex } from "../wire/bytes.ts";
import {
  authorIn,
  authorKey,
  type ChainEnd,
  chainIn,
  chainKey,
  groupKey,
  groupRecord,
  groupsIn,
  type KeptGroup,
  keysOf,
  type SealedHeader,
  START,
} from "./kept-groups.ts";

/** Prefix of all keys of producers that sign nothing; the number is the version of the kept format. */
const PREFIX = "streamchain:1";
/** Prefix of all keys of producers that sign, which earlier versions must not use. */
const SIGNED_PREFIX = "streamchain:2";

/** A message that an earlier page left unstored. */
interface KeptMessage {
  readonly producerSeq: number;
  readonly payload: Bytes;
}

/** Where the ids of a stream are kept that this key signs for, or that nothing is signed under. */
interface Scope {
  readonly name: string;
  /** The key's text. */
  readonly key: string | undefined;
}

const scopeOf = (origin: string, stream: string, key: string | undefined): Scope => ({
  name: key === undefined ? `${PREFIX}:${origin}:${stream}` : `${SIGNED_PREFIX}:${origin}:${stream}:${key}`,
  key,
});

const baseOf = ({ name }: Scope, id: Uint8Array): string => `${name}:${toHex(id).slice(2)}`;

/** The producer id of one page on one stream, and the messages kept under it. */
export class Producer {
  readonly #storage: TextStorage | null;
  readonly #place: (key: string | undefined) => Scope;
  #scope: Scope;
  readonly #platform: Platform;
  #free: () => void;
  #id: Uint8Array;
  #author: Hex | undefined;
  /** Whether the storage says whose id it is. */
  #isMarked: boolean;
  #next: number;
  /** Whether the storage has the next number, or the end of the chain says it. */
  #isNextWritten = true;
  /** Whether the storage has a number of the id, by which other pages find it. */
  #isFindable: boolean;
  #keptSizes = new Map<number, number>();
  /** The messages that are to be kept and are not in the storage yet. */
  readonly #unwritten = new Map<number, Uint8Array>();
  /** Where the next number is kept, and what all other keys of the id begin with. */
  #base = "";
  #keptBytes = 0;
  /** The storage has no room for what other pages must know of the id. */
  #isAbandoned = false;
  #chain: ChainEnd;
  /** Where the groups end that are kept, by the number of their first message. */
  readonly #groupEnds = new Map<number, number>();
  /** Of each message that is kept in its group's record: the number of the group's first. */
  readonly #inRecord = new Map<number, number>();

  constructor(parts: ProducerParts) {
    const { platform, place, key, id, free, keep } = parts;
    this.#platform = platform;
    this.#storage = keep ? platform.storage : null;
    this.#place = place;
    this.#scope = place(key);
    this.#id = id;
    this.#base = baseOf(this.#scope, id);
    this.#free = free;
    this.#author = authorIn(this.#storage, this.#key());
    this.#isMarked = this.#author !== undefined;
    const next = this.#storage?.getItem(this.#key()) ?? null;
    this.#isFindable = next !== null;
    this.#next = Number(next ?? 0);
    if (!Number.isSafeInteger(this.#next) || this.#next < 0) this.#next = 0;
    this.#chain = chainIn(this.#storage, this.#key());
  }

  /** The key (its text) that signs the id's messages; undefined when they are not signed. */
  get key(): string | undefined {
    return this.#scope.key;
  }

  /** Where the chain of signed groups ends. */
  get chain(): ChainEnd {
    return this.#chain;
  }

  /**
   * A group was signed, and may be sent after this. `isKept` is whether its messages are kept, or are to be. Returns as `write` from
   * which number on nothing is kept: a later page could not send a part of the group, and must know how messages of the id were signed.
   */
  sealed(group: SealedHeader, digest: Bytes, isKept: boolean): number | undefined {
    const end = group.first + group.count;
    const payloads = isKept && this.#isFindable ? this.#unwrittenOf(group) : undefined;
    const unkeptFrom = payloads === undefined ? this.write() : undefined;
    this.#chain = { next: end, digest };
    if (this.#storage === null || this.#isAbandoned) return unkeptFrom;
    const mayKeep = isKept && (unkeptFrom ?? end) >= end;
    if (mayKeep && this.#writeGroup(group, digest, payloads)) return unkeptFrom;
    if (this.#writeChain()) return group.first;
    this.#abandon();
    return 0;
  }

  /** The payloads of a group of which nothing is written yet. */
  #unwrittenOf({ first, count }: SealedHeader): readonly Uint8Array[] | undefined {
    const payloads = Array.from({ length: count }, (_, i) => this.#unwritten.get(first + i) ?? []).flat();
    return payloads.length === count ? payloads : undefined;
  }

  /** One write, since the group waits for it: the record says where the chain ends, and has what is not written yet. */
  #writeGroup(group: SealedHeader, digest: Bytes, payloads: readonly Uint8Array[] | undefined): boolean {
    const { first, count } = group;
    if (!this.#write(groupKey(this.#key(), first), groupRecord(group, digest, payloads ?? []))) return false;
    const end = first + count;
    this.#groupEnds.set(first, end);
    if (payloads === undefined) return true;
    for (let producerSeq = first; producerSeq < end; producerSeq++) {
      this.#unwritten.delete(producerSeq);
      this.#inRecord.set(producerSeq, first);
    }
    this.#isNextWritten ||= this.#next === end;
    return true;
  }

  #writeChain(): boolean {
    const { next, digest } = this.#chain;
    return this.#write(chainKey(this.#key()), `${next} ${toBase64(digest)}`);
  }

  /** The groups that an earlier page signed and that are kept, in order. */
  keptGroups(): readonly KeptGroup[] {
    const groups = groupsIn(this.#storage, this.#key());
    for (const { first, count, payloads = [] } of groups) {
      this.#groupEnds.set(first, first + count);
      for (const i of payloads.keys()) this.#inRecord.set(first + i, first);
    }
    return groups;
  }

  /** Numbers from `next` on were never sent, and are given again: the messages that had them were not kept. */
  rewindTo(next: number): void {
    this.#next = next;
    if (!this.#isAbandoned) this.#write(this.#key(), String(next));
  }

  /** 16 random bytes. */
  get id(): Uint8Array {
    return this.#id;
  }

  /** Whose messages the id numbers; undefined until `bind`. */
  get author(): Hex | undefined {
    return this.#author;
  }

  /** The id is this author's from now on. */
  bind(author: Hex): void {
    if (this.#author === author) return;
    this.#author = author;
    this.#isMarked = false;
  }

  /**
   * Whether messages may be kept: as long as nobody's messages are sent, or when the storage says whose they are. Else a page
   * of another author would take them for its own.
   */
  get keeps(): boolean {
    if (this.#isAbandoned) return false;
    if (this.#author === undefined || this.#isMarked) return true;
    this.#isMarked = this.#write(authorKey(this.#key()), this.#author);
    return this.#isMarked;
  }

  /** The `producer_seq` that the next message will get. */
  get next(): number {
    return this.#next;
  }

  #key(producerSeq?: number): string {
    return producerSeq === undefined ? this.#base : `${this.#base}:${producerSeq}`;
  }

  /** Messages that an earlier page left, those of the kept groups among them, in order. A broken entry is deleted. */
  kept(groups: readonly KeptGroup[]): KeptMessage[] {
    const prefix = `${this.#key()}:`;
    const messages: KeptMessage[] = groups.flatMap(({ first, payloads = [] }) =>
      payloads.map((payload, i) => ({ producerSeq: first + i, payload })),
    );
    for (const { producerSeq, payload } of messages) this.#count(producerSeq, payload.length);
    for (const key of keysOf(this.#storage)) {
      const producerSeq = Number(key.startsWith(prefix) ? key.slice(prefix.length) : Number.NaN);
      if (!Number.isSafeInteger(producerSeq)) continue;
      try {
        const text = this.#storage?.getItem(key) ?? null;
        if (text === null) continue;
        const payload = fromBase64(text);
        messages.push({ producerSeq, payload });
        this.#count(producerSeq, payload.length);
      } catch {
        this.#remove(key);
      }
    }
    messages.sort((a, b) => a.producerSeq - b.producerSeq);
    this.#next = Math.max(this.#next, (messages.at(-1)?.producerSeq ?? -1) + 1);
    return messages;
  }

  #count(producerSeq: number, bytes: number): void {
    this.#keptSizes.set(producerSeq, bytes);
    this.#keptBytes += bytes;
  }

  /**
   * Gives a message its `producer_seq`; `kept` is whether `write` is to keep it: if it may be, and the bound has room.
   */
  take(payload: Uint8Array, mayKeep: boolean): { producerSeq: number; kept: boolean } {
    const producerSeq = this.#next++;
    this.#isNextWritten = false;
    const hasRoom = this.#keptBytes + payload.length <= MAX_KEPT_BYTES;
    if (!mayKeep || this.#storage === null || !hasRoom || !this.keeps) return { producerSeq, kept: false };
    this.#unwritten.set(producerSeq, payload);
    this.#count(producerSeq, payload.length);
    return { producerSeq, kept: true };
  }

  /**
   * Writes the next number and the messages that are to be kept; the messages that were taken since the last time may be sent
   * after it. Returns the number from which on nothing is kept, since the storage has no room; undefined when all is. Where it has
   * none for the next number, nothing is kept any longer: another page would give the number to another message.
   */
  write(): number | undefined {
    if (this.#isNextWritten) return undefined;
    this.#isNextWritten = true;
    if (this.#storage === null || this.#isAbandoned) return undefined;
    const messages = [...this.#unwritten];
    this.#unwritten.clear();
    this.#isFindable = this.#write(this.#key(), String(this.#next));
    if (!this.#isFindable) {
      this.#abandon();
      return 0;
    }
    return messages.find(([seq, payload]) => !this.#write(this.#key(seq), toBase64(payload)))?.[0];
  }

  /** Nothing of the id stays in the storage, so that no other page uses it. */
  #abandon(): void {
    this.#isAbandoned = true;
    for (const producerSeq of [...this.#keptSizes.keys()]) this.drop(producerSeq);
    for (const key of [this.#key(), authorKey(this.#key()), chainKey(this.#key())]) this.#remove(key);
  }

  /** Continues at `next`: the relay has messages below it that this storage forgot. */
  skipTo(next: number): void {
    if (next <= this.#next) return;
    this.#next = next;
    if (!this.#isAbandoned) this.#write(this.#key(), String(next));
  }

  /** Deletes the kept copy of a message that is stored. */
  drop(producerSeq: number): void {
    const size = this.#keptSizes.get(producerSeq);
    if (size === undefined) return;
    this.#keptSizes.delete(producerSeq);
    this.#keptBytes -= size;
    const first = this.#inRecord.get(producerSeq);
    this.#inRecord.delete(producerSeq);
    if (!this.#unwritten.delete(producerSeq) && first === undefined) this.#remove(this.#key(producerSeq));
    this.#dropGroup(first ?? producerSeq);
  }

  /** Deletes the record of the group that begins with this number, if there is one: a group is sent whole, or not at all. */
  #dropGroup(first: number): void {
    const end = this.#groupEnds.get(first);
    if (!this.#groupEnds.delete(first)) return;
    const isLast = end === this.#chain.next; // then the record is the one that says where the chain ends
    const isChainKept = this.#isAbandoned || !isLast || this.#writeChain();
    this.#remove(groupKey(this.#key(), first));
    if (!isChainKept) this.#abandon();
  }

  /**
   * Numbers from 0 under a new id, or under the same one, that nobody has seen, whose messages this key signs (its text;
   * undefined: none); what was kept before is deleted.
   */
  renew(key: string | undefined, id = this.#platform.randomBytes(16)): void {
    this.#abandon();
    this.#isAbandoned = false;
    this.#scope = this.#place(key);
    this.#id = id;
    this.#base = baseOf(this.#scope, id);
    this.#next = 0;
    this.#isNextWritten = true;
    this.#chain = START;
    this.#groupEnds.clear();
    this.#isFindable = false;
    this.#isMarked = false;
    this.#free();
    this.#free = () => {};
    const name = this.#key();
    void this.#platform.locks?.acquire(name, 0).then((free) => {
      this.#free = free ?? this.#free; // no other page can use an id made just now
    });
    rememberInTab(this.#platform, this.#scope.name, this.#id);
  }

  /** Frees the id for another page. */
  release(): void {
    this.#free();
  }

  #write(key: string, value: string): boolean {
    try {
      this.#storage?.setItem(key, value);
      return this.#storage !== null;
    } catch {
      return false; // storage is full or forbidden
    }
  }

  #remove(key: string): void {
    try {
      this.#storage?.removeItem(key);
    } catch {
      // storage is forbidden and holds nothing
    }
  }
}

/** What a producer is made of. */
interface ProducerParts {
  readonly platform: Platform;
  readonly place: (key: string | undefined) => Scope;
  readonly key: string | undefined;
  readonly id: Uint8Array;
  /** Frees the id for another page. */
  readonly free: () => void;
  readonly keep: boolean;
}

function rememberInTab(platform: Platform, scope: string, id: Uint8Array): void {
  try {
    platform.tabStorage?.setItem(scope, toHex(id).slice(2));
  } catch {
    // storage is forbidden; a reloaded page then tries any kept id
  }
}

/**
 * Kept ids that an author may use, in the order to try them: first those with messages, and this tab's own id before
 * others. An author who is not known yet may use those that are nobody's.
 */
function candidates(platform: Platform, scope: string, author: Hex | undefined, onlyWithMessages: boolean): string[] {
  const withMessages = new Set<string>();
  const all = new Set<string>();
  for (const key of keysOf(platform.storage)) {
    const match = key.startsWith(`${scope}:`) ? /^([0-9a-f]{32})(:g?\d+)?$/.exec(key.slice(scope.length + 1)) : null;
    if (match === null) continue;
    all.add(match[1] as string);
    if (match[2] !== undefined) withMessages.add(match[1] as string);
  }
  const own = tabsOwn(platform, scope) ?? "";
  const ownFirst = (ids: Set<string>): string[] => (ids.has(own) ? [own, ...ids] : [...ids]);
  const isUsable = (id: string): boolean => {
    const owner = authorIn(platform.storage, `${scope}:${id}`);
    return owner === undefined || owner === author;
  };
  const inOrder = ownFirst(withMessages).filter((id) => withMessages.has(id));
  const ids = onlyWithMessages ? inOrder : [...new Set([...ownFirst(withMessages), ...ownFirst(all)])];
  return ids.filter(isUsable).slice(0, MAX_TRIED_PRODUCERS);
}

function tabsOwn(platform: Platform, scope: string): string | null {
  try {
    return platform.tabStorage?.getItem(scope) ?? null;
  } catch {
    return null;
  }
}

/** Whose producer is claimed, and where. */
interface ProducerClaim {
  readonly platform: Platform;
  readonly origin: string;
  readonly stream: string;
  readonly author: Hex | undefined;
  /** The text of the key that signs what is published; undefined when nothing is signed. */
  readonly key: string | undefined;
}

/**
 * The producer of this page for a stream of an edge: a kept id of the author that no other page uses, or a new one. What an
 * earlier version kept, unsigned, is sent first, as it may have been sent before.
 */
export async function claimProducer(claim: ProducerClaim): Promise<Producer> {
  const producer = await claimAny(claim);
  if (claim.author !== undefined) producer.bind(claim.author);
  return producer;
}

async function claimAny({ platform, origin, stream, author, key }: ProducerClaim): Promise<Producer> {
  const place = (of: string | undefined): Scope => scopeOf(origin, stream, of);
  const { locks, storage } = platform;
  const fresh = (): Producer =>
    new Producer({ platform, place, key, id: platform.randomBytes(16), free: () => {}, keep: false });
  if (locks === null || storage === null) return fresh();
  try {
    const parts = { platform, place, keep: true };
    const left = key === undefined ? null : await claimKept({ ...parts, key: undefined }, locks, author, true);
    return (
      left ?? (await claimKept({ ...parts, key }, locks, author, false)) ?? (await claimNew({ ...parts, key }, locks))
    );
  } catch {
    return fresh(); // the browser offers storage or locks, and forbids their use
  }
}

type KeptParts = Omit<ProducerParts, "id" | "free">;

/** A kept id that no other page uses; with `withMessages` one that an earlier page left messages under. */
async function claimKept(
  parts: KeptParts,
  locks: SharedLocks,
  author: Hex | undefined,
  withMessages: boolean,
): Promise<Producer | null> {
  const { platform, place, key } = parts;
  const scope = place(key).name;
  const own = tabsOwn(platform, scope);
  for (const id of candidates(platform, scope, author, withMessages)) {
    // A reloaded page may start while the page before it still has the lock.
    const free = await locks.acquire(`${scope}:${id}`, id === own ? PRODUCER_LOCK_WAIT_MS : 0);
    if (free === null) continue;
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(id.slice(2 * i, 2 * i + 2), 16));
    rememberInTab(platform, scope, bytes);
    return new Producer({ ...parts, id: bytes, free });
  }
  return null;
}

async function claimNew(parts: KeptParts, locks: SharedLocks): Promise<Producer> {
  const { platform, place, key } = parts;
  const scope = place(key).name;
  const id = platform.randomBytes(16);
  const free = await locks.acquire(`${scope}:${toHex(id).slice(2)}`, 0);
  rememberInTab(platform, scope, id);
  return new Producer({ ...parts, id, free: free ?? (() => {}) });
}
