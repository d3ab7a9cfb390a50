// The path of a session's packets, and its signs of life, from a peer connection's statistics.

import { MAX_ROUND_TRIP_MS } from "../limits.ts";
import type { StatsReport } from "../webrtc.ts";

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

/** Counts that only grow, by the ids of candidate pairs; pairs come and go. */
export type Counts = ReadonlyMap<string, number>;

/** Signs of life of a path. */
export interface PathSigns {
  /** Bytes received on each candidate pair so far; empty when the browser does not count them. */
  readonly bytesReceived: Counts;
  /** Connectivity checks that were answered on each so far; none where the browser does not say. */
  readonly checksAnswered: Counts;
  readonly rttMs: number | undefined;
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
  /** The name of `address` in older implementations. */
  readonly ip?: string;
  readonly port?: number;
}

/** Reads the selected pair. Firefox names none in its transport statistics; there it is the nominated one. */
export function readPath(report: StatsReport): ConnectionPath | undefined {
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
  const address = ({ address: host, ip, port }: CandidateStats): string =>
    host || ip ? `${host || ip}:${port ?? 0}` : "";
  const dtls = { FEFC: "DTLS 1.3", FEFD: "DTLS 1.2" }[String(transport?.tlsVersion ?? "").toUpperCase()];
  return {
    protocol: local.relayProtocol ?? local.protocol ?? "udp",
    localType: local.candidateType ?? "",
    localAddress: address(local),
    remoteType: remote.candidateType ?? "",
    remoteAddress: address(remote),
    rttMs: pair.currentRoundTripTime === undefined ? undefined : pair.currentRoundTripTime * 1_000,
    bytesSent: pair.bytesSent ?? 0,
    bytesReceived: pair.bytesReceived,
    dtls,
  };
}

/** Reads the counts of every pair, since the selected one may change. */
export function readSigns(report: StatsReport): PathSigns {
  const pairs = ([...report.values()] as ({ type: string; id: string } & PairStats)[]).filter(
    (entry) => entry.type === "candidate-pair",
  );
  const counts = (count: (pair: PairStats) => number | undefined): Counts =>
    new Map(
      pairs
        .map((pair) => [pair.id, count(pair)] as const)
        .filter((one): one is [string, number] => one[1] !== undefined),
    );
  const rttMs = readPath(report)?.rttMs;
  return {
    bytesReceived: counts((pair) => pair.bytesReceived),
    checksAnswered: counts((pair) => pair.responsesReceived),
    rttMs: rttMs === undefined ? undefined : Math.min(rttMs, MAX_ROUND_TRIP_MS),
  };
}
