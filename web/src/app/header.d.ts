import type { StreamConnection } from "../lib/index.ts";
/** The header. */
export declare class Header {
    #private;
    readonly element: HTMLElement;
    constructor(connection: StreamConnection, onTheme: () => void, newStream: HTMLElement, account: HTMLElement);
}
/** Restores the theme that was chosen before; without one the page follows the system. */
export declare function restoreTheme(): void;
