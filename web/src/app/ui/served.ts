// Whether the stream is served: by a session, or by HTTP while none opens.

import type { ConnectionState, StreamConnection } from "../../lib/index.ts";

/** Whether the stream is served in this state. */
export const isServed = (state: ConnectionState): boolean => state === "open" || state === "http";

/** Calls back whenever the stream begins to be served, or is served by the other channel. */
export function onServed(connection: StreamConnection, callback: () => void): void {
  let before: ConnectionState = "connecting";
  connection.on("state", ({ state }) => {
    const begins = state !== before && isServed(state);
    before = state;
    if (begins) callback();
  });
}
