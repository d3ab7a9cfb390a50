// A relay without clients: it implements the section "Between relay and edge" of docs/PROTOCOL.md.

import { createHmac, hkdfSync, randomBytes } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { encodeCbor } from "../../web/src/lib/wire/cbor.ts";

/** @typedef {{ mode?: string, prove?: boolean, anchor?: string }} Settings what a stream is made with */

/**
 * @typedef {object} Waiting a batch that waits for the next bundle
 * @property {string} path
 * @property {Buffer} short
 * @property {Uint8Array} body
 * @property {(answer: { committed: number }) => void} resolve
 * @property {(error: unknown) => void} reject
 */

const OFFER = join(import.meta.dirname, "..", "..", "tests", "fixtures", "offers", "chromium.sdp");

/** How long batches are gathered that leave in one request: the relay's commit interval. */
const BUNDLE_MS = 50;

/** How many streams are made until one is sent to this relay: the edge gives half of them to the other one. */
const MAX_STREAMS_TRIED = 20;

/** @param {Buffer} secret @param {string} info */
const derive = (secret, info) => Buffer.from(hkdfSync("sha256", secret, "", info, 32));

/** @param {string} master @param {string} id */
const bearerOf = (master, id) => {
  const relayKey = derive(Buffer.from(master, "hex"), `streamchain/relay/v1/${id}`);
  return `${id}.${derive(relayKey, "streamchain/uplink/v1").toString("hex")}`;
};

/** An account's access token, as the edge itself would sign it. @param {string} master @param {string} account */
const tokenOf = (master, account) => {
  const now = Math.floor(Date.now() / 1_000);
  /** @param {object} value */
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const claims = { sub: account.toLowerCase(), iat: now, exp: now + 900 };
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  const key = derive(Buffer.from(master, "hex"), "streamchain/access/v1");
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
};

/** A stream whose epoch this relay has. */
export class LedStream {
  #uplink;
  #path;
  #author;
  #producer = randomBytes(16);
  #head;
  #epoch;
  #short;

  /**
   * @param {Uplink} uplink @param {string} name @param {string} short @param {Buffer} author
   * @param {{ epoch: number, head: number }} granted
   */
  constructor(uplink, name, short, author, { epoch, head }) {
    this.name = name;
    this.#short = Buffer.from(short.slice(2), "hex");
    this.#author = author;
    this.#uplink = uplink;
    this.#path = `/streams/${short}`;
    this.#epoch = epoch;
    this.#head = head;
  }

  /** The next seq. */
  get head() {
    return this.#head;
  }

