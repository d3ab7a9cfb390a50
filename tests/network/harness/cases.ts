// Each kind of network that a client may find itself on, the path that is left there, and what that path costs.

import type { Page } from "playwright-core";
import type { Attempt, ConnectionPath } from "../../../web/src/lib/index.ts";
import { FIRST_CHECK_MS, TURN_HEAD_START_MS } from "../../../web/src/lib/limits.ts";
import { RELAY, RELAY_PORT } from "./network.ts";
import type { Door, Span } from "./packets.ts";
import type { FIREWALLS } from "./paths.ts";

/** One network, and how a session of the client library goes there. */
export interface NetworkCase {
  readonly title: string;
  readonly firewall: keyof typeof FIREWALLS;
  readonly policy: RTCIceTransportPolicy;
  /** A browser that has been on this network before, rather than one that comes for the first time. */
  readonly returning: boolean;
  readonly path: PathTitle;
  /** What the client waits before it tries this path, in ms. */
  readonly waitMs: number;
  /** What it does before, beside what the path asks for. */
  readonly before: readonly Step[];
}

/** A step towards an open data channel, and its round trips. */
export type Step = readonly [step: string, trips: number];

/** As `pathOf` names it. */
export type PathTitle = "direct over UDP" | "direct over TCP" | "TURN over UDP" | "TURN over TCP" | "TURN over TLS";

/** Why a path takes the round trips that it does, before the data channel is open. */
export interface PathCost {
  readonly door: Door;
  readonly steps: readonly Step[];
}

const ADDRESSES = [RELAY.v4, RELAY.v6];
const TURN_PORT = 3478;
const HTTPS_PORT = 443;

/**
 * The relay's DTLS hello comes with its answer to the check: the client's flight goes, the relay's last one comes, and with
 * it the first packet of SCTP (RFC 9260 §5.1), whose cookie makes the second step.
 */
const SECURED = [
  ["DTLS 1.3", 1],
  ["SCTP", 1],
] as const;
/** Asked for, refused with realm and nonce, asked for again; the check goes with the request for a permission. */
const ALLOCATED = [
  ["Allocate", 2],
  ["permission and check", 1],
] as const;

export const PATH_COSTS: Readonly<Record<PathTitle, PathCost>> = {
  "direct over UDP": {
    door: { protocol: "udp", addresses: ADDRESSES, ports: [RELAY_PORT, TURN_PORT] }, // the latter for STUN
    steps: [["check", 1], ...SECURED],
  },
  "direct over TCP": {
    door: { protocol: "tcp", addresses: ADDRESSES, ports: [RELAY_PORT] },
    steps: [["TCP", 1], ["check", 1], ...SECURED],
  },
  "TURN over UDP": {
    door: { protocol: "udp", addresses: ADDRESSES, ports: [TURN_PORT] },
    steps: [...ALLOCATED, ...SECURED],
  },
  "TURN over TCP": {
    door: { protocol: "tcp", addresses: ADDRESSES, ports: [TURN_PORT] },
    steps: [["TCP", 1], ...ALLOCATED, ...SECURED],
  },
  "TURN over TLS": {
    door: { protocol: "tcp", addresses: ADDRESSES, ports: [HTTPS_PORT] },
    steps: [["TCP", 1], ["TLS 1.3", 1], ...ALLOCATED, ...SECURED],
  },
};

/** All steps to an open data channel on this network. */
export const stepsOf = ({ path, before }: NetworkCase): Step[] => [...before, ...PATH_COSTS[path].steps];

/** The round trips that they ask for. */
export const tripsOf = (network: NetworkCase): number => stepsOf(network).reduce((sum, [, trips]) => sum + trips, 0);

const first = { policy: "all", returning: false, waitMs: 0, before: [] } as const;
const relayed = { ...first, policy: "relay" } as const;

export const OPEN: NetworkCase = { ...first, title: "everything open", firewall: "open", path: "direct over UDP" };

