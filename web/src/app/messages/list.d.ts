import type { MessageState, StreamMessage } from "../../lib/index.ts";
import type { MessageRun } from "./run.ts";
/** What the list shows, and whom it calls. */
interface ListOptions {
    readonly run: MessageRun;
    readonly stateOf: (seq: number) => MessageState;
    readonly isOwn: (author: string) => boolean;
    readonly onOpen: (message: StreamMessage) => void;
    readonly onOlder: () => void;
}
/** The list. */
export declare class MessageList {
    #private;
    readonly element: HTMLElement;
    constructor(options: ListOptions);
    /** Draws again in the next frame. */
    changed(): void;
    /** Whether there are older messages to load. */
    set olderAvailable(available: boolean);
    /** Scrolls to the newest message and follows it. */
    toEnd(): void;
    /** Scrolls to a message, and makes its row the active one. */
    show(seq: number): void;
}
export {};
