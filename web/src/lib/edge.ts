// The edge's HTTP interface, version 1: one method per route, answers checked before they are handed on.

import { type Bytes, type Hex, toHex } from "./bytes.ts";
import { decodeSequence } from "./cbor.ts";
import { type ChainEvent, readChainEvent } from "./chain-events.ts";
import { bearer } from "./credentials.ts";
import { malformed, type Problem, StreamChainError } from "./errors.ts";
import { JsonObject } from "./json.ts";
import { HTTP_TIMEOUT_MS, MAX_JSON_BYTES, MAX_PAGE_BYTES, MAX_PAYLOAD_BYTES, PAGE_MESSAGES } from "./limits.ts";
import { parseReceipt, type Receipt } from "./receipt.ts";

/** One message of a stream. */
export interface StreamMessage {
  readonly seq: number;
  /** ms since the Unix epoch, set by the relay. */
  readonly time: number;
  /** 20-byte address of the author. */
  readonly author: Hex;
  readonly payload: Bytes;
}

/** What `GET /v1/config` tells. */
export interface EdgeConfig {
  readonly chainId: number;
  readonly contract: Hex;
  readonly operator: Hex;
  readonly version: string;
  /** A node that pages may ask, when the operator names one. */
  readonly rpcUrl: string | undefined;
}

/** Gas, and what it costs at present. */
export interface Cost {
  readonly gas: number;
  readonly wei: bigint;
}

/** What `GET /v1/costs` tells. */
export interface EdgeCosts {
  /** Base fee and tip, in wei per gas. */
  readonly gasPriceWei: bigint;
  /** What a message is taken to have, in bytes. */
  readonly payloadBytes: number;
  /** How many messages are taken to share an anchor. */
  readonly messagesPerAnchor: number;
  /** One anchor of one stream, and one that contracts can check. */
  readonly anchor: Cost;
  readonly anchorStored: Cost;
  /** One message, by the stream's mode. */
  readonly root: Cost;
  readonly hash: Cost;
  readonly payload: Cost;
}

/** A relay as `GET /v1/status` lists it. */
export interface RelayStatus {
  readonly id: string;
  readonly region: string;
  readonly alive: boolean;
  readonly sessions: number;
  readonly streams: number;
  /** ms since the Unix epoch. */
  readonly lastSeen: number;
}

/** What `GET /v1/status` tells. */
export interface EdgeStatus {
  /** The edge's clock, ms since the Unix epoch. */
  readonly now: number;
  readonly chain: {
    readonly ok: boolean;
    readonly head: number | undefined;
    readonly finalized: number | undefined;
    /** Last block that the edge has read. */
    readonly cursor: number | undefined;
    /** Blocks between `head` and `cursor`. */
    readonly lag: number | undefined;
    readonly error: string | undefined;
  };
  readonly anchorer: {
    readonly pendingSegments: number;
    readonly balanceWei: string | undefined;
    readonly lastError: string | undefined;
  };
  readonly relays: readonly RelayStatus[];
}

/** What `GET /v1/streams/{stream}` tells; each number counts messages from the start of the stream. */
export interface StreamInfo {
  readonly id: Hex;
  readonly name: string;
  readonly owner: Hex;
  readonly epoch: number;
  readonly stored: number;
  readonly anchored: number;
  readonly final: number;
  readonly relay: string | undefined;
  /** Whether browsers on it may open direct channels to each other. */
  readonly p2p: boolean;
}

/** Another session of the stream that looks for direct channels. */
export interface PeerInfo {
  readonly session: string;
  readonly author: Hex;
}

/** What a session finds in its mailbox. */
export interface MailboxContents {
  readonly peers: readonly PeerInfo[];
  readonly signals: readonly { readonly number: number; readonly from: PeerInfo; readonly signal: string }[];
}

/** An anchor as `GET /v1/streams/{stream}/anchors` lists it. */
export interface AnchorInfo {
  readonly first: number;
  readonly count: number;
  readonly root: Hex;
  readonly tx: Hex;
  readonly block: number;
  readonly state: "anchored" | "final";
}

/** What makes a repeated message the same message: a producer's own count, or a key of one's own. */
export type PublishNumber =
  | { readonly producer: Uint8Array; readonly seq: number }
  | { readonly idempotencyKey: string };

/** What became of a message that was published by HTTP. */
export interface Published {
  /** False while it waits for the stream's relay: publish it again, with the same number, to learn its seq. */
  readonly stored: boolean;
  readonly seq: number | undefined;
}

function numberHeaders(number: PublishNumber): Record<string, string> {
  if ("idempotencyKey" in number) return { "idempotency-key": number.idempotencyKey };
  const producer = toHex(number.producer).slice(2);
  return { "streamchain-producer": producer, "streamchain-producer-seq": String(number.seq) };
}

