// Joins a stream to a connection that is open: one HTTP request, then a data channel. There is no ICE and no DTLS.

import { retryableError, StreamChainError } from "../errors.ts";
import { CHANNEL_TIMEOUT_MS } from "../limits.ts";
import type { DataChannel } from "../webrtc.ts";
import { encodeFrame } from "../wire/frames.ts";
import { openSession, type SessionOptions } from "./open-session.ts";
import type { RelayPeer } from "./relay-peer.ts";
import { Session } from "./session.ts";
import { isOfTheWay, type SharedPeers } from "./shared-peers.ts";

/** What an attempt needs that may share a connection. */
interface SharedAttempt {
  readonly shared: SharedPeers;
  /** Whose the connection must be: the author, or `nobody` while the edge has made no guest; undefined when it is not known. */
  readonly who: () => string | undefined;
  /** Whether a connection of another stream may be joined. */
  readonly mayJoin: boolean;
  /** What the attempt needs at this moment. */
  readonly options: () => Promise<SessionOptions>;
}

/** Opens a session on a connection that other streams of the author have, or on one of its own, which others may join then. */
export async function openOrJoin({ shared, who, mayJoin, options }: SharedAttempt): Promise<Session> {
  let present = await options();
  const tried = new Set<Promise<RelayPeer | null>>();
  while (mayJoin) {
    const own = who();
    const opened = own === undefined ? undefined : shared.of(own).find((one) => !tried.has(one));
    if (opened === undefined) break;
    tried.add(opened);
    const peer = await waitFor(opened, present.signal);
    if (peer?.hasRoom !== true) continue;
    present = await options(); // a guest that waited is the one that was made meanwhile
    if (present.token === undefined || who() !== peer.answer.author || !peer.hasRoom) continue;
    try {
      return await joinSession(present, peer);
    } catch (error) {
      if (!cannotJoin(error, peer)) throw error;
    }
  }
  return openFirst(shared, who(), present);
}

/** Opens a connection, which other streams may join from the moment that it is open. */
async function openFirst(shared: SharedPeers, who: string | undefined, options: SessionOptions): Promise<Session> {
  if (who === undefined) return openSession(options);
  const opening = shared.begin(who);
  try {
    const session = await openSession({
      ...options,
      onAnswer: (answer) => {
        options.onAnswer(answer);
        opening.answered(answer.author, answer.streams > 1);
      },
    });
    opening.done(session.peer);
    return session;
  } catch (error) {
    opening.failed(error);
    throw error;
  }
}

/** The connection that another attempt opens, or null when there is none to join. Rejects where this attempt would fail as that did. */
async function waitFor(opened: Promise<RelayPeer | null>, signal: AbortSignal): Promise<RelayPeer | null> {
  let aborted = (): void => {};
  const cancelled = new Promise<never>((_, reject) => {
    aborted = () => reject(new StreamChainError("closed", "the attempt was cancelled"));
    signal.addEventListener("abort", aborted);
  });
  try {
    return await Promise.race([opened, cancelled]);
  } catch (error) {
    if (signal.aborted || isOfTheWay(error)) throw error;
    return null;
  } finally {
    signal.removeEventListener("abort", aborted);
  }
}

/** Whether an error says that the stream needs a connection of its own, or that nothing joins this one any more. */
function cannotJoin(error: unknown, peer: RelayPeer): boolean {
  if (peer.isEnded) return true;
  const slug = error instanceof StreamChainError ? error.problem?.slug : undefined;
  if (slug === "no-such-session" || slug === "not-found") peer.refuseMore();
  return slug === "relay-cannot-join" || slug === "no-such-session" || slug === "not-found";
}

/** Makes one attempt to join. When it fails, closes the channel and rejects with a `StreamChainError`. */
async function joinSession(options: SessionOptions, peer: RelayPeer): Promise<Session> {
  const { edge, stream, token = "", log, memory, platform, signal, events } = options;
  const release = peer.reserve();
  let channel: DataChannel | null = null;
  try {
    log.done("offer");
    const { location = "" } = peer.answer;
    const { grant, ...joined } = await edge.joinSession(location, stream, token, signal).finally(() => {
      log.requested(undefined, platform.online());
    });
    log.done("http");
    const answer = { ...peer.answer, ...joined, token: undefined };
    options.onAnswer(answer);
    if (peer.isEnded) throw retryableError("relay-unreachable", "the connection ended while the stream joined it");
    for (const step of ["answer", "ice", "dtls"] as const) log.done(step);
    channel = peer.openChannel();
    channel.binaryType = "arraybuffer";
    channel.onmessage = (event) => events.onMessage(new Uint8Array(event.data as ArrayBuffer));
    await channelOpens(options, channel);
    log.done("channel");
    memory.opened(undefined);
    const session = new Session({ answer, peer, channel, memory, events });
    session.send(encodeFrame({ kind: "join", grant }));
    return session;
  } catch (error) {
    channel?.close();
    throw error;
  } finally {
    release();
  }
}

/** Waits until the channel is open. */
function channelOpens({ platform, signal }: SessionOptions, channel: DataChannel): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (finish: () => void): void => {
      platform.clearTimer(timer);
      signal.removeEventListener("abort", aborted);
      finish();
    };
    const failed = (): void => settle(() => reject(retryableError("channel-failed", "the data channel did not open")));
    const aborted = (): void => settle(() => reject(new StreamChainError("closed", "the attempt was cancelled")));
    const timer = platform.setTimer(failed, CHANNEL_TIMEOUT_MS);
    signal.addEventListener("abort", aborted);
    channel.onclose = failed;
    channel.onerror = failed;
    channel.onopen = () => settle(resolve);
    if (channel.readyState === "open") settle(resolve);
  });
}
