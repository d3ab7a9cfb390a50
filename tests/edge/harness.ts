// One built Worker under Miniflare for one test file, and a relay that is played by plain HTTP.
//
//   const edge = await startEdge();
//   const relay = edge.relay("r1");
//   await relay.register();

import assert from "node:assert/strict";
import { createHmac, hkdfSync, randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { convertV4MiniflareOptions, Miniflare } from "miniflare";
import { type Cbor, encode } from "./cbor.ts";
import { migrate } from "./migrate.ts";

const ROOT = join(import.meta.dirname, "..", "..");
/** Another build of the Worker than the usual one can be tested by naming its folder. */
const BUILD = process.env.EDGE_BUILD ?? join(ROOT, "build");
const OFFERS = join(ROOT, "tests", "fixtures", "offers");

export const MASTER_SECRET = "11".repeat(32);
/** A local development account's well-known key and address. */
export const ANCHORER_KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
export const OPERATOR = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266";
export const CONTRACT = "0x5fbdb2315678afecb367f032d93f642f64180aa3";
export const FINGERPRINT = Array(32).fill("AB").join(":");

/** How long a test waits for what happens by itself, ms; far above the second or two that it takes. */
const PATIENCE_MS = 20_000;

export type Json = Record<string, unknown>;

/** An answer with its body read. */
export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  json: Json;
}

const read = async (response: Response): Promise<Answer> => {
  const text = await response.text();
  const isJson = /[/+]json\b/.test(response.headers.get("content-type") ?? "");
  return {
    status: response.status,
    headers: response.headers,
    text,
    json: isJson && text !== "" ? JSON.parse(text) : {},
  };
};

/** A real offer of the fixtures. */
export const offer = (client: string): Promise<string> => readFile(join(OFFERS, `${client}.sdp`), "utf8");

/** Checks that an answer is a problem document of this kind, and returns it. */
export const assertProblem = (answer: Answer, status: number, slug: string): Json => {
  assert.equal(answer.status, status, `expected ${status} ${slug}, got ${answer.status} ${answer.text}`);
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal(answer.json.type, `https://streamchain.dev/problems/${slug}`);
  assert.equal(answer.json.status, status);
  assert.ok(typeof answer.json.title === "string" && typeof answer.json.detail === "string");
  return answer.json;
};

/** Waits until `look` gives something. */
export const until = async <T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  patienceMs = PATIENCE_MS,
): Promise<T> => {
  const end = Date.now() + patienceMs;
  while (Date.now() < end) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`waited ${patienceMs} ms in vain until ${what}`);
};

/** A key of ours from another (HKDF-SHA256), as `protocol/src/auth/keys.rs` derives it. */
const derive = (key: Uint8Array, info: string): Buffer =>
  Buffer.from(hkdfSync("sha256", key, new Uint8Array(), info, 32));

/** What an access token may say beside its holder; see `protocol/src/auth/access_token.rs`. */
export interface Claims {
  /** Seconds from now until it expires. */
  life?: number;
  guest?: boolean;
  scope?: { streams?: string[]; rights: string[] };
  [claim: string]: unknown;
}

