// The clients, inside a page: the public client library, and a record of all that it reported.
// Each function is sent to the page as its source, so none uses anything from outside itself but `window`.

/**
 * @typedef {import("../../web/src/lib/index.ts").StreamConnection} StreamConnection
 * @typedef {{ index: number, stream: string, reports: (number | null)[], faults: string[] }} PublisherNote
 * @typedef {{ index: number, stream: string, guarantee: string, seen: number[], retractions: number, checked: number,
 *   faults: string[] }} SubscriberNote
 *
 * @typedef {object} Publisher
 * @property {number} index
 * @property {string} stream
 * @property {StreamConnection} connection
 * @property {number} published
 * @property {(number | null)[]} stored `stored[n]`: undefined until message n was reported stored, then its seq, or null
 *   when that is not known
 * @property {number} reported
 * @property {string[]} faults
 * @property {boolean} done
 *
 * @typedef {object} Subscriber
 * @property {number} index
 * @property {string} stream
 * @property {"live" | "stored"} guarantee
 * @property {StreamConnection} connection
 * @property {import("../../web/src/lib/index.ts").Subscription} subscription
 * @property {number[]} seen `seen[seq]`: publisher * 2^32 + number of the message that was handed out there
 * @property {number} storedOnce below it, what was handed out was said to be stored
 * @property {number} retractions
 * @property {number} checked messages whose author's signature was checked, and held
 * @property {string[]} faults
 *
 * @typedef {object} Watched what is known of a client's sessions
 * @property {string} name
 * @property {string} stream
 * @property {number} opened how often a session opened
 * @property {number | null} pauseMs the longest time between two live messages since it was last asked for; null for a client that reads none
 *
 * @typedef {{ publishers: Publisher[], subscribers: Subscriber[], stopped: boolean, watched: Watched[] }} Chaos
 * @typedef {Window & typeof globalThis & { chaos: Chaos }} ChaosWindow
 */

/**
 * Starts this page's publishers and subscribers. Their notes are kept in `window.chaos`.
 * @param {object} how
 * @param {{ index: number, stream: string }[]} how.publishers
 * @param {{ index: number, stream: string, guarantee: "live" | "stored" }[]} how.subscribers
 * @param {number} how.perSecond
 * @param {number} how.payloadBytes
 */
export const startClients = ({ publishers, subscribers, perSecond, payloadBytes }) => {
  const TICK_MS = 20;
  // A program that has queued this many messages waits until some are stored.
  const MAX_UNSTORED = 2_000;
  const { connect } = window.tools.lib;
  /** @type {Chaos} */
  const chaos = { publishers: [], subscribers: [], stopped: false, watched: [] };
  /** @type {ChaosWindow} */ (window).chaos = chaos;

  /** @param {{ index: number, stream: string }} client */
  const publish = ({ index, stream }) => {
    const connection = connect({ stream });
    /** @type {Publisher} */
    const publisher = { index, stream, connection, published: 0, stored: [], reported: 0, faults: [], done: false };
    chaos.publishers.push(publisher);
    /** @param {number} number */
    const send = (number) => {
      const payload = new Uint8Array(payloadBytes);
      const view = new DataView(payload.buffer);
      view.setUint32(0, index);
      view.setUint32(4, number);
      const publication = connection.publish(payload);
      publication.anchored.catch(() => {});
      publication.final.catch(() => {});
      publication.live.catch(() => {});
      publication.stored.then(
        (seq) => {
          publisher.stored[number] = seq;
          publisher.reported++;
        },
        (error) => publisher.faults.push(`message ${number} failed: ${error.code} ${error.message}`),
      );
    };
    const run = async () => {
      const startedAt = performance.now();
      while (!chaos.stopped) {
        await connection.writable();
        const due = Math.floor(((performance.now() - startedAt) * perSecond) / 1_000);
        // After a stall the pace goes on from now: what fell due meanwhile is not made up for.
        const room = MAX_UNSTORED - (publisher.published - publisher.reported);
        const atOnce = Math.min(due - publisher.published, perSecond, room);
        for (let i = 0; i < atOnce; i++) send(publisher.published++);
        await new Promise((resolve) => setTimeout(resolve, TICK_MS));
      }
      publisher.done = true;
    };
    run().catch((error) => publisher.faults.push(`stopped: ${error.message}`));
  };

  /** @param {{ index: number, stream: string, guarantee: "live" | "stored" }} client */
  const subscribe = ({ index, stream, guarantee }) => {
    // Those who read what is stored ask for signatures, and check one message in so many.
    const CHECK_EVERY = 50;
    const signatures = guarantee === "stored";
    const connection = connect({ stream, signatures });
    const subscription = connection.subscribe({ from: 0, guarantee });
    const notes = { seen: [], storedOnce: 0, retractions: 0, checked: 0, faults: [] };
    /** @type {Subscriber} */
    const subscriber = { index, stream, guarantee, connection, subscription, ...notes };
    chaos.subscribers.push(subscriber);
    /** @param {import("../../web/src/lib/index.ts").StreamMessage} message */
    const check = async (message) => {
      const checked = await connection.verifyAuthor(message);
      // An edge that does not answer, and is asked where history is needed, leaves it unknown.
      if (checked.state === "signed") subscriber.checked++;
      else if (checked.state !== "unknown") {
        const why = "reason" in checked ? `: ${checked.reason}` : "";
        subscriber.faults.push(`message ${message.seq} is ${checked.state}${why}`);
      }
    };
    subscription.on("message", (message) => {
      const { seq, payload } = message;
      if (signatures && seq % CHECK_EVERY === 0) void check(message);
      const due = subscriber.seen.length;
      if (seq !== due) subscriber.faults.push(`message ${seq} came where ${due} was due`);
      const view = new DataView(payload.buffer, payload.byteOffset);
      subscriber.seen[seq] = view.getUint32(0) * 2 ** 32 + view.getUint32(4);
    });
    subscription.on("retracted", ({ from }) => {
      subscriber.retractions++;
      if (guarantee === "stored") subscriber.faults.push(`stored messages from ${from} on were taken back`);
      if (from < subscriber.storedOnce) {
        subscriber.faults.push(`message ${from} was taken back, and all below ${subscriber.storedOnce} were stored`);
      }
      subscriber.seen.length = Math.min(subscriber.seen.length, from);
    });
    connection.on("marks", () => {
      /** @param {number} seq */
      const isStored = (seq) => seq < subscriber.seen.length && connection.stateOf(seq) !== "live";
      while (isStored(subscriber.storedOnce)) subscriber.storedOnce++;
    });
    subscription.on("end", ({ error }) => subscriber.faults.push(`the subscription ended: ${error?.message}`));
  };

  publishers.forEach(publish);
  subscribers.forEach(subscribe);
};

