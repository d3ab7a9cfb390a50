// The edge's answers: their types, and how each is read and checked.

import { malformed, type Problem, StreamChainError } from "../errors.ts";
import { MAX_PAYLOAD_BYTES, MAX_PRESENT_AUTHORS } from "../limits.ts";
import type { AnchorState } from "../marks.ts";
import type { IceServer } from "../webrtc.ts";
import { type Bytes, type Hex, toHex } from "../wire/bytes.ts";
import { type CborItem, decodeSequence } from "../wire/cbor.ts";
import { JsonObject } from "../wire/json.ts";
import {
  type AnchorRef,
  type MessageSignature,
  type Omitted,
  type Presence,
  type StreamMessage,
  signedBy,
} from "../wire/records.ts";

/** The answer of `GET /v1/config`. */
export interface EdgeConfig {
  readonly chainId: number;
  readonly contract: Hex;
  readonly operator: Hex;
  /** Whose stream of rounds the deployment's messages are anchored in; the operator, unless the edge says otherwise. */
  readonly roundsOwner: Hex;
  readonly version: string;
  /** A JSON-RPC node that pages may use, when the operator names one. */
  readonly rpcUrl: string | undefined;
}

/** An amount of gas, and its price at present. */
export interface Cost {
  readonly gas: number;
  readonly wei: bigint;
}

/** The answer of `GET /v1/costs`. */
export interface EdgeCosts {
  /** Base fee and tip, in wei per gas. */
  readonly gasPriceWei: bigint;
  /** Assumed payload of a message, in bytes. */
  readonly payloadBytes: number;
  /** Assumed number of messages that share an anchor. */
  readonly messagesPerAnchor: number;
  /** One anchor of one stream. */
  readonly anchor: Cost;
  /** One anchor that contracts can check. */
  readonly anchorStored: Cost;
  /** One message in mode `root`. */
  readonly root: Cost;
  /** One message in mode `hash`. */
  readonly hash: Cost;
  /** One message in mode `payload`. */
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

/** The answer of `GET /v1/status`. */
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

/** The answer of `GET /v1/streams/{stream}`; each count is of messages from the start of the stream. */
export interface StreamInfo {
  readonly id: Hex;
  readonly name: string;
  readonly owner: Hex;
  readonly epoch: number;
  readonly stored: number;
  readonly anchored: number;
  readonly final: number;
  readonly relay: string | undefined;
  /** Whether the stream allows direct channels between its browsers. */
  readonly p2p: boolean;
  /** Whether the stream takes messages alone that their authors signed. */
  readonly signed: "required" | "optional";
  /** Who is on the stream, as its leader last said; undefined when that is not known. */
  readonly presence: Presence | undefined;
}

/** Another session of the stream that can open direct channels. */
export interface PeerInfo {
  readonly session: string;
  readonly author: Hex;
}

/** The contents of a session's mailbox. */
export interface MailboxContents {
  /** Sessions asked about that are not present any more. */
  readonly gone: readonly string[];
  readonly peers: readonly PeerInfo[];
  readonly signals: readonly { readonly number: number; readonly from: PeerInfo; readonly signal: string }[];
}

/** An anchor as `GET /v1/streams/{stream}/anchors` lists it: those taken back are not in the list. */
export interface AnchorInfo extends AnchorRef {
  readonly state: Exclude<AnchorState, "reverted">;
}

/** The outcome of publishing a message by HTTP. */
export interface Published {
  /** False while the message waits for the stream's leader: publish it again, with the same `producer_seq`, to learn its seq. */
  readonly stored: boolean;
  readonly seq: number | undefined;
  readonly author: Hex;
}

/** The answer to an offer. */
export interface SessionAnswer {
  readonly sdp: string;
  /** Path of the session, for `endSession`; undefined when the edge named none. */
  readonly location: string | undefined;
  /** The token of a new guest, to keep for later requests. */
  readonly token: string | undefined;
  readonly author: Hex | undefined;
  /** Whose stream it is; undefined when it is not called by its name, or the edge is of the version before. */
  readonly owner: Hex | undefined;
  readonly iceServers: readonly IceServer[];
  /** How many streams the session's connection takes; 1 when the relay or the edge does not say that it takes more. */
  readonly streams: number;
}

/** The edge's answer to a request for another stream on a session's connection. */
export interface JoinAnswer {
  /** What the relay is shown on the stream's channel. */
  readonly grant: string;
  /** Path of the stream's own session. */
  readonly location: string;
  readonly author: Hex;
  /** Whose stream it is; undefined when it is not called by its name. */
  readonly owner: Hex | undefined;
}

/** Reads the answer to a request for another stream. */
export function readJoin(json: JsonObject): JoinAnswer {
  return {
    grant: json.text("grant"),
    location: `/v1/sessions/${json.text("session")}`,
    author: json.hex("author", 20),
    owner: json.has("owner") ? json.hex("owner", 20) : undefined,
  };
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
      ...(json.has("reason") ? { reason: json.text("reason") } : {}),
      ...(json.has("now") ? { now: json.uint("now") } : {}),
    };
  } catch {
    return { type: "about:blank", title: `HTTP ${status}`, status, detail: "", slug: "about:blank" };
  }
}

