// What worked on this network last time, so that a network that lets only TURN through costs its head start once.

import { PATH_MEMORY_MS } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { ConnectionPath } from "./session.ts";

const KEY = "streamchain:1:path";

/** The memory of one edge's clients in this browser. */
export class PathMemory {
  readonly #platform: Platform;
  readonly #origin: string;
  #suspicious = false;
  #apart = false;
  #moved = false;
  #bare = false;

  constructor(platform: Platform, origin: string) {
    this.#platform = platform;
    this.#origin = origin;
  }

  /** Whether only TURN worked lately. */
  get turnFirst(): boolean {
    if (this.#suspicious) return true;
    try {
      const until = Number(this.#platform.storage?.getItem(this.#key) ?? 0);
      return until > this.#platform.now();
    } catch {
      return false;
    }
  }

  /** Whether peer connections are to be made apart from the page (see `Platform`). */
  get apart(): boolean {
    return this.#apart;
  }

  /** Whether the network may be another one than that of the latest session. */
  get moved(): boolean {
    return this.#moved;
  }

  /** Whether the edge answers to requests without the browser's credentials, and may not to others (`firstAnswer`). */
  get bare(): boolean {
    return this.#bare;
  }

  /** The edge answered to such a request. */
  answered(bare: boolean): void {
    this.#bare = bare;
  }

  /** A session opened on this path. */
  opened(path: ConnectionPath | undefined): void {
    this.#moved = false;
    if (path === undefined) return;
    this.#suspicious = false;
    try {
      if (path.localType !== "relay") this.#platform.storage?.removeItem(this.#key);
      else this.#platform.storage?.setItem(this.#key, String(this.#platform.now() + PATH_MEMORY_MS));
    } catch {
      // it is then found out again
    }
  }

  /** No way opened: next time all are tried at once; from elsewhere when there was no address to try from. */
  failed(gathered: boolean): void {
    this.#suspicious = true;
    if (!gathered) this.#apart = !this.#apart;
  }

  /** A session's path broke. */
  lost(): void {
    this.#moved = true;
  }

  /** The network is another one. */
  networkChanged(): void {
    this.#suspicious = false;
    this.#moved = true;
  }

  get #key(): string {
    const kind = this.#platform.networkKind();
    return `${KEY}:${this.#origin}${kind === "" ? "" : `:${kind}`}`;
  }
}
