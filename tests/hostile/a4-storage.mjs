import { setTimeout as delay } from "node:timers/promises";
import { newAddress, newName } from "./lib/target.mjs";

const REQUESTS = 40;
/** The edge's own background work: alarms of the Listener, renewals of relays. */
const QUIET_MS = 2_000;

/** Rows that the edge wrote so far, as far as it counts them. @param {import("./lib/target.mjs").Target} target */
const rowsWritten = async (target) => (await target.status()).edge?.objectRowsWritten ?? null;

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "A4-storage",
  title: "Have the edge store something for ever by requests that it refuses.",
  needs: [],
  run: async (target, tally) => {
    const before = await rowsWritten(target);
    await delay(QUIET_MS);
    const quiet = (await rowsWritten(target)) - before;
    await refused(target, tally, "looks at streams that nobody made", quiet, (_, token) =>
      target.get(`/v1/streams/${newName()}/messages`, { token, address: newAddress() }),
    );
    await refused(target, tally, "creations without credentials", quiet, () =>
      target.send("POST", "/v1/streams", { json: { name: newName(), read: "private" }, address: newAddress() }),
    );
    await refused(target, tally, "messages with a forged token", quiet, () =>
      target.publish(newName(), "x", { token: "a.b.c" }),
    );
    await overTheLimit(target, tally, quiet);
  },
};

/**
 * @param {import("./lib/target.mjs").Target} target
 * @param {import("./lib/tally.mjs").Tally} tally
 * @param {string} what
 * @param {number} quiet rows that are written anyway
 * @param {(index: number, token: string) => Promise<import("./lib/target.mjs").Answer>} request
 */
const refused = async (target, tally, what, quiet, request) => {
  const { token } = await target.guest();
  const before = await rowsWritten(target);
  let count = 0;
  for (let i = 0; i < REQUESTS; i += 1) {
    const { status } = await request(i, token);
    if (status >= 400) count += 1;
  }
  await delay(QUIET_MS);
  const rows = (await rowsWritten(target)) - before;
  tally.note(`${what}: ${count} of ${REQUESTS} refused, ${rows} rows written (${quiet} when nothing happens)`);
  tally.check(`${what} are refused`, count === REQUESTS, `${count} of ${REQUESTS}`);
  tally.check(what, rows < REQUESTS / 2 + 3 * quiet, `${rows} rows for ${REQUESTS} refusals`);
};

/** Creations beyond the limit of one address. */
/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally @param {number} quiet */
const overTheLimit = async (target, tally, quiet) => {
  const address = newAddress();
  const { token } = await target.guest();
  const create = () => target.send("POST", "/v1/streams", { token, json: { name: newName() }, address });
  const MAX_CREATIONS = 200;
  for (let i = 0; i < MAX_CREATIONS; i += 1) {
    const { status } = await create();
    if (status === 429) return refused(target, tally, "creations over the limit", quiet, create);
    if (status >= 400) return tally.note(`creations are refused with ${status}: the limit was not reached`);
  }
  tally.note("the edge has no limit of creations for one address");
};
