import type { AnchorInfo, StreamMarks } from "../../lib/index.ts";
type Anchor = Omit<AnchorInfo, "state"> & {
    readonly state: "anchored" | "final" | "reverted";
};
/** The panel. */
export declare class AnchorPanel {
    #private;
    readonly element: HTMLElement;
    constructor(onShow: (seq: number) => void);
    /** Adds an anchor, or its new state. */
    add(anchor: Anchor): void;
    /** Shows the stream's marks. */
    marks(marks: StreamMarks): void;
}
export {};
