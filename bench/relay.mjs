// What one relay does: deliveries per second to more and more subscribers, publish → deliver without a browser, and how
// long those inside their rates wait while others flood it. `relay-testkit bench` measures it: one shard, real UDP on
// loopback, clients in another thread, an edge that stores at once.

import { buildRelayTestkit } from "../scripts/lib/build/relay.mjs";
import { udpEchoTimes } from "./lib/echo.mjs";
import { median, quantile, ratio, rounded } from "./lib/statistics.mjs";
import { testkit } from "./lib/testkit.mjs";

/**
 * @typedef {{ subscribers: number, deliveriesPerSecond: number, deliveriesPerRelayCpuSecond?: number, published: number,
 *   seconds: number, gaps: number }} FanOut
 * @typedef {{ p50: number, p90: number }} Micros
 * @typedef {{ calm: number, flooders: number, aloneMicros: Micros, besideMicros: Micros, taken: number, limited: number }} Flood
 * @typedef {{ latency: { p50Micros: number, p99Micros: number, delivered: number, messages: number }, fanOut: FanOut[],
 *   flood: Flood, signed: Signed }} Measured
 * @typedef {{ unsigned: number, signed: number }} Both
 * @typedef {{ bytes: { messages: number, sent: Both, delivered: Both, stored: Both }[],
 *   checks: { messages: number, groups: number, unsignedMicros: number, signedMicros: number, checkMicros: number }[],
 *   messagesInGroup: number, rounds: { unsigned: FanOut, signed: FanOut, inParts: FanOut, unasked: FanOut }[] }} Signed
 */

const SUBSCRIBERS = [1, 10, 100, 1_000];
const BYTES = 100;
const SECONDS = 5;
const PER_SECOND = 1_000;
const MICROS_PER_MS = 1_000;

/** @returns {Measured} */
const measured = () =>
  testkit("bench", ["--subscribers", SUBSCRIBERS.join(","), "--payload", BYTES, "--seconds", SECONDS]);

/** @param {FanOut} run */
const deliveryRow = (run) => ({
  figure: `deliveries of ${BYTES} B to ${run.subscribers} ${run.subscribers === 1 ? "subscriber" : "subscribers"}`,
  value: rounded(run.deliveriesPerSecond),
  unit: "/s",
  note: [
    run.deliveriesPerRelayCpuSecond && `${rounded(run.deliveriesPerRelayCpuSecond)} per second of the relay's CPU`,
    `${rounded(run.published / run.seconds)} messages/s published`,
    run.gaps > 0 && `${run.gaps} gaps`,
  ]
    .filter(Boolean)
    .join("; "),
});

/** @param {Measured["latency"]} latency @param {number[]} echoes */
const latencyRows = (latency, echoes) =>
  /** @type {const} */ ([
    { name: "p50", field: "p50Micros", q: 0.5 },
    { name: "p99", field: "p99Micros", q: 0.99 },
  ]).map(({ name, field, q }) => ({
    figure: `publish → deliver, ${name}, ${PER_SECOND} messages/s of ${BYTES} B, native clients`,
    value: rounded(latency[field] / MICROS_PER_MS),
    unit: "ms",
    note: ratio(latency[field] / MICROS_PER_MS, quantile(echoes, q), "UDP echo between Node processes"),
  }));

/** @param {Flood} flood */
const floodRows = ({ calm, flooders, aloneMicros, besideMicros, taken, limited }) =>
  /** @type {const} */ (["p50", "p90"]).map((name) => ({
    figure: `publish → accepted, ${name}, ${calm} clients beside ${flooders} far over their rates`,
    value: rounded(besideMicros[name] / MICROS_PER_MS),
    unit: "ms",
    note: [
      ratio(besideMicros[name] / MICROS_PER_MS, aloneMicros[name] / MICROS_PER_MS, "the same ten alone"),
      `none refused or lost; of the flood ${taken} taken, ${limited} told to wait`,
    ].join("; "),
  }));

/** @param {Signed["bytes"][number]} group */
const bytesRow = ({ messages, sent, delivered, stored }) => ({
  figure: `bytes of a message of ${BYTES} B in a group of ${messages}, as the author sends it`,
  value: rounded(sent.signed),
  unit: "B",
  note: [
    `unsigned ${rounded(sent.unsigned)}`,
    `delivered with its signature ${rounded(delivered.signed)}, without ${rounded(delivered.unsigned)}`,
    `stored ${rounded(stored.signed)}, unsigned ${rounded(stored.unsigned)}`,
  ].join("; "),
});

/** @param {Signed["checks"][number]} check */
const checkRow = ({ messages, groups, unsignedMicros, signedMicros, checkMicros }) => ({
  figure: `relay CPU to check a group of ${messages}`,
  value: rounded(checkMicros),
  unit: "µs",
  note: `${rounded(signedMicros)} for a group with all that follows, ${rounded(unsignedMicros)} for the same messages unsigned; ${groups} groups`,
});

/** @typedef {"signed" | "inParts" | "unasked"} SignedKind */

/**
 * The median of the rounds' ratios to the unsigned run of the same round.
 * @param {Signed["rounds"]} rounds @param {SignedKind} kind @param {(run: FanOut) => number | undefined} of
 */
const besideUnsigned = (rounds, kind, of) =>
  rounded(median(rounds.map((round) => (of(round[kind]) ?? 0) / (of(round.unsigned) ?? 1))), 2);

/**
 * @param {Signed} signed @param {SignedKind} kind @param {string} to
 */
const signedFanOutRow = ({ messagesInGroup, rounds }, kind, to) => {
  const perSecond = (/** @type {FanOut} */ run) => run.deliveriesPerSecond;
  const perCpu = (/** @type {FanOut} */ run) => run.deliveriesPerRelayCpuSecond;
  return {
    figure: `deliveries of ${BYTES} B to ${rounds[0]?.signed.subscribers} subscribers ${to}, ${messagesInGroup} in a signed group`,
    value: rounded(median(rounds.map((round) => perSecond(round[kind])))),
    unit: "/s",
    note: [
      `${besideUnsigned(rounds, kind, perSecond)} × the same unsigned, in turns with it`,
      `${besideUnsigned(rounds, kind, perCpu)} × per second of the relay's CPU`,
    ].join("; "),
  };
};

/** @param {Signed} signed */
const signedRows = (signed) => [
  ...signed.bytes.map(bytesRow),
  ...signed.checks.map(checkRow),
  signedFanOutRow(signed, "signed", "with signatures"),
  signedFanOutRow(signed, "inParts", "with signatures, as clients that take no whole groups"),
  signedFanOutRow(signed, "unasked", "without signatures"),
];

const run = async () => {
  await buildRelayTestkit();
  const { latency, fanOut, flood, signed } = measured();
  if (latency.delivered < latency.messages) throw new Error(`${latency.delivered} of ${latency.messages} delivered`);
  const echoes = await udpEchoTimes({ count: SECONDS * PER_SECOND, bytes: BYTES, perSecond: PER_SECOND });
  return [...fanOut.map(deliveryRow), ...latencyRows(latency, echoes), ...floodRows(flood), ...signedRows(signed)];
};

export const benches = [{ name: "relay", run }];