/** Events of the chain on one page. */
export const CHAIN_PAGE = 1_000;

/** The answer to an offer. */
export interface SessionAnswer {
  readonly sdp: string;
  /** Path of the session, for `endSession`; undefined when the edge named none. */
  readonly location: string | undefined;
  /** A token that the edge made for a guest, to be kept. */
  readonly token: string | undefined;
  readonly author: Hex | undefined;
  readonly iceServers: readonly RTCIceServer[];
}

function readProblem(text: string, status: number): Problem {
  try {
    const json = new JsonObject(JSON.parse(text), "problem");
    const type = json.textOr("type", "about:blank");
    return {
      type,
      title: json.textOr("title", `HTTP ${status}`),
      status,
      detail: json.textOr("detail", ""),
      slug: type.slice(type.lastIndexOf("/") + 1),
    };
  } catch {
    return { type: "about:blank", title: `HTTP ${status}`, status, detail: "", slug: "about:blank" };
  }
}

function retryAfterMs(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
}

/** The typed error of an answer that is not a success. */
export async function refusal(response: Response): Promise<StreamChainError> {
  const problem = readProblem(await response.text().catch(() => ""), response.status);
  const after = retryAfterMs(response);
  return new StreamChainError(
    problem.slug === "no-relay" || problem.slug === "rate-limited" ? problem.slug : "refused",
    problem.detail === "" ? problem.title : `${problem.title}: ${problem.detail}`,
    {
      retryable: response.status >= 500 || response.status === 429,
      problem,
      ...(after === undefined ? {} : { retryAfterMs: after }),
    },
  );
}

/** ICE servers of `Link: <turn:…>; rel="ice-server"; username="…"; credential="…"` (RFC 9725 §4.6). */
export function parseIceServers(link: string | null): RTCIceServer[] {
  const servers: RTCIceServer[] = [];
  for (const [, urls, parameters] of (link ?? "").matchAll(
    /<((?:stun|turn)s?:[^>]*)>((?:\s*;[^,;"]*(?:"[^"]*")?)*)/g,
  )) {
    if (!/rel="?ice-server"?/.test(parameters as string)) continue;
    const username = /username="([^"]*)"/.exec(parameters as string)?.[1];
    const credential = /credential="([^"]*)"/.exec(parameters as string)?.[1];
    servers.push({
      urls: urls as string,
      ...(username === undefined ? {} : { username }),
      ...(credential === undefined ? {} : { credential }),
    });
  }
  return servers;
}

function readPeer(json: JsonObject): PeerInfo {
  return { session: json.text("session"), author: json.hex("author", 20) };
}

function readAnchor(json: JsonObject): AnchorInfo {
  return {
    first: json.uint("first"),
    count: json.uint("count"),
    root: json.hex("root", 32),
    tx: json.hex("tx", 32),
    block: json.uint("block"),
    state: json.text("state") === "final" ? "final" : "anchored",
  };
}

function readStatus(json: JsonObject): EdgeStatus {
  const chain = json.object("chain");
  const anchorer = json.object("anchorer");
  return {
    now: json.uint("now"),
    chain: {
      ok: chain.flag("ok"),
      head: chain.uintOr("head", undefined),
      finalized: chain.uintOr("finalized", undefined),
      cursor: chain.uintOr("cursor", undefined),
      lag: chain.uintOr("lag", undefined),
      error: chain.textOr("error", undefined),
    },
    anchorer: {
      pendingSegments: anchorer.uintOr("pendingSegments", 0),
      balanceWei: anchorer.textOr("balanceWei", undefined),
      lastError: anchorer.textOr("lastError", undefined),
    },
    relays: json.objects("relays").map((relay) => ({
      id: relay.text("id"),
      region: relay.textOr("region", ""),
      alive: relay.flag("alive"),
      sessions: relay.uintOr("sessions", 0),
      streams: relay.uintOr("streams", 0),
      lastSeen: relay.uintOr("lastSeen", 0),
    })),
  };
}

/** The messages of an `application/cbor-seq` history page. */
export function readHistory(bytes: Uint8Array): StreamMessage[] {
  const messages: StreamMessage[] = [];
  for (const item of decodeSequence(bytes)) {
    if (!Array.isArray(item) || item.length !== 4) throw malformed("history item is not an array of four");
    const [seq, time, author, payload] = item;
    if (typeof seq !== "number" || typeof time !== "number" || seq < 0 || time < 0) {
      throw malformed("history item without seq and time");
    }
    if (!(author instanceof Uint8Array) || author.length !== 20) throw malformed("history item without author");
    if (!(payload instanceof Uint8Array) || payload.length > MAX_PAYLOAD_BYTES) {
      throw malformed("history item without payload");
    }
    messages.push({ seq, time, author: toHex(author), payload: payload.slice() as Bytes });
  }
  return messages;
}

