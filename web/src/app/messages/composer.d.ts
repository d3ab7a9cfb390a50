import { type StreamConnection } from "../../lib/index.ts";
/** What the composer needs of the page. */
interface ComposerOptions {
    /** Publishes a text, or throws a `StreamChainError`. */
    readonly publish: (text: string) => void;
    readonly connection: StreamConnection;
}
/** The field, its buttons and its notes. */
export declare class Composer {
    #private;
    readonly element: HTMLFormElement;
    constructor(options: ComposerOptions);
    /** Shows how many messages of this page are not stored, and whether the browser keeps them over a reload. */
    showWaiting(count: number, kept: boolean): void;
}
export {};
