import type { EdgeStatus, StreamConnection } from "../lib/index.ts";
/** The notes. */
export declare class Banners {
    #private;
    readonly element: HTMLDivElement;
    constructor(connection: StreamConnection, onWhy: () => void);
    /** Takes the edge's status. */
    status(status: EdgeStatus | null): void;
}
