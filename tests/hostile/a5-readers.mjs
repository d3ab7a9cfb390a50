import { Reader } from "./lib/events.mjs";
import { newAddress } from "./lib/target.mjs";

/** As many as follow one stream at a time. */
const READERS = 1_020;
const AT_ONCE = 50;
const PATIENCE_MS = 10_000;

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "A5-readers",
  title: "Take all places for readers of a stream's events from one address.",
  needs: [],
  run: async (target, tally) => {
    const stream = await target.ownStream();
    const greedy = newAddress();
    /** @type {Reader[]} */
    const readers = [];
    for (let i = 0; i < READERS; i += AT_ONCE) {
      const some = Array.from({ length: AT_ONCE }, () => new Reader(target, stream.id, { address: greedy }));
      readers.push(...some);
      await Promise.all(some.map(({ opened }) => opened));
      // Once one is refused, so are the others.
      if (some.every(({ status }) => status !== 200)) break;
    }
    const took = readers.filter(({ status }) => status === 200).length;
    tally.note(`${took} of ${readers.length} readers from one address were let in`);
    const other = new Reader(target, stream.id, { address: newAddress() });
    const limit = new Promise((resolve) => setTimeout(resolve, PATIENCE_MS, 0));
    const status = await Promise.race([other.opened, limit]);
    tally.check("a reader from another address", status === 200, `${status}`);
    const owner = new Reader(target, stream.id, { address: newAddress(), token: stream.token });
    tally.check("the owner", (await Promise.race([owner.opened, limit])) === 200);
    for (const reader of [...readers, other, owner]) reader.close();
  },
};
