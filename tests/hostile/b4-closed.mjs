import { setTimeout as delay } from "node:timers/promises";
import { Reader } from "./lib/events.mjs";
import { newAddress, until } from "./lib/target.mjs";

const PATIENCE_MS = 10_000;
/** Longer than a page of the event stream is waited for. */
const LISTEN_MS = 3_000;

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "B4-closed",
  title: "Go on reading and publishing after the right to do so was taken away.",
  needs: [],
  run: async (target, tally) => {
    await madePrivate(target, tally);
    await removed(target, tally);
    await closedForWriting(target, tally);
  },
};

/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally */
const madePrivate = async (target, tally) => {
  const stream = await target.ownStream();
  const path = `/v1/streams/${stream.id}`;
  const call = { token: stream.token, address: newAddress() };
  const guest = await target.guest();
  const readers = [new Reader(target, stream.id, {}), new Reader(target, stream.id, { token: guest.token })];
  await target.publish(stream.id, "public", { token: stream.token });
  await until(async () => readers.every(({ texts }) => texts.includes("public")), PATIENCE_MS);
  tally.check(
    "the readers follow",
    readers.every(({ texts }) => texts.includes("public")),
  );
  // The writer does not wait: the change and the message are one behind the other.
  await target.send("PATCH", path, { ...call, json: { read: "private" } });
  await target.publish(stream.id, "secret", { token: stream.token });
  await delay(LISTEN_MS);
  for (const reader of readers) {
    tally.check("a message after read: private", !reader.texts.includes("secret"));
    reader.close();
  }
  for (const more of ["", "/messages", "/events?from=0", "/anchors", "/segments", "/chain", "/messages/0/receipt"]) {
    const { status, text } = await target.get(`${path}${more}`, { token: guest.token });
    tally.check(`GET …${more} after read: private`, status >= 400 && !text.includes("secret"), `${status}`);
  }
};

/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally */
const removed = async (target, tally) => {
  const stream = await target.ownStream({ read: "private" });
  const member = await target.guest();
  const path = `/v1/streams/${stream.id}/members/${member.author}`;
  const call = { token: stream.token, address: newAddress() };
  await target.send("PUT", path, { ...call, json: { rights: ["read"] } });
  const reader = new Reader(target, stream.id, { token: member.token });
  await target.publish(stream.id, "for members", { token: stream.token });
  await until(async () => reader.texts.includes("for members"), PATIENCE_MS);
  tally.check("the member follows", reader.texts.includes("for members"), `status ${reader.status}`);
  await target.send("DELETE", path, call);
  await target.publish(stream.id, "secret", { token: stream.token });
  await delay(LISTEN_MS);
  tally.check("a message after the member was removed", !reader.texts.includes("secret"));
  reader.close();
};

/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally */
const closedForWriting = async (target, tally) => {
  const stream = await target.ownStream();
  const guest = await target.guest();
  const first = await target.publish(stream.id, "open", { token: guest.token });
  tally.check("the guest publishes while it may", first.status === 201, `${first.status}`);
  const call = { token: stream.token, address: newAddress() };
  await target.send("PATCH", `/v1/streams/${stream.id}`, { ...call, json: { write: "closed" } });
  const { status } = await target.publish(stream.id, "closed", { token: guest.token });
  tally.check("a message after write: closed", status === 401 || status === 403, `${status}`);
  const revoked = await target.guest();
  await target.send("POST", "/v1/auth/revoke", { token: revoked.token, json: {}, address: newAddress() });
  const again = await target.publish(stream.id, "revoked", { token: revoked.token });
  tally.check("a message with a revoked token", again.status === 401, `${again.status}`);
};
