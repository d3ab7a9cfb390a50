// The access token of a connection: the caller's own, or a guest's, kept so that a reloaded page has the same author.
//
// What always holds: the author of a token is reported before the token is used, as far as it is known; storage that
// fails, or that another page writes to, changes no author.

import { malformed, retryableError, StreamChainError } from "../errors.ts";
import { MAX_TIMER_MS, TOKEN_RENEW_BEFORE_MS, TOKEN_RENEW_PAUSE_MS } from "../limits.ts";
import type { Platform, TextStorage } from "../platform.ts";
import type { Hex } from "../wire/bytes.ts";
import type { EdgeClient, KeyProof } from "./edge-client.ts";
import type { KeyRing } from "./key-ring.ts";
import { claimsOf } from "./token-claims.ts";
import { remedyOf, type TokenEvent, type TokenSource, type TokenState, tokenTransition } from "./token-state.ts";

/** The storage that keeps a token. */
type TokenStorage = Pick<TextStorage, "getItem" | "setItem" | "removeItem"> | null | undefined;

/** A token, or a function that gives a fresh one: it is called when there is none, and when the last one expires. */
export type TokenOption = string | (() => string | Promise<string>);

const KEY = "streamchain:1:token";

/** The kept token, which connections to an edge use unless they are given one; undefined when none is kept. */
export function keptToken(storage: TokenStorage, origin: string): string | undefined {
  try {
    return storage?.getItem(`${KEY}:${origin}`) ?? undefined;
  } catch {
    return undefined;
  }
}

/**
 * Keeps a token, which connections to the edge that are made from then on use. A connection that exists takes it over only
 * when it is a newer one of its own author. Undefined makes new connections guests.
 */
export function keepToken(storage: TokenStorage, origin: string, token: string | undefined): void {
  try {
    if (token === undefined) storage?.removeItem(`${KEY}:${origin}`);
    else storage?.setItem(`${KEY}:${origin}`, token);
  } catch {
    // storage is forbidden or full: the token lives as long as the connection
  }
}

/** Tokens of the library's life where there is no storage, by the `fetch` and the origin that they are used with. */
const memories = new WeakMap<typeof fetch, Map<string, string>>();

/** The storage of a platform's tokens: the browser's, or this library's memory. */
function storageOfTokens({ storage, fetch: fetcher }: Platform): NonNullable<TokenStorage> {
  if (storage !== null) return storage;
  const memory = memories.get(fetcher) ?? new Map<string, string>();
  memories.set(fetcher, memory);
  return {
    getItem: (key) => memory.get(key) ?? null,
    setItem: (key, token) => void memory.set(key, token),
    removeItem: (key) => void memory.delete(key),
  };
}

/** What the credentials need of their connection. */
interface CredentialsOptions {
  readonly platform: Platform;
  readonly edge: EdgeClient;
  readonly given: TokenOption | undefined;
  readonly keys: KeyRing;
  /** The author of the token that is used from now on. */
  readonly onAuthor: (author: Hex) => void;
}

/** The token of one connection to an edge. */
export class Credentials {
  readonly #options: CredentialsOptions;
  readonly #source: TokenSource;
  readonly #storage: NonNullable<TokenStorage>;
  #state: TokenState = { at: "none" };
  /** The source is being asked. */
  #asking: Promise<void> | null = null;
  /** When a newer token was last asked for, on the monotonic clock. */
  #askedAt = Number.NEGATIVE_INFINITY;
  #timer: unknown = null;
  #isClosed = false;
  /** The error with which the caller's function said that there will be no token any more. */
  #over: StreamChainError | null = null;

