// Opens a session: one HTTP request, then ICE, DTLS and the data channel.
//
// The offer is posted without waiting for candidates: the relay is ice-lite on a public address and learns this side's
// address from its first check (a peer-reflexive candidate, RFC 8445 §7.3.1.3).

import { retryableError, StreamChainError } from "../errors.ts";
import type { SessionAnswer } from "../http/edge-answers.ts";
import type { EdgeClient, KeyProof } from "../http/edge-client.ts";
import { CHANNEL_TIMEOUT_MS, MAX_SESSION_REQUESTS, NEXT_REQUEST_MS } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { DataChannel, PeerConnection, RtcConfiguration } from "../webrtc.ts";
import type { AttemptLog } from "./attempt-log.ts";
import { Ice, iceWorks } from "./ice.ts";
import type { PathMemory } from "./path-memory.ts";
import { readPath } from "./path-stats.ts";
import { RelayPeer } from "./relay-peer.ts";
import { Session, type SessionEvents } from "./session.ts";

/** What an attempt needs. */
export interface SessionOptions {
  readonly platform: Platform;
  readonly edge: EdgeClient;
  readonly stream: string;
  readonly token: string | undefined;
  /** What makes a client without a token the guest that its key is. */
  readonly proof?: KeyProof;
  readonly rtc: RtcConfiguration;
  /** The paths that worked on this network recently. */
  readonly memory: PathMemory;
  readonly log: AttemptLog;
  readonly signal: AbortSignal;
  /** The edge answered the offer; the session may still fail to open. */
  readonly onAnswer: (answer: SessionAnswer) => void;
  /** The log of an open session has its path. */
  readonly onPath: () => void;
  readonly events: SessionEvents;
}

/** Waits until the channel is open; the error names the layer that did not open. */
function channelOpens(options: SessionOptions, peer: PeerConnection, channel: DataChannel): Promise<void> {
  const { platform, log, signal } = options;
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      platform.clearTimer(timer);
      signal.removeEventListener("abort", aborted);
      finish();
    };
    const fail = (): void => settle(() => reject(layerError(peer)));
    const aborted = (): void => settle(() => reject(new StreamChainError("closed", "the attempt was cancelled")));
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
    if (peer.iceConnectionState === "failed") fail(); // already before the answer: the browser has no address to try from
    channel.onclose = fail;
    channel.onerror = fail;
    channel.onopen = () => {
      for (const step of ["ice", "dtls", "channel"] as const) log.done(step);
      settle(resolve);
    };
  });
}

function layerError(peer: PeerConnection): StreamChainError {
  if (peer.connectionState === "connected") return retryableError("channel-failed", "the data channel did not open");
  if (iceWorks(peer)) {
    return retryableError("channel-failed", "the relay answers, but the DTLS handshake did not finish");
  }
  return retryableError("relay-unreachable", "the relay's address does not answer");
}

/** Makes one attempt. When it fails, closes the peer connection and rejects with a `StreamChainError`. */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { platform, log, rtc, memory } = options;
  const peer = platform.createPeerConnection(rtc, memory.apart);
  const ice = new Ice(peer, { platform, log, rtc, turnFirst: memory.turnFirst });
  let channel: DataChannel | null = null;
  try {
    channel = peer.createDataChannel("streamchain", { protocol: "streamchain.v1", ordered: true });
    channel.binaryType = "arraybuffer";
    channel.onmessage = (event) => options.events.onMessage(new Uint8Array(event.data as ArrayBuffer));
    const offer = await ice.offer();
    log.done("offer");
    const answer = await askEdge(options, offer);
    options.onAnswer(answer);
    log.answered(answer.sdp, answer.iceServers);
    const opened = channelOpens(options, peer, channel);
    opened.catch(() => {}); // awaited below, unless the browser refuses the answer first
    await acceptAnswer(ice, answer);
    log.done("answer");
    await opened;
    ice.settle();
    void peer.getStats().then((report) => {
      log.network(report);
      memory.opened(readPath(report));
      options.onPath();
    }, ignore);
    return new Session({ ...options, answer, channel, peer: new RelayPeer({ platform, answer, peer, ice }) });
  } catch (error) {
    log.network(await peer.getStats().catch(ignore));
    if (error instanceof StreamChainError && error.code === "relay-unreachable") memory.failed(ice.gathered);
    ice.stop();
    peer.close();
    channel?.close(); // nothing in a browser; an open channel of node-datachannel keeps the process alive
    throw error;
  }
}

/** A session does not need statistics: they are for the attempt log. */
const ignore = (): undefined => undefined;

async function askEdge(options: SessionOptions, offer: string): Promise<SessionAnswer> {
  const { edge, stream, log, platform } = options;
  const url = edge.sessionsUrl(stream);
  try {
    const answer = await firstAnswer(options, offer);
    log.done("http");
    return answer;
  } finally {
    log.requested(platform.requestTiming(url), platform.online());
  }
}

/**
 * The edge's first answer. After a path was lost, the network may have changed, and the browser's open connections to the
 * edge may be dead; Firefox waits on these for many seconds. So the request is repeated after `NEXT_REQUEST_MS` with the
 * other credentials mode, since requests of different modes never share a connection (Fetch, "obtain a connection"). The
 * edge reads no cookies, and a session that nobody uses expires.
 */
async function firstAnswer(
  { edge, stream, token, proof, signal, platform, memory }: SessionOptions,
  offer: string,
): Promise<SessionAnswer> {
  const over = new AbortController();
  const ask = async (bare: boolean): Promise<SessionAnswer> => {
    const answer = await edge.createSession(stream, offer, token, AbortSignal.any([signal, over.signal]), bare, proof);
    memory.answered(bare);
    return answer;
  };
  let bare = memory.bare;
  const requests = [ask(bare)];
  try {
    while (memory.moved && requests.length < MAX_SESSION_REQUESTS) {
      let timer: unknown;
      const timeout = new Promise<null>((resolve) => {
        timer = platform.setTimer(() => resolve(null), NEXT_REQUEST_MS);
      });
      const answer = await Promise.race([...requests, timeout]).finally(() => platform.clearTimer(timer));
      if (answer !== null) return answer;
      bare = !bare;
      requests.push(ask(bare));
    }
    return await Promise.race(requests);
  } finally {
    for (const request of requests) request.catch(ignore);
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
