// What one stream over several shards and relays costs: the leader's CPU for a message with more and more followers and subscribers, a
// follower's CPU for a delivery beside the leader's own, what two threads deliver beside one, a hop, and the memory of an idle
// link. `relay-testkit mesh` measures links inside a relay, `relay-testkit links` those between relay processes, both over real UDP
// on loopback.

import { buildRelay, buildRelayTestkit, relayPath } from "../scripts/lib/build/relay.mjs";
import { quantile, ratio, rounded } from "./lib/statistics.mjs";
import { testkit } from "./lib/testkit.mjs";

/**
 * @typedef {{ followers: number, subscribers: number, messages: number, rate: number, leaderMicrosPerMessage: number,
 *   idleMicrosPerSecond: number, delivered: number, gaps: number, bytesPerDelivery: number,
 *   followerMicrosPerDelivery: number }} LeaderPart
 * @typedef {{ readers: number, deliveriesPerSecond: number, microsPerDelivery: number, microsPerDeliveryOfAll: number,
 *   shares: number[], gaps: number }} Readers
 * @typedef {{ leader: Readers, follower: Readers, both: Readers }} Round
 * @typedef {{ p50Micros: number, p99Micros: number, delivered: number }} Delays
 * @typedef {{ leader: LeaderPart[], rounds: Round[], latency: { direct: Delays, hop: Delays } }} Inside
 * @typedef {{ streams: number, bytesPerStream: number }} Memory
 * @typedef {{ relays: number, rate: number, leaderMicrosPerMessage: number }} RelaysPart
 * @typedef {{ deliveries: number, gaps: number, microsPerDelivery: number, bytesPerReader: number }} Deliveries
 * @typedef {{ streams: number, leaderBytesPerStream: number, followerBytesPerStream: number }} BothMemory
 * @typedef {{ delayMs: number, latency: { direct: Delays, hop: Delays, delayed: Delays }[], leader: RelaysPart[],
 *   rounds: { readers: number, leader: Deliveries, follower: Deliveries }[],
 *   memory: { leader: BothMemory, follower: BothMemory } }} Between
 */

const BYTES = 100;
const MICROS_PER_MS = 1_000;
const MICROS_PER_SECOND = 1_000_000;
const KIB = 1_024;

/** @param {number} count @param {string} one @param {string} many */
const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/** @template T @param {readonly T[]} runs @param {(run: T) => number} of */
const middle = (runs, of) => quantile(runs.map(of), 0.5);

/** The runs of each case, in the order of their first ones. @template T @param {readonly T[]} runs @param {(run: T) => string} of */
const cases = (runs, of) => {
  /** @type {Map<string, T[]>} */
  const groups = new Map();
  for (const run of runs) groups.set(of(run), [...(groups.get(of(run)) ?? []), run]);
  return [...groups.values()];
};

/** @param {readonly LeaderPart[]} runs of one case */
const leaderRow = (runs) => {
  const [{ followers, subscribers, rate } = /** @type {LeaderPart} */ ({})] = runs;
  const sum = (/** @type {(run: LeaderPart) => number} */ of) => runs.map(of).reduce((a, b) => a + b, 0);
  const gaps = sum((run) => run.gaps);
  const costs = [
    `${rounded(middle(runs, (run) => run.followerMicrosPerDelivery))} µs of the followers' CPU`,
    `${rounded(middle(runs, (run) => run.bytesPerDelivery))} B sent a delivery`,
  ];
  return {
    figure: `leader's CPU a message, ${counted(followers, "follower", "followers")} with ${counted(subscribers, "subscriber", "subscribers")}, ${rate} messages/s`,
    value: rounded(middle(runs, (run) => run.leaderMicrosPerMessage)),
    unit: "µs",
    note: [
      `${sum((run) => run.delivered)} of ${sum((run) => run.messages * run.subscribers)} delivered`,
      gaps > 0 && `${gaps} in gaps`,
      subscribers > 0 && costs.join(" and "),
    ]
      .filter(Boolean)
      .join("; "),
  };
};

