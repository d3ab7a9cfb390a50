// The deployment that is attacked, and the requests of strangers to it.

import { createHmac, hkdfSync, randomBytes, randomInt } from "node:crypto";
import { privateKeyToAccount } from "viem/accounts";
import { createSiweMessage } from "viem/siwe";
import { developmentAccount } from "../../../scripts/lib/system/chain.mjs";

/** How long one request may take. */
const REQUEST_TIMEOUT_MS = 20_000;
const POLL_MS = 50;

/** Longer than any attack. */
const OPERATOR_TOKEN_S = 600;

/** A key from another, as PROTOCOL.md says. @param {Uint8Array} key @param {string} info */
export const derive = (key, info) => Buffer.from(hkdfSync("sha256", key, new Uint8Array(), info, 32));

/** Hosts that are this machine. @param {string} host */
export const isLoopback = (host) => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host);

/**
 * An answer with its body read.
 * @typedef {{ status: number, headers: Headers, text: string, json: any }} Answer
 *
 * @typedef {object} Call
 * @property {string | undefined} [token] an access token or an API key
 * @property {string} [address] the client's address, for an edge on this machine, which takes the proxy's header from anybody
 * @property {Record<string, string>} [headers]
 * @property {unknown} [json] a body, as JSON
 * @property {string | Uint8Array} [body] a body as it is
 *
 * @typedef {object} Wallet
 * @property {`0x${string}`} address
 * @property {import("viem/accounts").PrivateKeyAccount} account
 * @property {`0x${string}`} key
 */

/** Waits until `look` gives something true; null when the time is over. */
/**
 * @template T
 * @param {() => Promise<T>} look
 * @param {number} timeoutMs
 */
export const until = async (look, timeoutMs) => {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) return null;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
};

/** @param {string} [key] */
export const wallet = (key) => {
  const secret = /** @type {`0x${string}`} */ (key ?? `0x${randomBytes(32).toString("hex")}`);
  const account = privateKeyToAccount(secret);
  return { address: account.address, account, key: secret };
};

/** A name that no stream has. @param {string} [prefix] */
export const newName = (prefix = "hostile") => `${prefix}-${randomBytes(6).toString("hex")}`;

/** An address of a documentation network that nobody else of this run has. */
export const newAddress = () => `198.51.${randomInt(256)}.${randomInt(256)}`;

export class Target {
  /**
   * @param {{ edge: string, rpc: string | null, master: string | null, operator?: string | undefined, config: any,
   *   status: any }} how `config` and `status`: what the edge answered at the start
   */
  constructor({ edge, rpc, master, operator, config, status }) {
    this.edge = edge;
    this.rpc = rpc;
    this.master = master;
    this.config = config;
    /** An account that may do everything. */
    this.operatorAddress = operator ?? config.operator;
    this.relays = status.relays ?? [];
  }

