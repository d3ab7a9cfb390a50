// History on its way into the archive, under load: messages are stored, become final and are packed, while readers go
// through all of them and the runtime is ended with `kill -9` at random moments.
//
// What is checked: each reader, by HTTP and by events, gets every message once, in order, with the payload that was stored;
// receipts lead to what was anchored; nothing is in the database twice; the database stays bounded.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { type Edge, type FakeRelay, type Json, type Message, PRODUCER, startEdge, until } from "./harness.ts";
import { bucketLeaf, digits, fold, GROUPS, RoundDriver, runLeaf } from "./rounds.ts";

const NAME = "moving";
const TX = `0x${"33".repeat(32)}`;
const BLOCK_HASH = `0x${"44".repeat(32)}`;
/** The Archiver tries again with growing waits after it was killed, and shares the processor with the readers. */
const PACKING_PATIENCE_MS = 180_000;

/** What a receipt of version 2 has beside the message, as far as it is checked here. */
interface Receipt {
  message: { payload: string };
  leaf: string;
  proof: string[];
  root: string;
  anchor: { first: number; root: string };
  round?: {
    run: { first: number; count: number; previous: string; proof: string[] };
    bucket: { runs: number; root: string; proof: string[] };
  };
}

/** Folds a receipt up to what the chain has: the run, or by way of its bucket the round. */
const assertProven = (receipt: Receipt, stream: string): void => {
  const { round, anchor } = receipt;
  const root = `0x${fold(receipt.leaf, receipt.proof)}`;
  if (round === undefined) {
    assert.equal(root, anchor.root);
    return;
  }
  const { first, count, previous, proof } = round.run;
  assert.equal(
    `0x${fold(runLeaf({ stream, first, count, root, previous }), proof)}`,
    round.bucket.root,
    "to the bucket",
  );
  const bucket = Number.parseInt(digits(stream).slice(0, 2), 16);
  assert.equal(
    `0x${fold(bucketLeaf(anchor.first, bucket, round.bucket), round.bucket.proof)}`,
    anchor.root,
    "to the round",
  );
};

export interface How {
  /** How many messages are stored. */
  messages: number;
  /** Messages of one batch. */
  batch: number;
  /** Bytes of one message. */
  bytes: number;
  /** How often the runtime is killed. */
  kills: number;
  /** Bytes of a pack. */
  packBytes: number;
  /** Segments that are not final yet while messages are stored, of a stream with anchors of its own. In rounds it is what is in none yet. */
  behind: number;
  /** How its messages are anchored. */
  anchor: "own" | "shared";
  /** Says how far it is. */
  log?: (line: string) => void;
}

export interface Moved {
  /** Messages in packs. */
  packed: number;
  packs: number;
  /** Bytes of all packs. */
  packedBytes: number;
  /** Most bytes that the database had. */
  databaseBytes: number;
  /** Bytes that the messages would take in the database. */
  storedBytes: number;
  /** Whole passes of the readers over all messages that were there. */
  passes: number;
  /** Messages that came as events, while they moved. */
  events: number;
  /** Receipts that were checked. */
  receipts: number;
  kills: number;
  /** Time for 1,000 messages out of packs, and of the newest ones, ms. */
  oldMs: number;
  recentMs: number;
}

const payloadOf = (seq: number, bytes: number): Buffer => Buffer.from(`message ${seq} `.padEnd(bytes, "x"));

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] ?? 0;

/** The runtimes that this process started. */
const runtimes = (): number[] =>
  readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [, name, rest] = /^\d+ \((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
        return name === "workerd" && Number(rest) === process.pid;
      } catch {
        return false; // it ended meanwhile
      }
    })
    .map(Number);

/** A run: the edge that is there, and how far everything is. */
class Run {
  readonly #how: How;
  edge: Edge;
  #relay: FakeRelay;
  #short = "";
  #epoch = 0;
  #id = "";
  stored = 0;
  #kills = 0;
  #passes = 0;
  #events = 0;
  #receipts = 0;
  #databaseBytes = 0;
  readonly #rounds = new RoundDriver(() => this.edge);
  /** The round that has no anchor yet. */
  #made: { round: number; root: string } | undefined;
  #over = false;
  /** Ends the response of events that is read. */
  #stopFollowing = async (): Promise<void> => {};
  /** While the runtime is being replaced. */
  #restarting: Promise<void> | undefined;

