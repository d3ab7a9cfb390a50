// Producer ids: one per tab at a time, kept over reloads together with the messages that are not stored yet.
//
// What always holds:
// - One page uses a producer id at a time, because it is used only under its shared lock, which the browser frees when
//   the page ends.
// - A `producer_seq` never names two different messages, because the next one is written to storage before its message
//   is sent.
//
// - An id is used by one author only, whose address is kept with it: another author's messages under it would be others.
//
// A duplicated tab finds the lock of its copied id taken, and uses another id. A tab opened later takes over the ids of
// closed tabs, with their unsent messages. Without shared locks or storage a page uses a new id and keeps nothing.

import { MAX_KEPT_BYTES, MAX_TRIED_PRODUCERS, PRODUCER_LOCK_WAIT_MS } from "../limits.ts";
import type { Platform, SharedLocks, TextStorage } from "../platform.ts";
import { type Bytes, fromBase64, type Hex, toBase64, toHex } from "../wire/bytes.ts";

/** Prefix of all keys; the number is the version of the kept format. */
const PREFIX = "streamchain:1";

/** A message that an earlier page left unstored. */
interface KeptMessage {
  readonly producerSeq: number;
  readonly payload: Bytes;
}

/** The producer id of one page on one stream, and the messages kept under it. */
export class Producer {
  readonly #storage: TextStorage | null;
  readonly #scope: string;
  readonly #platform: Platform;
  #free: () => void;
  #id: Uint8Array;
  #author: Hex | undefined;
  /** Whether the storage says whose id it is. */
  #isMarked: boolean;
  #next: number;
  #keptSizes = new Map<number, number>();
  #keptBytes = 0;

