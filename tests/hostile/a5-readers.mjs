import { Reader } from "./lib/events.mjs";
import { newAddress, until } from "./lib/target.mjs";

/** As many readers follow one stream at a time. */
const PLACES = 1_000;
const READERS = 1_050;
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
    tally.check("one address has no more than a share of the places", took < PLACES, `${took}`);
    const other = new Reader(target, stream.id, { address: newAddress() });
    const owner = new Reader(target, stream.id, { address: newAddress(), token: stream.token });
    await target.publish(stream.id, "for all", { token: stream.token });
    const reads = (/** @type {Reader} */ reader) => until(async () => reader.texts.includes("for all"), PATIENCE_MS);
    tally.check("a reader from another address", (await reads(other)) === true, `${other.status}`);
    tally.check("the owner", (await reads(owner)) === true, `${owner.status}`);
    for (const reader of [...readers, other, owner]) reader.close();
  },
};
