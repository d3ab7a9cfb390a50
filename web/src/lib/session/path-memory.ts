// Remembers which paths worked on this network, so that a network that allows only TURN costs its head start once.

import { PATH_MEMORY_MS } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { ConnectionPath } from "./path-stats.ts";

const KEY = "streamchain:1:path";

/** The memory of this browser for one edge. */
export class PathMemory {
  readonly #platform: Platform;
  readonly #origin: string;
  #lastFailed = false;
  #apart = false;
  #moved = false;
  #bare = false;

  constructor(platform: Platform, origin: string) {
    this.#platform = platform;
    this.#origin = origin;
  }

  /** Whether to try TURN from the start: only TURN worked recently, or nothing did. */
  get turnFirst(): boolean {
    if (this.#lastFailed) return true;
    try {
      const until = Number(this.#platform.storage?.getItem(this.#key) ?? 0);
      return until > this.#platform.now();
    } catch {
      return false;
    }
  }

  /** Whether to make peer connections apart from the page (see `Platform`). */
  get apart(): boolean {
    return this.#apart;
  }

  /** Whether the network may have changed since the latest session. */
  get moved(): boolean {
    return this.#moved;
  }

  /** Whether the edge answered a request without the browser's credentials, so that others may get no answer (`firstAnswer`). */
  get bare(): boolean {
    return this.#bare;
  }

  /** The edge answered a request; `bare` is whether it was without the browser's credentials. */
  answered(bare: boolean): void {
    this.#bare = bare;
  }

  /** A session opened on this path. */
  opened(path: ConnectionPath | undefined): void {
    this.#moved = false;
    if (path === undefined) return;
    this.#lastFailed = false;
    try {
      if (path.localType !== "relay") this.#platform.storage?.removeItem(this.#key);
      else this.#platform.storage?.setItem(this.#key, String(this.#platform.now() + PATH_MEMORY_MS));
    } catch {
      // storage is forbidden: the next page tries direct paths first
    }
  }

  /** No path opened: the next attempt tries all at once, and the other kind of peer connection when none was `gathered`. */
  failed(gathered: boolean): void {
    this.#lastFailed = true;
    if (!gathered) this.#apart = !this.#apart;
  }

  /** The path of a session was lost. */
  lost(): void {
    this.#moved = true;
  }

  /** The network changed. */
  networkChanged(): void {
    this.#lastFailed = false;
    this.#moved = true;
  }

  get #key(): string {
    const kind = this.#platform.networkKind();
    return `${KEY}:${this.#origin}${kind === "" ? "" : `:${kind}`}`;
  }
}
