import { setTimeout as delay } from "node:timers/promises";
import { check, isSuccess, openSession, Peer } from "./lib/peer.mjs";

/** A server may send this many times what it got, until the address has proven that it reads (RFC 9000 §8). */
const MAX_FACTOR = 3;
/** Longer than the relay's retransmissions of a handshake that nobody goes on with. */
const LISTEN_MS = 6_000;

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "A6-reflection",
  title: "Have the relay send more than it got to an address that never answers.",
  needs: ["relay"],
  run: async (target, tally) => {
    const { name, token } = await target.ownStream();
    await Promise.all([
      unanswered(target, tally, name, token, 1),
      unanswered(target, tally, name, token, 3),
      elsewhere(target, tally, name, token),
    ]);
  },
};

/** Checks from an address that answers nothing. */
/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally @param {string} name @param {string} token @param {number} checks */
const unanswered = async (target, tally, name, token, checks) => {
  const session = await openSession(target, name, { token });
  const peer = await Peer.at();
  for (let i = 0; i < checks; i += 1) await peer.send(check(session), session);
  await delay(LISTEN_MS);
  const { sentBytes, receivedBytes } = peer;
  peer.close();
  tally.note(`${checks} checks of ${sentBytes} bytes brought ${receivedBytes} bytes`);
  tally.check(`${checks} checks`, receivedBytes <= MAX_FACTOR * sentBytes, `${receivedBytes} for ${sentBytes} bytes`);
};

/** A verified check from a second address must not move what a session sends to it. */
/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally @param {string} name @param {string} token */
const elsewhere = async (target, tally, name, token) => {
  const session = await openSession(target, name, { token });
  const [first, victim] = [await Peer.at(), await Peer.at("127.0.0.7")];
  await first.send(check(session), session);
  await delay(300);
  await victim.send(check(session), session);
  await delay(LISTEN_MS);
  const { sentBytes, receivedBytes } = victim;
  const answers = victim.received.filter(isSuccess).length;
  for (const peer of [first, victim]) peer.close();
  tally.note(
    `a second address: ${sentBytes} bytes brought ${receivedBytes} bytes, ${answers} of them answers to checks`,
  );
  tally.check("a second address", receivedBytes <= MAX_FACTOR * sentBytes, `${receivedBytes} for ${sentBytes} bytes`);
};
