// ICE of one session: which candidate paths are tried, and when.
//
// What always holds: one HTTP request and one answer serve all attempts.
// - Direct paths (UDP, then ICE-TCP) are tried at once.
// - TURN servers are added when no direct path opened within `TURN_HEAD_START_MS`, or when the browser has no candidates
//   of its own, by an ICE restart with the same answer (the relay keeps its credentials over a client's restart).
// - TURN is tried from the start on a network where only TURN worked last time, and when the caller wants only TURN.
// - The same restart finds a new path after a network change.

import { FIRST_CHECK_MS, TURN_HEAD_START_MS } from "../limits.ts";
import type { Platform } from "../platform.ts";
import type { IceServer, PeerConnection, RtcConfiguration, SessionDescription } from "../webrtc.ts";
import type { AttemptLog } from "./attempt-log.ts";

/** What ICE of a session needs. */
interface IceOptions {
  readonly platform: Platform;
  readonly rtc: RtcConfiguration;
  readonly log: AttemptLog;
  /** Whether TURN servers are tried from the start. */
  readonly turnFirst: boolean;
}

/** Whether ICE found a path. */
export function iceWorks(peer: PeerConnection): boolean {
  return peer.iceConnectionState === "connected" || peer.iceConnectionState === "completed";
}

/** ICE of one peer connection. */
export class Ice {
  readonly #peer: PeerConnection;
  readonly #options: IceOptions;
  readonly #turnFirst: boolean;
  #offer: SessionDescription | null = null;
  #sdp: string | null = null;
  #timer: unknown = null;
  #restarting = false;
  #gathered = false;
  #stopped = false;

  constructor(peer: PeerConnection, options: IceOptions) {
    this.#peer = peer;
    this.#options = options;
    this.#turnFirst = options.turnFirst || options.rtc.iceTransportPolicy === "relay";
    peer.onicecandidateerror = (event) => options.log.candidateError(event);
    peer.onicecandidate = ({ candidate }) => {
      this.#gathered ||= candidate !== null && candidate.candidate !== "";
    };
  }

  /** Whether the browser found any candidate of this device. */
  get gathered(): boolean {
    return this.#gathered;
  }

  /** The SDP of the offer. With TURN from the start, candidates are gathered only once the answer named the servers. */
  async offer(): Promise<string> {
    this.#offer = await this.#peer.createOffer();
    if (!this.#turnFirst) await this.#peer.setLocalDescription(this.#offer);
    const sdp = this.#offer.sdp ?? "";
    // Changed for the edge alone: the browser's own offer allows either role in the answer (RFC 8842 §5.3).
    return this.#options.platform.beginsHandshake ? sdp.replace("a=setup:actpass", "a=setup:active") : sdp;
  }

  /** Applies the edge's answer, and the ICE servers that came with it. */
  async answer(sdp: string, servers: readonly IceServer[]): Promise<void> {
    this.#sdp = sdp;
    // Servers that the caller named replace those of the edge.
    const added = this.#options.rtc.iceServers === undefined ? servers : [];
    if (this.#turnFirst) {
      this.#configure(added);
      // The same offer as was answered: a new one may name its section differently, and the answer would not fit.
      await this.#peer.setLocalDescription(this.#offer ?? undefined);
    }
    await this.#peer.setRemoteDescription({ type: "answer", sdp });
    if (this.#turnFirst || added.length === 0) return;
    this.#timer = this.#options.platform.setTimer(() => {
      // Without a candidate of its own the browser checks nothing, so no direct path needs a head start.
      if (!this.#gathered && this.#peer.iceConnectionState === "new") this.#add(added);
      else this.#timer = this.#options.platform.setTimer(() => this.#add(added), TURN_HEAD_START_MS - FIRST_CHECK_MS);
    }, FIRST_CHECK_MS);
  }

  /** Tries these servers too, unless there is a path. */
  #add(servers: readonly IceServer[]): void {
    if (!this.#stopped && !iceWorks(this.#peer) && this.#configure(servers)) void this.restart();
  }

  /** Searches for a new path within the session; resolves to whether the browser accepted the restart. */
  async restart(): Promise<boolean> {
    if (this.#sdp === null || this.#restarting || this.#stopped) return false;
    this.#restarting = true;
    try {
      await this.#peer.setLocalDescription(await this.#peer.createOffer({ iceRestart: true }));
      await this.#peer.setRemoteDescription({ type: "answer", sdp: this.#sdp });
      return true;
    } catch {
      return false; // closed meanwhile, or the browser requires new credentials: then the session ends by itself
    } finally {
      this.#restarting = false;
    }
  }

  /** Adds no more servers: the session opened or ended. */
  settle(): void {
    this.#options.platform.clearTimer(this.#timer);
  }

  /** Ends the search. */
  stop(): void {
    this.settle();
    this.#stopped = true;
    this.#peer.onicecandidateerror = null;
    this.#peer.onicecandidate = null;
  }

  /** Configures the servers; returns whether there are any and the browser accepts them. */
  #configure(servers: readonly IceServer[]): boolean {
    if (servers.length === 0) return false;
    try {
      this.#peer.setConfiguration({ ...this.#options.rtc, iceServers: [...servers] });
      this.#options.log.turnTried(servers);
      return true;
    } catch {
      return false; // a URL that this browser does not know; direct paths are tried anyway
    }
  }
}