/** An access token as the edge itself would sign it. */
export const accessToken = (sub: string, { life = 900, ...claims }: Claims = {}, secret = MASTER_SECRET): string => {
  const now = Math.floor(Date.now() / 1_000);
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub, iat: now, exp: now + life, ...claims })}`;
  const key = derive(Buffer.from(secret, "hex"), "streamchain/access/v1");
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
};

/** The `Authorization` header of an access token. */
export const bearer = (token: string): { authorization: string } => ({ authorization: `Bearer ${token}` });

/** The operator's header. */
export const asOperator = (): { authorization: string } => bearer(accessToken(OPERATOR));

/** The header of a wallet's account. */
export const asUser = (account: string): { authorization: string } => bearer(accessToken(account));

/** The author of messages for which it does not matter. */
const MESSAGE_AUTHOR = Buffer.alloc(20, 7);

/** The producer of messages for which it does not matter. */
export const PRODUCER = Buffer.alloc(16, 3);

export interface Message {
  time?: number;
  author?: Uint8Array;
  producer: Uint8Array;
  number: number;
  payload: Uint8Array | string;
  /** The header of the signed group that begins with it. */
  group?: Cbor[];
}

/** A batch's bytes. */
export const batchBytes = (epoch: number, first: number, messages: Message[]): Uint8Array =>
  encode([
    epoch,
    first,
    messages.map(
      (message): Cbor => [
        message.time ?? 1_700_000_000_000,
        message.author ?? MESSAGE_AUTHOR,
        message.producer,
        message.number,
        Buffer.from(message.payload),
        ...(message.group ? [message.group] : []),
      ],
    ),
  ]);

/** What the session of an answer may do: the two bits of its token, 1 to subscribe and 2 to publish. */
export const rightsOf = ({ text }: Answer): number => {
  const ufrag = /^a=ice-ufrag:(\S+)/m.exec(text)?.[1] ?? "";
  return Buffer.from(ufrag, "base64").readUInt8(1) & 3;
};

/** `count` messages of one producer, numbered from `number` on. */
export const messagesOf = (producer: Uint8Array, number: number, count: number): Message[] =>
  Array.from({ length: count }, (_, index) => ({
    producer,
    number: number + index,
    payload: `message ${number + index}`,
  }));

/** A relay as the edge sees it: its requests, and nothing behind them. */
export class FakeRelay {
  readonly #edge: Edge;
  readonly id: string;
  incarnation: string = randomBytes(8).toString("hex");
  cursor = 0;
  /** The master secret that its key comes from. */
  secret = MASTER_SECRET;

  constructor(edge: Edge, id: string) {
    this.#edge = edge;
    this.id = id;
  }

  get bearer(): string {
    return `${this.id}.${this.#derived("streamchain/uplink/v1").toString("hex")}`;
  }

  /** The secret that it checks the passwords of its TURN clients with. */
  get turnSecret(): string {
    return this.#derived("streamchain/turn/v1").toString("hex");
  }

  #derived(info: string): Buffer {
    return derive(derive(Buffer.from(this.secret, "hex"), `streamchain/relay/v1/${this.id}`), info);
  }

  /** Whether the relay would let the client of this answer in: token, password, TURN credentials are by its own key. */
  accepts({ text, headers }: Answer): { token: boolean; password: boolean; turn: boolean } {
    const line = (name: string) => new RegExp(`^a=${name}:(.*)\\r$`, "m").exec(text)?.[1] ?? "";
    const ufrag = line("ice-ufrag");
    const token = Buffer.from(ufrag, "base64");
    const signature = createHmac("sha256", this.#derived("streamchain/session/v1"))
      .update(token.subarray(0, 70))
      .digest();
    const password = createHmac("sha256", this.#derived("streamchain/ice-pwd/v1")).update(ufrag).digest();
    const of = (name: string) => new RegExp(`${name}="([^"]*)"`).exec(headers.get("link") ?? "")?.[1] ?? "";
    const turn = createHmac("sha1", this.turnSecret).update(of("username"));
    return {
      token: token.length === 86 && token.subarray(70).equals(signature.subarray(0, 16)),
      password: line("ice-pwd") === password.subarray(0, 24).toString("base64"),
      turn: of("credential") === turn.digest("base64"),
    };
  }

  #send(method: string, path: string, body?: string | Uint8Array, type = "application/json"): Promise<Answer> {
    const headers = { authorization: `Bearer ${this.bearer}`, "content-type": type };
    return this.#edge.send(method, `/v1/relays/${this.id}${path}`, { headers, body: body as BodyInit });
  }

  /** Registers, or renews. */
  async register(changes: Json = {}): Promise<Answer> {
    const candidates = [{ transport: "udp", address: "127.0.0.1", port: 7100 }];
    const registration = {
      incarnation: this.incarnation,
      fingerprint: FINGERPRINT,
      region: "local",
      shards: [{ candidates }],
      sessions: 1,
      streams: 0,
      cursor: this.cursor,
      ...changes,
    };
    const answer = await this.#send("PUT", "", JSON.stringify(registration));
    if (answer.status === 200) this.cursor = answer.json.cursor as number;
    return answer;
  }

  presence(short: string, epoch: number, presence: Json): Promise<Answer> {
    return this.#send("PUT", `/streams/${short}/presence?epoch=${epoch}`, JSON.stringify(presence));
  }

  goodbye(): Promise<Answer> {
    return this.#send("DELETE", `?incarnation=${this.incarnation}`);
  }

  /** Takes the lead, as a relay that takes signed groups, follows a leader, or lost its link to the one of that epoch. */
  acquireEpoch(short: string, more: { groups?: boolean; follows?: boolean; lost?: number } = {}): Promise<Answer> {
    return this.#send("PUT", `/streams/${short}`, JSON.stringify({ incarnation: this.incarnation, ...more }));
  }

  producer(short: string, producer: Uint8Array, epoch: number, more = ""): Promise<Answer> {
    const path = `/streams/${short}/producers/${Buffer.from(producer).toString("hex")}`;
    return this.#send("GET", `${path}?epoch=${epoch}${more}`);
  }

  /** What waits for the relay. */
  inbox(short: string, epoch: number): Promise<Answer> {
    return this.#send("GET", `/streams/${short}/inbox?epoch=${epoch}`);
  }

  /** Lets a stream go. */
  release(short: string, epoch: number): Promise<Answer> {
    return this.#send("DELETE", `/streams/${short}?epoch=${epoch}`);
  }

  batch(short: string, epoch: number, first: number, messages: Message[]): Promise<Answer> {
    return this.rawBatch(short, batchBytes(epoch, first, messages));
  }

  /** Posts batches of several streams together. */
  rawBundle(body: Uint8Array): Promise<Answer> {
    return this.#send("POST", "/batches", body, "application/cbor");
  }

  rawBatch(short: string, body: Uint8Array): Promise<Answer> {
    return this.#send("POST", `/streams/${short}/batches`, body, "application/cbor");
  }
}

