// How one session finds its path.
//
// What always holds: one HTTP request, one answer. Direct ways (UDP, then ICE-TCP) are tried at once; TURN servers are
// added when none of them has opened within a head start, or the browser finds nothing to check, by an ICE restart
// against the very same answer (the relay keeps its credentials over a client's restart). On a network where only TURN
// worked last time, and where the caller wants nothing else, TURN is tried from the start. The same restart finds a new
// path when the network changes.

import { FIRST_CHECK_MS, TURN_HEAD_START_MS } from "../limits.ts";
import type { PeerConnection, Platform } from "../platform.ts";
import type { AttemptLog } from "./attempt-log.ts";

/** What the search for a path needs. */
export interface IceOptions {
  readonly platform: Platform;
  readonly rtc: RTCConfiguration;
  readonly log: AttemptLog;
  /** Whether TURN servers are tried from the start. */
  readonly turnFirst: boolean;
}

/** Whether ICE has a path. */
export function iceWorks(peer: PeerConnection): boolean {
  return peer.iceConnectionState === "connected" || peer.iceConnectionState === "completed";
}

/** ICE of one peer connection. */
export class Ice {
  readonly #peer: PeerConnection;
  readonly #options: IceOptions;
  readonly #turnFirst: boolean;
  #offer: RTCSessionDescriptionInit | null = null;
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

  /** Whether the browser found any address of this device to try from. */
  get gathered(): boolean {
    return this.#gathered;
  }

  /** The offer's SDP. With TURN from the start nothing is gathered before the answer has named the servers. */
  async offer(): Promise<string> {
    this.#offer = await this.#peer.createOffer();
    if (!this.#turnFirst) await this.#peer.setLocalDescription(this.#offer);
    const sdp = this.#offer.sdp ?? "";
    // Only the edge is told: to the browser, either role in the answer fits its own offer (RFC 8842 §5.3).
    return this.#options.platform.beginsHandshake ? sdp.replace("a=setup:actpass", "a=setup:active") : sdp;
  }

  /** Takes the edge's answer and the ICE servers that came with it. */
  async answer(sdp: string, servers: readonly RTCIceServer[]): Promise<void> {
    this.#sdp = sdp;
    // Servers that the caller named are the caller's choice.
    const added = this.#options.rtc.iceServers === undefined ? servers : [];
    if (this.#turnFirst) {
      this.#configure(added);
      // The very offer that was answered: one made anew may name its section otherwise, and the answer fits no more.
      await this.#peer.setLocalDescription(this.#offer ?? undefined);
    }
    await this.#peer.setRemoteDescription({ type: "answer", sdp });
    if (this.#turnFirst || added.length === 0) return;
    this.#timer = this.#options.platform.setTimer(() => {
      // Without a candidate of its own the browser checks nothing: no direct way is there to have a head start.
      if (!this.#gathered && this.#peer.iceConnectionState === "new") this.#add(added);
      else this.#timer = this.#options.platform.setTimer(() => this.#add(added), TURN_HEAD_START_MS - FIRST_CHECK_MS);
    }, FIRST_CHECK_MS);
  }

  /** Tries these servers beside everything else, unless there is a path. */
  #add(servers: readonly RTCIceServer[]): void {
    if (!this.#stopped && !iceWorks(this.#peer) && this.#configure(servers)) void this.restart();
  }

  /** Looks for a new path, keeping the session; resolves to whether the browser agreed. */
  async restart(): Promise<boolean> {
    if (this.#sdp === null || this.#restarting || this.#stopped) return false;
    this.#restarting = true;
    try {
      await this.#peer.setLocalDescription(await this.#peer.createOffer({ iceRestart: true }));
      await this.#peer.setRemoteDescription({ type: "answer", sdp: this.#sdp });
      return true;
    } catch {
      return false; // closed meanwhile, or a browser that wants other credentials: the session ends by itself then
    } finally {
      this.#restarting = false;
    }
  }

  /** The session is over, or open: nothing is added any more. */
  settle(): void {
    this.#options.platform.clearTimer(this.#timer);
  }

  /** The session is over. */
  stop(): void {
    this.settle();
    this.#stopped = true;
    this.#peer.onicecandidateerror = null;
    this.#peer.onicecandidate = null;
  }

  /** Whether there is anything to gather from that was not there before, and the browser takes it. */
  #configure(servers: readonly RTCIceServer[]): boolean {
    if (servers.length === 0) return false;
    try {
      this.#peer.setConfiguration({ ...this.#options.rtc, iceServers: [...servers] });
      this.#options.log.turnTried(servers);
      return true;
    } catch {
      return false; // a URL that this browser does not know; what is direct is tried all the same
    }
  }
}
