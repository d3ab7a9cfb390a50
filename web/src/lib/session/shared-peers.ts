// The connections to relays that a page has, by edge and author: streams share them.
//
// What always holds: streams of another author never share a connection; while one is being opened, those that could share
// it wait for it, and for no other.

import { StreamChainError } from "../errors.ts";
import { SharedByPage } from "../shared-by-page.ts";
import type { RtcConfiguration, WebRtc } from "../webrtc.ts";
import type { RelayPeer } from "./relay-peer.ts";

/** A connection that is open, or is being opened. */
interface Entry {
  /** Whose it is: an author, or `nobody` until the edge has made a guest. */
  who: string;
  /** The connection; null when it takes no further streams. */
  readonly opened: Promise<RelayPeer | null>;
  peer: RelayPeer | null;
}

/** What the attempt that opens a connection says of it. */
export interface Opening {
  /** The edge answered: whose the connection is, and whether it takes further streams. */
  answered(who: string | undefined, takesMore: boolean): void;
  /** It is open. */
  done(peer: RelayPeer): void;
  /** It did not open. */
  failed(error: unknown): void;
}

/** The connections of one page to one edge, with one configuration. */
export class SharedPeers {
  #entries: Entry[] = [];

  /** The connections of `who` that may take another stream, the oldest first. */
  of(who: string): readonly Promise<RelayPeer | null>[] {
    this.#entries = this.#entries.filter(({ peer }) => peer === null || !peer.isEnded);
    const fitting = this.#entries.filter((entry) => entry.who === who && (entry.peer === null || entry.peer.hasRoom));
    return fitting.map(({ opened }) => opened);
  }

  /** A connection of `who` is being opened. */
  begin(who: string): Opening {
    let settle = (_peer: RelayPeer | null): void => {};
    let refuse = (_error: unknown): void => {};
    const opened = new Promise<RelayPeer | null>((resolve, reject) => {
      settle = resolve;
      refuse = reject;
    });
    opened.catch(() => {}); // whoever waits for it hears of it
    const entry: Entry = { who, opened, peer: null };
    const drop = (): void => {
      this.#entries = this.#entries.filter((other) => other !== entry);
    };
    this.#entries.push(entry);
    return {
      answered: (author, takesMore) => {
        entry.who = author ?? entry.who;
        if (takesMore) return;
        drop();
        settle(null);
      },
      done: (peer) => {
        entry.peer = peer;
        settle(peer);
      },
      failed: (error) => {
        drop();
        refuse(error);
      },
    };
  }
}

/** The connections by what makes them, and by edge and configuration. */
const PAGES = new SharedByPage(() => new SharedPeers());

/** What tells connections apart that are made in one page. */
interface Made {
  readonly rtc?: RtcConfiguration;
  readonly webrtc?: WebRtc;
}

/**
 * The connections to an edge that are made by one WebRTC implementation, or by the page, for which `page` stands, with one
 * configuration. Certificates make a connection another one, and can't be compared: they are for `own` alone.
 */
export function sharedPeers({ rtc = {}, webrtc }: Made, page: object, origin: string, own: object): SharedPeers {
  const maker = rtc.certificates === undefined ? (webrtc ?? page) : own;
  return PAGES.of(maker, `${origin} ${JSON.stringify(rtc)}`);
}

/** Errors of the way to a relay, which every stream meets; others are of one stream's request. */
const OF_THE_WAY: ReadonlySet<string> = new Set([
  "relay-unreachable",
  "channel-failed",
  "no-relay",
  "edge-unreachable",
  "no-webrtc",
]);

/** Whether another stream's attempt would fail with this error too. */
export const isOfTheWay = (error: unknown): boolean => error instanceof StreamChainError && OF_THE_WAY.has(error.code);
