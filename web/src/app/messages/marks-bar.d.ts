import type { StreamMarks } from "../../lib/index.ts";
/** The bar. */
export declare class MarksBar {
    #private;
    readonly element: HTMLElement;
    constructor();
    /** Shows the marks; `head` is the number of messages known. */
    show(head: number, marks: StreamMarks): void;
}
