// What a connection attempt tried and how far it got, for a person who asks why it failed.
//
// A page can't see DNS by itself: a request that failed is one fact, and Resource Timing tells its parts only when the
// edge is the page's own origin and answered. Everything behind HTTP is known from WebRTC's own statistics and errors.

import type { ErrorCode } from "../errors.ts";
import { REMEMBERED_ATTEMPTS } from "../limits.ts";
import type { CandidateError, RequestTiming } from "../platform.ts";
import { readWays, type Way } from "./candidate-paths.ts";

/** The steps of an attempt, in order. */
export type AttemptStepId = "offer" | "http" | "answer" | "ice" | "dtls" | "channel" | "welcome";

/** The steps, in the order in which they happen. */
export const ATTEMPT_STEPS: readonly AttemptStepId[] = ["offer", "http", "answer", "ice", "dtls", "channel", "welcome"];

/** One step of an attempt. */
export interface AttemptStep {
  readonly id: AttemptStepId;
  readonly outcome: "ok" | "failed" | "not-reached";
  /** Time that the step took, in ms; undefined when it was not reached. */
  readonly tookMs: number | undefined;
}

/** What a person can do about a failure. */
export type AdviceId =
  /** The browser says that there is no network. */
  | "offline"
  /** The edge's address does not answer at all. */
  | "edge"
  /** The edge answers, but no relay is there. */
  | "no-relay"
  /** The edge says no. */
  | "refused"
  /** Neither UDP nor TCP gets through to the relay, and no TURN server is there to try. */
  | "no-turn"
  /** Nothing gets through, TURN neither. */
  | "all-blocked"
  /** TURN servers answer, and refuse the credentials. */
  | "turn-refused"
  /** TURN works, but the relay does not answer through it. */
  | "turn-to-relay"
  /** The relay answers checks, but the encrypted handshake does not finish. */
  | "dtls"
  /** The relay is reached, and does not do its part. */
  | "relay"
  /** The browser has no WebRTC, or does not let pages use it. */
  | "no-webrtc";

/** One attempt to reach a relay. */
export interface Attempt {
  /** When it began, ms since the Unix epoch. */
  readonly startedAt: number;
  readonly steps: readonly AttemptStep[];
  /** Addresses that the edge offered, as in the answer's candidates: `udp 203.0.113.7:7100`. */
  readonly relayAddresses: readonly string[];
  /** Each way to the relay, and how far it got; known once the attempt has ended. */
  readonly ways: readonly Way[];
  /** Parts of the HTTP request's time, where the browser tells. */
  readonly request: RequestTiming | undefined;
  /** Why it ended; undefined while it runs or when the session is open. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | undefined;
  /** What to do about the error. */
  readonly advice: AdviceId | undefined;
}

/** Notes the steps of one attempt as they happen. */
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
  #ways: readonly Way[] = [];
  #request: RequestTiming | undefined;
  #online = true;

  constructor(startedAt: number, clock: () => number) {
    this.#startedAt = startedAt;
    this.#clock = clock;
    this.#last = clock();
  }

  /** A step is done. A step that happened twice keeps its first time. */
  done(id: AttemptStepId): void {
    if (this.#done.has(id)) return;
    const now = this.#clock();
    this.#done.set(id, now - this.#last);
    this.#last = now;
  }

  /** The request has ended, well or badly. */
  asked(timing: RequestTiming | undefined, online: boolean): void {
    this.#request = timing;
    this.#online = online;
  }

  /** The candidates of an SDP answer, and the servers that came with it. */
  answered(sdp: string, servers: readonly RTCIceServer[]): void {
    this.#addresses = [...sdp.matchAll(/^a=candidate:\S+ \d+ (\S+) \d+ (\S+) (\d+)/gm)].map(
      ([, transport, address, port]) => `${transport?.toLowerCase()} ${address}:${port}`,
    );
    this.#named = servers.flatMap((server) => server.urls);
  }

  /** These servers are tried from now on. */
  turnTried(servers: readonly RTCIceServer[]): void {
    for (const url of servers.flatMap((server) => server.urls)) this.#tried.add(url);
  }

  /** A server could not be used; the browser says why. */
  candidateError({ url, errorCode, errorText }: CandidateError): void {
    if (this.#errors.length < MAX_ERRORS) this.#errors.push({ url, errorCode, errorText });
  }

  /** The peer connection's statistics at the end of the attempt. */
  network(report: RTCStatsReport | undefined): void {
    const { servers, tried } = { servers: this.#named, tried: this.#tried };
    this.#ways = readWays(report, { addresses: this.#addresses, servers, tried, errors: this.#errors });
  }

  /** The attempt ended at the first step that is not done. */
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
      ways: this.#ways,
      request: this.#request,
      error: this.#error,
      advice: code === undefined ? undefined : advise(code, this.#failed, this.#ways, this.#online),
    };
  }
}

/** More candidate errors than this say nothing new: one comes for each server and each local address. */
const MAX_ERRORS = 64;

function advise(code: ErrorCode, failed: AttemptStepId | null, ways: readonly Way[], online: boolean): AdviceId {
  if (code === "edge-unreachable") return online ? "edge" : "offline";
  if (code === "no-relay" || code === "no-webrtc") return code;
  if (code === "refused" || failed === "http") return "refused";
  if (failed !== "ice") return failed === "dtls" ? "dtls" : "relay";
  const turn = ways.filter(({ id }) => id.startsWith("turn"));
  if (turn.length === 0) return "no-turn";
  if (turn.some(({ outcome }) => outcome === "allocated")) return "turn-to-relay";
  return turn.some(({ outcome }) => outcome === "refused") ? "turn-refused" : "all-blocked";
}

/** The latest attempts, oldest first. */
export class Attempts {
  readonly #logs: AttemptLog[] = [];

  /** Adds one, and drops the oldest when there are too many. */
  add(log: AttemptLog): void {
    this.#logs.push(log);
    if (this.#logs.length > REMEMBERED_ATTEMPTS) this.#logs.shift();
  }

  get all(): readonly Attempt[] {
    return this.#logs.map((log) => log.attempt);
  }
}
