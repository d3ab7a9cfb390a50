// The access token of a connection: the caller's own, or a guest's, kept so that a reloaded page has the same author.

import type { StreamChainError } from "../errors.ts";
import type { Platform, TextStorage } from "../platform.ts";
import type { Hex } from "../wire/bytes.ts";

/** The storage that keeps a token. */
type TokenStorage = Pick<TextStorage, "getItem" | "setItem" | "removeItem"> | null | undefined;

const KEY = "streamchain:1:token";

/** The `authorization` header of a token; none without one. */
export const bearer = (token: string | undefined): { authorization?: string } =>
  token === undefined ? {} : { authorization: `Bearer ${token}` };

/** The kept token, which connections to an edge use unless they are given one; undefined when none is kept. */
export function keptToken(storage: TokenStorage, origin: string): string | undefined {
  try {
    return storage?.getItem(`${KEY}:${origin}`) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a token: connections to the edge use it from their next session on. Undefined makes them guests. */
export function keepToken(storage: TokenStorage, origin: string, token: string | undefined): void {
  try {
    if (token === undefined) storage?.removeItem(`${KEY}:${origin}`);
    else storage?.setItem(`${KEY}:${origin}`, token);
  } catch {
    // storage is forbidden or full: the token is lost at the next reload
  }
}

/** The account of an access token: the subject of a JWT (RFC 7519 §4.1.2). Undefined for an API key. */
export function authorOf(token: string | undefined): Hex | undefined {
  try {
    const claims = (token?.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const subject: unknown = JSON.parse(atob(claims)).sub;
    return /^0x[0-9a-f]{40}$/.test(String(subject)) ? (subject as Hex) : undefined;
  } catch {
    return undefined;
  }
}

/** The token of one connection to an edge. */
export class Credentials {
  readonly #platform: Platform;
  readonly #origin: string;
  readonly #given: string | undefined;

  constructor(platform: Platform, origin: string, given: string | undefined) {
    this.#platform = platform;
    this.#origin = origin;
    this.#given = given;
  }

  /** The token to send; undefined to have the edge make a guest. */
  get token(): string | undefined {
    return this.#given ?? this.#kept();
  }

  /** Keeps the token of a guest that the edge made. */
  keep(token: string | undefined): void {
    if (token === undefined || this.#given !== undefined) return;
    keepToken(this.#platform.storage, this.#origin, token);
  }

  /** Forgets a kept token that the edge refused, so that another attempt makes a new guest; returns whether it did. */
  forgetIfRefused(error: StreamChainError): boolean {
    if (error.problem?.status !== 401 || this.#given !== undefined || this.#kept() === undefined) return false;
    keepToken(this.#platform.storage, this.#origin, undefined);
    return this.#kept() === undefined;
  }

  #kept(): string | undefined {
    return keptToken(this.#platform.storage, this.#origin);
  }
}
