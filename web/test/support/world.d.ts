import type { DataChannel, PeerConnection, Platform } from "../../src/lib/platform.ts";
import { type Bytes } from "../../src/lib/wire/bytes.ts";
import { type CborValue } from "../../src/lib/wire/cbor.ts";
import { type ClientFrame } from "../../src/lib/wire/frames.ts";
import { ByHttp } from "./by-http.ts";
import type { Accepted } from "./edge-parts.ts";
import { MemoryLocks, MemoryStorage, VirtualClock } from "./surroundings.ts";
/** The TURN server that the edge names. */
export declare const TURN_URL = "turn:turn.test:3478?transport=tcp";
/** One client's session at the relay. */
declare class RelaySession {
    readonly world: World;
    readonly channel: FakeChannel;
    readonly peer: FakePeer;
    producer: string | null;
    subscribed: boolean;
    /** The relay was restarted: ICE works, but the relay does not have the session. */
    forgotten: boolean;
    constructor(world: World, peer: FakePeer, channel: FakeChannel);
    /** Sends frames in one data-channel message. */
    send(...frames: CborValue[]): void;
    sendRaw(bytes: Bytes): void;
    /** The relay's process stops: the client loses the path. */
    stop(): void;
    receive(frame: ClientFrame): void;
}
/** The client's data channel. */
declare class FakeChannel implements DataChannel {
    #private;
    binaryType: BinaryType;
    bufferedAmount: number;
    bufferedAmountLowThreshold: number;
    readyState: RTCDataChannelState;
    onopen: DataChannel["onopen"];
    onclose: DataChannel["onclose"];
    onerror: DataChannel["onerror"];
    onmessage: DataChannel["onmessage"];
    onbufferedamountlow: DataChannel["onbufferedamountlow"];
    session: RelaySession | null;
    /** Bytes that the path brought, as in getStats. */
    receivedBytes: number;
    /** When set, sent bytes stay in the buffer until `drain`. */
    stalled: boolean;
    send(bytes: unknown): void;
    /** The network takes everything that is buffered. */
    drain(): void;
    deliver(bytes: Bytes): void;
    open(): void;
    close(): void;
}
/** The client's peer connection. */
declare class FakePeer implements PeerConnection {
    #private;
    connectionState: RTCPeerConnectionState;
    iceConnectionState: RTCIceConnectionState;
    sctp: {
        maxMessageSize: number;
    };
    onconnectionstatechange: PeerConnection["onconnectionstatechange"];
    oniceconnectionstatechange: PeerConnection["oniceconnectionstatechange"];
    onicecandidate: PeerConnection["onicecandidate"];
    onicecandidateerror: PeerConnection["onicecandidateerror"];
    readonly channel: FakeChannel;
    readonly world: World;
    readonly apart: boolean;
    configuration: RTCConfiguration;
    /** Number of ICE restarts. */
    restarts: number;
    constructor(world: World, configuration: RTCConfiguration, apart: boolean);
    createDataChannel(): DataChannel;
    createOffer(options?: {
        iceRestart: boolean;
    }): Promise<RTCSessionDescriptionInit>;
    setLocalDescription(description?: RTCSessionDescriptionInit): Promise<void>;
    setConfiguration(configuration: RTCConfiguration): void;
    setRemoteDescription(): Promise<void>;
    getStats(): Promise<RTCStatsReport>;
    /** The network under it is gone, and another one is there. */
    disconnect(): void;
    fail(): void;
    close(): void;
}
/** One stream, its edge and its relay. */
export declare class World {
    #private;
    readonly clock: VirtualClock;
    readonly storage: MemoryStorage;
    readonly locks: MemoryLocks;
    readonly sessions: Set<RelaySession>;
    /** Every peer connection that was made, the oldest first. */
    readonly peers: FakePeer[];
    /** Every frame that the relay got, in order. */
    readonly received: ClientFrame[];
    /** Every request that the edge got, as `METHOD path`. */
    readonly requests: string[];
    epoch: number;
    /** Messages that are stored at the edge. */
    stored: Accepted[];
    /** Messages that the relay accepted and has not committed. */
    open: Accepted[];
    anchored: number;
    final: number;
    edgeAnswers: boolean;
    relayAnswers: boolean;
    /** The browser finds candidates without asking any server. */
    hasHostCandidates: boolean;
    /** Packets get to the relay without help. */
    directWorks: boolean;
    /** The browser finds an address of the device for peer connections of the page; for those apart from it, always. */
    pageHasAddress: boolean;
    /** The browser's open connections to the edge are dead: requests on them get no answer. */
    openConnectionsDead: boolean;
    /** No request is ever answered. */
    edgeHangs: boolean;
    /** What the TURN server answers; null: it serves. */
    turnError: {
        errorCode: number;
        errorText: string;
    } | null;
    /** Answers of `POST …/sessions`, taken from the front; empty: it works. */
    sessionAnswers: (() => Response)[];
    /** The relay keeps this many messages in memory for subscribers; older ones become a gap. */
    memory: number;
    /** The edge's service for clients without WebRTC; off by default. */
    readonly byHttp: ByHttp;
    /** The relay sends its welcome at once; else the test does, by `welcome`. */
    welcomes: boolean;
    get head(): number;
    /** The surroundings of a new page on this world's origin. */
    page(parts?: Partial<Platform>): Platform & {
        tabStorage: MemoryStorage;
        locks: {
            freeAll(): void;
        };
    };
    admit(peer: FakePeer, channel: FakeChannel): RelaySession;
    /** The only session there is. */
    get session(): RelaySession;
    welcome(session: RelaySession, producer: string): void;
    subscribe(session: RelaySession, from: number | null): void;
    frame(seq: number): CborValue;
    /** Accepts a publication, as a relay does: once, in the producer's order. */
    accept(session: RelaySession, producerSeq: number, payload: Uint8Array): void;
    /** Sends the latest message to the subscribers. */
    sendOpen(): void;
    /** Another client publishes. */
    say(...texts: string[]): void;
    /** Stores everything that was accepted, and sends the committed mark. */
    commit(): void;
    /** The relay stops, and loses what it had not committed; another one becomes the stream's leader. */
    takeOver(): void;
    /** An anchor's event over everything that is stored and not anchored yet. */
    anchor(): void;
    sendAnchor(first: number, count: number, state: 0 | 1 | 2): void;
    readonly fetch: typeof fetch;
}
export {};
