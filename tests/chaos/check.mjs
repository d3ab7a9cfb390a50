// Judges a run: compares what publishers and subscribers got with what the edge has stored. Pure, so that tests can give
// it a record with any fault.

/**
 * @typedef {{ stream: string, head: number, messages: { seq: number, id: number }[] }} StoredStream what is stored
 * @typedef {{ index: number, stream: string, reports: (number | null)[], faults: string[] }} PublisherRecord
 *   `reports[n]`: where message n was reported stored; null: stored somewhere; -1: not reported
 * @typedef {{ index: number, stream: string, seen: number[], retractions: number, checked: number, faults: string[] }} SubscriberRecord
 * @typedef {Map<number, { stream: string, seq: number }>} Places where each message is, by its id
 */

/** Names a message for people. @param {number} id */
const nameOf = (id) => `${Math.floor(id / 2 ** 32)}/${id % 2 ** 32}`;

/**
 * The id that a message has in every note: its publisher's index, and its number among that one's.
 * @param {number} publisher
 * @param {number} number
 */
export const messageId = (publisher, number) => publisher * 2 ** 32 + number;

/** How many faults of one kind are printed in full. */
const SHOWN = 5;

class Faults {
  /** @type {Map<string, string[]>} */
  #kinds = new Map();

  /** @param {string} kind @param {string} text */
  add(kind, text) {
    const texts = this.#kinds.get(kind) ?? [];
    texts.push(text);
    this.#kinds.set(kind, texts);
  }

  lines() {
    return [...this.#kinds].flatMap(([kind, texts]) => {
      const more = texts.length > SHOWN ? [`${kind}: … and ${texts.length - SHOWN} more`] : [];
      return [...texts.slice(0, SHOWN).map((text) => `${kind}: ${text}`), ...more];
    });
  }
}

/**
 * seq has no gap, no message is there twice, every publisher's messages are in their order.
 * @param {StoredStream} record
 * @param {Places} placeOf
 * @param {Faults} faults
 */
const checkStream = ({ stream, messages, head }, placeOf, faults) => {
  if (messages.length !== head) {
    faults.add("gap", `${stream} has head ${head}, and ${messages.length} messages`);
  }
  /** @type {Map<number, number>} */
  const lastOf = new Map();
  for (const [place, { seq, id }] of messages.entries()) {
    if (seq !== place) faults.add("gap", `${stream} has seq ${seq} where ${place} was due`);
    const publisher = Math.floor(id / 2 ** 32);
    const number = id % 2 ** 32;
    const last = lastOf.get(publisher) ?? -1;
    const twice = placeOf.get(id);
    if (twice !== undefined) {
      faults.add("doubled", `${nameOf(id)} is at ${twice.stream} ${twice.seq} and at ${stream} ${seq}`);
    } else if (number < last) {
      faults.add("order", `${nameOf(id)} is at ${stream} ${seq}, behind ${nameOf(messageId(publisher, last))}`);
    }
    if (twice === undefined) placeOf.set(id, { stream, seq });
    lastOf.set(publisher, Math.max(last, number));
  }
};

/**
 * What was reported stored is there, at the place that was named; and nothing was left unreported.
 * @param {PublisherRecord} record
 * @param {Places} placeOf
 * @param {Faults} faults
 * @param {{ reported: number }} counts
 */
const checkPublisher = ({ index, stream, reports, faults: told }, placeOf, faults, counts) => {
  for (const text of told) faults.add("publisher", `${index}: ${text}`);
  for (const [number, seq] of reports.entries()) {
    const id = messageId(index, number);
    const place = placeOf.get(id);
    if (seq === -1) {
      faults.add("unanswered", `${nameOf(id)} was never reported stored${place ? ", and is" : ""}`);
      continue;
    }
    counts.reported++;
    if (place === undefined || place.stream !== stream) faults.add("lost", `${nameOf(id)} was reported stored`);
    else if (seq !== null && seq !== place.seq) {
      faults.add("moved", `${nameOf(id)} was reported stored at ${seq}, and is at ${place.seq}`);
    }
  }
};

/**
 * Each stored message came once, in order, and nothing else did.
 * @param {SubscriberRecord} record
 * @param {Map<string, StoredStream>} stored
 * @param {Faults} faults
 * @param {{ delivered: number }} counts
 */
const checkSubscriber = ({ index, stream, seen, faults: told }, stored, faults, counts) => {
  for (const text of told) faults.add("subscriber", `${index}: ${text}`);
  const { messages } = stored.get(stream) ?? { messages: [] };
  counts.delivered += seen.length;
  if (seen.length !== messages.length) {
    faults.add("undelivered", `subscriber ${index} of ${stream} has ${seen.length} of ${messages.length}`);
  }
  const wrong = messages.findIndex(({ id }, seq) => seq < seen.length && seen[seq] !== id);
  if (wrong !== -1) {
    const [id, due] = [seen[wrong], messages[wrong]?.id ?? 0];
    const got = id === null || id === undefined ? "nothing" : nameOf(id);
    faults.add("misdelivered", `subscriber ${index} of ${stream} has ${got} at ${wrong}, not ${nameOf(due)}`);
  }
};

/**
 * Messages that nobody published.
 * @param {Places} placeOf
 * @param {PublisherRecord[]} publishers
 * @param {Faults} faults
 */
const checkStrangers = (placeOf, publishers, faults) => {
  const published = new Map(publishers.map(({ index, reports }) => [index, reports.length]));
  for (const [id, { stream, seq }] of placeOf) {
    const count = published.get(Math.floor(id / 2 ** 32)) ?? 0;
    if (id % 2 ** 32 >= count) faults.add("stranger", `${nameOf(id)} at ${stream} ${seq} was never published`);
  }
};

/**
 * @param {{ streams: StoredStream[], publishers: PublisherRecord[], subscribers: SubscriberRecord[] }} record
 * @returns {{ faults: string[], counts: Record<string, number> }}
 */
export const judge = ({ streams, publishers, subscribers }) => {
  const faults = new Faults();
  const counts = { published: 0, reported: 0, stored: 0, delivered: 0, retractions: 0, checked: 0 };
  /** @type {Places} */
  const placeOf = new Map();
  for (const stream of streams) {
    checkStream(stream, placeOf, faults);
    counts.stored += stream.messages.length;
  }
  for (const publisher of publishers) {
    counts.published += publisher.reports.length;
    checkPublisher(publisher, placeOf, faults, counts);
  }
  checkStrangers(placeOf, publishers, faults);
  const stored = new Map(streams.map((stream) => [stream.stream, stream]));
  for (const subscriber of subscribers) {
    counts.retractions += subscriber.retractions;
    counts.checked += subscriber.checked;
    checkSubscriber(subscriber, stored, faults, counts);
  }
  return { faults: faults.lines(), counts };
};
