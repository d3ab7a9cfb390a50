// The browser's half of a session in a test world: a peer connection and its data channel, over a network that the test
// bends.

import type { DataChannel, PeerConnection, RtcConfiguration } from "../../src/lib/webrtc.ts";
import type { Bytes, Hex } from "../../src/lib/wire/bytes.ts";
import { type ClientFrame, decodeClientMessage } from "../../src/lib/wire/frames.ts";
import { TURN_URL } from "./edge-parts.ts";
import { authorBytes } from "./people.ts";

/** The relay's end of a channel. */
interface RelayEnd {
  author: Uint8Array;
  readonly forgotten: boolean;
  receive(frame: ClientFrame): void;
}

/** What lies between a page and the relay. */
interface Network {
  readonly peers: FakePeer[];
  readonly sessions: { delete(session: RelayEnd): unknown };
  readonly hasHostCandidates: boolean;
  readonly directWorks: boolean;
  readonly pageHasAddress: boolean;
  readonly relayAnswers: boolean;
  readonly turnError: { errorCode: number; errorText: string } | null;
  admit(peer: FakePeer, channel: FakeChannel): RelayEnd;
}

/** The client's data channel. */
export class FakeChannel implements DataChannel {
  binaryType: BinaryType = "arraybuffer";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  readyState: RTCDataChannelState = "connecting";
  onopen: DataChannel["onopen"] = null;
  onclose: DataChannel["onclose"] = null;
  onerror: DataChannel["onerror"] = null;
  onmessage: DataChannel["onmessage"] = null;
  onbufferedamountlow: DataChannel["onbufferedamountlow"] = null;
  session: RelayEnd | null = null;
  /** Bytes that the path brought, as in getStats. */
  receivedBytes = 0;
  /** When set, sent bytes stay in the buffer until `drain`. */
  stalled = false;
  #waiting: Uint8Array[] = [];

  send(bytes: unknown): void {
    const copy = (bytes as Uint8Array).slice();
    if (this.stalled) {
      this.#waiting.push(copy);
      this.bufferedAmount += copy.length;
      return;
    }
    queueMicrotask(() => {
      if (this.readyState !== "open" || this.session?.forgotten) return;
      this.receivedBytes += 28; // SCTP acknowledges
      for (const frame of decodeClientMessage(copy)) this.session?.receive(frame);
    });
  }

  /** The network takes everything that is buffered. */
  drain(): void {
    this.stalled = false;
    this.bufferedAmount = 0;
    for (const bytes of this.#waiting.splice(0)) this.send(bytes);
    this.onbufferedamountlow?.call(this as never, new Event("bufferedamountlow"));
  }

  deliver(bytes: Bytes): void {
    if (this.readyState === "open") {
      this.onmessage?.call(this as never, { data: bytes.buffer } as MessageEvent);
    }
  }

  open(): void {
    this.readyState = "open";
    this.onopen?.call(this as never, new Event("open"));
  }

  close(): void {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    this.onEnd?.();
  }

  /** What the other end does when this one closes. */
  onEnd: (() => void) | null = null;

  /** The other end closes it. */
  end(): void {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    this.onclose?.call(this as never, new Event("close"));
  }
}

/** The client's peer connection. */
export class FakePeer implements PeerConnection {
  connectionState: RTCPeerConnectionState = "new";
  iceConnectionState: RTCIceConnectionState = "new";
  sctp = { maxMessageSize: 262_144 };
  onconnectionstatechange: PeerConnection["onconnectionstatechange"] = null;
  oniceconnectionstatechange: PeerConnection["oniceconnectionstatechange"] = null;
  onicecandidate: PeerConnection["onicecandidate"] = null;
  onicecandidateerror: PeerConnection["onicecandidateerror"] = null;
  readonly channel = new FakeChannel();
  /** The channels of streams that joined. */
  readonly further: FakeChannel[] = [];
  readonly world: Network;
  readonly apart: boolean;
  configuration: RtcConfiguration;
  /** Number of ICE restarts. */
  restarts = 0;
  /** Servers that candidates were gathered from. */
  #gathered: string[] = [];
  #local: RTCSessionDescriptionInit | null = null;
  /** Offers made before the first answer: a browser gives the section of each another name. */
  #offers = 0;
  #answered = false;
  #author: Hex | null = null;

  constructor(world: Network, configuration: RtcConfiguration, apart: boolean) {
    this.world = world;
    this.apart = apart;
    this.configuration = configuration;
    world.peers.push(this);
  }

