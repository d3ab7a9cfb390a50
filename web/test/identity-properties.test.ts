// Random sequences of expiry, revocation, lost networks, failing storage and reloads: whatever happens, a message is stored
// once at most, never after its promise rejected, and only under the author that was shown when it was published. In every
// second run the page has keys, and what it signs is stored in whole groups that follow each other, or not at all.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type StreamChainError, type StreamConnection, toHex } from "../src/lib/index.ts";
import { join, text } from "./support/joining.ts";
import { account, People } from "./support/people.ts";
import { OriginKeys } from "./support/signing.ts";
import { settle } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

const RUNS = 40;
const STEPS = 45;
const MINUTE_MS = 60_000;

/** Numbers that look random and are the same in every run (mulberry32). */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

/** What became of one message. */
interface Fate {
  /** The author that was shown when it was published, or else the first one shown after that. */
  author: string | undefined;
  outcome: "open" | "stored" | string;
  /** How often it had reached the edge or a relay by the end of the step in which it was rejected. */
  sentAtEnd: number | null;
}

/** One world, and the page that is open in it. */
class Run {
  readonly world = new World();
  readonly people = new People(this.world.clock);
  readonly fates = new Map<string, Fate>();
  readonly random: (below: number) => number;
  page = this.world.page();
  connection: StreamConnection;
  shown: string | undefined;
  #words = 0;

  constructor(seed: number) {
    this.random = generator(seed);
    this.world.people = this.people;
    this.world.byHttp.serves = true;
    if (seed % 2 === 0) {
      this.world.keys = new OriginKeys();
      this.world.signatures.taken = true;
    }
    this.connection = this.#open();
  }

