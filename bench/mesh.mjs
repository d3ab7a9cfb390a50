// What one stream over several shards costs: the leader's CPU for a message with more and more followers and subscribers, a
// follower's CPU for a delivery beside the leader's own, what two threads deliver beside one, a hop, and the memory of an idle
// link. `relay-testkit mesh` measures it over real UDP on loopback. The links are those inside a relay.

import { spawnSync } from "node:child_process";
import { buildRelayTestkit, relayTestkitPath } from "../scripts/lib/build/relay.mjs";
import { quantile, ratio, rounded } from "./lib/statistics.mjs";

/**
 * @typedef {{ followers: number, subscribers: number, messages: number, rate: number, leaderMicrosPerMessage: number,
 *   idleMicrosPerSecond: number, delivered: number, gaps: number, bytesPerDelivery: number,
 *   followerMicrosPerDelivery: number }} LeaderPart
 * @typedef {{ readers: number, deliveriesPerSecond: number, microsPerDelivery: number, microsPerDeliveryOfAll: number,
 *   shares: number[], gaps: number }} Readers
 * @typedef {{ leader: Readers, follower: Readers, both: Readers }} Round
 * @typedef {{ p50Micros: number, p99Micros: number, delivered: number }} Delays
 * @typedef {{ leader: LeaderPart[], rounds: Round[], latency: { direct: Delays, hop: Delays } }} Measured
 * @typedef {{ streams: number, bytesPerStream: number }} Memory
 */

const BYTES = 100;
const MICROS_PER_MS = 1_000;
const MICROS_PER_SECOND = 1_000_000;

/** @param {string[]} more @returns {any} */
const testkit = (...more) => {
  const { status, stdout, stderr } = spawnSync(relayTestkitPath(), ["mesh", "--payload", `${BYTES}`, ...more], {
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`relay-testkit mesh: exit code ${status}\n${stderr}`);
  return JSON.parse(stdout.slice(stdout.indexOf("{")));
};

/** @param {number} count @param {string} one @param {string} many */
const counted = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/** @param {LeaderPart} part */
const leaderRow = ({ followers, subscribers, rate, delivered, gaps, messages, ...its }) => ({
  figure: `leader's CPU a message, ${counted(followers, "follower", "followers")} with ${counted(subscribers, "subscriber", "subscribers")}, ${rate} messages/s`,
  value: rounded(its.leaderMicrosPerMessage),
  unit: "µs",
  note: [
    `${delivered} of ${messages * subscribers} delivered`,
    gaps > 0 && `${gaps} in gaps`,
    subscribers > 0 &&
      `${rounded(its.followerMicrosPerDelivery)} µs of the followers' CPU and ${rounded(its.bytesPerDelivery)} B sent a delivery`,
  ]
    .filter(Boolean)
    .join("; "),
});

/**
 * What a delivery costs where each goes out by itself, of the run with the most subscribers that had no gap.
 * @param {LeaderPart[]} parts
 */
const slowRows = (parts) => {
  const whole = parts.filter(({ subscribers, gaps }) => subscribers > 0 && gaps === 0);
  const [largest = parts[0]] = whole.sort((one, other) => other.subscribers - one.subscribers);
  const { rate, subscribers, followers } = /** @type {LeaderPart} */ (largest);
  const note = `${rate} messages/s to ${subscribers} subscribers on ${counted(followers, "follower", "followers")}`;
  return [
    { figure: "followers' CPU a delivery", value: rounded(largest?.followerMicrosPerDelivery ?? 0), unit: "µs", note },
    { figure: "bytes sent a delivery", value: rounded(largest?.bytesPerDelivery ?? 0), unit: "B", note },
  ];
};

/** @param {Round[]} rounds @param {(round: Round) => number} of */
const middle = (rounds, of) => quantile(rounds.map(of), 0.5);

/** @param {Round[]} rounds */
const deliveryRows = (rounds) => {
  const readers = rounds[0]?.leader.readers;
  const leader = middle(rounds, ({ leader }) => leader.microsPerDelivery);
  const follower = middle(rounds, ({ follower }) => follower.microsPerDelivery);
  const both = middle(rounds, ({ both }) => both.microsPerDeliveryOfAll);
  /** @param {number} place */
  const share = (place) => rounded(100 * middle(rounds, ({ both }) => both.shares[place] ?? 0));
  return [
    {
      figure: `CPU of a follower a delivery of ${BYTES} B to ${readers} subscribers, as many as go through`,
      value: rounded(follower),
      unit: "µs",
      note: ratio(follower, leader, "the leader's own"),
    },
    {
      figure: `deliveries a CPU-second of one stream with ${readers} readers on two shards`,
      value: rounded(MICROS_PER_SECOND / both),
      unit: "/s",
      note: [
        ratio(leader, both, `one shard (${rounded(MICROS_PER_SECOND / leader)})`),
        `${rounded(middle(rounds, ({ both }) => both.deliveriesPerSecond))} deliveries/s, one shard ${rounded(middle(rounds, ({ leader }) => leader.deliveriesPerSecond))}`,
        `the two threads used ${share(0)} and ${share(1)} % of a core each`,
      ].join("; "),
    },
  ];
};

/** @param {Measured["latency"]} latency */
const latencyRows = ({ direct, hop }) =>
  /** @type {const} */ ([
    { name: "p50", field: "p50Micros" },
    { name: "p99", field: "p99Micros" },
  ]).map(({ name, field }) => ({
    figure: `publish → deliver over one link inside a relay, ${name}`,
    value: rounded(hop[field] / MICROS_PER_MS),
    unit: "ms",
    note: ratio(hop[field] / MICROS_PER_MS, direct[field] / MICROS_PER_MS, "at the leader itself"),
  }));

/** @param {Memory} home @param {Memory} follower */
const memoryRow = (home, follower) => ({
  figure: "memory of an idle link, both ends",
  value: rounded((follower.bytesPerStream - home.bytesPerStream) / 1_024),
  unit: "KiB",
  note: `${home.streams} streams with a reader each: ${rounded(follower.bytesPerStream / 1_024)} KiB over a link, ${rounded(home.bytesPerStream / 1_024)} at home, client included`,
});

const run = async () => {
  await buildRelayTestkit();
  /** @type {Measured} */
  const { leader, rounds, latency } = testkit();
  const [home, follower] = ["leader", "follower"].map((at) => testkit("--memory-at", at));
  return [
    ...leader.map(leaderRow),
    ...slowRows(leader),
    ...deliveryRows(rounds),
    ...latencyRows(latency),
    memoryRow(home, follower),
  ];
};

export const benches = [{ name: "mesh", run }];
