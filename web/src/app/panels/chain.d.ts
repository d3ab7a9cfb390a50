import { type StreamConnection } from "../../lib/index.ts";
/** The panel. */
export declare class ChainPanel {
    #private;
    readonly element: HTMLElement;
    constructor(connection: StreamConnection);
}
