// What a connection attempt tried and how far it got, to explain why it failed.
//
// A page cannot see DNS by itself: a failed request has no details, and Resource Timing has its parts only when the edge
// is the page's own origin and answered. Everything after HTTP is known from WebRTC's own statistics and errors.

import type { ErrorCode } from "../errors.ts";
import { MAX_CANDIDATE_ERRORS, MAX_REMEMBERED_ATTEMPTS } from "../limits.ts";
import type { RequestTiming } from "../platform.ts";
import type { CandidateError, IceServer, StatsReport } from "../webrtc.ts";
import { type CandidatePath, readCandidatePaths } from "./candidate-paths.ts";

/** A step of an attempt. */
export type AttemptStepId = "offer" | "http" | "answer" | "ice" | "dtls" | "channel" | "welcome";

/** The steps of an attempt, in order. */
export const ATTEMPT_STEPS: readonly AttemptStepId[] = ["offer", "http", "answer", "ice", "dtls", "channel", "welcome"];

/** One step of an attempt. */
export interface AttemptStep {
  readonly id: AttemptStepId;
  readonly outcome: "ok" | "failed" | "not-reached";
  /** Time that the step took, in ms; undefined when it was not reached. */
  readonly tookMs: number | undefined;
}

/** The cause of a failure, as far as a user can act on it. */
export type AdviceId =
  /** The browser says that there is no network. */
  | "offline"
  /** The edge's address does not answer at all. */
  | "edge"
  /** The edge answers, but there is no relay. */
  | "no-relay"
  /** The edge refuses the request. */
  | "refused"
  /** Neither UDP nor TCP reaches the relay, and there is no TURN server to try. */
  | "no-turn"
  /** Nothing reaches the relay, TURN included. */
  | "all-blocked"
  /** TURN servers answer, but refuse the credentials. */
  | "turn-refused"
  /** A TURN server works, but the relay does not answer through it. */
  | "turn-to-relay"
  /** The relay answers checks, but the DTLS handshake does not finish. */
  | "dtls"
  /** The relay is reached, but does not open the session. */
  | "relay"
  /** The browser has no WebRTC, or does not allow it. */
  | "no-webrtc";

/** One attempt to reach a relay. */
export interface Attempt {
  /** When it began, ms since the Unix epoch. */
  readonly startedAt: number;
  readonly steps: readonly AttemptStep[];
  /** Addresses of the answer's candidates, as `udp 203.0.113.7:7100`. */
  readonly relayAddresses: readonly string[];
  /** Each candidate path and its outcome; known once the attempt has ended. */
  readonly ways: readonly CandidatePath[];
  /** Parts of the HTTP request's time, when the browser has them. */
  readonly request: RequestTiming | undefined;
  /** Why the attempt failed; undefined while it runs, and when the session opened. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | undefined;
  /** The cause of the error, as far as a user can act on it. */
  readonly advice: AdviceId | undefined;
}

/** Records the steps of one attempt as they happen. */
export class AttemptLog {
  readonly #startedAt: number;
  readonly #clock: () => number;
  readonly #done = new Map<AttemptStepId, number>();
  #failed: AttemptStepId | null = null;
  #last: number;
  #error: Attempt["error"];
  #addresses: string[] = [];
  #named: string[] = [];
  #tried = new Set<string>();
  #errors: CandidateError[] = [];
  #paths: readonly CandidatePath[] = [];
  #request: RequestTiming | undefined;
  #online = true;

  constructor(startedAt: number, clock: () => number) {
    this.#startedAt = startedAt;
    this.#clock = clock;
    this.#last = clock();
  }

  /** A step is done. A step that is done twice keeps its first time. */
  done(id: AttemptStepId): void {
    if (this.#done.has(id)) return;
    const now = this.#clock();
    this.#done.set(id, now - this.#last);
    this.#last = now;
  }

  /** The HTTP request ended. */
  requested(timing: RequestTiming | undefined, online: boolean): void {
    this.#request = timing;
    this.#online = online;
  }

  /** Takes the candidates of the SDP answer, and the servers that came with it. */
  answered(sdp: string, servers: readonly IceServer[]): void {
    this.#addresses = [...sdp.matchAll(/^a=candidate:\S+ \d+ (\S+) \d+ (\S+) (\d+)/gm)].map(
      ([, transport, address, port]) => `${transport?.toLowerCase()} ${address}:${port}`,
    );
    this.#named = servers.flatMap((server) => server.urls);
  }

  /** These servers are being tried. */
  turnTried(servers: readonly IceServer[]): void {
    for (const url of servers.flatMap((server) => server.urls)) this.#tried.add(url);
  }

  /** The browser reported why a server could not be used. */
  candidateError({ url, errorCode, errorText }: CandidateError): void {
    if (this.#errors.length < MAX_CANDIDATE_ERRORS) this.#errors.push({ url, errorCode, errorText });
  }

  /** Takes the peer connection's statistics at the end of the attempt. */
  network(report: StatsReport | undefined): void {
    const { servers, tried } = { servers: this.#named, tried: this.#tried };
    this.#paths = readCandidatePaths(report, { addresses: this.#addresses, servers, tried, errors: this.#errors });
  }

  /** The attempt failed at the first step that is not done. */
  failed(code: ErrorCode, message: string): void {
    if (this.#error !== undefined) return;
    this.#error = { code, message };
    this.#failed = ATTEMPT_STEPS.find((id) => !this.#done.has(id)) ?? null;
    if (this.#failed !== null) this.#done.set(this.#failed, this.#clock() - this.#last);
  }

  /** The attempt as it is now. */
  get attempt(): Attempt {
    const { code } = this.#error ?? {};
    return {
      startedAt: this.#startedAt,
      steps: ATTEMPT_STEPS.map((id) => ({
        id,
        outcome: this.#failed === id ? "failed" : this.#done.has(id) ? "ok" : "not-reached",
        tookMs: this.#done.get(id),
      })),
      relayAddresses: this.#addresses,
      ways: this.#paths,
      request: this.#request,
      error: this.#error,
      advice: code === undefined ? undefined : advise(code, this.#failed, this.#paths, this.#online),
    };
  }
}

function advise(
  code: ErrorCode,
  failed: AttemptStepId | null,
  paths: readonly CandidatePath[],
  online: boolean,
): AdviceId {
  if (code === "edge-unreachable") return online ? "edge" : "offline";
  if (code === "no-relay" || code === "no-webrtc") return code;
  if (code === "refused" || failed === "http") return "refused";
  if (failed !== "ice") return failed === "dtls" ? "dtls" : "relay";
  const turn = paths.filter(({ id }) => id.startsWith("turn"));
  if (turn.length === 0) return "no-turn";
  if (turn.some(({ outcome }) => outcome === "allocated")) return "turn-to-relay";
  return turn.some(({ outcome }) => outcome === "refused") ? "turn-refused" : "all-blocked";
}

/** The logs of the latest attempts. */
export class AttemptLogs {
  readonly #logs: AttemptLog[] = [];

  /** Adds a log, and drops the oldest beyond `MAX_REMEMBERED_ATTEMPTS`. */
  add(log: AttemptLog): void {
    this.#logs.push(log);
    if (this.#logs.length > MAX_REMEMBERED_ATTEMPTS) this.#logs.shift();
  }

  /** The latest attempts, oldest first. */
  get all(): readonly Attempt[] {
    return this.#logs.map((log) => log.attempt);
  }
}
