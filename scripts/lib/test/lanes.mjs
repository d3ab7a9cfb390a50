// Runs test groups: one after the other, or, where both may, two side by side. Groups that start a system wait more than
// they compute, so two of them take little longer than the longer one.

/** How many groups run side by side: with three, a machine of two cores is so loaded that waits run out. */
const LANES = 2;

/**
 * Runs the groups in their order and gives back their results in that order. A group that may not run beside others waits
 * until all before it have ended, and those behind it wait for it.
 * @template {{ besideOthers?: boolean }} G
 * @template R
 * @param {readonly G[]} groups
 * @param {(group: G, isAlone: boolean) => Promise<R>} run
 * @param {number} lanes
 * @returns {Promise<R[]>}
 */
export const inLanes = async (groups, run, lanes = LANES) => {
  /** @type {R[]} */
  const results = new Array(groups.length);
  let next = 0;
  while (next < groups.length) {
    const first = next;
    while (groups[next]?.besideOthers) next += 1;
    if (next - first < 2 || lanes < 2) next = first + 1;
    const batch = groups.slice(first, next);
    let taken = 0;
    const lane = async () => {
      for (let at = taken++; at < batch.length; at = taken++) {
        const group = batch[at];
        if (group) results[first + at] = await run(group, batch.length === 1);
      }
    };
    await Promise.all(Array.from({ length: Math.min(lanes, batch.length) }, lane));
  }
  return results;
};
