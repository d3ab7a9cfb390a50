import { newAddress, newName } from "./lib/target.mjs";

/** What follows a stream in paths, with the methods that each takes. @type {[string, string][]} */
const ROUTES = [
  ["GET", ""],
  ["HEAD", ""],
  ["OPTIONS", ""],
  ["PATCH", ""],
  ["GET", "/messages"],
  ["HEAD", "/messages"],
  ["GET", "/messages?from=0&limit=1"],
  ["GET", "/messages/0/receipt"],
  ["GET", "/anchors"],
  ["GET", "/segments"],
  ["GET", "/chain"],
  ["GET", "/events?from=0"],
  ["GET", "/members"],
  ["OPTIONS", "/messages"],
  ["DELETE", "/members/0x1111111111111111111111111111111111111111"],
];

/** What differs between any two answers. */
const VARYING = new Set(["date", "x-request-id", "cf-ray", "ratelimit", "ratelimit-policy", "content-length"]);

/** An answer without what names the stream or the request. */
/** @param {import("./lib/target.mjs").Answer} answer @param {string} id */
const shape = ({ status, headers, text }, id) => {
  const kept = [...headers].filter(([name]) => !VARYING.has(name)).sort();
  const plain = text
    .replaceAll(id, "ID")
    .replaceAll(id.slice(0, 42), "SHORT")
    .replaceAll(id.slice(2, 42), "SHORT")
    .replace(/"requestId":"[^"]*"/g, "");
  return JSON.stringify([status, plain, kept]);
};

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "B7-private",
  title: "Find out whether a private stream is there, by any route, with no credentials and with a stranger's.",
  needs: [],
  run: async (target, tally) => {
    const stream = await target.ownStream({ read: "private", write: "closed" });
    await target.publish(stream.id, "secret", { token: stream.token });
    const stranger = await target.guest();
    const absent = `0x${stream.id.slice(2).split("").reverse().join("")}`;
    for (const token of [undefined, stranger.token]) {
      for (const [method, path] of ROUTES) {
        const json = method === "PATCH" ? { json: { read: "public" } } : {};
        const ask = (/** @type {string} */ id) =>
          target.send(method, `/v1/streams/${id}${path}`, {
            ...(token ? { token } : {}),
            ...json,
            address: newAddress(),
          });
        const [there, not] = [await ask(stream.id), await ask(absent)];
        const [seen, expected] = [shape(there, stream.id), shape(not, absent)];
        tally.check(
          `${method} …${path} ${token ? "as a guest" : "without credentials"}`,
          seen === expected,
          `${seen.slice(0, 160)} instead of ${expected.slice(0, 160)}`,
        );
      }
    }
    const listed = await target.get("/v1/streams", { token: stranger.token });
    tally.check("the list of streams", !listed.text.includes(stream.name));
    const status = await target.get("/v1/status");
    tally.check("the status", !status.text.includes(stream.name) && !status.text.includes(stream.id));
    await anchoringAccount(target, tally);
  },
};

/** The account whose key the edge holds to sign transactions has no rights at the API by that. */
/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally */
const anchoringAccount = async (target, tally) => {
  const stranger = await target.guest();
  const tokens = [undefined, stranger.token];
  const anchorer = (await target.status()).anchorer?.address;
  const isAlone = anchorer && anchorer.toLowerCase() !== target.operatorAddress.toLowerCase();
  if (target.master !== null && isAlone) tokens.push(target.operator(anchorer, true));
  const routes = [
    ["GET", "/v1/audit"],
    ["POST", "/v1/chain/replay"],
  ];
  for (const [method = "", path = ""] of routes) {
    for (const token of tokens) {
      const { status } = await target.send(method, path, { ...(token ? { token } : {}), address: newAddress() });
      tally.check(`${method} ${path} of a stranger`, status === 401 || status === 403, `${status}`);
    }
  }
  const name = newName("_hostile");
  const { status } = await target.publish(name, "x", { token: stranger.token });
  tally.check("a message to a stream of the system", status >= 400 && status < 500, `${status}`);
};