  /** @param {{ edge: string, rpc?: string | null, master?: string | null, operator?: string | undefined }} how */
  static async at({ edge, rpc = null, master = null, operator }) {
    const base = edge.replace(/\/+$/, "");
    const get = async (/** @type {string} */ path) => {
      const response = await fetch(`${base}${path}`, { signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) });
      if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
      return response.json();
    };
    const [config, status] = await Promise.all([get("/v1/config"), get("/v1/status")]);
    return new Target({ edge: base, rpc, master, operator, config, status });
  }

  get host() {
    return new URL(this.edge).host;
  }

  /** What the target lacks of an attack's needs. @param {readonly string[]} needs */
  lacks(needs) {
    const has = {
      chain: this.rpc !== null && [31_337, 1_337].includes(this.config.chainId),
      relay: this.relays.some((/** @type {{ alive: boolean }} */ relay) => relay.alive),
      master: this.master !== null,
    };
    return needs.filter((need) => !has[/** @type {keyof typeof has} */ (need)]);
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {Call} call
   * @returns {Promise<Answer>}
   */
  async send(method, path, { token, address, headers = {}, json, body } = {}) {
    const all = { ...headers };
    if (token) all.authorization = `Bearer ${token}`;
    if (address) all["cf-connecting-ip"] = address;
    if (json !== undefined) all["content-type"] = "application/json";
    const content = json === undefined ? body : JSON.stringify(json);
    const response = await fetch(`${this.edge}${path}`, {
      method,
      headers: all,
      body: /** @type {BodyInit | null} */ (content ?? null),
      signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      redirect: "manual",
    });
    const text = await response.text();
    const isJson = response.headers.get("content-type")?.includes("json") ?? false;
    return { status: response.status, headers: response.headers, text, json: isJson && text ? JSON.parse(text) : {} };
  }

  /** @param {string} path @param {Call} call */
  get(path, call = {}) {
    return this.send("GET", path, call);
  }

  /** A guest's token and address. @param {Call} call @returns {Promise<{ token: string, author: string }>} */
  async guest(call = {}) {
    const answer = await this.send("POST", "/v1/auth/guest", { address: newAddress(), ...call });
    if (answer.status !== 201) throw new Error(`guest: ${answer.status} ${answer.text}`);
    return answer.json;
  }

  /**
   * Posts a sign-in message, signed by the wallet.
   * @param {Wallet} who
   * @param {Partial<Parameters<typeof createSiweMessage>[0]>} changes what the message says beside account and nonce
   */
  async trySignIn({ account }, changes = {}) {
    const address = newAddress();
    const { json } = await this.send("POST", "/v1/auth/nonce", { address });
    const message = createSiweMessage({
      address: account.address,
      nonce: json.nonce,
      domain: json.domain ?? this.host,
      uri: `${new URL(this.edge).protocol}//${json.domain ?? this.host}/`,
      version: "1",
      chainId: this.config.chainId,
      ...changes,
    });
    const signature = await account.signMessage({ message });
    return this.send("POST", "/v1/auth/wallet", { address, json: { message, signature } });
  }

  /** A wallet's token. @param {Wallet} who @param {Partial<Parameters<typeof createSiweMessage>[0]>} changes */
  async signIn(who, changes = {}) {
    const answer = await this.trySignIn(who, changes);
    if (answer.status !== 201) throw new Error(`sign-in: ${answer.status} ${answer.text}`);
    return /** @type {string} */ (answer.json.token);
  }

  /**
   * A new stream of a new wallet.
   * @param {Record<string, unknown>} settings
   * @returns {Promise<{ owner: Wallet, token: string, id: string, short: string, name: string }>}
   */
  async ownStream(settings = {}, owner = wallet()) {
    const token = await this.signIn(owner);
    const name = newName();
    const json = { name, owner: owner.address, ...settings };
    const made = await this.send("POST", "/v1/streams", { token, json, address: newAddress() });
    if (made.status !== 201) throw new Error(`a stream of one's own: ${made.status} ${made.text}`);
    return { owner, token, id: made.json.id, short: made.json.short, name };
  }

  /**
   * Publishes a text by HTTP.
   * @param {string} stream
   * @param {string} text
   * @param {Call & { producer?: string, seq?: number, key?: string }} call
   */
  publish(stream, text, { producer, seq, key, headers = {}, ...call }) {
    const more = { ...headers };
    if (producer !== undefined) more["streamchain-producer"] = producer;
    if (seq !== undefined) more["streamchain-producer-seq"] = `${seq}`;
    if (key !== undefined) more["idempotency-key"] = key;
    return this.send("POST", `/v1/streams/${stream}/messages`, {
      address: newAddress(),
      ...call,
      headers: { "content-type": "application/octet-stream", ...more },
      body: text,
    });
  }

  /** All messages of a stream, with their texts. @param {string} stream @param {string} [token] */
  async messages(stream, token) {
    /** @type {{ seq: number, author: string, text: string }[]} */
    const all = [];
    for (let from = 0; ; ) {
      const { status, json, text } = await this.get(`/v1/streams/${stream}/messages?from=${from}`, { token });
      if (status !== 200) throw new Error(`history: ${status} ${text}`);
      for (const { seq, author, payload } of json.messages) {
        all.push({ seq, author, text: Buffer.from(payload.slice(2), "hex").toString() });
      }
      if (json.next >= json.head || json.messages.length === 0) return all;
      from = json.next;
    }
  }

  /** A token of the operator, or of another account, as the edge signs it with its master secret. */
  operator(account = this.operatorAddress, isSignedIn = false) {
    const part = (/** @type {unknown} */ value) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const now = Math.floor(Date.now() / 1_000);
    const signIn = isSignedIn ? { since: now } : {};
    const claims = { sub: account.toLowerCase(), iat: now, exp: now + OPERATOR_TOKEN_S, ...signIn };
    const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
    const key = derive(Buffer.from(this.master ?? "", "hex"), "streamchain/access/v1");
    return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
  }

  async status() {
    return (await this.get("/v1/status")).json;
  }

  /** One of the development chain's accounts with ether that no part of the system signs with. @param {number} index */
  rich(index) {
    return wallet(developmentAccount(5 + index).key);
  }
}
