// The edge's HTTP interface, version 1: one method per route. Every answer is checked before it is returned.
//
// What always holds: a request, and the token in it, goes to the edge's own origin alone.

import { type Certificate, readCertificate } from "../chain/author-part.ts";
import { readChainEvent } from "../chain/chain-events.ts";
import { parseReceipt, type Receipt } from "../chain/receipt.ts";
import { malformed, StreamChainError } from "../errors.ts";
import { HTTP_TIMEOUT_MS, MAX_JSON_BYTES, MAX_PAGE_BYTES, MAX_PAGE_MESSAGES } from "../limits.ts";
import { type Bytes, type Hex, toBase64Url, toHex } from "../wire/bytes.ts";
import { JsonObject } from "../wire/json.ts";
import type { ChainEvent, StreamMessage } from "../wire/records.ts";
import { bearer } from "./bearer.ts";
import {
  type AnchorInfo,
  type EdgeConfig,
  type EdgeCosts,
  type EdgeStatus,
  errorOfAnswer,
  type JoinAnswer,
  type MailboxContents,
  type MatchPage,
  type Published,
  parseIceServers,
  readAnchor,
  readConfig,
  readCosts,
  readHistory,
  readJoin,
  readMatches,
  readPeer,
  readStatus,
  readStream,
  type SessionAnswer,
  type StreamInfo,
} from "./edge-answers.ts";
import { type Reader, StreamReads } from "./stream-reads.ts";

/** What makes a repeated message the same message: a `producer_seq`, or an idempotency key. */
export type PublishNumber =
  | { readonly producer: Uint8Array; readonly seq: number }
  | { readonly idempotencyKey: string };

/** The address that a header says, in lower case. */
const addressIn = (header: string | null): Hex | undefined =>
  header !== null && /^0x[0-9a-fA-F]{40}$/.test(header) ? (header.toLowerCase() as Hex) : undefined;

function idempotencyHeaders(number: PublishNumber): Record<string, string> {
  if ("idempotencyKey" in number) return { "idempotency-key": number.idempotencyKey };
  const producer = toHex(number.producer).slice(2);
  return { "streamchain-producer": producer, "streamchain-producer-seq": String(number.seq) };
}

/** How a message is published by HTTP. */
export interface PublishOptions {
  readonly token: string;
  readonly number?: PublishNumber;
  readonly signal?: AbortSignal;
  /** Answer at once, without waiting until the stream's leader gave the message its seq. */
  readonly atOnce?: boolean;
}

/** What a client proves itself with that has a key and no token. */
export interface KeyProof {
  readonly key: Uint8Array;
  /** `{seconds}.{signature}`. */
  readonly proof: string;
}

/** The headers of a request without a token, by which the edge makes a guest or, with a proof, the guest that the key is. */
const keyHeaders = (proof: KeyProof | undefined): Record<string, string> =>
  proof === undefined ? {} : { "streamchain-key": toBase64Url(proof.key), "streamchain-key-proof": proof.proof };

/** A signed group as it is published by HTTP. */
export interface PostedGroup {
  readonly producer: Uint8Array;
  /** The `producer_seq` of the first message. */
  readonly producerSeq: number;
  readonly payloads: readonly Uint8Array[];
  readonly key: Uint8Array;
  readonly previous: Uint8Array;
  readonly signature: Uint8Array;
}

/** Reads the answer to a publication. */
async function readPublished(response: Response): Promise<Published> {
  const json = await readJson(response, "published");
  return { stored: json.flag("stored"), seq: json.uintOr("seq", undefined), author: json.hex("author", 20) };
}

async function readJson(response: Response, what: string): Promise<JsonObject> {
  const text = await response.text();
  if (text.length > MAX_JSON_BYTES)
    throw malformed(`${what}: answer of ${text.length} characters, limit ${MAX_JSON_BYTES}`);
  try {
    return new JsonObject(JSON.parse(text), what);
  } catch (error) {
    if (error instanceof StreamChainError) throw error;
    throw malformed(`${what}: the answer is not JSON`);
  }
}

/** What is not there is undefined, and no error. */
function absent(error: StreamChainError): undefined {
  if (error.problem?.status !== 404) throw error;
}

/** Events of the chain in one answer, at most. */
export const CHAIN_PAGE = 1_000;

/** A stream by its id, and by what it is called by: its name, or an id too. */
interface NamedStream {
  readonly id: Hex;
  /** Undefined where it is not known: a certificate for some streams may then not be found. */
  readonly name: string | undefined;
}

