// Which requests that read a stream carry a token: the edge shows a private stream to nobody without one.
//
// What always holds: a public stream is read without a token too, also when the one at hand does not count (any more).

import type { StreamChainError } from "../errors.ts";

/** Whose token opens streams that are not for everybody: a connection's credentials. */
export interface Reader {
  /** The token for the next request; undefined without one. */
  token(): Promise<string | undefined>;
  /** The edge answered 401 to a request with this token; returns whether another attempt can succeed. */
  refused(error: StreamChainError, token: string): boolean;
}

/** How often a read is tried with a token: with the one at hand, and with the one that replaces it. */
const TOKEN_ATTEMPTS = 2;

/** Whether a token may help. The edge does not say whether a stream is private or not there. */
const isHidden = (error: StreamChainError): boolean =>
  /^(no-such-stream|unauthorized)$/.test(error.problem?.slug ?? "");

/** The reads of one client of an edge. */
export class StreamReads {
  reader: Reader | null = null;
  /** Whether something was read with the token that was hidden without. */
  #needsToken = false;

  /** Asks without a token, for which the edge would look up an account, until one is needed; then with it at once. */
  async read(ask: (token?: string) => Promise<Response>): Promise<Response> {
    const { reader } = this;
    let hidden: StreamChainError | undefined;
    for (let attempt = this.#needsToken ? 1 : 0; attempt <= TOKEN_ATTEMPTS; attempt++) {
      const token = attempt === 0 ? undefined : await reader?.token();
      if (attempt > 0 && token === undefined) break;
      try {
        const response = await ask(token);
        this.#needsToken = attempt > 0;
        return response;
      } catch (error) {
        hidden = error as StreamChainError;
        if (!isHidden(hidden)) throw error;
        if (token !== undefined && !reader?.refused(hidden, token)) break;
      }
    }
    if (!this.#needsToken) throw hidden;
    this.#needsToken = false;
    return this.read(ask); // the stream may be public now
  }
}