  constructor(options: CredentialsOptions) {
    this.#options = options;
    const { given, platform, edge } = options;
    this.#storage = storageOfTokens(platform);
    this.#source = given === undefined ? "kept" : typeof given === "string" ? "fixed" : "function";
    const first = typeof given === "string" ? given : keptToken(this.#storage, edge.origin);
    if (this.#source !== "function" && first !== undefined) {
      this.#state = tokenTransition(this.#state, { kind: "given", token: first });
    }
  }

  /** The author of the token, if it is known. */
  get author(): Hex | undefined {
    return this.#state.at === "none" ? undefined : this.#state.author;
  }

  /** Whether the edge is to make a guest, whose author nobody knows yet. */
  get isNobody(): boolean {
    return this.#source === "kept" && this.#state.at === "none";
  }

  /** The token that was used last; undefined when there is none. */
  get current(): string | undefined {
    return this.#state.at === "none" ? undefined : this.#state.token;
  }

  /** The token for the next request; undefined to have the edge make a guest. Rejects when the source gives none. */
  async token(): Promise<string | undefined> {
    while (this.#asking !== null) await this.#asking.catch(() => {}); // asked again here
    this.#adopt();
    await this.#matchKey();
    if (this.#needsNewer()) await this.#once(() => this.#renew());
    return this.current;
  }

  /** What a request without a token says, so that the edge makes the guest that this client's key is. */
  proof(): Promise<KeyProof | undefined> {
    return this.#source === "kept" ? this.#options.keys.proof() : Promise.resolve(undefined);
  }

  /** The token for a request that makes no guest by itself: the edge is asked for one. */
  async needed(signal: AbortSignal): Promise<string> {
    const token = await this.token();
    if (token === undefined) {
      await this.#once(async () => {
        if (this.#state.at === "none") this.made(await this.#guest(signal));
      });
    }
    return this.current ?? this.needed(signal);
  }

  /** The author of the token; asks the edge when the token does not say it. Undefined for nobody. */
  async identify(): Promise<Hex | undefined> {
    const token = await this.token();
    if (token === undefined || this.author !== undefined) return this.author;
    try {
      this.named(token, (await this.#options.edge.renewToken(token)).author);
    } catch {
      return undefined; // the first request that is answered names the author
    }
    return this.author;
  }

  /** Has the edge make a guest, with its clock when it refuses this one's. */
  async #guest(signal?: AbortSignal): Promise<{ readonly token: string; readonly author: Hex }> {
    const { edge } = this.#options;
    try {
      return await edge.guest(signal, await this.proof());
    } catch (error) {
      if (!(error instanceof StreamChainError) || !this.#wasClock(error)) throw error;
      return edge.guest(signal, await this.proof());
    }
  }

  /** Whether a proof was refused for its time, and the next one will be another. */
  #wasClock({ problem }: StreamChainError): boolean {
    const { slug, reason, now } = problem ?? { slug: "" };
    return slug === "key-refused" && reason === "time" && now !== undefined && this.#options.keys.setClock(now);
  }

  /** A guest whose key is lost is given up while its token is still good: what it publishes could not be signed. */
  async #matchKey(): Promise<void> {
    if (this.#source !== "kept" || this.#state.at !== "held") return;
    const { token, author } = this.#state;
    if (author === undefined || !claimsOf(token).isGuest || !(await this.#options.keys.isLost(author))) return;
    if (this.current !== token) return;
    if (keptToken(this.#storage, this.#options.edge.origin) === token) this.#keep(undefined);
    this.#apply({ kind: "refused", token });
    this.#apply({ kind: "forgotten" });
  }

  /** Whether this error says that there will be no token any more. */
  isOver(error: StreamChainError): boolean {
    return error === this.#over;
  }

  /** The edge made a guest for a request without a token. Returns whether this connection is that guest now. */
  made(guest: { readonly token: string; readonly author: Hex | undefined }): boolean {
    this.#apply({ kind: "guest", ...guest });
    if (this.current !== guest.token) return false;
    // A guest without a key is this connection's alone: other connections of the origin sign, and are the guest of their key.
    if (!this.#options.keys.isOff) this.#keep(guest.token);
    if (this.author !== undefined) void this.#options.keys.keepSelf(this.author);
    return true;
  }

  /** The edge named the author of a request with this token. */
  named(token: string | undefined, author: Hex): void {
    this.#apply({ kind: "named", token, author });
  }

  /** The edge answered a request with this token with an error; returns whether another attempt can succeed. */
  refused(error: StreamChainError, token: string | undefined): boolean {
    if (error.problem?.status !== 401) return false;
    if (token === undefined && this.#wasClock(error)) return true;
    this.#apply({ kind: "refused", token });
    this.#adopt();
    if (remedyOf(this.#state, this.#source, token) === "none") return false;
    if (this.#source === "kept" && this.#state.at === "refused") {
      if (keptToken(this.#storage, this.#options.edge.origin) === token) this.#keep(undefined);
      this.#apply({ kind: "forgotten" });
    }
    return true;
  }

  /** Ends renewals. */
  close(): void {
    this.#isClosed = true;
    this.#options.platform.clearTimer(this.#timer);
  }

  /** Reports the author that is known without a request, and renews the token in time from now on. */
  start(): void {
    const { author } = this;
    this.#schedule();
    if (author === undefined) return;
    // A guest whose key is lost is nobody's author any more: what is published until that is known would fail.
    if (this.#isKeptGuest && this.#options.keys.mayBeLost(author)) {
      void this.#matchKey().then(() => {
        if (this.author === author) this.#options.onAuthor(author);
      });
    } else {
      this.#options.onAuthor(author);
    }
  }

  get #isKeptGuest(): boolean {
    return this.#source === "kept" && this.#state.at === "held" && claimsOf(this.#state.token).isGuest;
  }

  async #once(ask: () => Promise<void>): Promise<void> {
    if (this.#asking !== null) return this.#asking;
    this.#asking = ask().finally(() => {
      this.#asking = null;
    });
    await this.#asking;
  }

  /** Takes a newer token of the same author that another page, or the page around this connection, has kept. */
  #adopt(): void {
    if (this.#source !== "kept") return;
    const kept = keptToken(this.#storage, this.#options.edge.origin);
    if (kept === undefined || kept === this.current) return;
    const isOwn = this.author !== undefined && claimsOf(kept).author === this.author;
    if (this.#state.at === "none" || isOwn) this.#apply({ kind: "given", token: kept });
  }

  #needsNewer(): boolean {
    const { platform } = this.#options;
    const isFunction = this.#source === "function";
    if (this.#state.at === "none") return isFunction;
    if (this.#state.at === "refused") return isFunction;
    const { expiresMs, isRenewable } = claimsOf(this.#state.token);
    if (expiresMs === undefined || (!isFunction && !isRenewable && !this.#isOwnGuest)) return false;
    // A device whose clock is wrong must not ask with each request.
    const isPaused = platform.clock() - this.#askedAt < TOKEN_RENEW_PAUSE_MS;
    return !isPaused && expiresMs - platform.now() < TOKEN_RENEW_BEFORE_MS;
  }

  /** Whether the token is that of the guest that this client's key is, who gets another one by a proof. */
  get #isOwnGuest(): boolean {
    return this.#source === "kept" && this.#options.keys.isSelf(this.author);
  }

  async #renew(): Promise<void> {
    this.#askedAt = this.#options.platform.clock();
    if (this.#source === "function") return this.#callFunction();
    const { current } = this;
    if (current === undefined) return;
    try {
      const isGuest = this.#isOwnGuest;
      const { token, author } = await (isGuest ? this.#guest() : this.#options.edge.renewToken(current));
      if (this.current !== current || this.#isClosed) return;
      if (isGuest && author !== this.author) return; // the key is another one meanwhile
      this.#apply({ kind: "given", token, author });
      if (this.#source === "kept") this.#keep(token);
    } catch {
      // the present one is used as long as the edge takes it
    }
  }

  async #callFunction(): Promise<void> {
    try {
      this.#apply({ kind: "given", token: await this.#ask() });
    } catch (error) {
      if (error instanceof StreamChainError && !error.retryable) this.#over = error;
      throw error;
    }
  }

  /** A token of the caller's function, which the edge has not refused. */
  async #ask(): Promise<string> {
    const before = this.#state;
    let token: unknown;
    try {
      token = await (this.#options.given as () => string | Promise<string>)();
    } catch (cause) {
      if (cause instanceof StreamChainError) throw cause;
      throw new StreamChainError("refused", "the function for the token failed", { retryable: true, cause });
    }
    if (typeof token !== "string" || token === "") throw malformed("the function for the token gave no text");
    if (before.at === "refused" && before.token === token) {
      throw retryableError("refused", "the function for the token gave the refused one again");
    }
    return token;
  }

  #apply(event: TokenEvent): void {
    const before = this.#state;
    this.#state = tokenTransition(before, event);
    if (this.#state === before) return;
    this.#schedule();
    const { author } = this;
    if (this.#state.at === "held" && author !== undefined) this.#options.onAuthor(author);
  }

  /** A token is renewed in time, whether or not a request needs it: the edge renews no wallet's that has expired. */
  #schedule(): void {
    const { platform } = this.#options;
    platform.clearTimer(this.#timer);
    if (this.#isClosed || this.#source === "function" || this.#state.at !== "held") return;
    const { expiresMs, isRenewable } = claimsOf(this.#state.token);
    if ((!isRenewable && !this.#isOwnGuest) || expiresMs === undefined || expiresMs <= platform.now()) return;
    const ms = Math.max(expiresMs - TOKEN_RENEW_BEFORE_MS - platform.now(), TOKEN_RENEW_PAUSE_MS);
    const timer = platform.setTimer(
      () => {
        this.token().then(
          () => {
            if (this.#timer === timer) this.#schedule();
          },
          () => {},
        );
      },
      Math.min(ms, MAX_TIMER_MS),
    );
    this.#timer = timer;
  }

  #keep(token: string | undefined): void {
    keepToken(this.#storage, this.#options.edge.origin, token);
  }
}