  createDataChannel(_label?: string, options?: { protocol?: string }): DataChannel {
    if (options?.protocol !== "streamchain.join.v1") return this.channel;
    const channel = new FakeChannel();
    this.further.push(channel);
    queueMicrotask(() => {
      if (this.connectionState !== "connected") return;
      const session = this.world.admit(this, channel);
      channel.session = session;
      channel.onEnd = () => this.world.sessions.delete(session);
      if (this.#author !== null) session.author = authorBytes(this.#author);
      channel.open();
    });
    return channel;
  }

  async createOffer(options?: { iceRestart: boolean }): Promise<RTCSessionDescriptionInit> {
    if (options?.iceRestart) this.restarts++;
    const mid = this.#answered ? 0 : this.#offers++;
    return {
      type: "offer",
      sdp: `v=0\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=setup:actpass\r\na=mid:${mid}\r\n`,
    };
  }

  async setLocalDescription(description?: RTCSessionDescriptionInit): Promise<void> {
    this.#local = description ?? (await this.createOffer());
    this.#gathered = (this.configuration.iceServers ?? []).flatMap((server) => server.urls);
    if (!this.#hasAddress) return this.#become("failed", "failed");
    if (!this.world.hasHostCandidates && this.#gathered.length === 0) return;
    this.onicecandidate?.call(this as never, { candidate: { candidate: "candidate:1" } });
  }

  get #hasAddress(): boolean {
    return this.apart || this.world.pageHasAddress;
  }

  setConfiguration(configuration: RtcConfiguration): void {
    this.configuration = configuration;
  }

  async setRemoteDescription({ sdp }: { sdp: string }): Promise<void> {
    this.#author = (/^a=author:(0x[0-9a-f]{40})/m.exec(sdp)?.[1] as Hex | undefined) ?? null;
    if (this.#local === null) throw new Error("an answer without an offer");
    if (!this.#local.sdp?.includes("a=mid:0")) throw new Error("an answer to another offer");
    this.#local = null;
    this.#answered = true;
    queueMicrotask(() => this.#seek());
  }

  /** What the network lets through decides. */
  #seek(): void {
    const { world, channel } = this;
    if (world.hasHostCandidates || this.#gathered.length > 0) this.iceConnectionState = "checking";
    const turn = this.#gathered.some((url) => url.startsWith("turn"));
    const error = world.turnError;
    for (const url of turn && error !== null ? this.#gathered : []) {
      this.onicecandidateerror?.call(this as never, { ...error, url } as never);
    }
    const direct = world.directWorks && world.hasHostCandidates;
    const open = direct || (turn && world.turnError === null);
    if (!world.relayAnswers || !open || !this.#hasAddress || this.connectionState === "closed") return;
    this.#become("connected", "connected");
    if (channel.session !== null) return;
    const session = world.admit(this, channel);
    channel.session = session;
    channel.onEnd = () => world.sessions.delete(session);
    if (this.#author !== null) channel.session.author = authorBytes(this.#author);
    channel.open();
  }

  async getStats(): Promise<RTCStatsReport> {
    const bytesReceived = [this.channel, ...this.further].reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
    const turn = !this.world.directWorks;
    const open = this.connectionState === "connected";
    return new Map<string, unknown>([
      ["transport", { id: "transport", type: "transport", ...(open ? { selectedCandidatePairId: "pair" } : {}) }],
      [
        "pair",
        {
          id: "pair",
          type: "candidate-pair",
          bytesReceived,
          currentRoundTripTime: 0.002,
          localCandidateId: "local",
          remoteCandidateId: "remote",
          state: open ? "succeeded" : "in-progress",
        },
      ],
      [
        "local",
        {
          id: "local",
          type: "local-candidate",
          candidateType: turn ? "relay" : "host",
          ...(turn && this.world.turnError === null ? { url: TURN_URL } : {}),
        },
      ],
      ["remote", { id: "remote", type: "remote-candidate", protocol: "udp", address: "192.0.2.7", port: 7100 }],
    ]) as RTCStatsReport;
  }

  /** The network under it is gone, and another one is there. */
  disconnect(): void {
    this.#become("disconnected", "disconnected");
  }

  fail(): void {
    this.#become("failed", "failed");
  }

  close(): void {
    if (this.connectionState === "closed") return;
    this.connectionState = "closed";
    for (const channel of [this.channel, ...this.further]) {
      channel.close();
      if (channel.session !== null) this.world.sessions.delete(channel.session);
    }
  }

  #become(connection: RTCPeerConnectionState, ice: RTCIceConnectionState): void {
    this.connectionState = connection;
    this.iceConnectionState = ice;
    this.oniceconnectionstatechange?.call(this as never, new Event("iceconnectionstatechange"));
    this.onconnectionstatechange?.call(this as never, new Event("connectionstatechange"));
  }
}
