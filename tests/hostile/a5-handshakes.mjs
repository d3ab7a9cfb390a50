import { check, isDtls, isSuccess, openSession, Peer } from "./lib/peer.mjs";
import { until } from "./lib/target.mjs";

/** The attacker's addresses; Linux has all of 127.0.0.0/8. */
const ADDRESSES = ["127.0.66.1", "127.0.66.2", "127.0.66.3", "127.0.66.4"];
/** More handshakes than a shard has places for. */
const HANDSHAKES = 1_100;
const AT_ONCE = 50;
const PATIENCE_MS = 3_000;
/** A token starts a session within a minute, and the request for it took a part of that. */
const TOKEN_LIFE_MS = 55_000;
/** A check that is not answered was lost in a full socket buffer: it is sent again this often, with a pause. */
const REPEATS = 5;
const REPEAT_MS = 100;
/** Without so many handshakes begun, the attack says nothing about the relay's places: two networks' shares of them. */
const MIN_BEGUN = 1_024;

/**
 * A session that was opened, and when.
 * @typedef {{ path: import("./lib/peer.mjs").SessionPath, at: number }} Opened
 */

/**
 * Opens sessions of as many guests, each from an address of its own: what their checks need.
 * @param {import("./lib/target.mjs").Target} target
 * @param {string} stream
 * @param {number} count
 */
export const sessionsOf = async (target, stream, count) => {
  /** @type {Opened[]} */
  const sessions = [];
  for (let i = 0; i < count; i += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - i) }, async () => {
      const path = await openSession(target, stream).catch(() => null);
      return path ? { path, at: performance.now() } : null;
    });
    for (const session of await Promise.all(some)) if (session) sessions.push(session);
  }
  return sessions;
};

/**
 * Begins a handshake for each session whose token is still good, from few addresses, that nobody goes on with. Resolves once
 * the relay has answered them, or was asked often enough.
 * @param {readonly Opened[]} sessions
 */
export const halfOpen = async (sessions) => {
  const good = sessions.filter(({ at }) => performance.now() - at < TOKEN_LIFE_MS);
  const peers = await Promise.all(good.map((_, index) => Peer.at(ADDRESSES[index % ADDRESSES.length])));
  const begun = (/** @type {Peer} */ peer) => peer.received.some(isSuccess);
  for (let repeat = 0; repeat < REPEATS && !peers.every(begun); repeat += 1) {
    for (const [index, { path }] of good.entries()) {
      const peer = /** @type {Peer} */ (peers[index]);
      if (!begun(peer)) await peer.send(check(path), path);
      // The relay reads as fast as it shakes hands: a burst would only fill its socket's buffer.
      if (index % AT_ONCE === AT_ONCE - 1) await new Promise((resolve) => setTimeout(resolve, REPEAT_MS));
    }
    await new Promise((resolve) => setTimeout(resolve, REPEAT_MS));
  }
  return { peers, begun: peers.filter(begun).length };
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
    const sessions = await sessionsOf(target, stream.id, HANDSHAKES);
    const { peers, begun } = await halfOpen(sessions);
    tally.note(`${sessions.length} sessions, ${peers.length} of them young enough, ${begun} handshakes begun`);
    tally.check("the attack takes the relay's places for handshakes", begun >= MIN_BEGUN, `${begun} were begun`);
    const TRIES = 5;
    for (let i = 1; i <= TRIES; i += 1) {
      const took = await isLetIn(target, stream.name, stream.token);
      tally.note(
        `let in ${i}: ${took === null ? "no" : `${Math.round(took)} ms`} (${Math.round(quiet ?? 0)} ms before)`,
      );
      tally.check(`somebody from another address is let in (${i})`, took !== null);
    }
    for (const peer of peers) peer.close();
  },
};
