// One session: a peer connection to a relay with one data channel, set up by a single HTTP request.
//
// The offer is posted without waiting for candidates: the relay is ice-lite on a public address and learns this side's
// address from its first check (a peer-reflexive candidate, RFC 8445 §7.3.1.3).

import { type ErrorCode, StreamChainError } from "../errors.ts";
import type { SessionAnswer } from "../http/edge-answers.ts";
import type { EdgeClient } from "../http/edge-client.ts";
import {
  BUFFERED_HIGH_BYTES,
  BUFFERED_LOW_BYTES,
  CHANNEL_TIMEOUT_MS,
  DISCONNECTED_GRACE_MS,
  NEXT_REQUEST_MS,
  REQUESTS_MAX,
} from "../limits.ts";
import type { DataChannel, PeerConnection, Platform } from "../platform.ts";
import type { Bytes } from "../wire/bytes.ts";
import type { AttemptLog } from "./attempt-log.ts";
import { Ice, iceWorks } from "./ice.ts";
import { KEEP_ALIVE, Liveness, type PathSigns } from "./liveness.ts";
import type { PathMemory } from "./path-memory.ts";

/** The path that a session's packets take. */
export interface ConnectionPath {
  /** `udp`, `tcp`, or `tls` to a TURN server. */
  readonly protocol: string;
  /** `host`, `srflx`, `prflx` or `relay` (through TURN). */
  readonly localType: string;
  readonly localAddress: string;
  readonly remoteType: string;
  readonly remoteAddress: string;
  /** Latest round-trip time of a connectivity check, in ms. */
  readonly rttMs: number | undefined;
  readonly bytesSent: number;
  /** Without connectivity checks; undefined when the browser does not say. */
  readonly bytesReceived: number | undefined;
  /** As `DTLS 1.3`, when the browser says it. */
  readonly dtls: string | undefined;
}

/** What a session tells its connection. */
export interface SessionEvents {
  readonly onMessage: (bytes: Uint8Array) => void;
  /** The channel has room again. */
  readonly onWritable: () => void;
  /** The session is over; called once, never before `openSession` resolved. */
  readonly onEnd: (error: StreamChainError) => void;
}

/** What an attempt needs. */
export interface SessionOptions {
  readonly platform: Platform;
  readonly edge: EdgeClient;
  readonly stream: string;
  readonly token: string | undefined;
  readonly rtc: RTCConfiguration;
  /** What worked on this network lately. */
  readonly memory: PathMemory;
  readonly log: AttemptLog;
  readonly signal: AbortSignal;
  /** The edge answered to the offer; whether a session opens is another matter. */
  readonly onAnswer: (answer: SessionAnswer) => void;
  /** The log of an open session has heard of its path. */
  readonly onPath: () => void;
  readonly events: SessionEvents;
}

/** An open session. */
export class Session {
  /** What the edge answered to the offer. */
  readonly answer: SessionAnswer;
  readonly #peer: PeerConnection;
  readonly #ice: Ice;
  readonly #channel: DataChannel;
  readonly #platform: Platform;
  readonly #events: SessionEvents;
  readonly #liveness: Liveness;
  readonly #memory: PathMemory;
  #grace: unknown = null;
  #ended = false;