  constructor(platform: Platform, scope: string, id: Uint8Array, free: () => void, keep: boolean) {
    this.#platform = platform;
    this.#storage = keep ? platform.storage : null;
    this.#scope = scope;
    this.#id = id;
    this.#free = free;
    this.#author = authorIn(this.#storage, this.#key());
    this.#isMarked = this.#author !== undefined;
    this.#next = Number(this.#storage?.getItem(this.#key()) ?? 0);
    if (!Number.isSafeInteger(this.#next) || this.#next < 0) this.#next = 0;
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
    if (this.#author === undefined || this.#isMarked) return true;
    this.#isMarked = this.#write(authorKey(this.#key()), this.#author);
    return this.#isMarked;
  }

  /** The `producer_seq` that the next message will get. */
  get next(): number {
    return this.#next;
  }

  #key(producerSeq?: number): string {
    const base = `${this.#scope}:${toHex(this.#id).slice(2)}`;
    return producerSeq === undefined ? base : `${base}:${producerSeq}`;
  }

  /** Messages that an earlier page left, in order. A broken entry is deleted. */
  kept(): KeptMessage[] {
    const prefix = `${this.#key()}:`;
    const messages: KeptMessage[] = [];
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

  /** Gives a message its `producer_seq` and keeps it if it may; `kept` is false too when the storage has no room. */
  take(payload: Uint8Array, mayKeep: boolean): { producerSeq: number; kept: boolean } {
    const producerSeq = this.#next++;
    const next = this.#write(this.#key(), String(this.#next));
    if (!mayKeep || !next || !this.keeps || this.#keptBytes + payload.length > MAX_KEPT_BYTES)
      return { producerSeq, kept: false };
    if (!this.#write(this.#key(producerSeq), toBase64(payload))) return { producerSeq, kept: false };
    this.#count(producerSeq, payload.length);
    return { producerSeq, kept: true };
  }

  /** Continues at `next`: the relay has messages below it that this storage forgot. */
  skipTo(next: number): void {
    if (next <= this.#next) return;
    this.#next = next;
    this.#write(this.#key(), String(next));
  }

  /** Deletes the kept copy of a message that is stored. */
  drop(producerSeq: number): void {
    const size = this.#keptSizes.get(producerSeq);
    if (size === undefined) return;
    this.#keptSizes.delete(producerSeq);
    this.#keptBytes -= size;
    this.#remove(this.#key(producerSeq));
  }

  /** Takes a new id, numbered from 0; what was kept under the old one is deleted. */
  renew(): void {
    for (const producerSeq of [...this.#keptSizes.keys()]) this.drop(producerSeq);
    this.#remove(this.#key());
    this.#remove(authorKey(this.#key()));
    this.#id = this.#platform.randomBytes(16);
    this.#next = 0;
    this.#isMarked = false;
    this.#free();
    this.#free = () => {};
    const name = this.#key();
    void this.#platform.locks?.acquire(name, 0).then((free) => {
      this.#free = free ?? this.#free; // no other page can use an id made just now
    });
    rememberInTab(this.#platform, this.#scope, this.#id);
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

const authorKey = (key: string): string => `${key}:author`;

/** The author that an id is kept with; undefined for one that an earlier version kept. */
function authorIn(storage: TextStorage | null, key: string): Hex | undefined {
  const author = storage?.getItem(authorKey(key)) ?? "";
  return /^0x[0-9a-f]{40}$/.test(author) ? (author as Hex) : undefined;
}

function keysOf(storage: TextStorage | null): string[] {
  if (storage === null) return [];
  try {
    return Array.from({ length: storage.length }, (_, i) => storage.key(i) ?? "");
  } catch {
    return [];
  }
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
function candidates(platform: Platform, scope: string, author: Hex | undefined): string[] {
  const withMessages = new Set<string>();
  const all = new Set<string>();
  for (const key of keysOf(platform.storage)) {
    const match = key.startsWith(`${scope}:`) ? /^([0-9a-f]{32})(:\d+)?$/.exec(key.slice(scope.length + 1)) : null;
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
  return [...new Set([...ownFirst(withMessages), ...ownFirst(all)])].filter(isUsable).slice(0, MAX_TRIED_PRODUCERS);
}

function tabsOwn(platform: Platform, scope: string): string | null {
  try {
    return platform.tabStorage?.getItem(scope) ?? null;
  } catch {
    return null;
  }
}

/** The producer of this page for a stream of an edge: a kept id of the author that no other page uses, or a new one. */
export async function claimProducer(
  platform: Platform,
  origin: string,
  stream: string,
  author: Hex | undefined,
): Promise<Producer> {
  const producer = await claim(platform, origin, stream, author);
  if (author !== undefined) producer.bind(author);
  return producer;
}

async function claim(platform: Platform, origin: string, stream: string, author: Hex | undefined): Promise<Producer> {
  const scope = `${PREFIX}:${origin}:${stream}`;
  const { locks, storage } = platform;
  const own = (): Producer => new Producer(platform, scope, platform.randomBytes(16), () => {}, false);
  if (locks === null || storage === null) return own();
  try {
    return await claimKept(platform, scope, locks, author);
  } catch {
    return own(); // the browser offers storage or locks, and forbids their use
  }
}

async function claimKept(
  platform: Platform,
  scope: string,
  locks: SharedLocks,
  author: Hex | undefined,
): Promise<Producer> {
  const own = tabsOwn(platform, scope);
  for (const id of candidates(platform, scope, author)) {
    // A reloaded page may start while the page before it still has the lock.
    const free = await locks.acquire(`${scope}:${id}`, id === own ? PRODUCER_LOCK_WAIT_MS : 0);
    if (free === null) continue;
    const bytes = Uint8Array.from({ length: 16 }, (_, i) => Number.parseInt(id.slice(2 * i, 2 * i + 2), 16));
    rememberInTab(platform, scope, bytes);
    return new Producer(platform, scope, bytes, free, true);
  }
  const fresh = platform.randomBytes(16);
  const free = await locks.acquire(`${scope}:${toHex(fresh).slice(2)}`, 0);
  rememberInTab(platform, scope, fresh);
  return new Producer(platform, scope, fresh, free ?? (() => {}), true);
}