/** Counts from now on how often each client of this page opens a session, and measures how long it has no message. */
export const watchClients = () => {
  const { chaos } = /** @type {ChaosWindow} */ (window);
  /** @param {string} kind @param {{ index: number, stream: string, connection: StreamConnection }} client */
  const watch = (kind, { index, stream, connection }) => {
    /** @type {Watched} */
    const watched = { name: `${kind} ${index}`, stream, opened: 0, pauseMs: null };
    let before = connection.state.state;
    connection.on("state", ({ state }) => {
      if (state === "open" && before !== "open") watched.opened++;
      before = state;
    });
    chaos.watched.push(watched);
    return watched;
  };
  for (const publisher of chaos.publishers) watch("publisher", publisher);
  for (const subscriber of chaos.subscribers) {
    const watched = watch("subscriber", subscriber);
    if (subscriber.guarantee !== "live") continue;
    watched.pauseMs = 0;
    let heardAt = performance.now();
    subscriber.subscription.on("message", () => {
      const now = performance.now();
      watched.pauseMs = Math.max(watched.pauseMs ?? 0, now - heardAt);
      heardAt = now;
    });
  }
};

/** How often each client of this page opened a session, and its longest pause since this was asked last. */
export const standingOfClients = () => {
  const { watched } = /** @type {ChaosWindow} */ (window).chaos;
  const standing = watched.map((client) => ({ ...client }));
  for (const client of watched) client.pauseMs = client.pauseMs === null ? null : 0;
  return standing;
};

/** How far the clients of this page are. */
export const progressOfClients = () => ({
  publishers: /** @type {ChaosWindow} */ (window).chaos.publishers.map(
    ({ index, stream, published, reported, done, connection }) => ({
      index,
      stream,
      published,
      reported,
      done,
      state: connection.state.state,
      reason: connection.state.error?.message ?? null,
    }),
  ),
  subscribers: /** @type {ChaosWindow} */ (window).chaos.subscribers.map(({ index, stream, seen, connection }) => ({
    index,
    stream,
    seen: seen.length,
    state: connection.state.state,
    reason: connection.state.error?.message ?? null,
  })),
});

/** Publishers send nothing new from now on. */
export const stopPublishing = () => {
  /** @type {ChaosWindow} */ (window).chaos.stopped = true;
};

/** A publisher's note, by its place in this page. @param {number} place @returns {PublisherNote} */
export const publisherNote = (place) => {
  const note = /** @type {ChaosWindow} */ (window).chaos.publishers[place];
  if (!note) throw new Error(`There is no publisher ${place} in this page.`);
  const { index, stream, published, stored, faults } = note;
  // JSON has no undefined: -1 stands for "not reported stored".
  const reports = Array.from({ length: published }, (_, number) => {
    const seq = stored[number];
    return seq === undefined ? -1 : seq;
  });
  return { index, stream, reports, faults };
};

/** A subscriber's note, by its place in this page. @param {number} place @returns {SubscriberNote} */
export const subscriberNote = (place) => {
  const note = /** @type {ChaosWindow} */ (window).chaos.subscribers[place];
  if (!note) throw new Error(`There is no subscriber ${place} in this page.`);
  const { index, stream, guarantee, seen, retractions, checked, faults } = note;
  return { index, stream, guarantee, seen: [...seen], retractions, checked, faults };
};
