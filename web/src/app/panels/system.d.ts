import type { EdgeClient, EdgeConfig, EdgeStatus } from "../../lib/index.ts";
/** What the rest of the page uses of the edge's answers. */
interface SystemNews {
    readonly status: EdgeStatus | null;
    readonly config: EdgeConfig | null;
}
/** The panel, and the polling behind it. */
export declare class SystemPanel {
    #private;
    readonly element: HTMLElement;
    constructor(edge: EdgeClient, onNews: (news: SystemNews) => void);
    /** Starts to poll, once the page has begun to connect. */
    start(): void;
}
export {};
