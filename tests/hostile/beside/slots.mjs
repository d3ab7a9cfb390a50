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
    /** @type {string[]} */
    const rounds = [];
    while (!signal.aborted) {
      const { peers, begun } = await halfOpen(prepared);
      rounds.push(`${begun} of ${peers.length}`);
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      for (const peer of peers) peer.close();
    }
    return [`handshakes begun in each round, of sessions whose token was good: ${rounds.join(", ")}`];
  },
};
