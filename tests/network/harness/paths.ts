// The ways from a client to the relay, the networks that leave each, and one session that shows that it works.

import type { Page } from "playwright-core";
import type { ConnectionPath } from "../../../web/src/lib/index.ts";
import type { Ways } from "../../harness/in-page.ts";

/** What networks do not let out, as rules of nftables. Dropped, not refused: a client must not depend on being told. */
export const FIREWALLS = {
  open: [],
  noUdp: ["meta l4proto udp drop"],
  only443: ["meta l4proto udp drop", "tcp dport != 443 drop"],
} as const;

/** One path, and where it is the one. */
export interface PathCase {
  readonly title: string;
  readonly firewall: keyof typeof FIREWALLS;
  readonly ways: Ways;
  /** As `pathOf` names it. */
  readonly expected: string;
}

export type PathName = "direct" | "iceTcp" | "only443" | "turnUdp" | "turnTcp" | "turnTls";

const DIRECT: Ways = { policy: "all", servers: "^$" };
const ALL: Ways = { policy: "all", servers: "" };
const relayOver = (transport: string): Ways => ({ policy: "relay", servers: transport });

export const PATHS: Readonly<Record<PathName, PathCase>> = {
  direct: { title: "everything open", firewall: "open", ways: ALL, expected: "direct over UDP" },
  // Without TURN servers, as a client begins: with them, TURN over TCP may come first.
  iceTcp: { title: "UDP blocked", firewall: "noUdp", ways: DIRECT, expected: "direct over TCP" },
  only443: { title: "only TCP port 443 open", firewall: "only443", ways: ALL, expected: "TURN over TLS" },
  turnUdp: {
    title: "relays only, over UDP",
    firewall: "open",
    ways: relayOver("^turn:.*=udp"),
    expected: "TURN over UDP",
  },
  turnTcp: {
    title: "relays only, over TCP",
    firewall: "open",
    ways: relayOver("^turn:.*=tcp"),
    expected: "TURN over TCP",
  },
  turnTls: {
    title: "relays only, over TLS",
    firewall: "open",
    ways: relayOver("^turns:"),
    expected: "TURN over TLS",
  },
};

/** "direct over UDP", "TURN over TLS". */
export const pathOf = (path: ConnectionPath | undefined): string =>
  `${path?.localType === "relay" ? "TURN" : "direct"} over ${path?.protocol.toUpperCase()}`;

/** What a session showed. */
export interface Shown {
  /** From the edge's answer to the open channel. */
  readonly openMs: number;
  readonly path: ConnectionPath | undefined;
}

/** What `bothWays` does in a page. */
export const thereAndBack = async ({ stream, ways }: { stream: string; ways: Ways }): Promise<Shown> => {
  /** Long enough for the worst network that a test makes, with a busy processor. */
  const TIMEOUT_MS = 60_000;
  const session = new window.tools.RawSession();
  const goes = async (): Promise<Shown> => {
    const { openMs } = await session.open(stream, ways);
    session.hello();
    await session.frame("welcome");
    session.subscribe(0);
    session.publish(0, new TextEncoder().encode("there and back"));
    const message = await session.frame("message");
    if (new TextDecoder().decode(message.payload) !== "there and back") throw new Error("another message came");
    await session.frame("committed");
    return { openMs, path: await session.path() };
  };
  const late = new Promise<never>((_, reject) => {
    const states = (): string => `ICE ${session.peer.iceConnectionState}, channel ${session.channel.readyState}`;
    setTimeout(() => reject(new Error(`no message came back in time: ${states()}`)), TIMEOUT_MS);
  });
  try {
    return await Promise.race([goes(), late]);
  } finally {
    session.close();
  }
};

/** Opens a session, sends a message and gets it back stored; what it took and where it went. */
export const bothWays = (page: Page, stream: string, ways: Ways): Promise<Shown> =>
  page.evaluate(thereAndBack, { stream, ways });