/** How the leader's CPU grows from the fewest subscribers to the most, in turns. @param {readonly LeaderPart[]} parts */
const growthRows = (parts) =>
  cases(
    parts.filter(({ followers }) => followers > 0),
    ({ followers }) => `${followers}`,
  ).map((runs) => {
    const counts = runs.map(({ subscribers }) => subscribers);
    const [least, most] = [Math.min(...counts), Math.max(...counts)];
    const of = (/** @type {number} */ count) => runs.filter(({ subscribers }) => subscribers === count);
    const few = of(least);
    const ratios = of(most).map((run, turn) => run.leaderMicrosPerMessage / (few[turn]?.leaderMicrosPerMessage ?? 1));
    return {
      figure: `leader's CPU a message with ${most} subscribers beside ${least}, ${counted(runs[0]?.followers ?? 0, "follower", "followers")}`,
      value: rounded(quantile(ratios, 0.5), 2),
      unit: "×",
      note: `in turns: ${ratios.map((one) => rounded(one, 2)).join(", ")}`,
    };
  });

/**
 * What a delivery costs where each goes out by itself, of the case with the most subscribers that had no gap.
 * @param {readonly LeaderPart[]} parts
 */
const slowRows = (parts) => {
  const whole = parts.filter(({ subscribers, gaps }) => subscribers > 0 && gaps === 0);
  const [largest = []] = cases(
    [...whole].sort((one, other) => other.subscribers - one.subscribers),
    ({ followers, subscribers }) => `${followers} ${subscribers}`,
  );
  const [{ rate, subscribers, followers } = /** @type {LeaderPart} */ ({})] = largest;
  const note = `${rate} messages/s to ${subscribers} subscribers on ${counted(followers, "follower", "followers")}`;
  return [
    {
      figure: "followers' CPU a delivery",
      value: rounded(middle(largest, (run) => run.followerMicrosPerDelivery)),
      unit: "µs",
      note,
    },
    {
      figure: "bytes sent a delivery",
      value: rounded(middle(largest, (run) => run.bytesPerDelivery)),
      unit: "B",
      note,
    },
  ];
};

/** @param {Round[]} rounds */
const deliveryRows = (rounds) => {
  const readers = rounds[0]?.leader.readers;
  const leader = middle(rounds, ({ leader }) => leader.microsPerDelivery);
  const follower = middle(rounds, ({ follower }) => follower.microsPerDelivery);
  const both = middle(rounds, ({ both }) => both.microsPerDeliveryOfAll);
  const besideLeader = middle(rounds, (round) => round.follower.microsPerDelivery / round.leader.microsPerDelivery);
  const besideOne = middle(rounds, (round) => round.leader.microsPerDelivery / round.both.microsPerDeliveryOfAll);
  /** @param {number} place */
  const share = (place) => rounded(100 * middle(rounds, ({ both }) => both.shares[place] ?? 0));
  return [
    {
      figure: `CPU a delivery of ${BYTES} B at a shard that follows, ${readers} subscribers, as many as go through`,
      value: rounded(follower),
      unit: "µs",
      note: `${rounded(besideLeader, 2)} × the leader's own (${rounded(leader)}), in turns`,
    },
    {
      figure: `deliveries a CPU-second of one stream with ${readers} readers on two shards`,
      value: rounded(MICROS_PER_SECOND / both),
      unit: "/s",
      note: [
        `${rounded(besideOne, 2)} × one shard (${rounded(MICROS_PER_SECOND / leader)}), in turns`,
        `${rounded(middle(rounds, ({ both }) => both.deliveriesPerSecond))} deliveries/s, one shard ${rounded(middle(rounds, ({ leader }) => leader.deliveriesPerSecond))}`,
        `the two threads used ${share(0)} and ${share(1)} % of a core each`,
      ].join("; "),
    },
  ];
};

/** @param {string} over @param {Delays} hop @param {Delays} direct */
const latencyRows = (over, hop, direct) =>
  /** @type {const} */ ([
    { name: "p50", field: "p50Micros" },
    { name: "p99", field: "p99Micros" },
  ]).map(({ name, field }) => ({
    figure: `publish → deliver over one link ${over}, ${name}`,
    value: rounded(hop[field] / MICROS_PER_MS),
    unit: "ms",
    note: ratio(hop[field] / MICROS_PER_MS, direct[field] / MICROS_PER_MS, "at the leader itself"),
  }));

