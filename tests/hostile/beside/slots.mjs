// Handshakes from four addresses that nobody goes on with: more than a relay's shard has places for.

import { halfOpen, sessionsOf } from "../a5-handshakes.mjs";

const HANDSHAKES = 1_100;
/** The relay gives up a handshake after some seconds: then it is begun again. */
const AGAIN_MS = 4_000;

/** @type {import("../beside.mjs").Beside} */
export const slots = {
  name: "slots",
  prepare: ({ target, stream }) => sessionsOf(target, stream, HANDSHAKES),
  run: async ({ prepared }, signal) => {
    let [begun, answered, rounds] = [0, 0, 0];
    while (!signal.aborted) {
      const peers = await halfOpen(prepared);
      begun += peers.length;
      rounds += 1;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      answered += peers.filter(({ received }) => received.length > 0).length;
      for (const peer of peers) peer.close();
    }
    return [`${begun} handshakes begun in ${rounds} rounds for ${prepared.length} sessions, ${answered} answered`];
  },
};
