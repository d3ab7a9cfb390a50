import { type StreamConnection } from "../../lib/index.ts";
/** The button and its dialog. */
export declare class NewStream {
    #private;
    readonly button: HTMLElement;
    readonly element: HTMLDialogElement;
    constructor(connection: StreamConnection);
}
