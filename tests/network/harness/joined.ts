// Several streams of one page over one peer connection: what a page does for it, and what must be so.

import assert from "node:assert/strict";
import type { ConnectionPath } from "../../../web/src/lib/index.ts";

/** What `joinStreams` is asked for. */
export interface JoinAsked {
  /** The streams are called by it and their numbers. */
  readonly prefix: string;
  readonly count: number;
  readonly policy: RTCIceTransportPolicy;
  /** Whether a new path is looked for once all streams are open. */
  readonly restarts: boolean;
}

/** What a page with joined streams showed. */
export interface Joined {
  /** How many peer connections are connected at the end: one of an attempt that failed is closed by then. */
  readonly peers: number;
  /** From `connect` to the open session, in ms, of each stream. */
  readonly openMs: readonly number[];
  /** The path of each stream, at the end. */
  readonly paths: readonly (ConnectionPath | undefined)[];
  /** What each stream brought back. */
  readonly texts: readonly string[];
  /** Attempts to open a session, of each stream. */
  readonly attempts: readonly number[];
}

/** Opens streams one after the other, restarts ICE if asked for, and has each bring a message back, in a page. */
export const joinStreams = async ({ prefix, count, policy, restarts }: JoinAsked): Promise<Joined> => {
  /** Long enough for the worst network that a test makes, with a busy processor. */
  const TIMEOUT_MS = 90_000;
  const made: RTCPeerConnection[] = [];
  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...parameters: ConstructorParameters<typeof Original>) {
      super(...parameters);
      made.push(this);
    }
  };
  localStorage.clear(); // nothing is known of this network
  const all: InstanceType<typeof window.tools.lib.StreamConnection>[] = [];
  const openIn = async (stream: string): Promise<number> => {
    const before = performance.now();
    const connection = window.tools.lib.connect({ stream, rtc: { iceTransportPolicy: policy } });
    all.push(connection);
    await new Promise<void>((resolve) => connection.on("state", ({ state }) => state === "open" && resolve()));
    return performance.now() - before;
  };
  const restart = async (): Promise<void> => {
    const peer = made.find(({ connectionState }) => connectionState === "connected") as RTCPeerConnection;
    const ufrag = (): string | undefined => /^a=ice-ufrag:(\S+)/m.exec(peer.localDescription?.sdp ?? "")?.[1];
    const before = ufrag();
    window.dispatchEvent(new Event("online"));
    while (ufrag() === before || peer.iceConnectionState === "checking") {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const goes = async (): Promise<Joined> => {
    const openMs: number[] = [];
    for (let at = 0; at < count; at++) openMs.push(await openIn(`${prefix}-${at}`));
    if (restarts) await restart();
    const texts = await Promise.all(
      all.map(async (connection, at) => {
        const subscription = connection.subscribe({ from: 0 });
        await connection.publish(`there and back ${at}`).stored;
        for await (const { payload } of subscription) return new TextDecoder().decode(payload);
        return "nothing";
      }),
    );
    const paths = await Promise.all(all.map((connection) => connection.getPath()));
    const peers = made.filter(({ connectionState }) => connectionState === "connected").length;
    return { peers, openMs, paths, texts, attempts: all.map(({ attempts }) => attempts.length) };
  };
  const late = new Promise<never>((_, reject) => {
    const tried = (): string => JSON.stringify(all.map(({ attempts }) => attempts.at(-1)));
    setTimeout(() => reject(new Error(`the streams did not all bring a message back: ${tried()}`)), TIMEOUT_MS);
  });
  try {
    return await Promise.race([goes(), late]);
  } finally {
    for (const connection of all) connection.close();
    window.RTCPeerConnection = Original;
  }
};

/**
 * Fails unless all streams use one connection, and each got its own message back. Each that joins does so at its first
 * attempt; the one that opens the connection may need another on a busy machine.
 */
export const assertJoined = ({ peers, paths, texts, attempts }: Joined, count: number): void => {
  assert.equal(peers, 1, "peer connections of all streams");
  assert.deepEqual(
    texts,
    Array.from({ length: count }, (_, at) => `there and back ${at}`),
  );
  assert.deepEqual(new Set(attempts.slice(1)), new Set([1]), "no session was opened again");
  assert.equal(new Set(paths.map((path) => `${path?.localAddress} ${path?.remoteAddress}`)).size, 1);
};

/** As "first 95 ms, further ones 12 ms (median), 30 ms (longest)". */
export const openTimes = ({ openMs: [first = 0, ...further] }: Joined): string => {
  const sorted = further.sort((a, b) => a - b);
  const shown = (ms: number | undefined): string => `${ms?.toFixed(0)} ms`;
  const median = sorted[sorted.length >> 1];
  return `first ${shown(first)}, further ones ${shown(median)} (median), ${shown(sorted.at(-1))} (longest)`;
};