const ONLY_443: NetworkCase = {
  ...first,
  title: "only TCP port 443 open, first session",
  firewall: "only443",
  path: "TURN over TLS",
  waitMs: TURN_HEAD_START_MS,
};

const ONLY_443_AGAIN: NetworkCase = {
  ...ONLY_443,
  title: "only TCP port 443 open, sessions after the first",
  returning: true,
  waitMs: 0,
};

/** In an order in which each that returns comes behind its first. */
export const NETWORK_CASES: readonly NetworkCase[] = [
  OPEN,
  { ...first, title: "UDP blocked", firewall: "noUdp", path: "direct over TCP" },
  ONLY_443,
  ONLY_443_AGAIN,
  { ...relayed, title: "`relay` policy, everything open", firewall: "open", path: "TURN over UDP" },
  { ...relayed, title: "`relay` policy, UDP blocked", firewall: "noUdp", path: "TURN over TCP" },
  { ...relayed, title: "`relay` policy, only TCP port 443 open", firewall: "only443", path: "TURN over TLS" },
];

/** Chromium finds no candidate of its own where there is no IPv4 at all, so it asks a STUN server. */
export const IPV6_CASES: readonly NetworkCase[] = [
  { ...OPEN, title: "IPv6 only, everything open", waitMs: FIRST_CHECK_MS, before: [["STUN", 1]] },
  { ...ONLY_443, title: "IPv6 only, only TCP port 443 open, first session", waitMs: FIRST_CHECK_MS },
];

/** A session of the client library, from its own log of attempts. */
export interface Visit {
  readonly path: ConnectionPath | undefined;
  /** From the edge's answer (setRemoteDescription) to the open data channel, in ms. */
  readonly openMs: number;
  /** When that was. */
  readonly span: Span;
}

/** A message there and back on the worst of these networks takes a tenth of this. */
const VISIT_TIMEOUT_MS = 30_000;

/** Opens a session in a page, publishes a message, gets it back, and sees it stored; fails unless all of it happens. */
export const visit = async (page: Page, stream: string, { policy, returning }: NetworkCase): Promise<Visit> => {
  const arguments_ = { stream, policy, returning, timeoutMs: VISIT_TIMEOUT_MS };
  const { path, attempts } = await page.evaluate(async ({ stream, policy, returning, timeoutMs }) => {
    if (!returning) localStorage.clear();
    const connection = window.tools.lib.connect({ stream, rtc: { iceTransportPolicy: policy } });
    const late = new Promise<never>((_, reject) => {
      const told = (): void => reject(new Error(`no message came back: ${JSON.stringify(connection.attempts)}`));
      setTimeout(told, timeoutMs);
    });
    const back = new Promise<Uint8Array>((resolve) => {
      connection.subscribe({ from: 0 }).on("message", ({ payload }) => resolve(payload));
    });
    try {
      const { stored } = connection.publish("there and back");
      const payload = await Promise.race([back, late]);
      if (new TextDecoder().decode(payload) !== "there and back") throw new Error("another message came");
      await Promise.race([stored, late]);
      return { path: await connection.getPath(), attempts: connection.attempts };
    } finally {
      connection.close();
    }
  }, arguments_);
  // A host that is new on its line may find the edge only at the second try; that is not what is measured.
  const [attempt, ...more] = attempts.filter(({ error }) => error?.code !== "edge-unreachable");
  if (attempt === undefined || more.length > 0) throw new Error(`not one attempt: ${JSON.stringify(attempts)}`);
  const begun = attempt.startedAt;
  const from = begun + took(attempt, ["offer", "http"]);
  const openMs = took(attempt, ["answer", "ice", "dtls", "channel"]);
  return { path, openMs, span: { begun, from, to: from + openMs } };
};

const took = ({ steps }: Attempt, ids: readonly string[]): number =>
  steps.filter(({ id }) => ids.includes(id)).reduce((sum, { tookMs = 0 }) => sum + tookMs, 0);