  constructor(options: SessionOptions, answer: SessionAnswer, peer: PeerConnection, ice: Ice, channel: DataChannel) {
    this.answer = answer;
    this.#peer = peer;
    this.#ice = ice;
    this.#channel = channel;
    this.#platform = options.platform;
    this.#events = options.events;
    this.#memory = options.memory;
    channel.bufferedAmountLowThreshold = BUFFERED_LOW_BYTES;
    channel.onbufferedamountlow = () => this.#events.onWritable();
    channel.onclose = () => this.#end("relay-unreachable", "the relay closed the data channel");
    channel.onerror = () => this.#end("channel-failed", "the data channel broke");
    channel.onmessage = (event) => {
      this.#liveness.heard();
      this.#events.onMessage(new Uint8Array(event.data as ArrayBuffer));
    };
    peer.onconnectionstatechange = () => this.#watch();
    this.#liveness = new Liveness({
      platform: this.#platform,
      signs: async () => readSigns(await this.#peer.getStats()),
      keepAlive: () => this.send(KEEP_ALIVE),
      onSilent: () => this.seekPath(),
      onDead: () => this.#lost("the relay does not answer any more"),
    });
  }

  /** Largest data-channel message, in bytes, that both ends take. */
  get maxMessageSize(): number {
    const size = this.#peer.sctp?.maxMessageSize ?? 0;
    return size > 0 ? size : 65_536; // RFC 8841 §6.1: what to assume when nothing is said
  }

  /** Whether the channel takes more without queueing too much. */
  get writable(): boolean {
    return !this.#ended && this.#channel.readyState === "open" && this.#channel.bufferedAmount < BUFFERED_HIGH_BYTES;
  }

  /** Sends one data-channel message. */
  send(bytes: Bytes): void {
    if (this.#ended || this.#channel.readyState !== "open") return; // the end is told by onEnd
    this.#channel.send(bytes);
    this.#liveness.sent();
  }

  /** Looks for a new path at once, as after a change of the network; the session ends when none is found in time. */
  seekPath(): void {
    if (this.#ended) return;
    this.#giveGrace();
    void this.#ice.restart();
  }

  /** The selected candidate pair, or undefined while there is none. */
  async path(): Promise<ConnectionPath | undefined> {
    return readPath(await this.#peer.getStats());
  }

  /** Ends the session from this side, without telling `onEnd`. */
  close(): void {
    this.#ended = true;
    this.#liveness.stop();
    this.#platform.clearTimer(this.#grace);
    this.#ice.stop();
    this.#peer.onconnectionstatechange = null;
    this.#channel.onclose = null;
    this.#channel.onerror = null;
    this.#channel.onmessage = null;
    this.#channel.onbufferedamountlow = null;
    this.#peer.close();
  }

  #watch(): void {
    const state = this.#peer.connectionState;
    if (state === "connected") this.#platform.clearTimer(this.#grace);
    if (state === "failed" || state === "closed") this.#lost("the path to the relay is lost");
    if (state === "disconnected") this.seekPath();
  }

  #giveGrace(): void {
    this.#platform.clearTimer(this.#grace);
    this.#grace = this.#platform.setTimer(() => {
      if (this.#peer.connectionState === "connected") return; // a silent one is for Liveness to find
      this.#lost("the relay does not answer any more");
    }, DISCONNECTED_GRACE_MS);
  }

  #lost(message: string): void {
    if (!this.#ended) this.#memory.lost();
    this.#end("relay-unreachable", message);
  }

  #end(code: ErrorCode, message: string): void {
    if (this.#ended) return;
    this.close();
    this.#events.onEnd(new StreamChainError(code, message, { retryable: true }));
  }
}

/** Waits for the open channel; the error says which layer did not come up. */
function channelOpens(options: SessionOptions, peer: PeerConnection, channel: DataChannel): Promise<void> {
  const { platform, log, signal } = options;
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      platform.clearTimer(timer);
      signal.removeEventListener("abort", aborted);
      finish();
    };
    const fail = (): void => settle(() => reject(layerError(peer)));
    const aborted = (): void => settle(() => reject(new StreamChainError("closed", "the attempt was given up")));
    const timer = platform.setTimer(fail, CHANNEL_TIMEOUT_MS);
    signal.addEventListener("abort", aborted);
    peer.oniceconnectionstatechange = () => {
      if (iceWorks(peer)) log.done("ice");
      if (peer.iceConnectionState === "failed") fail();
    };
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === "connected") {
        log.done("ice");
        log.done("dtls");
      }
      if (peer.connectionState === "failed") fail();
    };
    if (peer.iceConnectionState === "failed") fail(); // before there was an answer: it found nothing to try from
    channel.onclose = fail;
    channel.onerror = fail;
    channel.onopen = () => {
      for (const step of ["ice", "dtls", "channel"] as const) log.done(step);
      settle(resolve);
    };
  });
}

function layerError(peer: PeerConnection): StreamChainError {
  const retryable = { retryable: true };
  if (peer.connectionState === "connected") {
    return new StreamChainError("channel-failed", "the data channel did not open", retryable);
  }
  if (iceWorks(peer)) {
    return new StreamChainError(
      "channel-failed",
      "the relay answers, but the DTLS handshake did not finish",
      retryable,
    );
  }
  return new StreamChainError("relay-unreachable", "the relay's address does not answer", retryable);
}

/** Makes one attempt. Rejects with the typed reason; the peer connection is closed then. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { platform, log, rtc, memory } = options;
  const peer = platform.createPeerConnection(rtc, memory.apart);
  const ice = new Ice(peer, { platform, log, rtc, turnFirst: memory.turnFirst });
  try {
    const channel = peer.createDataChannel("streamchain", { protocol: "streamchain.v1", ordered: true });
    channel.binaryType = "arraybuffer";
    channel.onmessage = (event) => options.events.onMessage(new Uint8Array(event.data as ArrayBuffer));
    const offer = await ice.offer();
    log.done("offer");
    const answer = await askEdge(options, offer);
    options.onAnswer(answer);
    log.answered(answer.sdp, answer.iceServers);
    const opened = channelOpens(options, peer, channel);
    opened.catch(() => {}); // looked at below, unless the answer is refused first
    await acceptAnswer(ice, answer);
    log.done("answer");
    await opened;
    ice.settle();
    void peer.getStats().then((report) => {
      log.network(report);
      memory.opened(readPath(report));
      options.onPath();
    }, ignore);
    return new Session(options, answer, peer, ice, channel);
  } catch (error) {
    log.network(await peer.getStats().catch(ignore));
    if (error instanceof StreamChainError && error.code === "relay-unreachable") memory.failed(ice.gathered);
    ice.stop();
    peer.close();
    throw error;
  }
}

/** Statistics are for people: a session does not fail for want of them. */
const ignore = (): undefined => undefined;

