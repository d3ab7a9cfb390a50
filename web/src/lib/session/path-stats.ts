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

/** Signs of life with the two addresses of each pair, as far as they are known. */
export interface PairSigns extends PathSigns {
  readonly endpoints: ReadonlyMap<string, string>;
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

interface Entry {
  readonly type: string;
  readonly id: string;
  readonly [member: string]: unknown;
}

const entriesOf = (report: StatsReport): Entry[] => [...report.values()] as Entry[];

/** The candidate with this id. */
const candidateOf = (entries: readonly Entry[], id: string | undefined): CandidateStats =>
  (entries.find((entry) => entry.id === id) ?? {}) as CandidateStats;

/** The address and port of a candidate; empty when they are not known. */
const addressOf = ({ address, ip, port }: CandidateStats): string =>
  address || ip ? `${address || ip}:${port ?? 0}` : "";

/** Reads the selected pair. Firefox names none in its transport statistics; there it is the nominated one. */
export function readPath(report: StatsReport): ConnectionPath | undefined {
  const entries = entriesOf(report);
  const transport = entries.find((entry) => entry.type === "transport");
  const pair = (entries.find((entry) => entry.id === transport?.selectedCandidatePairId) ??
    entries.find((entry) => entry.type === "candidate-pair" && entry.nominated && entry.state === "succeeded")) as
    | PairStats
    | undefined;
  if (pair === undefined) return undefined;
  const local = candidateOf(entries, pair.localCandidateId);
  const remote = candidateOf(entries, pair.remoteCandidateId);
  const dtls = { FEFC: "DTLS 1.3", FEFD: "DTLS 1.2" }[String(transport?.tlsVersion ?? "").toUpperCase()];
  return {
    protocol: local.relayProtocol ?? local.protocol ?? "udp",
    localType: local.candidateType ?? "",
    localAddress: addressOf(local),
    remoteType: remote.candidateType ?? "",
    remoteAddress: addressOf(remote),
    rttMs: pair.currentRoundTripTime === undefined ? undefined : pair.currentRoundTripTime * 1_000,
    bytesSent: pair.bytesSent ?? 0,
    bytesReceived: pair.bytesReceived,
    dtls,
  };
}

/** Reads the counts of every pair, since the selected one may change. */
export function readSigns(report: StatsReport): PairSigns {
  const entries = entriesOf(report);
  const pairs = entries.filter((entry) => entry.type === "candidate-pair") as (Entry & PairStats)[];
  const counts = (count: (pair: PairStats) => number | undefined): Counts =>
    new Map(
      pairs
        .map((pair) => [pair.id, count(pair)] as const)
        .filter((one): one is [string, number] => one[1] !== undefined),
    );
  const endpoints = pairs.map((pair): [string, string, string] => [
    pair.id,
    addressOf(candidateOf(entries, pair.localCandidateId)),
    addressOf(candidateOf(entries, pair.remoteCandidateId)),
  ]);
  const rttMs = readPath(report)?.rttMs;
  return {
    bytesReceived: counts((pair) => pair.bytesReceived),
    checksAnswered: counts((pair) => pair.responsesReceived),
    rttMs: rttMs === undefined ? undefined : Math.min(rttMs, MAX_ROUND_TRIP_MS),
    endpoints: new Map(
      endpoints
        .filter(([, local, remote]) => local !== "" && remote !== "")
        .map(([id, local, remote]) => [id, `${local} ${remote}`]),
    ),
  };
}

/**
 * The signs with the ids of those before. libdatachannel gives a pair another id in each report, so that its bytes would
 * always be new ones: a new pair between the addresses of one that is gone, with at least its bytes, is that one.
 */
export function withFormerIds(now: PairSigns, before: PairSigns | null): PairSigns {
  const formerOf = (id: string): string => {
    if (before === null || before.bytesReceived.has(id) || !now.endpoints.has(id)) return id;
    const former = [...before.endpoints].find(
      ([other, endpoints]) => endpoints === now.endpoints.get(id) && !now.bytesReceived.has(other),
    )?.[0];
    if (former === undefined) return id;
    const isSame = (now.bytesReceived.get(id) ?? 0) >= (before.bytesReceived.get(former) ?? 0);
    return isSame ? former : id;
  };
  const renamed = <Value>(map: ReadonlyMap<string, Value>): ReadonlyMap<string, Value> =>
    new Map([...map].map(([id, value]) => [formerOf(id), value]));
  return {
    bytesReceived: renamed(now.bytesReceived),
    checksAnswered: renamed(now.checksAnswered),
    rttMs: now.rttMs,
    endpoints: renamed(now.endpoints),
  };
}
