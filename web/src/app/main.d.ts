import * as lib from "../lib/index.ts";
declare global {
    interface Window {
        /** The page's connection, its library and its messages: for tests and for the browser's console. */
        streamchain: {
            connection: lib.StreamConnection;
            lib: typeof lib;
            messages: () => lib.StreamMessage[];
        };
    }
}
