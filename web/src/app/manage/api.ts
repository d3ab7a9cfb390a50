// The requests of those who manage streams: each with the token of the account, each refusal with the edge's own words.

/** A refusal of the edge. */
export class Refused extends Error {
  readonly status: number;

  constructor(status: number, detail: string) {
    super(detail);
    this.name = "Refused";
    this.status = status;
  }
}

/** Settings of a stream that a page shows and changes; those that this version of the page does not know are left alone. */
export interface ManagedStream {
  readonly id: string;
  readonly name: string;
  readonly owner: string;
  readonly [setting: string]: unknown;
}

/** A member and the rights. */
export interface Member {
  readonly address: string;
  readonly rights: readonly string[];
}

/** An API key of the account. */
export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly rights: readonly string[];
  readonly streams?: readonly string[];
  readonly created: number;
  readonly expires?: number;
  /** Only in the answer that made it. */
  readonly key?: string;
}

/** A webhook of a stream. */
export interface Webhook {
  readonly id: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly state: "active" | "paused";
  readonly reason?: string;
  readonly cursor: string;
  readonly failures: number;
  readonly lastError?: string;
  readonly retryAt?: number;
  readonly lastSuccess?: number;
  /** Only in an answer that made one. */
  readonly secret?: string;
}

/** How long a request may take, in ms. */
const TIMEOUT_MS = 15_000;

/** What a page asks the edge for, with the account's token of that moment. */
export class ManageClient {
  readonly #origin: string;
  readonly #token: () => string | undefined;

  constructor(origin: string, token: () => string | undefined) {
    this.#origin = origin;
    this.#token = token;
  }

  /** Sends a request; resolves to the answer's JSON, rejects with [`Refused`] or with what the browser says. */
  async ask<T>(method: string, path: string, body?: unknown): Promise<T> {
    const token = this.#token();
    const response = await fetch(this.#origin + path, {
      method,
      headers: {
        accept: "application/json",
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const answer: unknown = await response.json().catch(() => ({}));
    if (response.ok) return answer as T;
    const { detail, title } = answer as { detail?: unknown; title?: unknown };
    throw new Refused(response.status, String(detail ?? title ?? response.status));
  }
}

/** The path of a stream's resource. */
export const streamPath = (stream: string, rest = ""): string => `/v1/streams/${encodeURIComponent(stream)}${rest}`;
