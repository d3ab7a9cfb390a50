import type { StreamConnection } from "../../lib/index.ts";
/** The strip of tentative messages. */
export declare class DirectStrip {
    #private;
    readonly element: HTMLUListElement;
    constructor(connection: StreamConnection);
}
