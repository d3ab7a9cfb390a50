import type { StreamMessage } from "../../lib/index.ts";
/** Messages kept at most; older ones can be read again. */
export declare const MAX_HELD_MESSAGES = 20000;
/** A contiguous run of a stream's messages. */
export declare class MessageRun {
    #private;
    /** Seq of the oldest message. */
    get first(): number;
    /** Seq after the newest message. */
    get end(): number;
    get length(): number;
    /** The message at a seq, if the run has it. */
    at(seq: number): StreamMessage | undefined;
    /** All messages from `first` to `end`, oldest first. */
    toArray(): StreamMessage[];
    /** Adds the next message. A message that does not follow the last one starts a new run. */
    push(message: StreamMessage): void;
    /** Adds older messages in front; they must end where the run begins. */
    unshift(older: readonly StreamMessage[]): void;
    /** Drops everything from `seq` on. */
    truncate(seq: number): void;
}