async function askEdge(options: SessionOptions, offer: string): Promise<SessionAnswer> {
  const { edge, stream, log, platform } = options;
  const url = edge.sessionsUrl(stream);
  try {
    const answer = await firstAnswer(options, offer);
    log.done("http");
    return answer;
  } finally {
    log.asked(platform.requestTiming(url), platform.online());
  }
}

/**
 * The edge's answer. When a path was lost the network may be another one, and the connections that the browser holds to
 * the edge may be dead; Firefox waits for such for many seconds. Then more requests go out, each a second after the one
 * before and with the other credentials mode, since requests of different modes never share a connection (Fetch,
 * "obtain a connection"). The edge reads no cookies, and a session that nobody uses lapses.
 */
async function firstAnswer(
  { edge, stream, token, signal, platform, memory }: SessionOptions,
  offer: string,
): Promise<SessionAnswer> {
  const over = new AbortController();
  const ask = async (bare: boolean): Promise<SessionAnswer> => {
    const answer = await edge.createSession(stream, offer, token, AbortSignal.any([signal, over.signal]), bare);
    memory.answered(bare);
    return answer;
  };
  let bare = memory.bare;
  const asked = [ask(bare)];
  try {
    while (memory.moved && asked.length < REQUESTS_MAX) {
      let timer: unknown;
      const late = new Promise<null>((resolve) => {
        timer = platform.setTimer(() => resolve(null), NEXT_REQUEST_MS);
      });
      const answer = await Promise.race([...asked, late]).finally(() => platform.clearTimer(timer));
      if (answer !== null) return answer;
      bare = !bare;
      asked.push(ask(bare));
    }
    return await Promise.race(asked);
  } finally {
    for (const request of asked) request.catch(ignore);
    over.abort();
  }
}

async function acceptAnswer(ice: Ice, answer: SessionAnswer): Promise<void> {
  try {
    await ice.answer(answer.sdp, answer.iceServers);
  } catch (cause) {
    throw new StreamChainError("channel-failed", "the browser refuses the edge's answer", {
      retryable: true,
      cause,
    });
  }
}

interface PairStats {
  readonly localCandidateId?: string;
  readonly remoteCandidateId?: string;
  readonly currentRoundTripTime?: number;
  readonly bytesSent?: number;
  readonly bytesReceived?: number;
  readonly responsesReceived?: number;
  readonly nominated?: boolean;
  readonly state?: string;
}

interface CandidateStats {
  readonly candidateType?: string;
  readonly protocol?: string;
  readonly relayProtocol?: string;
  readonly address?: string;
  readonly port?: number;
}

/** Reads the selected pair; Firefox names none in the transport stats, there the nominated one counts. */
export function readPath(report: RTCStatsReport): ConnectionPath | undefined {
  const entries = [...report.values()] as ({ type: string; id: string } & Record<string, unknown>)[];
  const transport = entries.find((entry) => entry.type === "transport");
  const pair = (entries.find((entry) => entry.id === transport?.selectedCandidatePairId) ??
    entries.find((entry) => entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded")) as
    | PairStats
    | undefined;
  if (pair === undefined) return undefined;
  const candidate = (id: string | undefined): CandidateStats =>
    (entries.find((e) => e.id === id) ?? {}) as CandidateStats;
  const local = candidate(pair.localCandidateId);
  const remote = candidate(pair.remoteCandidateId);
  const place = (c: CandidateStats): string => (c.address ? `${c.address}:${c.port ?? 0}` : "");
  const dtls = { FEFC: "DTLS 1.3", FEFD: "DTLS 1.2" }[String(transport?.tlsVersion ?? "").toUpperCase()];
  return {
    protocol: local.relayProtocol ?? local.protocol ?? "udp",
    localType: local.candidateType ?? "",
    localAddress: place(local),
    remoteType: remote.candidateType ?? "",
    remoteAddress: place(remote),
    rttMs: pair.currentRoundTripTime === undefined ? undefined : pair.currentRoundTripTime * 1_000,
    bytesSent: pair.bytesSent ?? 0,
    bytesReceived: pair.bytesReceived,
    dtls,
  };
}

/** Reads what each pair brought: the one in use may be another at each look. */
export function readSigns(report: RTCStatsReport): PathSigns {
  const pairs = ([...report.values()] as ({ type: string; id: string } & PairStats)[]).filter(
    (entry) => entry.type === "candidate-pair",
  );
  const counts = (count: (pair: PairStats) => number | undefined): Map<string, number> =>
    new Map(
      pairs
        .map((pair) => [pair.id, count(pair)] as const)
        .filter((one): one is [string, number] => one[1] !== undefined),
    );
  return {
    bytesReceived: counts((pair) => pair.bytesReceived),
    checksAnswered: counts((pair) => pair.responsesReceived),
    rttMs: readPath(report)?.rttMs,
  };
}
