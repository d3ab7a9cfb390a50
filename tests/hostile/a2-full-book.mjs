import { setTimeout as delay } from "node:timers/promises";

const STREAMS = 4;
/** Each makes a segment of its own: about one a second. */
const ROUNDS = 6;
const ROUND_MS = 1_200;

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "A2-full-book",
  title: "Fill the Anchorer's book with segments of streams that their owners never open on the contract.",
  needs: ["chain"],
  run: async (target, tally) => {
    const streams = [];
    for (let i = 0; i < STREAMS; i += 1) streams.push(await target.ownStream({ anchor: "own" }));
    const before = (await target.status()).anchorer.pendingSegments;
    for (let round = 0; round < ROUNDS; round += 1) {
      await Promise.all(streams.map(({ id, token }) => target.publish(id, `round ${round}`, { token })));
      await delay(ROUND_MS);
    }
    // The outbox hands segments over within a second or two.
    await delay(2 * ROUND_MS);
    const after = (await target.status()).anchorer.pendingSegments;
    tally.note(
      `${STREAMS} streams that nobody opens, ${STREAMS * ROUNDS} segments: ${before} places before, ${after} after`,
    );
    tally.check(
      "places in the book for segments that can't be anchored",
      after - before <= STREAMS,
      `${after - before}`,
    );
  },
};