export interface EdgeOptions {
  /** Settings beside the usual ones. */
  vars?: Record<string, string>;
  /** Bindings of the platform's rate limiter. */
  ratelimits?: Record<string, { namespace_id: string; simple: { limit: number; period: 10 | 60 } }>;
  /** Modules around the built ones, for what a test wants to go wrong in them; the first is the Worker's entry then. */
  around?: { type: "ESModule" | "CompiledWasm"; name: string; contents: string | Uint8Array }[] | undefined;
  /** Whether there is an archive; there is unless this is false. */
  archive?: boolean;
  /** A folder whose state goes on. */
  folder?: string;
  /** What answers the Worker's own requests; a chain that is down unless given. */
  outbound?: (request: Request) => Promise<Response>;
  /** Whether requests reach the Worker, and its own ones reach others, without Miniflare's Workers in between: for benches. */
  direct?: boolean;
}

/** A namespace of Durable Objects, as far as it is used here. */
interface Objects {
  idFromName(name: string): unknown;
  get(id: unknown): { fetch(url: string, init: RequestInit): Promise<Response> };
}
/** A bucket of R2, as far as it is used here. */
export interface Bucket {
  list(options?: { cursor?: string }): Promise<{ objects: { key: string }[]; truncated: boolean; cursor?: string }>;
  get(key: string): Promise<{ arrayBuffer(): Promise<ArrayBuffer> } | null>;
  put(key: string, value: Uint8Array): Promise<unknown>;
}

/** A running edge. */
export class Edge {
  readonly #miniflare: Miniflare;
  readonly #url: string;
  readonly folder: string;

  constructor(miniflare: Miniflare, url: string, folder: string) {
    this.#miniflare = miniflare;
    this.#url = url;
    this.folder = folder;
  }

  /** Its base address. */
  get url(): string {
    return this.#url;
  }

