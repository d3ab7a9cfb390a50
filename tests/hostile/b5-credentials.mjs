import { createHmac, randomBytes } from "node:crypto";
import { newAddress } from "./lib/target.mjs";

/** @param {unknown} value */
const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

/** Each byte of a token changed, and everything that an attacker writes who does not have the key. */
/** @param {string} token @returns {string[]} */
const forgeries = (token) => {
  const [head = "", body = "", signature = ""] = token.split(".");
  const claims = JSON.parse(Buffer.from(body, "base64url").toString());
  const changed = Array.from({ length: 200 }, (_, i) => {
    const at = Math.floor((i * token.length) / 200);
    const other = token[at] === "A" ? "B" : "A";
    return `${token.slice(0, at)}${other}${token.slice(at + 1)}`;
  }).filter((other) => !isSameToken(other, token));
  const rewritten = [
    { ...claims, exp: claims.exp + 1_000 },
    { ...claims, sub: `0x${"11".repeat(20)}` },
    { ...claims, guest: !claims.guest },
  ].map((other) => part(other));
  const heads = [
    { alg: "none" },
    { alg: "HS512", typ: "JWT" },
    { alg: "RS256", typ: "JWT" },
    { alg: "HS256", kid: "../../etc" },
  ];
  const keys = ["", "secret", "streamchain", "0".repeat(64), token];
  return [
    ...changed,
    ...rewritten.map((other) => `${head}.${other}.${signature}`),
    ...rewritten.map((other) => `${head}.${other}.`),
    ...heads.map((other) => `${part(other)}.${body}.${signature}`),
    ...heads.map((other) => `${part(other)}.${body}.`),
    ...keys.map((key) => {
      const signed = `${head}.${rewritten[1]}`;
      return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
    }),
    ...[10, 40, 70, 200].map((length) => `sck_${randomBytes(length).toString("hex").slice(0, length)}`),
    ...["", ".", "..", "...", "null", "undefined", `${token}.x`, ` ${token}x`, "x".repeat(8_000)],
    `local.${"00".repeat(32)}`,
  ];
};

/** Whether two texts are the same bytes in base64url, whose last digit has bits that no byte takes. */
/** @param {string} one @param {string} other */
const isSameToken = (one, other) =>
  one
    .split(".")
    .every((text, i) => Buffer.from(text, "base64url").equals(Buffer.from(other.split(".")[i] ?? "", "base64url")));

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "B5-credentials",
  title: "Come with credentials that were changed, forged, or made without the key.",
  needs: [],
  run: async (target, tally) => {
    const stream = await target.ownStream({ read: "private" });
    await target.publish(stream.id, "secret", { token: stream.token });
    const own = await target.get(`/v1/streams/${stream.id}/messages`, { token: stream.token });
    tally.check("the owner reads", own.status === 200, `${own.status}`);
    for (const token of forgeries(stream.token)) {
      const headers = { authorization: `Bearer ${token}` };
      const call = { headers, address: newAddress() };
      const answer = await target.get(`/v1/streams/${stream.id}/messages`, call).catch(() => null);
      // Some texts can't be sent in a header.
      if (answer === null) continue;
      const isRefused = answer.status >= 400 && answer.status < 500 && !answer.text.includes("0x736563726574");
      tally.check(`the credentials ${token.slice(0, 300)}`, isRefused, `${answer.status}`);
    }
  },
};
