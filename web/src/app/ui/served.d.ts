import type { ConnectionState, StreamConnection } from "../../lib/index.ts";
/** Whether the stream is served in this state. */
export declare const isServed: (state: ConnectionState) => boolean;
/** Calls back whenever the stream begins to be served, or is served by the other channel. */
export declare function onServed(connection: StreamConnection, callback: () => void): void;
