import type { StateName } from "../texts/english.ts";
/** Four pips, filled as far as the message has come: readable without colour. */
export declare function statePips(state: StateName): SVGElement;
declare const PATHS: {
    readonly share: "M9 6H5a1 1 0 0 0-1 1v8a1 1 0 0 0 1 1h8a1 1 0 0 0 1-1v-4M11 4h5v5M16 4l-7 7";
    readonly sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM10 2v2M10 16v2M2 10h2M16 10h2M4.3 4.3l1.5 1.5M14.2 14.2l1.5 1.5M15.7 4.3l-1.5 1.5M5.8 14.2l-1.5 1.5";
    readonly moon: "M16 11.5A6.5 6.5 0 0 1 8.5 4a6.5 6.5 0 1 0 7.5 7.5z";
    readonly person: "M10 3.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM4 16.5c.6-3.2 2.8-5 6-5s5.4 1.8 6 5";
    readonly close: "M5 5l10 10M15 5L5 15";
    readonly check: "M4 10.5l4 4 8-9";
    readonly cross: "M5.5 5.5l9 9M14.5 5.5l-9 9";
    readonly alert: "M10 3l7.5 13.5h-15zM10 8v4M10 14.2v.3";
    readonly info: "M10 2.5a7.5 7.5 0 1 0 0 15 7.5 7.5 0 0 0 0-15zM10 9v5M10 6.2v.3";
    readonly copy: "M8 8h8v8H8zM5 12H4V4h8v1";
    readonly down: "M10 4v11M5 10.5l5 5 5-5";
};
/** A line icon of 20 units, in the text's colour. */
export declare function icon(name: keyof typeof PATHS): SVGElement;
/** The sign of the product: four messages on one line, three of them linked. */
export declare function brandMark(): SVGElement;
export {};