  constructor(how: How, edge: Edge) {
    this.#how = how;
    this.edge = edge;
    this.#relay = edge.relay("r1");
  }

  static vars(how: How): Record<string, string> {
    return {
      ARCHIVE_PACK_BYTES: String(how.packBytes),
      ARCHIVE_INTERVAL_MS: "200",
      SEGMENT_MAX_AGE_MS: "200",
      ANCHOR_INTERVAL_MS: "1000",
      BATCHERS: `${GROUPS.length}`,
    };
  }

  async begin(): Promise<void> {
    const stream = await this.edge.streamOn(this.#relay, NAME, { anchor: this.#how.anchor });
    [this.#short, this.#epoch, this.#id] = [stream.short, stream.epoch, stream.id];
    await this.edge.listed(NAME);
  }

  /** Does something until it works: the runtime may end under it. */
  async #surely<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    let last: unknown;
    for (let tries = 0; tries < 60; tries += 1) {
      await this.#restarting;
      try {
        return await attempt();
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        last = error;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
    }
    throw new Error(`${what} did not work`, { cause: last });
  }

  async #get(path: string): Promise<Json> {
    return this.#surely(path, async () => {
      const answer = await this.edge.get(path);
      // What a dying runtime answers is no answer.
      if (answer.status >= 500 || answer.status === 429) throw new Error(answer.text);
      assert.equal(answer.status, 200, `${path}: ${answer.text}`);
      return answer.json;
    });
  }

  /** Stores all messages, a batch after the other. */
  async store(): Promise<void> {
    const { messages, batch, bytes } = this.#how;
    while (this.stored < messages && !this.#over) {
      const first = this.stored;
      const count = Math.min(batch, messages - first);
      const body: Message[] = Array.from({ length: count }, (_, index) => ({
        producer: PRODUCER,
        number: first + index,
        payload: payloadOf(first + index, bytes),
      }));
      await this.#surely("a batch", async () => {
        const answer = await this.#relay.batch(this.#short, this.#epoch, first, body);
        if (answer.status !== 200) {
          await this.#relay.register();
          await this.#relay.acquireEpoch(this.#short);
          throw new Error(answer.text);
        }
        assert.equal(answer.json.committed, first + count);
      });
      this.stored = first + count;
    }
    this.#how.log?.(`all ${messages} messages are stored`);
  }

  /** Makes what is `behind` segments old final, and all of it once everything is stored. */
  async #finalizeOwn(): Promise<void> {
    const statement = `INSERT INTO anchors (stream, first, count, root, tx, block, block_hash, log_index, state)
      SELECT stream, first, count, root, ?, 12, ?, first, 'final' FROM segments s WHERE stream = ?
      AND NOT EXISTS (SELECT 1 FROM anchors a WHERE a.stream = s.stream AND a.first = s.first)
      AND (SELECT count(*) FROM segments later WHERE later.stream = s.stream AND later.first >= s.first) > ?`;
    const behind = this.stored < this.#how.messages ? this.#how.behind : 0;
    const query = (await this.edge.database()).prepare(statement);
    await query.bind(TX, BLOCK_HASH, this.#id, behind).run();
  }

  /** Makes a round of what the stream offered to its batcher, and the round final; first the one that a kill left without its anchor. */
  async #finalizeRound(): Promise<void> {
    this.#made ??= await this.#rounds.make();
    await this.#rounds.enter(this.#made.round, this.#made.root, "final");
    this.#made = undefined;
  }

  /** Makes what there is final, again and again. */
  async finalize(): Promise<void> {
    while (!this.#over) {
      await this.#surely("finality", () => (this.#how.anchor === "own" ? this.#finalizeOwn() : this.#finalizeRound()));
      const { database } = (await this.#get("/v1/status")).storage as { database: { bytes: number } };
      this.#databaseBytes = Math.max(this.#databaseBytes, database?.bytes ?? 0);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  /** Reads everything from the beginning, page by page; returns how much there was. */
  async readAll(): Promise<number> {
    for (let from = 0; ; ) {
      const path = `/v1/streams/${NAME}/messages?from=${from}&limit=1000`;
      const page = (await this.#get(path)) as { messages?: { seq: number; payload: string }[]; head?: number };
      for (const { seq, payload } of page.messages ?? []) {
        assert.equal(seq, from, "in order, each once");
        assert.equal(payload, `0x${payloadOf(seq, this.#how.bytes).toString("hex")}`);
        from += 1;
      }
      if (from >= (page.head ?? 0)) return from;
      assert.ok((page.messages ?? []).length > 0, `nothing at ${from}, below the head`);
    }
  }

  async read(): Promise<void> {
    while (!this.#over) {
      await this.readAll();
      this.#passes += 1;
    }
  }

  /** Takes what one response of events has behind `next`; the seq that follows. */
  async #readEvents(next: number): Promise<number> {
    const response = await this.edge.raw(`/v1/streams/${NAME}/events?after=0-${next}`);
    if (response.status !== 200 || response.body === null) throw new Error(await response.text());
    const reader = response.body.getReader();
    this.#stopFollowing = () => reader.cancel();
    const decoder = new TextDecoder();
    let text = "";
    try {
      while (!this.#over && next < this.#how.messages) {
        const { value, done } = await reader.read();
        if (done) break;
        text += decoder.decode(value, { stream: true });
        const blocks = text.split("\n\n");
        text = blocks.pop() as string;
        for (const block of blocks.filter((one) => /^event: stored$/m.test(one))) {
          const { seq, payload } = JSON.parse(/^data: (.*)$/m.exec(block)?.[1] ?? "null") as Json;
          assert.equal(seq, next, "in order, each once");
          assert.equal(payload, `0x${payloadOf(next, this.#how.bytes).toString("hex")}`);
          next += 1;
          this.#events += 1;
        }
      }
    } catch (error) {
      // A response that a dying runtime cut off is no fault.
      if (error instanceof assert.AssertionError) throw error;
    } finally {
      await reader.cancel().catch(() => {});
    }
    return next;
  }

  /** Follows the stream's events from its beginning to its end. */
  async follow(): Promise<void> {
    for (let next = 0; !this.#over; ) {
      next = await this.#surely("events", () => this.#readEvents(next));
      if (next >= this.#how.messages) return;
    }
  }

  /** Asks for receipts of messages anywhere, and checks them. */
  async prove(): Promise<void> {
    while (!this.#over) {
      const seq = Math.floor(Math.random() * Math.max(1, this.stored));
      await this.#surely("a receipt", async () => {
        const answer = await this.edge.get(`/v1/streams/${NAME}/messages/${seq}/receipt`);
        if (answer.status >= 500) throw new Error(answer.text);
        if (answer.status === 404) return; // not anchored yet
        const receipt = answer.json as unknown as Receipt;
        assert.equal(receipt.message.payload, `0x${payloadOf(seq, this.#how.bytes).toString("hex")}`);
        assertProven(receipt, this.#id);
        this.#receipts += 1;
      });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Ends the runtime, at random moments while messages are stored, and starts it again on the same data. */
  async kill(): Promise<void> {
    const { kills, messages, log } = this.#how;
    for (let kill = 1; kill <= kills; kill += 1) {
      const at = ((kill - Math.random() / 2) * messages) / (kills + 1);
      while (this.stored < at && !this.#over) await new Promise((resolve) => setTimeout(resolve, 20));
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
      const old = this.edge;
      this.#restarting = (async () => {
        for (const pid of runtimes()) process.kill(pid, "SIGKILL");
        await old.dispose().catch(() => {});
        this.edge = await startEdge({ folder: old.folder, vars: Run.vars(this.#how) });
        const incarnation = this.#relay.incarnation;
        this.#relay = this.edge.relay("r1");
        this.#relay.incarnation = incarnation;
        await this.#relay.register();
        await this.#relay.acquireEpoch(this.#short);
      })();
      await this.#restarting;
      this.#restarting = undefined;
      this.#kills += 1;
      log?.(`killed at ${this.stored} messages`);
    }
  }

  /** Waits until everything is final, and then until it is packed: both may be far behind what is stored. */
  async packed(): Promise<void> {
    const { anchor, bytes, messages, packBytes, log } = this.#how;
    const anchored = anchor === "own" ? "anchors" : "runs";
    const count = async (query: string): Promise<number> => {
      const row = await (await this.edge.database()).prepare(query).bind(this.#id).first<{ n: number | null }>();
      return row?.n ?? 0;
    };
    await until(
      "everything is final",
      async () => (await count(`SELECT max(first + count) AS n FROM ${anchored} WHERE stream = ?`)) === messages,
      PACKING_PATIENCE_MS,
    );
    await until(
      "the archive has what is final",
      async () => {
        const left = await count(`SELECT sum(s.count) AS n FROM segments s WHERE s.stream = ?
          AND s.first < (SELECT max(a.first + a.count) FROM ${anchored} a WHERE a.stream = s.stream)`);
        return left * bytes < 2 * packBytes;
      },
      PACKING_PATIENCE_MS,
    );
    log?.("what is final is in packs");
  }

  /** Reads all of it once more, and counts. */
  async finish(): Promise<Moved> {
    assert.equal(await this.readAll(), this.#how.messages);
    const doubled = `SELECT count(*) AS n FROM segments s JOIN packs p ON p.stream = s.stream AND s.first < p.next`;
    const database = await this.edge.database();
    assert.equal((await database.prepare(doubled).first<{ n: number }>())?.n, 0, "nothing is in two places");
    const bucket = await this.edge.archive();
    let [objects, cursor]: [number, string | undefined] = [0, undefined];
    do {
      const page: Awaited<ReturnType<typeof bucket.list>> = await bucket.list(cursor === undefined ? {} : { cursor });
      objects += page.objects.filter(({ key }) => key.startsWith("streams/")).length;
      cursor = page.truncated ? page.cursor : undefined;
    } while (cursor !== undefined);
    const { archive } = (await this.#get("/v1/status")).storage as { archive: Json };
    assert.ok(objects <= (archive.packs as number) + 1, `${objects} objects for ${archive.packs} packs`);
    const time = async (from: number) => {
      const begun = performance.now();
      for (let next = from; next < from + 1_000; ) {
        const page = await this.#get(`/v1/streams/${NAME}/messages?from=${next}&limit=${from + 1_000 - next}`);
        next = page.next as number;
      }
      return performance.now() - begun;
    };
    const [old, recent]: [number[], number[]] = [[], []];
    for (let i = 0; i < 15; i += 1) {
      old.push(await time(Math.floor(Math.random() * ((archive.messages as number) - 1_000))));
      recent.push(await time(this.#how.messages - 1_000));
    }
    this.#how.log?.("all of it was read again");
    const { messages, bytes } = this.#how;
    return {
      packed: archive.messages as number,
      packs: archive.packs as number,
      packedBytes: archive.bytes as number,
      databaseBytes: this.#databaseBytes,
      storedBytes: messages * (bytes + 55),
      passes: this.#passes,
      events: this.#events,
      receipts: this.#receipts,
      kills: this.#kills,
      oldMs: median(old),
      recentMs: median(recent),
    };
  }

  end(): void {
    this.#over = true;
    this.#stopFollowing().catch(() => {});
  }
}

/** Stores messages and moves them, under readers and kills. */
export const moveHistory = async (how: How): Promise<Moved> => {
  const run = new Run(how, await startEdge({ vars: Run.vars(how) }));
  try {
    await run.begin();
    const following = run.follow();
    const beside = Promise.all([run.finalize(), run.read(), run.prove(), following]);
    beside.catch((error) => how.log?.(String(error)));
    // A failure of those ends the run, and none of them is lost while the others go on.
    await Promise.race([beside, Promise.all([run.store(), run.kill()])]);
    await Promise.race([beside, Promise.all([run.packed(), following])]);
    run.end();
    await beside;
    return await run.finish();
  } finally {
    run.end();
    await run.edge.stop();
  }
};
