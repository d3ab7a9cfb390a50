// The access token of a connection: the caller's own, or a guest's, which is kept so that its author survives a reload.

import type { StreamChainError } from "./errors.ts";
import type { Platform } from "./platform.ts";

const KEY = "streamchain:1:token";

/** Tokens for one edge. */
export class Credentials {
  readonly #platform: Platform;
  readonly #key: string;
  readonly #given: string | undefined;

  constructor(platform: Platform, origin: string, given: string | undefined) {
    this.#platform = platform;
    this.#key = `${KEY}:${origin}`;
    this.#given = given;
  }

  /** The token to send; undefined when the edge should make a guest. */
  get token(): string | undefined {
    return this.#given ?? this.#kept();
  }

  /** The edge made a guest. */
  keep(token: string | undefined): void {
    if (token === undefined || this.#given !== undefined) return;
    try {
      this.#platform.storage?.setItem(this.#key, token);
    } catch {
      // the author is then new after a reload
    }
  }

  /** Whether the error was about a kept token, which is now forgotten, so that another attempt makes a new guest. */
  forgetIfRefused(error: StreamChainError): boolean {
    if (error.problem?.status !== 401 || this.#given !== undefined || this.#kept() === undefined) return false;
    try {
      this.#platform.storage?.removeItem(this.#key);
      return true;
    } catch {
      return false;
    }
  }

  #kept(): string | undefined {
    try {
      return this.#platform.storage?.getItem(this.#key) ?? undefined;
    } catch {
      return undefined;
    }
  }
}
