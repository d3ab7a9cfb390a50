/** The three latencies that are measured. */
type Series = "accepted" | "stored" | "received";
/** The panel. */
export declare class LatencyPanel {
    #private;
    readonly element: HTMLElement;
    constructor();
    /** Adds a measurement, in ms. */
    add(series: Series, ms: number): void;
    /** Draws again with changed colours. */
    redraw(): void;
}
export {};