  /**
   * The body of a batch of so many messages, the next of the stream.
   * @param {number} count
   * @param {number} payloadBytes
   */
  batch(count, payloadBytes, epoch = this.#epoch) {
    const time = Date.now();
    const records = Array.from({ length: count }, (_, i) => {
      const payload = new Uint8Array(payloadBytes);
      new DataView(payload.buffer).setUint32(0, this.#head + i);
      return [time, this.#author, this.#producer, this.#head + i, payload];
    });
    return encodeCbor([epoch, this.#head, records]);
  }

  /**
   * A batch that the edge reads, checks and refuses: its epoch is not the stream's.
   * @param {number} count
   * @param {number} payloadBytes
   */
  staleBatch(count, payloadBytes) {
    return this.batch(count, payloadBytes, this.#epoch + 1_000);
  }

  /** Posts a batch; its messages are stored when this resolves. @param {Uint8Array} body @param {number} count */
  async commit(body, count) {
    const { committed } = await this.#uplink.request("POST", `${this.#path}/batches`, body);
    this.#head += count;
    if (committed !== this.#head) throw new Error(`committed ${committed}, expected ${this.#head}`);
  }

  /** As `commit`, together with what other streams commit within the relay's interval. @param {Uint8Array} body @param {number} count */
  async commitBundled(body, count) {
    const { committed } = await this.#uplink.bundled(this.#path, this.#short, body);
    this.#head += count;
    if (committed !== this.#head) throw new Error(`committed ${committed}, expected ${this.#head}`);
  }

  /** Posts a stale batch; resolves once it was refused. @param {Uint8Array} body */
  async refused(body) {
    const response = await this.#uplink.fetch("POST", `${this.#path}/batches`, body);
    await response.arrayBuffer();
    if (response.status !== 409) throw new Error(`stale batch: ${response.status}`);
  }
}

/** A registered relay. */
export class Uplink {
  #edge;
  #id;
  #bearer;
  #master;
  #incarnation = randomBytes(8).toString("hex");
  /** @type {NodeJS.Timeout | undefined} */
  #timer;
  /** What waits for the next bundle. @type {Waiting[]} */
  #waiting = [];
  /** An edge of a version without bundles gets each batch alone, as relays send them then. */
  #takesBundles = true;

  /** @param {string} edge @param {string} master */
  constructor(edge, master, id = "bench") {
    this.#edge = edge;
    this.#id = id;
    this.#bearer = bearerOf(master, id);
    this.#master = master;
  }

  /** @param {string} method @param {string} path @param {Uint8Array | string} [body] */
  fetch(method, path, body) {
    const type = body instanceof Uint8Array ? "application/cbor" : "application/json";
    const headers = { authorization: `Bearer ${this.#bearer}`, ...(body ? { "content-type": type } : {}) };
    return fetch(`${this.#edge}/v1/relays/${this.#id}${path}`, {
      method,
      headers,
      body: /** @type {BodyInit | null} */ (body ?? null),
    });
  }

  /** @param {string} method @param {string} path @param {Uint8Array | string} [body] */
  async request(method, path, body) {
    const response = await this.fetch(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === "" ? {} : JSON.parse(text);
  }

  /**
   * Posts a batch with those of other streams; its answer.
   * @param {string} path @param {Buffer} short @param {Uint8Array} body
   * @returns {Promise<{ committed: number }>}
   */
  bundled(path, short, body) {
    if (!this.#takesBundles) return this.request("POST", `${path}/batches`, body);
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) setTimeout(() => this.#postBundle(), BUNDLE_MS);
      this.#waiting.push({ path, short, body, resolve, reject });
    });
  }

  async #postBundle() {
    const batches = this.#waiting;
    this.#waiting = [];
    const [only] = batches;
    if (only !== undefined && batches.length === 1) return this.#postAlone(only);
    try {
      const bundle = encodeCbor(batches.map(({ short, body }) => [short, body]));
      const response = await this.fetch("POST", "/batches", bundle);
      const text = await response.text();
      if (response.status === 404) {
        this.#takesBundles = false;
        for (const batch of batches) this.#postAlone(batch);
        return;
      }
      if (!response.ok) throw new Error(`bundle: ${response.status} ${text}`);
      for (const line of text.trim().split("\n")) {
        const { position, status, body } = JSON.parse(line);
        if (status === 200) batches[position]?.resolve(body);
        else batches[position]?.reject(new Error(`batch: ${status} ${JSON.stringify(body)}`));
      }
    } catch (error) {
      for (const { reject } of batches) reject(error);
    }
  }

  /** @param {Waiting} waiting */
  #postAlone({ path, body, resolve, reject }) {
    this.request("POST", `${path}/batches`, body).then(resolve, reject);
  }

  async #renew() {
    const registration = {
      incarnation: this.#incarnation,
      fingerprint: Array(32).fill("AB").join(":"),
      region: "bench",
      shards: [{ candidates: [{ transport: "udp", address: "127.0.0.1", port: 9 }] }],
      sessions: 0,
      streams: 0,
      cursor: 0,
      readsRounds: true,
    };
    const { renewAfterMs } = await this.request("PUT", "", JSON.stringify(registration));
    this.#timer = setTimeout(() => this.#renew().catch(() => {}), renewAfterMs);
  }

  /** Registers with the edge, and renews until `close`. */
  async register() {
    await this.#renew();
    return this;
  }

  /** Opens a session, so that the edge assigns the stream to this relay. @param {string} short @param {Buffer} author */
  async #openSession(short, author) {
    const response = await fetch(`${this.#edge}/v1/streams/${short}/sessions`, {
      method: "POST",
      headers: {
        "content-type": "application/sdp",
        authorization: `Bearer ${tokenOf(this.#master, `0x${author.toString("hex")}`)}`,
      },
      body: await readFile(OFFER),
    });
    if (!response.ok) throw new Error(`session: ${response.status} ${await response.text()}`);
  }

  /** @param {string} name @param {Settings} settings */
  async #make(name, settings) {
    const { operator } = await (await fetch(`${this.#edge}/v1/config`)).json();
    const made = await fetch(`${this.#edge}/v1/streams`, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${tokenOf(this.#master, operator)}`,
      },
      body: JSON.stringify({ name, ...settings }),
    });
    const { short, detail } = await made.json();
    if (short === undefined) throw new Error(`the stream ${name} could not be made: ${detail}`);
    return short;
  }

  /**
   * Makes a stream and acquires its epoch. The edge chooses the relay of a stream: where it chose the system's own, another
   * stream is made.
   * @param {string} prefix @param {Settings} settings
   */
  async acquireEpoch(prefix, settings = {}) {
    for (let tries = 0; tries < MAX_STREAMS_TRIED; tries++) {
      const name = tries === 0 ? prefix : `${prefix}-${tries}`;
      const short = await this.#make(name, settings);
      const author = randomBytes(20);
      await this.#openSession(short, author);
      const path = `/streams/${short}`;
      const response = await this.fetch("PUT", path, JSON.stringify({ incarnation: this.#incarnation }));
      const granted = await response.json();
      if (response.ok) return new LedStream(this, name, short, author, granted);
      if (!`${granted.type}`.endsWith("/not-owner")) throw new Error(`acquiring ${name}: ${JSON.stringify(granted)}`);
    }
    throw new Error(`the edge gave ${MAX_STREAMS_TRIED} streams to other relays`);
  }

  /** Deregisters from the edge. */
  async close() {
    clearTimeout(this.#timer);
    await this.request("DELETE", "");
  }
}