function retryAfterMs(response: Response): number | undefined {
  const seconds = Number(response.headers.get("retry-after") ?? Number.NaN);
  return Number.isFinite(seconds) && seconds >= 0 ? seconds * 1_000 : undefined;
}

/** The status of a problem that comes as a success, so that the browser does not show it as a failed request. */
const LATER_STATUS = 503;

/** The typed error of an answer that is not a success, or that says "later". */
export async function errorOfAnswer(response: Response): Promise<StreamChainError> {
  const status = response.ok ? LATER_STATUS : response.status;
  const problem = readProblem(await response.text().catch(() => ""), status);
  const after = retryAfterMs(response);
  return new StreamChainError(
    problem.slug === "no-relay" || problem.slug === "rate-limited" ? problem.slug : "refused",
    problem.detail === "" ? problem.title : `${problem.title}: ${problem.detail}`,
    {
      retryable: status >= 500 || status === 429,
      problem,
      ...(after === undefined ? {} : { retryAfterMs: after }),
    },
  );
}

/** Reads the ICE servers of `Link: <turn:…>; rel="ice-server"; username="…"; credential="…"` (RFC 9725 §4.6). */
export function parseIceServers(link: string | null): IceServer[] {
  const servers: IceServer[] = [];
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

/** Reads the answer of `GET /v1/config`. */
export function readConfig(json: JsonObject): EdgeConfig {
  const [chainId, contract] = [json.uint("chainId"), json.hex("contract", 20)];
  const operator = json.hex("operator", 20);
  return {
    chainId,
    contract,
    operator,
    roundsOwner: json.has("roundsOwner") ? json.hex("roundsOwner", 20) : operator,
    version: json.textOr("version", ""),
    rpcUrl: json.textOr("rpcUrl", undefined),
  };
}

/** Reads the answer of `GET /v1/costs`. */
export function readCosts(json: JsonObject): EdgeCosts {
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

/** Reads the answer of `GET /v1/streams/{stream}`. */
export function readStream(json: JsonObject): StreamInfo {
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
    signed: json.textOr("signed", "optional") === "required" ? "required" : "optional",
    presence: json.has("presence") ? readPresence(json.object("presence")) : undefined,
  };
}

function readPresence(json: JsonObject): Presence {
  const authors = json.has("authors") ? json.hexes("authors", 20) : [];
  if (authors.length > MAX_PRESENT_AUTHORS)
    throw malformed(`presence: ${authors.length} authors, limit ${MAX_PRESENT_AUTHORS}`);
  return { readers: json.uint("readers"), publishers: json.uint("publishers"), authors };
}

/** A page of the streams that match a pattern. */
export interface MatchPage {
  readonly streams: readonly { readonly id: Hex; readonly name: string; readonly owner: Hex }[];
  /** What the next question goes on behind. */
  readonly after: string;
  /** Whether there are more of those that were there at the beginning. */
  readonly more: boolean;
}

/** Reads the answer of `GET /v1/streams?match=`. */
export function readMatches(json: JsonObject): MatchPage {
  const streams = json.objects("streams").map((one) => ({
    id: one.hex("id", 32),
    name: one.text("name"),
    owner: one.hex("owner", 20),
  }));
  return { streams, after: json.text("after"), more: json.has("more") && json.flag("more") };
}

/** Reads one peer of a mailbox. */
export function readPeer(json: JsonObject): PeerInfo {
  return { session: json.text("session"), author: json.hex("author", 20) };
}

/** Reads one anchor of a list. */
export function readAnchor(json: JsonObject): AnchorInfo {
  return {
    first: json.uint("first"),
    count: json.uint("count"),
    root: json.hex("root", 32),
    tx: json.hex("tx", 32),
    block: json.uint("block"),
    state: json.text("state") === "final" ? "final" : "anchored",
  };
}

/** Reads the answer of `GET /v1/status`. */
export function readStatus(json: JsonObject): EdgeStatus {
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

/**
 * Reads the messages of an `application/cbor-seq` history page. With `signatures` the first message that the page has of a
 * signed group brings the signature of all; the others name that group by its first seq.
 */
export function readHistory(bytes: Uint8Array, signatures = false): StreamMessage[] {
  const messages: StreamMessage[] = [];
  let signature: MessageSignature | undefined;
  for (const item of decodeSequence(bytes)) {
    if (!Array.isArray(item) || item.length < 4) throw malformed("history item is not an array of four");
    const [seq, time, author, payload, erased, group] = item;
    if (typeof seq !== "number" || typeof time !== "number" || seq < 0 || time < 0) {
      throw malformed("history item without seq and time");
    }
    if (!(author instanceof Uint8Array) || author.length !== 20) throw malformed("history item without author");
    if (!(payload instanceof Uint8Array) || payload.length > MAX_PAYLOAD_BYTES) {
      throw malformed("history item without payload");
    }
    if (Array.isArray(group)) signature = readItemSignature(group);
    messages.push({
      seq,
      time,
      author: toHex(author),
      payload: payload.slice() as Bytes,
      ...(erased === undefined || erased === null ? {} : { erased: readErased(erased) }),
      ...(signatures ? signedBy(signature, seq) : {}),
    });
  }
  return messages;
}

/** Reads `[seq, count, producer, producer_seq, previous, key, signature]`. */
function readItemSignature(item: CborItem): MessageSignature {
  const [seq, count, producer, producerSeq, previous, key, signature] = Array.isArray(item) ? item : [];
  const uint = (value: CborItem | undefined): number => {
    if (typeof value !== "number" || value < 0) throw malformed("history item whose signature lacks a number");
    return value;
  };
  const hex = (value: CborItem | undefined, length: number): Hex => {
    if (!(value instanceof Uint8Array) || value.length !== length) {
      throw malformed(`history item whose signature lacks ${length} bytes`);
    }
    return toHex(value);
  };
  return {
    seq: uint(seq),
    count: uint(count),
    producer: hex(producer, 16),
    producerSeq: uint(producerSeq),
    previous: hex(previous, 32),
    key: hex(key, 33),
    signature: hex(signature, 64),
  };
}

/** Reads `[size, hash]`. */
function readErased(item: CborItem): Omitted {
  const [size, digest] = Array.isArray(item) ? item : [];
  if (typeof size !== "number" || size < 0 || !(digest instanceof Uint8Array) || digest.length !== 32) {
    throw malformed("erased history item without size and hash");
  }
  return { size, digest: toHex(digest) };
}