  /** The host and port that it is reached at. */
  get host(): string {
    return new URL(this.#url).host;
  }

  async send(method: string, path: string, init: RequestInit = {}): Promise<Answer> {
    return read(await fetch(`${this.#url}${path}`, { method, ...init }));
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send("GET", path, { headers });
  }

  /** A response with its body unread. */
  raw(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.#url}${path}`, init);
  }

  postJson(path: string, body: unknown, more: Record<string, string> = {}): Promise<Answer> {
    const headers = { "content-type": "application/json", ...more };
    return this.send("POST", path, { headers, body: JSON.stringify(body) });
  }

  postOffer(stream: string, body: string, headers: Record<string, string> = {}): Promise<Answer> {
    const all = { "content-type": "application/sdp", ...headers };
    return this.send("POST", `/v1/streams/${stream}/sessions`, { headers: all, body });
  }

  relay(id: string): FakeRelay {
    return new FakeRelay(this, id);
  }

  database(): Promise<Awaited<ReturnType<Miniflare["getD1Database"]>>> {
    return this.#miniflare.getD1Database("DB");
  }

  /** The archive's bucket. */
  archive(): Promise<Bucket> {
    return this.#miniflare.getR2Bucket("ARCHIVE") as unknown as Promise<Bucket>;
  }

  /** Asks an object by hand: a request's fields in their order, as `src/api` lists them. */
  async ask(binding: string, object: string, request: string, ...fields: unknown[]): Promise<Answer> {
    const objects = (await this.#miniflare.getDurableObjectNamespace(binding)) as unknown as Objects;
    const body = fields.length === 0 ? "" : JSON.stringify(fields);
    const stub = objects.get(objects.idFromName(object));
    return read(await stub.fetch(`https://internal/${request}`, { method: "POST", body }));
  }

  /** Gives a Stream object the notices that the Listener would: its request `ApplyNotices`, of its own anchors. */
  async notice(short: string, ...notices: Json[]): Promise<void> {
    const applied = await this.ask("STREAM", short.slice(2), "ApplyNotices", notices, false);
    assert.equal(applied.status, 200, applied.text);
  }

  /** Opens a session of an author, whose messages the stream's relay may bring from then on. */
  async sessionOf(stream: string, author: Uint8Array = MESSAGE_AUTHOR): Promise<void> {
    const opened = await this.postOffer(
      stream,
      await offer("chromium"),
      asUser(`0x${Buffer.from(author).toString("hex")}`),
    );
    assert.equal(opened.status, 201, opened.text);
  }

  /** Makes a stream, whose first session is sent to `relay`, which then acquires its epoch. */
  async streamOn(
    relay: FakeRelay,
    name: string,
    settings: Json = {},
  ): Promise<{ id: string; short: string; epoch: number }> {
    await relay.register({ sessions: 0 });
    const usual = Object.keys(settings).length === 0;
    const made = await this.postJson("/v1/streams", { name, ...settings }, usual ? {} : asOperator());
    const short = made.json.short as string;
    await this.sessionOf(short);
    const taken = await relay.acquireEpoch(short);
    assert.equal(taken.status, 200, taken.text);
    return { id: made.json.id as string, short, epoch: taken.json.epoch as number };
  }

  /** Waits until the database knows a stream. */
  async listed(name: string): Promise<void> {
    const query = (await this.database()).prepare("SELECT id FROM streams WHERE name = ?");
    await until(`${name} is in the database`, async () => (await query.bind(name).first()) !== null);
  }

  /** Waits until all that is stored of a stream is in the database. */
  async flushed(id: string, count: number): Promise<void> {
    const database = await this.database();
    const query = database.prepare("SELECT coalesce(sum(count), 0) AS stored FROM segments WHERE stream = ?");
    await until(`${count} messages are in the database`, async () => {
      const row = await query.bind(id).first<{ stored: number }>();
      return row?.stored === count;
    });
  }

  /** Stores messages from seq 0 on through a relay, so that each of `sizes` becomes a segment of its own. */
  async storeSegments(
    relay: FakeRelay,
    { id, short, epoch }: { id: string; short: string; epoch: number },
    sizes: number[],
  ): Promise<void> {
    let stored = 0;
    for (const size of sizes) {
      await relay.batch(short, epoch, stored, messagesOf(PRODUCER, stored, size));
      stored += size;
      await this.flushed(id, stored);
    }
  }

  /** Stops, and starts again on the same state. */
  async restart(options: EdgeOptions = {}): Promise<Edge> {
    await this.dispose();
    return startEdge({ ...options, folder: this.folder });
  }

  /** Stops; its state stays in the folder. */
  dispose(): Promise<void> {
    return this.#miniflare.dispose();
  }

  async stop(): Promise<void> {
    await this.dispose();
    await rm(this.folder, { recursive: true, force: true });
  }
}

const chainIsDown = async (): Promise<Response> => new Response("the chain is down", { status: 503 });

/** The entry first. */
const modules = async (around: EdgeOptions["around"] = []) => {
  const names = (await readdir(BUILD)).filter((name) => /\.(js|wasm)$/.test(name) && name !== "index.js");
  const built = ["index.js", ...names].map((name) => ({
    type: name.endsWith(".wasm") ? ("CompiledWasm" as const) : ("ESModule" as const),
    path: join(BUILD, name),
  }));
  return [...around.map(({ name, ...rest }) => ({ ...rest, path: join(BUILD, name) })), ...built];
};

/** Starts the built Worker with an empty database, or goes on with the state of a folder. */
export const startEdge = async (options: EdgeOptions = {}): Promise<Edge> => {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), "streamchain-edge-")));
  const miniflare = new Miniflare(
    convertV4MiniflareOptions({
      modules: await modules(options.around),
      modulesRoot: BUILD,
      compatibilityDate: "2026-10-01",
      host: "127.0.0.1",
      durableObjects: Object.fromEntries(
        [
          "Stream",
          "Relays",
          "Anchorer",
          "Batcher",
          "Listener",
          "Limits",
          "Audit",
          "Account",
          "Archiver",
          "Webhooks",
        ].map((className) => [className.toUpperCase(), { className, useSQLite: true }]),
      ),
      d1Databases: ["DB"],
      r2Buckets: options.archive === false ? [] : ["ARCHIVE"],
      ratelimits: options.ratelimits ?? {},
      resourcePersistencePath: folder,
      ...(options.direct ? { unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }] } : {}),
      ...(options.direct && !options.outbound ? {} : { outboundService: options.outbound ?? chainIsDown }),
      bindings: {
        MASTER_SECRET,
        ANCHORER_KEY,
        OPERATORS: OPERATOR,
        CHAIN_ID: "31337",
        CHAIN_RPC_URLS: "http://chain.invalid",
        CONTRACT_ADDRESS: CONTRACT,
        SEGMENT_MAX_AGE_MS: "1000",
        RATE_LIMITS: "off", // a test's many clients have one address
        ...options.vars,
      },
    } as Parameters<typeof convertV4MiniflareOptions>[0]),
  );
  const front = await miniflare.ready;
  const url = (options.direct ? await miniflare.unsafeGetDirectURL() : front).origin;
  if (options.folder === undefined) await migrate(miniflare);
  return new Edge(miniflare, url, folder);
};