  /** Opens a page as a guest, with one token of a wallet, or with a function that gives tokens. */
  #open(): StreamConnection {
    const author = account(1 + this.random(2));
    const signs = (): string => {
      if (this.random(4) === 0) throw new Error("no token at the moment");
      return this.people.sign(author, (1 + this.random(20)) * MINUTE_MS);
    };
    const token = [undefined, undefined, this.people.sign(author), signs][this.random(4)];
    const connection = join(this.world, { platform: this.page, ...(token === undefined ? {} : { token }) });
    this.shown = connection.author;
    connection.on("author", (change) => {
      assert.equal(change.former, this.shown, "the event says who it was");
      this.shown = change.author;
      for (const fate of this.fates.values()) if (fate.outcome === "open") fate.author ??= change.author;
    });
    return connection;
  }

  /** Closes the page, and opens another one on the same storage. */
  reload(): void {
    this.connection.close();
    (this.page.locks as { freeAll(): void } | null)?.freeAll();
    this.page = this.world.page(this.random(4) === 0 ? { locks: null } : {});
    this.connection = this.#open();
  }

  publish(): void {
    if (this.connection.state.state === "closed") {
      this.reload();
      return;
    }
    const word = `m${this.#words++}`;
    const fate: Fate = { author: this.connection.author, outcome: "open", sentAtEnd: null };
    this.fates.set(word, fate);
    this.connection.publish(word).stored.then(
      () => (fate.outcome = "stored"),
      (error: StreamChainError) => (fate.outcome = error.code),
    );
  }

  /** How often a message has reached the edge or a relay. */
  sent(word: string): number {
    const payloads = this.world.received.flatMap((frame) => {
      if (frame.kind === "group") return frame.payloads;
      return frame.kind === "publish" ? [frame.payload] : [];
    });
    const frames = payloads.filter((payload) => text(payload) === word);
    return frames.length + this.world.byHttp.posted.filter((posted) => posted.endsWith(`:${word}`)).length;
  }

  async step(): Promise<void> {
    const { world, random } = this;
    const actions: (() => unknown)[] = [
      () => this.publish(),
      () => this.publish(),
      () => this.publish(),
      () => world.commit(),
      () => world.takeOver(),
      () => [...world.sessions].map((session) => session.stop()),
      () => (world.relayAnswers = !world.relayAnswers),
      () => (world.edgeAnswers = !world.edgeAnswers),
      () => (world.byHttp.hasLeader = !world.byHttp.hasLeader),
      () => (world.byHttp.lostAnswers = random(3)),
      () => this.people.revokeAll(),
      () => (world.storage.limit = random(2) === 0 ? 0 : Number.POSITIVE_INFINITY),
      () => world.clock.advance(random(20) * MINUTE_MS),
      () => this.reload(),
      () => this.otherRelay(),
    ];
    actions[random(actions.length)]?.();
    await world.clock.advance(random(15_000));
    this.check();
  }

  /** Another relay leads the stream, of this version or of the one before. */
  otherRelay(): void {
    if (this.world.keys === null) return;
    this.world.signatures.taken = !this.world.signatures.taken;
    this.world.takeOver();
  }

  /** Groups are whole, each follows the one before, and a producer signs all or nothing. */
  checkGroups(): void {
    const digests = new Map<string, string | null>();
    const { stored } = this.world;
    stored.forEach(({ producer, signed }, seq) => {
      if (signed === undefined) {
        assert.equal(digests.get(producer) ?? null, null, `message ${seq} of a signed producer is not signed`);
        digests.set(producer, null);
        return;
      }
      const before = stored[seq - 1]?.signed;
      if (signed.index > 0) assert.equal(before?.digest, signed.digest, `message ${seq} is apart from its group`);
      if (signed.index === 0) {
        const last = digests.get(producer) ?? `0x${"00".repeat(32)}`;
        assert.equal(toHex(signed.previous), last, `the group of message ${seq} follows none`);
        assert.equal(stored[seq + signed.count - 1]?.signed?.index, signed.count - 1, `the group of ${seq} is in part`);
      }
      digests.set(producer, signed.digest);
    });
  }

  /** What holds after each step. */
  check(): void {
    this.checkGroups();
    assert.equal(this.connection.author, this.shown, "no author changes without an event");
    for (const [word, fate] of this.fates) {
      if (fate.outcome === "open" || fate.outcome === "stored") continue;
      fate.sentAtEnd ??= this.sent(word);
      assert.equal(this.sent(word), fate.sentAtEnd, `${word} is sent after it was rejected: ${fate.outcome}`);
    }
    const words = this.world.stored.map(({ payload }) => text(payload));
    assert.equal(new Set(words).size, words.length, `nothing is stored twice: ${words}`);
    for (const { author, payload } of this.world.stored) {
      const fate = this.fates.get(text(payload)) as Fate;
      assert.equal(toHex(author), fate.author, `${text(payload)} is stored under the author that was shown`);
      const isAllowed = ["open", "stored", "outcome-unknown"].includes(fate.outcome);
      assert.ok(isAllowed, `${text(payload)} is stored although its promise rejected: ${fate.outcome}`);
    }
  }

  /** Everything works again; what the last page published is stored or rejected in the end. */
  async heal(): Promise<void> {
    const { world } = this;
    Object.assign(world, { relayAnswers: true, edgeAnswers: true });
    Object.assign(world.byHttp, { hasLeader: false, lostAnswers: 0 });
    world.signatures.taken = world.keys !== null;
    for (let i = 0; i < 30; i++) {
      world.commit();
      await world.clock.advance(10_000);
      this.check();
    }
    assert.equal(this.connection.unstored.length, 0, JSON.stringify(this.connection.state));
    this.connection.close();
    await settle();
  }
}

describe("identity under random failures", () => {
  test("no message is stored once rejected or by another author", async () => {
    const outcomes = new Map<string, number>();
    let signed = 0;
    for (let seed = 1; seed <= RUNS; seed++) {
      const run = new Run(seed);
      try {
        for (let step = 0; step < STEPS; step++) await run.step();
        await run.heal();
      } catch (error) {
        (error as Error).message += ` (seed ${seed})`;
        throw error;
      }
      signed += run.world.stored.filter((message) => message.signed !== undefined).length;
      for (const { outcome } of run.fates.values()) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    // The sequences are worth something: each kind of outcome occurs.
    for (const kind of ["stored", "outcome-unknown", "author-changed", "refused"]) {
      assert.ok((outcomes.get(kind) ?? 0) > 0, `${kind} occurs: ${JSON.stringify([...outcomes])}`);
    }
    assert.ok(signed > 20, `${signed} signed messages are stored`);
  });
});