/** A client of one edge. Every method rejects with `StreamChainError`. */
export class EdgeClient {
  /** Origin of the edge, without a slash at the end. */
  readonly origin: string;
  readonly #fetch: typeof fetch;

  constructor(origin: string, fetcher: typeof fetch) {
    this.origin = origin.replace(/\/+$/, "");
    this.#fetch = fetcher;
  }

  async #request(path: string, init: RequestInit = {}): Promise<Response> {
    let response: Response;
    try {
      const deadline = AbortSignal.timeout(HTTP_TIMEOUT_MS);
      const signal = init.signal ? AbortSignal.any([init.signal, deadline]) : deadline;
      response = await this.#fetch(this.origin + path, { ...init, signal });
    } catch (cause) {
      if (init.signal?.aborted) throw new StreamChainError("closed", "the request was given up", { cause });
      throw new StreamChainError("edge-unreachable", `${this.origin} does not answer`, { retryable: true, cause });
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }

  async #json(path: string, token?: string): Promise<JsonObject> {
    const response = await this.#request(path, { headers: { accept: "application/json", ...bearer(token) } });
    const text = await response.text();
    if (text.length > MAX_JSON_BYTES) throw malformed(`${path}: answer too long`);
    try {
      return new JsonObject(JSON.parse(text), path);
    } catch (error) {
      if (error instanceof StreamChainError) throw error;
      throw malformed(`${path}: the answer is not JSON`);
    }
  }

  /** Chain, contract and operator of this edge. */
  async config(): Promise<EdgeConfig> {
    const json = await this.#json("/v1/config");
    return {
      chainId: json.uint("chainId"),
      contract: json.hex("contract", 20),
      operator: json.hex("operator", 20),
      version: json.textOr("version", ""),
      rpcUrl: json.textOr("rpcUrl", undefined),
    };
  }

  /** What a message costs on chain in each mode, at the node's present fees. */
  async costs(): Promise<EdgeCosts> {
    const json = await this.#json("/v1/costs");
    const wei = (from: JsonObject, key: string): bigint => {
      const text = from.text(key);
      if (!/^\d{1,78}$/.test(text)) throw malformed(`costs: ${key} is not a decimal number`);
      return BigInt(text);
    };
    const cost = (key: string): Cost => {
      const one = json.object(key);
      return { gas: one.uint("gas"), wei: wei(one, "wei") };
    };
    return {
      gasPriceWei: wei(json, "gasPriceWei"),
      payloadBytes: json.uint("payloadBytes"),
      messagesPerAnchor: json.uint("messagesPerAnchor"),
      anchor: cost("anchor"),
      anchorStored: cost("anchorStored"),
      root: cost("root"),
      hash: cost("hash"),
      payload: cost("payload"),
    };
  }

  /** How the chain, the anchorer and the relays are. */
  async status(): Promise<EdgeStatus> {
    return readStatus(await this.#json("/v1/status"));
  }

  /** Counts of a stream; undefined when nobody has made it yet. */
  async stream(stream: string): Promise<StreamInfo | undefined> {
    const json = await this.#json(`/v1/streams/${encodeURIComponent(stream)}`).catch((error) => {
      if (error instanceof StreamChainError && error.problem?.status === 404) return undefined;
      throw error;
    });
    if (json === undefined) return undefined;
    return {
      id: json.hex("id", 32),
      name: json.textOr("name", ""),
      owner: json.hex("owner", 20),
      epoch: json.uintOr("epoch", 0),
      stored: json.uint("stored"),
      anchored: json.uintOr("anchored", 0),
      final: json.uintOr("final", 0),
      relay: json.textOr("relay", undefined),
      p2p: json.has("p2p") && json.flag("p2p"),
    };
  }

  /** Stored messages from `from` on: contiguous, at most `limit`; an empty page when there are none yet. */
  async messages(
    stream: string,
    from: number,
    limit: number = PAGE_MESSAGES,
    signal?: AbortSignal,
  ): Promise<StreamMessage[]> {
    const path = `/v1/streams/${encodeURIComponent(stream)}/messages?from=${from}&limit=${limit}`;
    const response = await this.#request(path, {
      headers: { accept: "application/cbor-seq" },
      ...(signal === undefined ? {} : { signal }),
    }).catch((error) => {
      if (error instanceof StreamChainError && error.problem?.status === 404) return undefined;
      throw error;
    });
    if (response === undefined) return [];
    const bytes = new Uint8Array(await response.arrayBuffer());
    if (bytes.length > MAX_PAGE_BYTES) throw malformed("history page is too large");
    const messages = readHistory(bytes);
    messages.forEach((message, i) => {
      if (message.seq !== from + i) throw malformed(`history has ${message.seq} where ${from + i} is due`);
    });
    return messages;
  }

  /** The receipt of one message; rejects with problem `not-anchored` until its anchor is on the chain. */
  async receipt(stream: string, seq: number): Promise<Receipt> {
    const response = await this.#request(`/v1/streams/${encodeURIComponent(stream)}/messages/${seq}/receipt`);
    return parseReceipt(await response.text());
  }

  /** Anchors that cover messages from `from` on, in order. */
  async anchors(stream: string, from: number, limit: number): Promise<AnchorInfo[]> {
    const path = `/v1/streams/${encodeURIComponent(stream)}/anchors?from=${from}&limit=${limit}`;
    return (await this.#json(path)).objects("anchors").map(readAnchor);
  }

  /** What was published on chain, from `after` on in the order of the chain: at most 1,000 events. */
  async chainEvents(stream: string, after?: { block: number; logIndex: number }): Promise<ChainEvent[]> {
    const behind = after === undefined ? "" : `&block=${after.block}&logIndex=${after.logIndex}`;
    const path = `/v1/streams/${encodeURIComponent(stream)}/chain?limit=${CHAIN_PAGE}${behind}`;
    return (await this.#json(path)).objects("events").map(readChainEvent);
  }

  /** Publishes one message by HTTP. Repeated with the same number or key it is the same message. */
  async publish(
    stream: string,
    payload: Uint8Array,
    options: { readonly token: string; readonly number?: PublishNumber },
  ): Promise<Published> {
    const { token, number } = options;
    const response = await this.#request(`/v1/streams/${encodeURIComponent(stream)}/messages`, {
      method: "POST",
      headers: {
        "content-type": "application/octet-stream",
        ...bearer(token),
        ...(number === undefined ? {} : numberHeaders(number)),
      },
      body: payload.slice() as Bytes,
    });
    const json = new JsonObject(JSON.parse(await response.text()), "published");
    return { stored: json.flag("stored"), seq: json.uintOr("seq", undefined) };
  }

  /** Where sessions of a stream are made. */
  sessionsUrl(stream: string): string {
    return `${this.origin}/v1/streams/${encodeURIComponent(stream)}/sessions`;
  }

  /** Starts a session: one request, the offer in and the answer out. */
  async createSession(
    stream: string,
    offer: string,
    token: string | undefined,
    signal: AbortSignal,
  ): Promise<SessionAnswer> {
    const response = await this.#request(`/v1/streams/${encodeURIComponent(stream)}/sessions`, {
      method: "POST",
      headers: {
        "content-type": "application/sdp",
        ...bearer(token),
      },
      body: offer,
      signal,
    });
    const sdp = await response.text();
    if (!sdp.startsWith("v=0")) {
      throw new StreamChainError("malformed", "the answer to the offer is not SDP", { retryable: true });
    }
    const author = response.headers.get("streamchain-author");
    return {
      sdp,
      location: response.headers.get("location") ?? undefined,
      token: response.headers.get("streamchain-access-token") ?? undefined,
      author: author !== null && /^0x[0-9a-fA-F]{40}$/.test(author) ? (author.toLowerCase() as Hex) : undefined,
      iceServers: parseIceServers(response.headers.get("link")),
    };
  }

  /** Looks into a session's mailbox, having read the signals up to `after`; so others see the session. */
  async signals(session: string, after: number, token: string | undefined): Promise<MailboxContents> {
    const json = await this.#json(`/v1/sessions/${session}/signals?after=${after}`, token);
    return {
      peers: json.objects("peers").map(readPeer),
      signals: json.objects("signals").map((signal) => ({
        number: signal.uint("number"),
        from: readPeer(signal.object("from")),
        signal: signal.text("signal"),
      })),
    };
  }

  /** Leaves a signal in another session's mailbox. */
  async signal(session: string, to: string, signal: string, token: string | undefined): Promise<void> {
    await this.#request(`/v1/sessions/${session}/signals`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        ...bearer(token),
      },
      body: JSON.stringify({ to, signal }),
    });
  }

  /** Ends a session; for a page that is being closed as well. */
  async endSession(location: string, token: string | undefined): Promise<void> {
    const path = new URL(location, `${this.origin}/`).pathname;
    await this.#request(path, {
      method: "DELETE",
      keepalive: true,
      headers: bearer(token),
    });
  }
}
