import { setTimeout as delay } from "node:timers/promises";
import { Reader } from "./lib/events.mjs";
import { newAddress, until } from "./lib/target.mjs";

const CHANGES = 60;
const PATIENCE_MS = 5_000;

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "A5-members",
  title: "Push a revocation out of the queue of notices by changes of members.",
  needs: [],
  run: async (target, tally) => {
    const noise = await target.ownStream();
    const path = `/v1/streams/${noise.id}/members`;
    const change = (/** @type {number} */ i) => {
      const member = `0x${i.toString(16).padStart(40, "7")}`;
      const call = { token: noise.token, address: newAddress(), json: { rights: i % 2 ? ["read"] : ["write"] } };
      return target.send("PUT", `${path}/${member}`, call);
    };
    await Promise.all(Array.from({ length: CHANGES }, (_, i) => change(i)));
    const victim = await target.guest();
    const stream = await target.ownStream({ read: "private" });
    const member = `/v1/streams/${stream.id}/members/${victim.author}`;
    const own = { token: stream.token, address: newAddress() };
    await target.send("PUT", member, { ...own, json: { rights: ["read"] } });
    const reader = new Reader(target, stream.id, { token: victim.token });
    await target.publish(stream.id, "before", { token: stream.token });
    await until(async () => reader.texts.includes("before"), PATIENCE_MS);
    tally.check("the member follows", reader.texts.includes("before"), `${reader.status}`);
    await target.send("POST", "/v1/auth/revoke", { token: victim.token, json: {}, address: newAddress() });
    await Promise.all(Array.from({ length: CHANGES }, (_, i) => change(i + CHANGES)));
    await target.publish(stream.id, "after", { token: stream.token });
    await delay(2_000);
    tally.check("a message after the token was revoked", !reader.texts.includes("after"));
    const again = await target.get(`/v1/streams/${stream.id}/messages`, { token: victim.token });
    tally.check("a revoked token", again.status === 401, `${again.status}`);
    reader.close();
  },
};
