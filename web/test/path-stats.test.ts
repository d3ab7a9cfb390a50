// Statistics as implementations for Node write them: fewer fields, older names, other units.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MAX_ROUND_TRIP_MS } from "../src/lib/limits.ts";
import { readCandidatePaths } from "../src/lib/session/candidate-paths.ts";
import { readPath, readSigns, withFormerIds } from "../src/lib/session/path-stats.ts";

/** The report of libdatachannel's polyfill: no protocol, `ip` for the address, round trips in ms, new ids each time. */
const reportOf = (suffix: string, bytesReceived: number, port = 4_000): Map<string, object> =>
  new Map(
    [
      { id: `local${suffix}`, type: "local-candidate", candidateType: "host", ip: "192.0.2.1", port },
      { id: `remote${suffix}`, type: "remote-candidate", candidateType: "host", ip: "192.0.2.7", port: 7_100 },
      {
        id: `pair${suffix}`,
        type: "candidate-pair",
        localCandidateId: `local${suffix}`,
        remoteCandidateId: `remote${suffix}`,
        state: "succeeded",
        nominated: true,
        bytesSent: 10,
        bytesReceived,
        currentRoundTripTime: 40,
      },
      { id: "transport", type: "transport", selectedCandidatePairId: `pair${suffix}` },
    ].map((entry) => [entry.id, entry]),
  );

const REPORT = reportOf("", 20);

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

  test("show the same pair under another id as the same", () => {
    const first = withFormerIds(readSigns(reportOf("A", 20)), null);
    const second = withFormerIds(readSigns(reportOf("B", 20)), first);
    const third = withFormerIds(readSigns(reportOf("C", 30)), second);
    assert.deepEqual(
      [first, second, third].map(({ bytesReceived }) => [...bytesReceived]),
      [[["pairA", 20]], [["pairA", 20]], [["pairA", 30]]],
    );
  });

  test("show a pair of other addresses, or begun anew, as another", () => {
    const first = withFormerIds(readSigns(reportOf("A", 20)), null);
    const moved = withFormerIds(readSigns(reportOf("B", 20, 4_001)), first);
    const anew = withFormerIds(readSigns(reportOf("B", 5)), first);
    assert.deepEqual(
      [...moved.bytesReceived, ...anew.bytesReceived],
      [
        ["pairB", 20],
        ["pairB", 5],
      ],
    );
  });
});
