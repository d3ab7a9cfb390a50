// The judge of signed groups, shown records with one fault each.

import assert from "node:assert/strict";
import { test } from "node:test";
import { slice, stringToHex } from "viem";
import { keccakText, streamOf } from "../../contracts/test/vectors/messages.mjs";
import { groupOf, keyOf, ZERO } from "../../contracts/test/vectors/signed.mjs";
import { groupFaults } from "./groups.mjs";

type Hex = `0x${string}`;

const stream = streamOf("chaos").id;
const producer = slice(keccakText("producer"), 0, 16);
const { secret, key, author } = keyOf("author");

/** Three groups of one producer: two messages, one, and three. */
const faultless = () => {
  let [first, previous, seq] = [0, ZERO, 0];
  const groups = [2, 1, 3].map((size) => {
    const payloads = Array.from({ length: size }, (_, index) => stringToHex(`${first + index}`));
    const group = groupOf({ stream, author, producer, first, payloads, previous, secret });
    const listed = { seq, count: size, producer: producer.slice(2), producerSeq: first, previous, key };
    [first, previous, seq] = [first + size, group.digest, seq + size];
    return { ...listed, signature: group.signature, payloads };
  });
  const messages = groups.flatMap(({ payloads }) => payloads.map((payload) => ({ author, payload })));
  return { stream: "chaos", id: stream, messages, groups };
};

type Run = ReturnType<typeof faultless>;
const at = <T>(list: T[], index: number): T => list[index] as T;

/** What is found when `change` falsifies the record. */
const found = (change: (run: Run) => void): string => {
  const run = faultless();
  change(run);
  return groupFaults(run).join("\n");
};

test("groups without a fault have none", () => assert.deepEqual(groupFaults(faultless()), []));

test("a changed payload, order, author or signature does not hold", () => {
  const forgeries: ((run: Run) => void)[] = [
    (run) => {
      at(run.messages, 1).payload = "0x1234";
    },
    (run) => run.messages.splice(0, 2, at(run.messages, 1), at(run.messages, 0)),
    (run) => {
      for (const message of run.messages) message.author = `0x${"11".repeat(20)}`;
    },
    (run) => {
      const [group, other] = [at(run.groups, 0), at(run.groups, 1)];
      group.signature = other.signature as Hex;
    },
  ];
  for (const forge of forgeries) assert.match(found(forge), /chaos 0 has a signature that does not hold/);
});

test("a group that is cut, left out or stored twice is seen", () => {
  assert.match(
    found((run) => run.messages.pop()),
    /chaos 3 has 2 of 3 messages/,
  );
  const without = found((run) => {
    run.groups.splice(1, 1);
    run.messages.splice(2, 1);
    at(run.groups, 1).seq = 2;
  });
  assert.match(without, /chaos 2 begins at number 3, and 2 is next/);
  const twice = found((run) => {
    run.groups.push({ ...at(run.groups, 1), seq: 6 });
    run.messages.push(at(run.messages, 2));
  });
  assert.match(twice, /chaos 6 begins at number 2, and 6 is next/);
});

test("a message in no group is unsigned", () => {
  assert.match(
    found((run) => run.groups.pop()),
    /unsigned: 3 messages of chaos are in no group/,
  );
});
