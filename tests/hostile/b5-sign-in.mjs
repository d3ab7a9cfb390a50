import { randomBytes } from "node:crypto";
import { newAddress, newName, wallet } from "./lib/target.mjs";

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "B5-sign-in",
  title: "Have a sign-in that was meant for one stream, or for another site, taken for everything here.",
  needs: [],
  run: async (target, tally) => {
    const nonce = await target.send("POST", "/v1/auth/nonce", { address: newAddress() });
    await resources(target, tally, nonce.json.domain ?? target.host);
    await elsewhere(target, tally);
  },
};

/** The streams that a token is narrowed to; null when it is for everything. @param {string} token */
const streamsOf = (token) =>
  JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()).scope?.streams ?? null;

/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally @param {string} host */
const resources = async (target, tally, host) => {
  const name = newName();
  const bare = host.replace(/:\d+$/, "");
  const paths = [
    "/v1/stream/x",
    "/v1/streams",
    "/v1/streams/",
    `/v1/streams/${name}/`,
    `/v1/streams/${name}/messages`,
    `/v1/streams/${name}?x=1`,
    `/v1/streams/${name}#x`,
    `/v1/streams/${name.toUpperCase()}`,
    `/v1//streams/${name}`,
    `/v1/streams/%2e%2e`,
    `/v1/streams/..`,
    `/V1/streams/${name}`,
    `/`,
    ``,
  ];
  const hosts = [`https://${host}`, `http://${host}`, `HTTPS://${host.toUpperCase()}`, `https://user@${host}`];
  const urls = [
    ...paths.map((path) => `https://${host}${path}`),
    ...hosts.map((origin) => `${origin}/v1/streams/${name}/other`),
    `https://${bare}./v1/streams/${name}/other`,
    `//${host}/v1/streams/${name}/other`,
  ];
  for (const url of urls) {
    const answer = await target.trySignIn(wallet(), { resources: [url] }).catch(() => null);
    // viem refuses to write some of them: then nobody signs them either.
    if (answer === null) continue;
    const streams = answer.status === 201 ? streamsOf(answer.json.token) : [];
    tally.check(`the resource ${url}`, streams !== null, "its token is for everything");
  }
  const good = await target.trySignIn(wallet(), { resources: [`https://${host}/v1/streams/${name}`] });
  const narrowed = good.status === 201 ? streamsOf(good.json.token) : null;
  tally.check("a resource that is a stream narrows", narrowed?.length === 1, `${good.status} ${narrowed}`);
};

/** Messages for another site, chain, time or account. */
/** @param {import("./lib/target.mjs").Target} target @param {import("./lib/tally.mjs").Tally} tally */
const elsewhere = async (target, tally) => {
  const evil = "evil.example";
  const changes = [
    { domain: evil, uri: `https://${evil}/` },
    { uri: `https://${evil}/` },
    { domain: evil },
    { chainId: target.config.chainId + 1 },
    { nonce: randomBytes(16).toString("hex") },
    { expirationTime: new Date(Date.now() - 3_600_000) },
    { notBefore: new Date(Date.now() + 3_600_000) },
    { address: wallet().address },
  ];
  for (const change of changes) {
    const { status } = await target.trySignIn(wallet(), change);
    tally.check(`a sign-in with ${Object.keys(change).join(" and ")} of another`, status >= 400, `${status}`);
  }
  // A page elsewhere that has its visitors' browsers name its own host.
  const spoofed = await target.send("POST", "/v1/auth/nonce", {
    address: newAddress(),
    headers: { "x-forwarded-host": evil },
  });
  tally.check("x-forwarded-host names the domain", !spoofed.text.includes(evil), spoofed.text.slice(0, 120));
};
