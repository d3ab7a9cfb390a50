import { newAddress, newName, until } from "./lib/target.mjs";

/** Refusals of guests, each with an actor of its own. */
const NOISE = 120;
const PATIENCE_MS = 15_000;

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "A5-audit",
  title: "Blind the audit log to an attack by refusals of many guests.",
  needs: ["master"],
  run: async (target, tally) => {
    const operator = target.operator();
    const stream = await target.ownStream({ read: "private" });
    const path = `/v1/streams/${stream.id}`;
    const probe = async (/** @type {number} */ i) => {
      const { token } = await target.guest({ address: `203.0.${i >> 8}.${i & 255}` });
      return target.send("PATCH", path, { token, json: { read: "public" }, address: `203.0.${i >> 8}.${i & 255}` });
    };
    for (let i = 0; i < NOISE; i += 20) await Promise.all(Array.from({ length: 20 }, (_, k) => probe(i + k)));
    // What the operator must see: a relay's key tried for a foreign relay, and a wallet's refusal.
    const forged = `hostile-relay.${"00".repeat(32)}`;
    await target.send("PUT", "/v1/relays/hostile-relay", { token: forged, json: {}, address: newAddress() });
    const wallet = await target.ownStream();
    await target.send("PATCH", path, { token: wallet.token, json: { read: "public" }, address: newAddress() });
    const seen = await until(async () => {
      const { json, text } = await target.get("/v1/audit?outcome=refused&limit=200", { token: operator });
      if (!json.entries) throw new Error(`audit: ${text}`);
      return json.entries.some((/** @type {{ actor: string }} */ entry) => isOf(entry, wallet.owner.address));
    }, PATIENCE_MS);
    tally.check("a wallet's refusal is in the audit log", seen === true, `not within ${PATIENCE_MS / 1000} s`);
    const done = newName();
    await target.send("POST", "/v1/streams", { token: operator, json: { name: done }, address: newAddress() });
    const closed = { token: operator, json: { write: "closed" }, address: newAddress() };
    await target.send("PATCH", `/v1/streams/${done}`, closed);
    const change = await until(async () => {
      const { json } = await target.get("/v1/audit?outcome=done&limit=50", { token: operator });
      return json.entries.some((/** @type {{ target: string }} */ entry) => JSON.stringify(entry).includes(done));
    }, PATIENCE_MS);
    tally.check("a change is in the audit log", change === true, `not within ${PATIENCE_MS / 1000} s`);
  },
};

/** @param {{ actor: string }} entry @param {string} address */
const isOf = (entry, address) => entry.actor.toLowerCase() === address.toLowerCase();
