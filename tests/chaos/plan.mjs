// What is killed, when, and how long it stays dead: a function of the seed alone.

import { randomFrom } from "./random.mjs";

/**
 * What can be killed. `leader` is the relay that leads a stream, `follower` another one. `worker` is workerd, the process that
 * the Worker runs in, and not only its keeper.
 */
export const PARTS = /** @type {const} */ (["leader", "follower", "worker", "chain"]);

/**
 * @typedef {typeof PARTS[number]} KilledPart
 * @typedef {{ atMs: number, part: KilledPart, downMs: number, goodbye: boolean, pick: number }} Kill
 *   `goodbye`: whether a relay is told to stop, and not killed; `pick`: chooses the stream, and the follower
 */

/** Largest `pick`. */
const MAX_PICK = 1_000_000;

/** How long a killed part stays dead at most, ms: beyond a relay's lease (10 s) only now and then. */
const SHORT_DEATH_MS = 3_000;
const LONG_DEATH_MS = 12_000;
const LONG_DEATH_ONE_IN = 8;

/**
 * The kills of a run, in order: each part as often as the others (they differ by one at most), spread over the run
 * at random, so that some fall into the restart of another part.
 * @param {{ seed: number, kills: number, minutes: number }} options
 * @returns {Kill[]}
 */
export const planKills = ({ seed, kills, minutes }) => {
  const random = randomFrom(seed);
  /** @type {KilledPart[]} */
  const parts = [];
  while (parts.length < kills) parts.push(...random.shuffled(PARTS));
  const spanMs = minutes * 60_000;
  const slotMs = spanMs / kills;
  return parts.slice(0, kills).map((part, slot) => {
    const long = random.between(1, LONG_DEATH_ONE_IN) === 1;
    const downMs = random.between(0, long ? LONG_DEATH_MS : SHORT_DEATH_MS);
    const atMs = Math.round((slot + random.next()) * slotMs);
    const goodbye = random.between(0, 1) === 1;
    return { atMs, part, downMs, goodbye, pick: random.between(0, MAX_PICK) };
  });
};
