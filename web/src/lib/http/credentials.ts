// The access token of a connection: the caller's own, or a guest's, which is kept so that its author survives a reload.

import type { StreamChainError } from "../errors.ts";
import type { Platform, TextStorage } from "../platform.ts";
import type { Hex } from "../wire/bytes.ts";

/** What a token is kept in. */
type TokenStorage = Pick<TextStorage, "getItem" | "setItem" | "removeItem"> | null | undefined;

const KEY = "streamchain:1:token";

/** The header that says who asks; none for a request without a token. */
export const bearer = (token: string | undefined): { authorization?: string } =>
  token === undefined ? {} : { authorization: `Bearer ${token}` };

/** The token that connections to an edge use when they are given none; undefined when there is none. */
export function keptToken(storage: TokenStorage, origin: string): string | undefined {
  try {
    return storage?.getItem(`${KEY}:${origin}`) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Has connections to an edge use this token from their next session on; without one they are guests. */
export function keepToken(storage: TokenStorage, origin: string, token: string | undefined): void {
  try {
    if (token === undefined) storage?.removeItem(`${KEY}:${origin}`);
    else storage?.setItem(`${KEY}:${origin}`, token);
  } catch {
    // a browser that keeps nothing: the token is then gone after a reload
  }
}

/** Whom an access token speaks for: the subject of a JWT (RFC 7519 §4.1.2). Undefined for an API key. */
export function authorOf(token: string | undefined): Hex | undefined {
  try {
    const claims = (token?.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const subject: unknown = JSON.parse(atob(claims)).sub;
    return /^0x[0-9a-f]{40}$/.test(String(subject)) ? (subject as Hex) : undefined;
  } catch {
    return undefined;
  }
}

/** Tokens for one edge. */
export class Credentials {
  readonly #platform: Platform;
  readonly #origin: string;
  readonly #given: string | undefined;

  constructor(platform: Platform, origin: string, given: string | undefined) {
    this.#platform = platform;
    this.#origin = origin;
    this.#given = given;
  }

  /** The token to send; undefined when the edge should make a guest. */
  get token(): string | undefined {
    return this.#given ?? this.#kept();
  }

  /** The edge made a guest. */
  keep(token: string | undefined): void {
    if (token === undefined || this.#given !== undefined) return;
    keepToken(this.#platform.storage, this.#origin, token);
  }

  /** Whether the error was about a kept token, which is now forgotten, so that another attempt makes a new guest. */
  forgetIfRefused(error: StreamChainError): boolean {
    if (error.problem?.status !== 401 || this.#given !== undefined || this.#kept() === undefined) return false;
    keepToken(this.#platform.storage, this.#origin, undefined);
    return this.#kept() === undefined;
  }

  #kept(): string | undefined {
    return keptToken(this.#platform.storage, this.#origin);
  }
}
