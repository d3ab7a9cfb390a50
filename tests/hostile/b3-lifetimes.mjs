import { newAddress, wallet } from "./lib/target.mjs";

/** The sign-in's end, seconds from now. */
const SIGN_IN_S = 120;
/** Expiration Time holds give or take this many seconds, and a second passes meanwhile. */
const LEEWAY_S = 65;
const RENEWALS = 5;

/** @param {string} token */
const claimsOf = (token) => JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "B3-lifetimes",
  title: "Make a token that was given for a short time live longer, by renewals and by what is made from it.",
  needs: [],
  run: async (target, tally) => {
    const now = Math.floor(Date.now() / 1_000);
    const end = now + SIGN_IN_S;
    const owner = wallet();
    const token = await target.signIn(owner, { expirationTime: new Date(end * 1_000) });
    tally.check(
      "the sign-in's token",
      claimsOf(token).exp <= end + LEEWAY_S,
      `expires ${claimsOf(token).exp - end} s late`,
    );
    await renew(target, tally, "a sign-in until Expiration Time", token, end);
    await makeKeys(target, tally, token, end);

    const usual = await target.signIn(wallet());
    const life = 60;
    const answer = await target.send("POST", "/v1/auth/token", { token: usual, json: { life }, address: newAddress() });
    tally.check("a token for a minute is made", answer.status === 201, `${answer.status}`);
    const short = answer.json.token;
    await renew(target, tally, "a token for a minute", short, now + life);
    await makeKeys(target, tally, short, now + life);
  },
};

/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally @param {string} what @param {string} token @param {number} end */
const renew = async (target, tally, what, token, end) => {
  let current = token;
  for (let i = 1; i <= RENEWALS; i += 1) {
    for (const json of [{}, { life: 86_400 }, { rights: ["read", "write"] }, { life: 86_400, rights: ["read"] }]) {
      const answer = await target.send("POST", "/v1/auth/token", { token: current, json, address: newAddress() });
      if (answer.status !== 201) {
        tally.check(`${what}, renewed`, true);
        continue;
      }
      const late = claimsOf(answer.json.token).exp - end;
      tally.check(`${what}, renewal ${i} with ${JSON.stringify(json)}`, late <= LEEWAY_S, `lives ${late} s longer`);
      if (Object.keys(json).length === 0) current = answer.json.token;
    }
  }
};

/** An API key outlives the token that made it unless it is bounded too. */
/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally @param {string} token @param {number} end */
const makeKeys = async (target, tally, token, end) => {
  for (const expires of [undefined, (end + 86_400) * 1_000]) {
    const json = { name: "hostile", rights: ["read"], ...(expires === undefined ? {} : { expires }) };
    const answer = await target.send("POST", "/v1/keys", { token, json, address: newAddress() });
    const key = answer.json.key;
    if (answer.status !== 201 || typeof key !== "string") {
      tally.check("an API key of a bounded token", true);
      continue;
    }
    // Whichever unit the edge names it in, what the key is exchanged for says when it ends.
    const bound = answer.json.expires;
    const inSeconds = typeof bound === "number" ? (bound > 1e11 ? bound / 1_000 : bound) : Number.POSITIVE_INFINITY;
    const late = inSeconds - end;
    tally.check("an API key of a bounded token", late <= LEEWAY_S, `lives ${late} s longer`);
  }
};
