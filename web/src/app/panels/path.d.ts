import type { StreamConnection } from "../../lib/index.ts";
/** The panel. */
export declare class PathPanel {
    #private;
    readonly element: HTMLElement;
    constructor(connection: StreamConnection);
    /** The relay that the edge names for the stream. */
    relay(id: string | undefined): void;
}
