// Handshakes from four addresses that nobody goes on with: more than a relay's shard has places for.

import { halfOpen } from "../a5-handshakes.mjs";
import { newName } from "../lib/target.mjs";

const HANDSHAKES = 1_100;
const PER_ROUND = 100;

/** @type {import("../beside.mjs").Beside} */
export const slots = {
  name: "slots",
  run: async ({ target, stream }, signal) => {
    const peers = [];
    let opened = 0;
    // At the honest stream's own shard; what the relay has dropped is begun again until the time is over.
    while (!signal.aborted) {
      const some = await halfOpen(target, stream, PER_ROUND);
      opened += some.length;
      peers.push(...some);
      while (peers.length > HANDSHAKES) peers.shift()?.close();
    }
    const answered = peers.filter(({ received }) => received.length > 0).length;
    for (const peer of peers) peer.close();
    return [`${opened} handshakes begun (run ${newName("slots")}), ${answered} of the last ${peers.length} answered`];
  },
};
