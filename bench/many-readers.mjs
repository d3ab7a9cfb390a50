// One stream with as many readers as this machine carries: they are spread over relays that follow the leader, all of them processes
// of their own with their real links, and receive what is published. `relay-testkit links --largest` is leader, followers and clients.

import { buildRelay, buildRelayTestkit, relayPath } from "../scripts/lib/build/relay.mjs";
import { rounded } from "./lib/statistics.mjs";
import { testkit } from "./lib/testkit.mjs";

/**
 * @typedef {{ readers: number, followers: number, shards: number, rate: number, connectSeconds: number, messages: number,
 *   delivered: number, gaps: number, leaderShare: number, followersShare: number, bytesPerReader: number,
 *   latency: { p50Micros: number, p99Micros: number } }} Seen
 */

/** Each reader is an open file of one process, of which many systems let it have 20,000. */
const READERS = 18_000;
const FOLLOWERS = 3;
const SHARDS = 2;
const RATE = 1;
const SECONDS = 30;
const BYTES = 100;

const run = async () => {
  await buildRelay();
  await buildRelayTestkit();
  /** @type {Seen} */
  const seen = testkit("links", [
    ...["--relay", relayPath(), "--payload", BYTES, "--largest", READERS, "--followers", FOLLOWERS],
    ...["--shards", SHARDS, "--rate", RATE, "--seconds", SECONDS],
  ]);
  const { readers, followers, shards, rate, messages, delivered, gaps, latency } = seen;
  const where = `on ${followers} following relays of ${shards} threads, ${rate} message/s`;
  return [
    {
      figure: `readers of one stream ${where}`,
      value: readers,
      unit: "readers",
      note: [
        `${delivered} of ${messages * readers} deliveries, ${gaps} in gaps`,
        `connected in ${rounded(seen.connectSeconds)} s`,
        `p50 ${rounded(latency.p50Micros / 1_000)} ms, p99 ${rounded(latency.p99Micros / 1_000)} ms`,
        `the leading relay used ${rounded(100 * seen.leaderShare)} % of a core, all others ${rounded(100 * seen.followersShare)} %`,
        `${rounded(seen.bytesPerReader / 1_024)} KiB of the relays' memory a reader`,
      ].join("; "),
    },
  ];
};

/** It builds what it uses. */
export const needsBuild = false;

export const benches = [{ name: "many readers", run }];
