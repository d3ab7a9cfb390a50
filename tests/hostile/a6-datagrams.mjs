import { randomBytes, randomInt } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { check, isDtls, openSession, Peer } from "./lib/peer.mjs";
import { until } from "./lib/target.mjs";

const DATAGRAMS = 3_000;
/** Pauses between bursts, so that the socket's buffer takes all of them. */
const BURST = 100;
const PATIENCE_MS = 5_000;
const FINGERPRINT_BYTES = 8;

/** One datagram that no client may send: noise, a check that was changed, or the beginning of another protocol. */
/** @param {import("./lib/peer.mjs").SessionPath} session @param {number} index */
const hostile = (session, index) => {
  const good = check(session);
  switch (index % 6) {
    case 0:
      return randomBytes(randomInt(1, 1_400));
    case 1: {
      // The last attribute, FINGERPRINT, is a checksum that anybody can make.
      const at = randomInt(20, good.length - FINGERPRINT_BYTES);
      good[at] = (good[at] ?? 0) ^ (1 << randomInt(8));
      return good;
    }
    case 2:
      return good.subarray(0, randomInt(1, good.length));
    case 3:
      return check({ ...session, password: randomBytes(18).toString("base64") });
    case 4:
      return check({ ...session, username: `${randomBytes(64).toString("base64")}:abcd` });
    default:
      return Buffer.concat([Buffer.from([22, 254, 253]), randomBytes(randomInt(20, 200))]);
  }
};

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "A6-datagrams",
  title: "Send the relay datagrams that no client may send; none is answered, and it goes on.",
  needs: ["relay"],
  run: async (target, tally) => {
    const { name, token } = await target.ownStream();
    const session = await openSession(target, name, { token });
    const peer = await Peer.at();
    for (let i = 0; i < DATAGRAMS; i += 1) {
      await peer.send(hostile(session, i), session);
      if (i % BURST === 0) await delay(5);
    }
    await delay(500);
    const answered = peer.received.length;
    peer.close();
    tally.tried += DATAGRAMS - 1;
    tally.check("hostile datagrams", answered === 0, `${answered} of ${DATAGRAMS} were answered`);
    await serves(target, tally, name, token);
  },
};

/** Whether the relay lets somebody new in. */
/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally @param {string} name @param {string} token */
const serves = async (target, tally, name, token) => {
  const session = await openSession(target, name, { token });
  const peer = await Peer.at();
  await peer.send(check(session), session);
  const begun = await until(async () => peer.received.some(isDtls), PATIENCE_MS);
  peer.close();
  tally.check("somebody new is let in afterwards", begun === true);
};
