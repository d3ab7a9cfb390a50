// Each candidate path to the relay and its outcome, from a peer connection's statistics and candidate errors.

import type { CandidateError, StatsReport } from "../webrtc.ts";

/** A kind of candidate path: direct, or through a STUN or TURN server. */
export type CandidatePathKind = "udp" | "tcp" | "stun" | "turn-udp" | "turn-tcp" | "turn-tls";

/** One candidate path and its outcome. */
export interface CandidatePath {
  readonly id: CandidatePathKind;
  /** The relay's address, or the server's URL. */
  readonly address: string;
  readonly outcome: /** The session uses it. */
    | "used"
    /** Connectivity checks were answered. */
    | "answered"
    /** The TURN server accepted the credentials, but the relay did not answer through it. */
    | "allocated"
    /** No answer came. */
    | "silent"
    /** The server answered with an error: `detail`. */
    | "refused"
    /** Not tried: another path opened before, or the attempt ended before. */
    | "not-tried";
  /** The server's error, as `401 Unauthorized`. */
  readonly detail: string | undefined;
}

/** What is known of an attempt beside its statistics. */
interface TriedPaths {
  /** The relay's addresses, as `udp 203.0.113.7:7100`. */
  readonly addresses: readonly string[];
  /** URLs of the servers that the edge named. */
  readonly servers: readonly string[];
  /** The URLs that were tried. */
  readonly tried: ReadonlySet<string>;
  readonly errors: readonly CandidateError[];
}

/** STUN error codes are below this; codes above are the browser's own, as 701 for a server that does not answer. */
const FIRST_BROWSER_CODE = 700;

interface Entry {
  readonly id: string;
  readonly type: string;
  readonly [member: string]: unknown;
}

/** All candidate paths, in the order in which the edge named them. */
export function readCandidatePaths(report: StatsReport | undefined, known: TriedPaths): CandidatePath[] {
  const entries = report === undefined ? [] : ([...report.values()] as Entry[]);
  const transport = entries.find(({ type }) => type === "transport");
  const byId = new Map(entries.map((entry) => [entry.id, entry]));
  const pairs = entries
    .filter(({ type }) => type === "candidate-pair")
    .map((pair) => ({
      local: byId.get(String(pair.localCandidateId)),
      remote: byId.get(String(pair.remoteCandidateId)),
      used: pair.id === transport?.selectedCandidatePairId,
      answered: pair.state === "succeeded" || Number(pair.responsesReceived ?? 0) > 0,
    }));
  const progress = (own: typeof pairs): "used" | "answered" | "silent" => {
    if (own.some(({ used }) => used)) return "used";
    return own.some(({ answered }) => answered) ? "answered" : "silent";
  };
  const direct = known.addresses.map((candidate): CandidatePath => {
    const [protocol = "", address = ""] = candidate.split(" ");
    const own = pairs.filter(
      ({ local, remote }) =>
        local?.candidateType !== "relay" &&
        remote !== undefined &&
        (remote.protocol ?? "udp") === protocol && // packages for Node that name none have UDP alone
        `${remote.address ?? remote.ip}:${remote.port}` === address,
    );
    const outcome = own.length === 0 && entries.length === 0 ? "not-tried" : progress(own);
    return { id: protocol === "tcp" ? "tcp" : "udp", address, outcome, detail: undefined };
  });
  const locals = entries.filter(({ type }) => type === "local-candidate");
  const servers = known.servers.map((url): CandidatePath => {
    const id = serverKind(url);
    const path = (outcome: CandidatePath["outcome"], detail?: string): CandidatePath => ({
      id,
      address: url,
      outcome,
      detail,
    });
    if (!known.tried.has(url)) return path("not-tried");
    const gathered = locals.filter((local) => isFrom(local, url, id));
    const reached = progress(pairs.filter(({ local }) => local !== undefined && gathered.includes(local)));
    if (reached !== "silent") return path(reached);
    if (gathered.length > 0) return path(id === "stun" ? "answered" : "allocated");
    const own = known.errors.filter((error) => sameServer(error.url, url));
    const refusal = own.find(({ errorCode }) => errorCode < FIRST_BROWSER_CODE);
    return refusal === undefined ? path("silent") : path("refused", `${refusal.errorCode} ${refusal.errorText}`.trim());
  });
  return [...direct, ...servers];
}

function serverKind(url: string): CandidatePathKind {
  if (url.startsWith("stun")) return "stun";
  if (url.startsWith("turns:")) return "turn-tls";
  return /[?&]transport=tcp/i.test(url) ? "turn-tcp" : "turn-udp";
}

/** Whether a local candidate comes from a server. When the browser names no URL, the transport decides. */
function isFrom(local: Entry, url: string, id: CandidatePathKind): boolean {
  const kind = id === "stun" ? "srflx" : "relay";
  if (local.candidateType !== kind) return false;
  if (typeof local.url === "string" && local.url !== "") return sameServer(local.url, url);
  return id === "stun" || `turn-${String(local.relayProtocol)}` === id;
}

/** Whether two URLs name the same server: browsers may add the transport. */
function sameServer(a: string, b: string): boolean {
  const plain = (url: string): string => url.toLowerCase().replace(/\?transport=udp$/, "");
  return plain(a) === plain(b);
}
