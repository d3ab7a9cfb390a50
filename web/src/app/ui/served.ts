// Whether messages come and go: by a session, or by HTTP while none opens.

import type { ConnectionState, StreamConnection } from "../../lib/index.ts";

/** Whether the stream is followed in this state. */
export const isServed = (state: ConnectionState): boolean => state === "open" || state === "http";

/** Calls back whenever the stream begins to be followed, or is followed in another way. */
export function onServed(connection: StreamConnection, callback: () => void): void {
  let before: ConnectionState = "connecting";
  connection.on("state", ({ state }) => {
    const begins = state !== before && isServed(state);
    before = state;
    if (begins) callback();
  });
}