/** Which streams of a pattern are asked for. */
export interface MatchQuery {
  /** Whose streams; the operator's by default. */
  readonly owner?: Hex | undefined;
  readonly token?: string | undefined;
  readonly after?: string | undefined;
  readonly waitS?: number | undefined;
  /** Streams in the answer, at most; 100 by default. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A client of one edge. Every method rejects with `StreamChainError`. */
export class EdgeClient {
  /** Origin of the edge, without a slash at the end. */
  readonly origin: string;
  readonly #fetch: typeof fetch;
  readonly #reads = new StreamReads();

  constructor(origin: string, fetcher: typeof fetch) {
    this.origin = origin.replace(/\/+$/, "");
    this.#fetch = fetcher;
  }

  /** Reads streams that are not for everybody with this reader's token from now on. */
  readAs(reader: Reader): void {
    this.#reads.reader = reader;
  }

  async #request(path: string, init: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      const deadline = AbortSignal.timeout(HTTP_TIMEOUT_MS);
      const signal = init.signal ? AbortSignal.any([init.signal, deadline]) : deadline;
      response = await this.#fetch(this.origin + path, { ...init, signal });
    } catch (cause) {
      if (init.signal?.aborted) throw new StreamChainError("closed", "the request was cancelled", { cause });
      throw new StreamChainError("edge-unreachable", `${this.origin} does not answer`, { retryable: true, cause });
    }
    if (!response.ok) throw await errorOfAnswer(response);
    return response;
  }

  /** A request whose answer says nothing more: it is read to its end, or the browser would show it as cancelled. */
  async #done(path: string, init: RequestInit): Promise<void> {
    await (await this.#request(path, init)).arrayBuffer().catch(() => {});
  }

  async #json(path: string, token?: string): Promise<JsonObject> {
    const response = await this.#request(path, { headers: { accept: "application/json", ...bearer(token) } });
    return readJson(response, path);
  }

  /** Reads what belongs to a stream. */
  #read(path: string, init: RequestInit = {}): Promise<Response> {
    return this.#reads.read((token) =>
      this.#request(path, { ...init, headers: { ...init.headers, ...bearer(token) } }),
    );
  }

  async #readJson(path: string): Promise<JsonObject> {
    return readJson(await this.#read(path, { headers: { accept: "application/json" } }), path);
  }

  /** Chain, contract and operator of this edge. */
  async config(): Promise<EdgeConfig> {
    return readConfig(await this.#json("/v1/config"));
  }

  /** Cost of a message on chain in each mode, at the node's present fees. */
  async costs(): Promise<EdgeCosts> {
    return readCosts(await this.#json("/v1/costs"));
  }

  /** State of the chain, the anchorer and the relays. */
  async status(): Promise<EdgeStatus> {
    return readStatus(await this.#json("/v1/status"));
  }

  /** Counts of a stream; undefined when it does not exist yet. */
  async stream(stream: string): Promise<StreamInfo | undefined> {
    const json = await this.#readJson(`/v1/streams/${encodeURIComponent(stream)}`).catch(absent);
    return json === undefined ? undefined : readStream(json);
  }

  /**
   * Streams whose names match a pattern (`sensors.*`), and that the token's account may read: first those that are there, in pages,
   * then those made since. `after` is of the page before; behind the last one the edge waits up to `waitS` for new streams.
   */
  async matches(pattern: string, { owner, token, after, waitS, limit, signal }: MatchQuery): Promise<MatchPage> {
    const query = new URLSearchParams({ match: pattern });
    if (owner !== undefined) query.set("owner", owner);
    if (after !== undefined) query.set("after", after);
    if (limit !== undefined) query.set("limit", `${limit}`);
    if (waitS !== undefined) query.set("wait", `${waitS}`);
    const init = { headers: { accept: "application/json", ...bearer(token) }, ...(signal ? { signal } : {}) };
    return readMatches(await readJson(await this.#request(`/v1/streams?${query}`, init), "matches"));
  }

  /**
   * Stored messages from `from` on: contiguous, at most `limit`; an empty page when there are none yet. With `signatures`
   * each message says whether its author signed it, and has the signature.
   */
  async messages(
    stream: string,
    from: number,
    limit: number = MAX_PAGE_MESSAGES,
    signal?: AbortSignal,
    signatures = false,
  ): Promise<StreamMessage[]> {
    const more = signatures ? "&signatures=1" : "";
    const path = `/v1/streams/${encodeURIComponent(stream)}/messages?from=${from}&limit=${limit}&erased=1${more}`;
    const response = await this.#read(path, {
      headers: { accept: "application/cbor-seq" },
      ...(signal === undefined ? {} : { signal }),
    }).catch(absent);
    if (response === undefined) return [];
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length > MAX_PAGE_BYTES)
      throw malformed(`history page of ${bytes.length} bytes, limit ${MAX_PAGE_BYTES}`);
    const messages = readHistory(bytes, signatures);
    messages.forEach((message, i) => {
      if (message.seq !== from + i) throw malformed(`history page has seq ${message.seq}, ${from + i} expected`);
    });
    return messages;
  }

  /** The receipt of one message; rejects with problem `not-anchored` until its anchor is on the chain. */
  async receipt(stream: string, seq: number): Promise<Receipt> {
    const response = await this.#read(`/v1/streams/${encodeURIComponent(stream)}/messages/${seq}/receipt`);
    return parseReceipt(await response.text());
  }

  /** Anchors that cover messages from `from` on, in order. */
  async anchors(stream: string, from: number, limit: number): Promise<AnchorInfo[]> {
    const path = `/v1/streams/${encodeURIComponent(stream)}/anchors?from=${from}&limit=${limit}`;
    return (await this.#readJson(path)).objects("anchors").map(readAnchor);
  }

  /** Runs of the stream that are in rounds on the chain, from `from` on, in order: as anchors, with the transactions of the rounds. */
  async runs(stream: string, from: number, limit: number): Promise<AnchorInfo[]> {
    const path = `/v1/streams/${encodeURIComponent(stream)}/runs?from=${from}&limit=${limit}`;
    const runs = (await this.#readJson(path)).objects("runs");
    return runs.filter((run) => run.has("state")).map(readAnchor);
  }

  /** Events of the chain behind `after`, in the order of the chain: at most `CHAIN_PAGE`. */
  async chainEvents(stream: string, after?: { block: number; logIndex: number }): Promise<ChainEvent[]> {
    const behind = after === undefined ? "" : `&block=${after.block}&logIndex=${after.logIndex}`;
    const path = `/v1/streams/${encodeURIComponent(stream)}/chain?limit=${CHAIN_PAGE}${behind}`;
    return (await this.#readJson(path)).objects("events").map(readChainEvent);
  }

  /** Publishes one message by HTTP. Repeated with the same `producer_seq` or key it is the same message. */
  async publish(stream: string, payload: Uint8Array, options: PublishOptions): Promise<Published> {
    const { token, number, signal, atOnce } = options;
    const response = await this.#request(`/v1/streams/${encodeURIComponent(stream)}/messages`, {
      method: "POST",
      headers: {
        "content-type": "application/octet-stream",
        ...bearer(token),
        ...(number === undefined ? {} : idempotencyHeaders(number)),
        ...(atOnce ? { prefer: "respond-async" } : {}),
      },
      body: payload.slice() as Bytes,
      ...(signal === undefined ? {} : { signal }),
    });
    return readPublished(response);
  }

  /** Publishes a signed group, of which `seq` in the answer is the first one. Repeated, it is the same group. */
  async publishGroup(
    stream: string,
    group: PostedGroup,
    options: { readonly token: string; readonly signal: AbortSignal; readonly atOnce: boolean },
  ): Promise<Published> {
    const { token, signal, atOnce } = options;
    const { producer, producerSeq, payloads, key, previous, signature } = group;
    const response = await this.#request(`/v1/streams/${encodeURIComponent(stream)}/messages`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...bearer(token),
        ...(atOnce ? { prefer: "respond-async" } : {}),
      },
      body: JSON.stringify({
        messages: payloads.map((payload) => ({ payload: toHex(payload) })),
        key: toHex(key),
        previous: toHex(previous),
        signature: toHex(signature),
        producer: toHex(producer),
        producerSeq,
      }),
      signal,
    });
    return readPublished(response);
  }

  /**
   * Why a public key (33 bytes) speaks for an author on a stream: the certificate that covers a time (seconds since the Unix
   * epoch) and is for the stream, or else the newest; undefined when the edge knows none.
   */
  async authorKey(author: Hex, key: Uint8Array, stream: NamedStream, at?: number): Promise<Certificate | undefined> {
    const query = new URLSearchParams(at === undefined ? {} : { at: `${at}` });
    if (stream.name !== undefined) {
      query.set("stream", stream.id);
      query.set("name", stream.name);
    }
    const path = `/v1/authors/${author}/keys/${toBase64Url(key)}`;
    const json = await this.#json(query.size === 0 ? path : `${path}?${query}`).catch(absent);
    return json === undefined ? undefined : readCertificate(json);
  }

  /** Makes a guest: a token, and the address of its account. With a proof the guest is the key. */
  async guest(signal?: AbortSignal, proof?: KeyProof): Promise<{ readonly token: string; readonly author: Hex }> {
    const init = { method: "POST", headers: keyHeaders(proof), ...(signal === undefined ? {} : { signal }) };
    const json = await readJson(await this.#request("/v1/auth/guest", init), "guest");
    return { token: json.text("token"), author: json.hex("author", 20) };
  }

  /** Exchanges a token for a newer one of the same author; rejects with a 401 problem when the sign-in is too old. */
  async renewToken(token: string): Promise<{ readonly token: string; readonly author: Hex }> {
    const init = {
      method: "POST",
      headers: { "content-type": "application/json", ...bearer(token) },
      body: "{}",
    };
    const json = await readJson(await this.#request("/v1/auth/token", init), "token");
    return { token: json.text("token"), author: json.hex("author", 20) };
  }

  /** URL of a stream's session requests. */
  sessionsUrl(stream: string): string {
    return `${this.origin}/v1/streams/${encodeURIComponent(stream)}/sessions`;
  }

  /**
   * Opens a session with one request: the offer in, the answer out. `bare` leaves the browser's own credentials out; `proof`
   * makes a client without a token the guest that its key is.
   */
  async createSession(
    stream: string,
    offer: string,
    token: string | undefined,
    signal: AbortSignal,
    bare = false,
    proof?: KeyProof,
  ): Promise<SessionAnswer> {
    const response = await this.#request(`/v1/streams/${encodeURIComponent(stream)}/sessions`, {
      method: "POST",
      headers: {
        "content-type": "application/sdp",
        // While there is no relay the edge then answers 202, which no console shows as an error.
        prefer: "respond-async",
        ...bearer(token),
        ...(token === undefined ? keyHeaders(proof) : {}),
      },
      body: offer,
      signal,
      ...(bare ? { credentials: "omit" } : {}),
    });
    const LATER = 202;
    if (response.status === LATER) throw await errorOfAnswer(response);
    const sdp = await response.text();
    if (!sdp.startsWith("v=0")) {
      throw new StreamChainError("malformed", "the answer to the offer is not SDP", { retryable: true });
    }
    return {
      sdp,
      location: response.headers.get("location") ?? undefined,
      token: response.headers.get("streamchain-access-token") ?? undefined,
      author: addressIn(response.headers.get("streamchain-author")),
      owner: addressIn(response.headers.get("streamchain-owner")),
      iceServers: parseIceServers(response.headers.get("link")),
      streams: Number(response.headers.get("streamchain-streams")) || 1,
    };
  }

  /** Asks for another stream on the connection of the session at `location`, for the same author. */
  async joinSession(location: string, stream: string, token: string, signal: AbortSignal): Promise<JoinAnswer> {
    const path = `${new URL(location, `${this.origin}/`).pathname}/streams/${encodeURIComponent(stream)}`;
    const response = await this.#request(path, { method: "POST", headers: bearer(token), signal });
    return readJoin(await readJson(response, "grant"));
  }

  /**
   * Reads a session's mailbox behind signal `after`; so other sessions see this one as a peer. Of the sessions `linked` the
   * answer says which are gone.
   */
  async signals(
    session: string,
    after: number,
    token: string | undefined,
    linked: readonly string[] = [],
  ): Promise<MailboxContents> {
    const peers = linked.length === 0 ? "" : `&peers=${linked.join(",")}`;
    const json = await this.#json(`/v1/sessions/${session}/signals?after=${after}${peers}`, token);
    return {
      gone: json.has("gone") ? json.list("gone").map(String) : [],
      peers: json.objects("peers").map(readPeer),
      signals: json.objects("signals").map((signal) => ({
        number: signal.uint("number"),
        from: readPeer(signal.object("from")),
        signal: signal.text("signal"),
      })),
    };
  }

  /** Puts a signal into another session's mailbox. */
  async signal(session: string, to: string, signal: string, token: string | undefined): Promise<void> {
    await this.#done(`/v1/sessions/${session}/signals`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...bearer(token),
      },
      body: JSON.stringify({ to, signal }),
    });
  }

  /** Ends a session. The request outlives a page that is being closed. */
  async endSession(location: string, token: string | undefined): Promise<void> {
    const path = new URL(location, `${this.origin}/`).pathname;
    await this.#done(path, {
      method: "DELETE",
      keepalive: true,
      headers: bearer(token),
    });
  }
}
