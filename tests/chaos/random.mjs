// Pseudo-random numbers: the same seed gives the same numbers.

/** Largest seed, so that one is short to type. */
export const MAX_SEED = 2 ** 32 - 1;

/** mulberry32: 32 bits of state, which is plenty for a schedule. @param {number} seed */
export const randomFrom = (seed) => {
  let state = seed >>> 0;
  /** From 0 to below 1. */
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    /** A whole number from `low` to `high`, both included. @param {number} low @param {number} high */
    between: (low, high) => low + Math.floor(next() * (high - low + 1)),
    /** The items in another order. @template T @param {readonly T[]} items */
    shuffled: (items) => {
      const left = [...items];
      return items.flatMap(() => left.splice(Math.floor(next() * left.length), 1));
    },
  };
};