/** The middle of each quantile. @param {readonly Delays[]} runs @returns {Delays} */
const middleDelays = (runs) => ({
  p50Micros: middle(runs, ({ p50Micros }) => p50Micros),
  p99Micros: middle(runs, ({ p99Micros }) => p99Micros),
  delivered: runs.reduce((sum, { delivered }) => sum + delivered, 0),
});

/** @param {Memory} home @param {Memory} follower */
const memoryRow = (home, follower) => ({
  figure: "memory of an idle link inside a relay, both ends",
  value: rounded((follower.bytesPerStream - home.bytesPerStream) / KIB),
  unit: "KiB",
  note: `${home.streams} streams with a reader each: ${rounded(follower.bytesPerStream / KIB)} KiB over a link, ${rounded(home.bytesPerStream / KIB)} at home, client included`,
});

/** @param {Between["memory"]} memory */
const relayMemoryRow = ({ leader: home, follower: over }) => {
  const all = (/** @type {BothMemory} */ seen) => seen.leaderBytesPerStream + seen.followerBytesPerStream;
  const both = `${rounded(over.leaderBytesPerStream / KIB)} KiB at the leader and ${rounded(over.followerBytesPerStream / KIB)} at the follower`;
  return {
    figure: "memory of an idle link between relays, both ends",
    value: rounded((all(over) - all(home)) / KIB),
    unit: "KiB",
    note: `${home.streams} streams with a reader each: ${both}; without a link ${rounded(home.leaderBytesPerStream / KIB)}`,
  };
};

/** @param {Between} seen */
const relayRows = ({ delayMs, latency, leader, rounds, memory }) => {
  const direct = middleDelays(latency.map((turn) => turn.direct));
  const { readers, follower } = /** @type {Between["rounds"][number]} */ (rounds[0]);
  const beside = middle(rounds, (round) => round.follower.microsPerDelivery / round.leader.microsPerDelivery);
  const own = middle(rounds, (round) => round.leader.microsPerDelivery);
  return [
    ...cases(leader, ({ relays }) => `${relays}`).map((runs) => ({
      figure: `leading relay's CPU a message, ${counted(runs[0]?.relays ?? 0, "relay follows", "relays follow")}, ${runs[0]?.rate} messages/s`,
      value: rounded(middle(runs, (run) => run.leaderMicrosPerMessage)),
      unit: "µs",
      note: `the whole process; in turns: ${runs.map((run) => rounded(run.leaderMicrosPerMessage)).join(", ")}`,
    })),
    {
      figure: `CPU a delivery of ${BYTES} B at a relay that follows, ${readers} subscribers, as many as go through`,
      value: rounded(middle(rounds, (round) => round.follower.microsPerDelivery)),
      unit: "µs",
      note: `${rounded(beside, 2)} × the leader's own (${rounded(own)}), in turns; the whole process`,
    },
    {
      figure: "memory of a relay for each subscriber",
      value: rounded(follower.bytesPerReader / KIB),
      unit: "KiB",
      note: `${readers} subscribers of one stream, just connected`,
    },
    ...latencyRows("between relays", middleDelays(latency.map((turn) => turn.hop)), direct),
    ...latencyRows(`between relays, ${delayMs} ms each way`, middleDelays(latency.map((turn) => turn.delayed)), direct),
    relayMemoryRow(memory),
  ];
};

const run = async () => {
  await buildRelay();
  await buildRelayTestkit();
  const payload = ["--payload", BYTES];
  /** @type {Inside} */
  const { leader, rounds, latency } = testkit("mesh", payload);
  const [home, follower] = ["leader", "follower"].map((at) => testkit("mesh", [...payload, "--memory-at", at]));
  /** @type {Between} */
  const between = testkit("links", [...payload, "--relay", relayPath()]);
  return [
    ...cases(leader, ({ followers, subscribers }) => `${followers} ${subscribers}`).map(leaderRow),
    ...growthRows(leader),
    ...slowRows(leader),
    ...deliveryRows(rounds),
    ...latencyRows("inside a relay", latency.hop, latency.direct),
    memoryRow(home, follower),
    ...relayRows(between),
  ];
};

/** It builds what it uses. */
export const needsBuild = false;

export const benches = [{ name: "mesh", run }];
