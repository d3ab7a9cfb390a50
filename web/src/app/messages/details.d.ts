import { type EdgeConfig, type StreamConnection, type StreamMessage } from "../../lib/index.ts";
/** The dialog. */
export declare class Details {
    #private;
    readonly element: HTMLDialogElement;
    /** The chain and the contract of the edge; null until it answered. */
    config: EdgeConfig | null;
    constructor(connection: StreamConnection);
    /** Shows a message; verifies it at once when it is anchored. */
    open(message: StreamMessage): void;
    /** Called when the marks moved, which can change the state of the message. */
    changed(): void;
    /** Fetches the receipt and checks it, showing each step. */
    verify(): Promise<void>;
}
