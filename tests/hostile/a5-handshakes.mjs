import { check, isDtls, isSuccess, openSession, Peer } from "./lib/peer.mjs";
import { until } from "./lib/target.mjs";

/** The attacker's addresses; Linux has all of 127.0.0.0/8. */
const ADDRESSES = ["127.0.66.1", "127.0.66.2", "127.0.66.3", "127.0.66.4"];
/** More handshakes than a shard has places for. */
const HANDSHAKES = 1_100;
const AT_ONCE = 50;
const PATIENCE_MS = 3_000;

/**
 * Opens sessions of as many guests, each from an address of its own: what their checks need.
 * @param {import("./lib/target.mjs").Target} target
 * @param {string} stream
 * @param {number} count
 */
export const sessionsOf = async (target, stream, count) => {
  /** @type {import("./lib/peer.mjs").SessionPath[]} */
  const sessions = [];
  for (let i = 0; i < count; i += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - i) }, () =>
      openSession(target, stream).catch(() => null),
    );
    for (const session of await Promise.all(some)) if (session) sessions.push(session);
  }
  return sessions;
};

/** Begins a handshake for each session, from few addresses, that nobody goes on with. */
/** @param {readonly import("./lib/peer.mjs").SessionPath[]} sessions */
export const halfOpen = async (sessions) => {
  /** @type {Peer[]} */
  const peers = [];
  for (const [index, session] of sessions.entries()) {
    const peer = await Peer.at(ADDRESSES[index % ADDRESSES.length]);
    peers.push(peer);
    await peer.send(check(session), session);
  }
  return peers;
};

/** Whether somebody from an address of their own is let in. */
/** @param {import("./lib/target.mjs").Target} target @param {string} stream @param {string} token */
const isLetIn = async (target, stream, token) => {
  const session = await openSession(target, stream, { token });
  const peer = await Peer.at("127.0.0.77");
  const started = performance.now();
  const end = performance.now() + PATIENCE_MS;
  const begun = await until(async () => {
    if (peer.received.length === 0 && performance.now() < end) await peer.send(check(session), session);
    return peer.received.some(isDtls) && peer.received.some(isSuccess);
  }, PATIENCE_MS);
  peer.close();
  return begun ? performance.now() - started : null;
};

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "A5-handshakes",
  title: "Take all places of a relay for handshakes from four addresses, and leave them half open.",
  needs: ["relay"],
  run: async (target, tally) => {
    const stream = await target.ownStream();
    const quiet = await isLetIn(target, stream.name, stream.token).catch(() => null);
    tally.check("somebody is let in before", quiet !== null);
    const peers = await halfOpen(await sessionsOf(target, stream.id, HANDSHAKES));
    const begun = peers.filter(({ received }) => received.length > 0).length;
    const TRIES = 5;
    for (let i = 1; i <= TRIES; i += 1) {
      const took = await isLetIn(target, stream.name, stream.token);
      tally.note(
        `let in ${i}: ${took === null ? "no" : `${Math.round(took)} ms`} (${Math.round(quiet ?? 0)} ms before)`,
      );
      tally.check(`somebody from another address is let in (${i})`, took !== null);
    }
    tally.note(`${peers.length} sessions, ${begun} answered by the relay`);
    for (const peer of peers) peer.close();
  },
};
