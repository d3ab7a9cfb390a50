import { type Accepted } from "./edge-parts.ts";
/** What the service needs of the world around it. */
interface Surroundings {
    readonly epoch: number;
    readonly stored: Accepted[];
    readonly open: Accepted[];
    readonly anchored: number;
    readonly final: number;
    readonly clock: {
        readonly now: number;
    };
    readonly byHttp: ByHttp;
    commit(): void;
    sendOpen(): void;
}
/** One response of server-sent events. */
declare class EventResponse {
    #private;
    constructor(world: Surroundings, seq: number, signal: AbortSignal | null | undefined);
    response(): Response;
    /** Sends the stored messages that were not sent. */
    sendStored(): void;
    sendAnchor(first: number, count: number, state: string): void;
    /** Breaks the response. */
    cut(): void;
}
/** The edge's part that serves clients without WebRTC. */
export declare class ByHttp {
    #private;
    readonly responses: Set<EventResponse>;
    /** Whether the edge serves it at all. */
    serves: boolean;
    /** A relay is the stream's leader: what is posted is stored with its next commit. */
    hasLeader: boolean;
    /** The number of next posts that are stored, but whose answer is lost. */
    lostAnswers: number;
    /** The edge forgot the seqs of repeated messages. */
    forgetsSeqs: boolean;
    /** Every message that was posted, as `number:text`, repetitions included. */
    readonly posted: string[];
    constructor(world: Surroundings);
    events(url: URL, headers: Headers, signal: AbortSignal | null | undefined): Response;
    post(headers: Headers, payload: Uint8Array): Response;
    /** The relay fetches the posted messages that it does not have; another relay would too, until they are stored. */
    fetch(): void;
    /** All posted messages are stored. */
    settled(): void;
    /** Breaks every response. */
    cut(): void;
}
export {};
