// The messages that an earlier page left, as its producer keeps them.

import type { KeptGroup } from "./kept-groups.ts";
import type { Producer } from "./producer.ts";
import { Publication } from "./publication.ts";

/** The kept messages, in order. */
function keptMessages(producer: Producer, groups: readonly KeptGroup[]): Publication[] {
  return producer.kept(groups).map(({ producerSeq, payload }) => {
    const publication = new Publication(payload);
    publication.control.producerSeq = producerSeq;
    publication.control.kept = true;
    publication.control.restored = true;
    publication.control.inDoubt = producer.key === undefined; // the earlier page may have sent it
    return publication;
  });
}

/**
 * The messages of an earlier page that are to be sent. What it signed, and so may have sent, is sent again as it was
 * signed; what it had not signed yet was sent nowhere.
 */
export function restoreMessages(producer: Producer): Publication[] {
  const groups = producer.keptGroups();
  const messages = keptMessages(producer, groups);
  if (producer.key === undefined) return messages;
  for (const { first, count, previous, signature } of groups) {
    const members = messages.filter(({ producerSeq }) => producerSeq >= first && producerSeq < first + count);
    if (members.length !== count) continue;
    for (const { control } of members) {
      control.group = { first, count, previous, signature, publications: members };
      control.inDoubt = true;
    }
  }
  const { next } = producer.chain;
  const isUsable = ({ control, producerSeq }: Publication): boolean => control.group !== null || producerSeq >= next;
  for (const message of messages) if (!isUsable(message)) producer.drop(message.producerSeq);
  const usable = messages.filter(isUsable);
  producer.rewindTo(Math.max(next, (usable.at(-1)?.producerSeq ?? -1) + 1));
  return usable;
}

/** Whether the groups that wait follow each other from `expected` on, up to the end of the producer's chain. */
export function isChained(waiting: readonly Publication[], expected: number, producer: Producer): boolean {
  let next = expected;
  let first = expected;
  for (const { control, producerSeq } of waiting) {
    if (control.group === null) break;
    if (control.group.first === producerSeq) first = producerSeq;
    if (producerSeq !== next || control.group.first !== first) return false;
    next++;
  }
  return next === producer.chain.next;
}
