// The parts of WebRTC that the library uses, as types of its own: they fit the browser's classes and those of packages
// for Node, and a project whose compiler has no DOM types can read them.

/** A STUN or TURN server, as RTCIceServer. */
export interface IceServer {
  urls: string | string[];
  username?: string;
  credential?: string;
}

/** What RTCPeerConnection takes, as RTCConfiguration; a type of our own, since Node's types have no WebRTC. */
export interface RtcConfiguration {
  iceServers?: IceServer[];
  iceTransportPolicy?: "all" | "relay";
  bundlePolicy?: "balanced" | "max-bundle" | "max-compat";
  rtcpMuxPolicy?: "require";
  iceCandidatePoolSize?: number;
  /** The platform's own certificates. */
  certificates?: unknown[];
}

/** A WebRTC implementation, as packages for Node export it: `import * as webrtc from "…"` is one. */
export interface WebRtc {
  readonly RTCPeerConnection: new (...parameters: never[]) => object;
}

type EventHandler<Shape> = ((this: never, event: Shape) => unknown) | null;

/** An offer or an answer, as RTCSessionDescriptionInit. */
export interface SessionDescription {
  type: "answer" | "offer" | "pranswer" | "rollback";
  sdp?: string;
}

/** The part of RTCStatsReport that is used. */
export interface StatsReport {
  values(): Iterable<unknown>;
}

/** Options of a data channel, as RTCDataChannelInit. */
interface DataChannelOptions {
  ordered?: boolean;
  protocol?: string;
}

/** The part of RTCDataChannel that is used. */
export interface DataChannel {
  binaryType: "arraybuffer" | "blob";
  readonly bufferedAmount: number;
  bufferedAmountLowThreshold: number;
  readonly readyState: "closed" | "closing" | "connecting" | "open";
  onopen: EventHandler<Event>;
  onclose: EventHandler<Event>;
  onerror: EventHandler<never>;
  onmessage: EventHandler<{ readonly data: unknown }>;
  onbufferedamountlow: EventHandler<Event>;
  send(bytes: Uint8Array<ArrayBuffer>): void;
  close(): void;
}

/** State of a peer connection, as RTCPeerConnectionState. */
type ConnectionPhase = "closed" | "connected" | "connecting" | "disconnected" | "failed" | "new";

/** The part of RTCPeerConnection that is used. */
export interface PeerConnection {
  readonly connectionState: ConnectionPhase;
  readonly iceConnectionState: "checking" | "closed" | "completed" | "connected" | "disconnected" | "failed" | "new";
  readonly sctp: { readonly maxMessageSize: number } | null;
  onconnectionstatechange: EventHandler<Event>;
  oniceconnectionstatechange: EventHandler<Event>;
  onicecandidate: EventHandler<{ readonly candidate: { readonly candidate: string } | null }>;
  onicecandidateerror: EventHandler<CandidateError>;
  createDataChannel(label: string, options: DataChannelOptions): DataChannel;
  createOffer(options?: { iceRestart: boolean }): Promise<SessionDescription>;
  /** Without a description: the offer that the browser makes itself. */
  setLocalDescription(description?: SessionDescription): Promise<void>;
  setConfiguration(configuration: RtcConfiguration): void;
  setRemoteDescription(description: { type: "answer"; sdp: string }): Promise<void>;
  getStats(): Promise<StatsReport>;
  close(): void;
}

/** The part of RTCPeerConnection that direct channels between browsers use. */
export interface DirectConnection {
  readonly connectionState: ConnectionPhase;
  readonly iceGatheringState: "complete" | "gathering" | "new";
  readonly localDescription: { readonly sdp: string } | null;
  onconnectionstatechange: EventHandler<Event>;
  onicegatheringstatechange: EventHandler<Event>;
  createDataChannel(label: string, options: DataChannelOptions & { id?: number; negotiated?: boolean }): DataChannel;
  /** Sets the offer or answer that is next. */
  setLocalDescription(): Promise<void>;
  setRemoteDescription(description: { type: "offer" | "answer"; sdp: string }): Promise<void>;
  close(): void;
}

/** The part of RTCPeerConnectionIceErrorEvent that is used. */
export interface CandidateError {
  readonly url: string;
  readonly errorCode: number;
  readonly errorText: string;
}
