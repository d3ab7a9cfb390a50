import { type StreamConnection } from "../../lib/index.ts";
/** What the button needs of the composer. */
interface ChainSendOptions {
    readonly connection: StreamConnection;
    /** The text of the message, or undefined when there is none. */
    readonly text: () => string | undefined;
    /** The wallet sent the message: the field may be cleared. */
    readonly onSent: () => void;
}
/** The button beside the field, the choice of a wallet, and the state of each message. */
export declare class ChainSend {
    #private;
    readonly button: HTMLElement;
    readonly element: HTMLDivElement;
    constructor(options: ChainSendOptions);
}
export {};
