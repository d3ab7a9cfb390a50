import { randomBytes } from "node:crypto";
import { encodeAbiParameters, keccak256, toBytes } from "viem";
import { batchBytes } from "../edge/harness.ts";
import { derive, newAddress } from "./lib/target.mjs";

const RELAY = "hostile-relay";
const FINGERPRINT = Array(32).fill("AB").join(":");
/** So busy that the edge gives it no stream. */
const LOAD = 1_000_000;

/** @type {import("./lib/tally.mjs").Attack} */
export const attack = {
  name: "B2-relay-keys",
  title: "With the key of one relay, take streams that the edge did not give it, and write there as anybody.",
  needs: ["master"],
  run: async (target, tally) => {
    const relay = new ForeignRelay(target, randomBytes(8).toString("hex"));
    const stream = await target.ownStream();
    const victim = await target.guest();
    const encoded = encodeAbiParameters(
      [{ type: "address" }, { type: "bytes32" }],
      [target.config.operator, keccak256(toBytes("_audit"))],
    );
    const streams = [
      ["a stream without a leader", stream.short],
      ["the audit log", keccak256(encoded).slice(0, 42)],
      ["a stream that nobody made", `0x${randomBytes(20).toString("hex")}`],
    ];
    for (const isRegistered of [false, true]) {
      if (isRegistered) await relay.register();
      const who = isRegistered ? "a relay that the edge gave nothing" : "an id that never registered";
      for (const [what = "", short = ""] of streams)
        await take(tally, relay, `${who} acquires ${what}`, short, victim.author);
    }
    await relay.goodbye();
    const other = await target.publish(stream.id, "still mine", { token: stream.token });
    tally.check("the owner still publishes", other.status === 201, `${other.status} ${other.text.slice(0, 100)}`);
    const all = await target.messages(stream.id, stream.token);
    tally.check(
      "nothing is stored in the victim's name",
      all.every(({ text }) => text !== "forged"),
    );
  },
};

/** @param {import("./lib/tally.mjs").Tally} tally @param {ForeignRelay} relay @param {string} what @param {string} short @param {string} author */
const take = async (tally, relay, what, short, author) => {
  const acquired = await relay.send("PUT", `/streams/${short}`, JSON.stringify({ incarnation: relay.incarnation }));
  tally.check(what, acquired.status >= 400 && acquired.status < 500, `${acquired.status}`);
  const { epoch = 1, head = 0 } = acquired.json;
  const message = {
    author: Buffer.from(author.slice(2), "hex"),
    producer: randomBytes(16),
    number: 0,
    payload: "forged",
  };
  const batch = batchBytes(epoch, head, [message]);
  const written = await relay.send("POST", `/streams/${short}/batches`, batch, "application/cbor");
  tally.check(`${what}, and writes`, written.status >= 400 && written.status < 500, `${written.status}`);
  const inbox = await relay.send("GET", `/streams/${short}/inbox?epoch=${epoch}`);
  tally.check(`${what}, and reads its inbox`, inbox.status >= 400 && inbox.status < 500, `${inbox.status}`);
  if (acquired.status === 200) await relay.send("DELETE", `/streams/${short}?epoch=${epoch}`);
};

/** Somebody who has the key of a relay. */
class ForeignRelay {
  /** @param {import("./lib/target.mjs").Target} target @param {string} incarnation */
  constructor(target, incarnation) {
    this.target = target;
    this.incarnation = incarnation;
    const own = derive(Buffer.from(target.master ?? "", "hex"), `streamchain/relay/v1/${RELAY}`);
    this.token = `${RELAY}.${derive(own, "streamchain/uplink/v1").toString("hex")}`;
  }

  /** @param {string} method @param {string} path @param {string | Uint8Array} [body] */
  send(method, path, body, type = "application/json") {
    const call = { token: this.token, headers: { "content-type": type }, address: newAddress() };
    return this.target.send(method, `/v1/relays/${RELAY}${path}`, body === undefined ? call : { ...call, body });
  }

  register() {
    const candidates = [{ transport: "udp", address: "127.0.0.1", port: 9 }];
    const registration = {
      incarnation: this.incarnation,
      fingerprint: FINGERPRINT,
      region: "nowhere",
      shards: [{ candidates }],
      sessions: LOAD,
      streams: LOAD,
      cursor: 0,
    };
    return this.send("PUT", "", JSON.stringify(registration));
  }

  goodbye() {
    return this.send("DELETE", `?incarnation=${this.incarnation}`);
  }
}
