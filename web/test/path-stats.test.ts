// Statistics as implementations for Node write them: fewer fields, older names, other units.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MAX_ROUND_TRIP_MS } from "../src/lib/limits.ts";
import { readCandidatePaths } from "../src/lib/session/candidate-paths.ts";
import { readPath, readSigns } from "../src/lib/session/path-stats.ts";

/** The report of libdatachannel's polyfill: no protocol, `ip` for the address, round trips in ms. */
const REPORT = new Map<string, object>(
  [
    { id: "local", type: "local-candidate", candidateType: "host", ip: "192.0.2.1", port: 4_000 },
    { id: "remote", type: "remote-candidate", candidateType: "host", ip: "192.0.2.7", port: 7_100 },
    {
      id: "pair",
      type: "candidate-pair",
      localCandidateId: "local",
      remoteCandidateId: "remote",
      state: "succeeded",
      nominated: true,
      bytesSent: 10,
      bytesReceived: 20,
      currentRoundTripTime: 40,
    },
    { id: "transport", type: "transport", selectedCandidatePairId: "pair" },
  ].map((entry) => [entry.id, entry]),
);

describe("the statistics of a package for Node", () => {
  test("have the path's addresses", () => {
    const path = readPath(REPORT);
    assert.deepEqual(
      [path?.protocol, path?.localAddress, path?.remoteAddress],
      ["udp", "192.0.2.1:4000", "192.0.2.7:7100"],
    );
  });

  test("show which candidate path is used", () => {
    const known = {
      addresses: ["udp 192.0.2.7:7100", "tcp 192.0.2.7:7100"],
      servers: [],
      tried: new Set(""),
      errors: [],
    };
    assert.deepEqual(
      readCandidatePaths(REPORT, known).map(({ id, outcome }) => [id, outcome]),
      [
        ["udp", "used"],
        ["tcp", "silent"],
      ],
    );
  });

  test("with round trips in ms make no silence of a minute", () => {
    assert.equal(readSigns(REPORT).rttMs, MAX_ROUND_TRIP_MS);
  });
});
