// The judge of a chaos run, shown records with one fault each: what it does not see, no run will ever show.

import assert from "node:assert/strict";
import { test } from "node:test";
import { judge, messageId } from "./check.mjs";
import { PARTS, planKills } from "./plan.mjs";

interface Run {
  streams: { stream: string; head: number; messages: { seq: number; id: number }[] }[];
  publishers: { index: number; stream: string; reports: (number | null)[]; faults: string[] }[];
  subscribers: {
    index: number;
    stream: string;
    seen: number[];
    retractions: number;
    checked: number;
    faults: string[];
  }[];
}

/** Two publishers of three messages each, in turns on one stream, and a second stream; one subscriber of each. */
const faultless = (): Run => {
  const ids = [messageId(0, 0), messageId(1, 0), messageId(0, 1), messageId(1, 1), messageId(0, 2), messageId(1, 2)];
  const others = [messageId(2, 0), messageId(2, 1)];
  const stored = (list: number[]) => list.map((id, seq) => ({ seq, id }));
  return {
    streams: [
      { stream: "a", head: 6, messages: stored(ids) },
      { stream: "b", head: 2, messages: stored(others) },
    ],
    publishers: [
      { index: 0, stream: "a", reports: [0, 2, 4], faults: [] },
      { index: 1, stream: "a", reports: [1, null, 5], faults: [] },
      { index: 2, stream: "b", reports: [0, 1], faults: [] },
    ],
    subscribers: [
      { index: 0, stream: "a", seen: [...ids], retractions: 1, checked: 3, faults: [] },
      { index: 1, stream: "b", seen: [...others], retractions: 0, checked: 2, faults: [] },
    ],
  };
};

const at = <T>(list: T[], index: number): T => list[index] as T;

/** The kinds of faults that are found when `change` falsifies a record. */
const kindsOf = (change: (run: Run) => void): string[] => {
  const run = faultless();
  change(run);
  return judge(run)
    .faults.map((line) => line.split(":")[0] as string)
    .sort();
};

test("a record without a fault has none, and is counted", () => {
  const { faults, counts } = judge(faultless());
  assert.deepEqual(faults, []);
  assert.deepEqual(counts, { published: 8, reported: 8, stored: 8, delivered: 8, retractions: 1, checked: 5 });
});

test("a message that was reported stored and is not there is lost", () => {
  const kinds = kindsOf(({ streams, subscribers }) => {
    const stream = at(streams, 1);
    stream.messages.pop();
    stream.head = 1;
    at(subscribers, 1).seen.pop();
  });
  assert.deepEqual(kinds, ["lost"]);
});

test("a message that is stored twice is doubled", () => {
  const kinds = kindsOf(({ streams, subscribers }) => {
    const stream = at(streams, 1);
    stream.messages.push({ seq: 2, id: messageId(2, 1) });
    stream.head = 3;
    at(subscribers, 1).seen.push(messageId(2, 1));
  });
  assert.deepEqual(kinds, ["doubled"]);
});

test("a message that is stored in two streams is doubled", () => {
  const kinds = kindsOf(({ streams, subscribers }) => {
    const stream = at(streams, 1);
    stream.messages.push({ seq: 2, id: messageId(0, 1) });
    stream.head = 3;
    at(subscribers, 1).seen.push(messageId(0, 1));
  });
  assert.deepEqual(kinds, ["doubled"]);
});

test("messages in another order than they were sent are seen", () => {
  const kinds = kindsOf(({ streams, publishers, subscribers }) => {
    const stream = at(streams, 1);
    stream.messages = stream.messages.map(({ seq }) => ({ seq, id: messageId(2, 1 - seq) }));
    at(publishers, 2).reports = [1, 0];
    at(subscribers, 1).seen.reverse();
  });
  assert.deepEqual(kinds, ["order"]);
});

test("a missing seq and a head that promises more are gaps", () => {
  const skipped = kindsOf(({ streams, publishers }) => {
    at(at(streams, 1).messages, 1).seq = 2;
    at(publishers, 2).reports[1] = 2;
  });
  assert.deepEqual(skipped, ["gap"]);
  const promised = kindsOf(({ streams }) => {
    at(streams, 1).head = 3;
  });
  assert.deepEqual(promised, ["gap"]);
});

test("a message stored at another seq than reported has moved", () => {
  const kinds = kindsOf(({ publishers }) => {
    at(publishers, 0).reports[1] = 3;
  });
  assert.deepEqual(kinds, ["moved"]);
});

test("unreported and unpublished messages are seen", () => {
  const unanswered = kindsOf(({ publishers }) => {
    at(publishers, 0).reports[1] = -1;
  });
  assert.deepEqual(unanswered, ["unanswered"]);
  const stranger = kindsOf(({ publishers }) => {
    at(publishers, 0).reports.pop();
  });
  assert.deepEqual(stranger, ["stranger"]);
});

test("a missing, doubled or foreign message at a reader is seen", () => {
  const missing = kindsOf(({ subscribers }) => at(subscribers, 0).seen.pop());
  assert.deepEqual(missing, ["undelivered"]);
  const twice = kindsOf(({ subscribers }) => at(subscribers, 0).seen.splice(2, 0, messageId(1, 0)));
  assert.deepEqual(twice, ["misdelivered", "undelivered"]);
  const another = kindsOf(({ subscribers }) => {
    at(subscribers, 0).seen[5] = messageId(0, 2);
  });
  assert.deepEqual(another, ["misdelivered"]);
});

test("what the clients noted themselves is told", () => {
  const kinds = kindsOf(({ publishers, subscribers }) => {
    at(publishers, 0).faults.push("message 1 failed");
    at(subscribers, 0).faults.push("message 4 came where 3 was due");
  });
  assert.deepEqual(kinds, ["publisher", "subscriber"]);
});

test("one seed gives the same kills, each part equally often", () => {
  const plan = planKills({ seed: 42, kills: 24, minutes: 4 });
  assert.deepEqual(planKills({ seed: 42, kills: 24, minutes: 4 }), plan);
  assert.notDeepEqual(planKills({ seed: 43, kills: 24, minutes: 4 }), plan);
  for (const part of PARTS) assert.equal(plan.filter((kill) => kill.part === part).length, 6, part);
  const times = plan.map(({ atMs }) => atMs);
  assert.deepEqual(
    times,
    [...times].sort((a, b) => a - b),
  );
  assert.ok(times.every((time) => time >= 0 && time <= 4 * 60_000));
});
