// The keys of one connection: which one speaks for which author, and the proof by which the edge gives a key's guest a token.
//
// What always holds: a guest and each account have keys of their own, so that nobody sees in them that they are one person;
// an account's key signs only after the edge said that it has the account's certificate for it.

import type { Platform, TextStorage } from "../platform.ts";
import { keyProof, type Signer, signerOf } from "../signed/signer.ts";
import { type SigningKey, signingKey } from "../web-keys.ts";
import type { Hex } from "../wire/bytes.ts";
import type { EdgeClient, KeyProof } from "./edge-client.ts";

/** A key as WebCrypto makes it (`CryptoKey`), for projects without the DOM's types. */
interface WebCryptoKey {
  readonly type: string;
  readonly extractable: boolean;
  readonly algorithm: object;
  readonly usages: readonly string[];
}

/** The key of a connection: a pair of the caller's (`CryptoKeyPair`), or null to sign nothing. */
export type KeyOption = { readonly privateKey: WebCryptoKey; readonly publicKey: WebCryptoKey } | null;

/** The storage that keeps which keys are certified. */
type MarkStorage = Pick<TextStorage, "getItem" | "setItem" | "removeItem"> | null;

/** A clock that is wrong by less than this, in seconds, is not the reason of a refusal. */
const MIN_CLOCK_STEP_S = 1;

const GUEST = "guest";

/** The name of the key of an account, or of the guest, at an edge. */
const nameOf = (origin: string, whose: Hex | typeof GUEST): string => `${origin}:${whose}`;

/** The name of an account's key at an edge. */
export const accountKeyName = (origin: string, account: Hex): string => nameOf(origin, account.toLowerCase() as Hex);

/** The name of the guest's key at an edge. */
export const guestKeyName = (origin: string): string => nameOf(origin, GUEST);

/** What is certified where there is no storage, for the life of the page. */
const certified = new Map<string, string>();

const markOf = (origin: string, account: Hex): string => `streamchain:1:certified:${origin}:${account.toLowerCase()}`;

/** The edge has a certificate of this account for the key. */
export function keepCertified(storage: MarkStorage, origin: string, account: Hex, key: string | undefined): void {
  const mark = markOf(origin, account);
  if (key === undefined) certified.delete(mark);
  else certified.set(mark, key);
  try {
    if (key === undefined) storage?.removeItem(mark);
    else storage?.setItem(mark, key);
  } catch {
    // storage is forbidden or full: the page remembers it
  }
}

function certifiedKey(storage: MarkStorage, origin: string, account: Hex): string | undefined {
  const mark = markOf(origin, account);
  try {
    return storage?.getItem(mark) ?? certified.get(mark);
  } catch {
    return certified.get(mark);
  }
}

/** The keys of one connection. */
export class KeyRing {
  readonly #platform: Platform;
  readonly #edge: EdgeClient;
  readonly #given: KeyOption | undefined;
  /** The guest that the key is, once the key is known. */
  #self: Hex | undefined;
  /** How much the edge's clock is ahead, in seconds. */
  #aheadS = 0;

  constructor(platform: Platform, edge: EdgeClient, given: KeyOption | undefined) {
    this.#platform = platform;
    this.#edge = edge;
    this.#given = given;
  }

  /** Whether the caller wants nothing signed. */
  get isOff(): boolean {
    return this.#given === null;
  }

  async #signer(name: string): Promise<Signer | undefined> {
    const { keys } = this.#platform;
    if (this.#given === null || keys === null) return undefined;
    const pair: SigningKey =
      this.#given === undefined ? await keys.of(name) : await signingKey(this.#given as CryptoKeyPair);
    return signerOf(pair);
  }

  /** The key of a client without an account; undefined when nothing is signed here. */
  async guest(): Promise<Signer | undefined> {
    const guest = await this.#signer(guestKeyName(this.#edge.origin)).catch(() => undefined); // no key could be made
    this.#self = guest?.self;
    return guest;
  }

  /** Whether the author is the guest that the key is. */
  isSelf(author: Hex | undefined): boolean {
    return author !== undefined && author === this.#self;
  }

  /** Remembers that an author is the guest that the key is, so that a page which lost the key knows that it did. */
  async keepSelf(author: Hex): Promise<void> {
    const guest = await this.guest();
    if (guest?.self === author) keepCertified(this.#platform.storage, this.#edge.origin, author, guest.text);
  }

  /** Whether the author was the guest of a key, which may be lost. */
  mayBeLost(author: Hex): boolean {
    return certifiedKey(this.#platform.storage, this.#edge.origin, author) !== undefined;
  }

  /** Whether the author was the guest of a key that is lost. */
  async isLost(author: Hex): Promise<boolean> {
    const mark = certifiedKey(this.#platform.storage, this.#edge.origin, author);
    if (mark === undefined) return false;
    const guest = await this.guest();
    return guest !== undefined && guest.text !== mark;
  }

  /** The key that speaks for an author; undefined when what the author publishes is not signed. */
  async signerFor(author: Hex): Promise<Signer | undefined> {
    const guest = await this.guest();
    if (guest === undefined || guest.self === author || this.#given !== undefined) return guest;
    const mark = certifiedKey(this.#platform.storage, this.#edge.origin, author);
    if (mark === undefined) return undefined;
    const own = await this.#signer(accountKeyName(this.#edge.origin, author)).catch(() => undefined);
    return own?.text === mark ? own : undefined;
  }

  /** The edge does not take the key of an account (any longer): what is published from now on is not signed with it. */
  disown(author: Hex): void {
    keepCertified(this.#platform.storage, this.#edge.origin, author, undefined);
  }

  /** The proof that makes a request without a token one of the guest that the key is; undefined without a key. */
  async proof(): Promise<KeyProof | undefined> {
    const guest = await this.guest();
    if (guest === undefined) return undefined;
    const seconds = Math.floor(this.#platform.now() / 1_000) + this.#aheadS;
    const { host } = new URL(this.#edge.origin);
    return { key: guest.key, proof: await keyProof(guest, host, seconds) };
  }

  /** The edge refused a proof for its time, and named its own; returns whether proofs are others from now on. */
  setClock(nowS: number): boolean {
    const aheadS = nowS - Math.floor(this.#platform.now() / 1_000);
    const isNew = Math.abs(aheadS - this.#aheadS) > MIN_CLOCK_STEP_S;
    this.#aheadS = aheadS;
    return isNew;
  }
}
