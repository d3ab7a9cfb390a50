// What the hooks read, on a virtual clock and without React: a stream, publications, a receipt.

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { leafHashes, streamId } from "../src/lib/chain/merkle.ts";
import { ANCHORED_TOPIC } from "../src/lib/chain/on-chain.ts";
import { parseReceipt, type Receipt } from "../src/lib/chain/receipt.ts";
import type { StreamConnection } from "../src/lib/connection/connection.ts";
import { StreamChainError } from "../src/lib/errors.ts";
import { fromHex, type Hex, toHex, toWord } from "../src/lib/wire/bytes.ts";
import type { StreamMessage } from "../src/lib/wire/records.ts";
import { PublishStore } from "../src/react/publish-store.ts";
import { type ReceiptChecks, ReceiptStore } from "../src/react/receipt-store.ts";
import { type StreamOptions, StreamStore } from "../src/react/stream-store.ts";
import { text } from "./support/joining.ts";
import { settle, VirtualClock } from "./support/surroundings.ts";
import { World } from "./support/world.ts";

const storeOf = (world: World, options: Partial<StreamOptions> = {}): StreamStore =>
  new StreamStore({ stream: "demo", edge: "https://edge.test", platform: world.page(), ...options }, world.clock);

const texts = (store: StreamStore): string[] => store.read().messages.map(({ payload }) => text(payload));

const sessionsAsked = (world: World): number =>
  world.requests.filter((request) => request === "POST /v1/streams/demo/sessions").length;

/** Publishes one message for another client after the other, each in a turn of its own. */
const sayEach = async (world: World, said: readonly string[]): Promise<void> => {
  for (const one of said) {
    world.say(one);
    await settle();
  }
};

describe("the stream of a component", () => {
  test("connects when it is read, and closes when it is not", async () => {
    const world = new World();
    const store = storeOf(world);
    assert.equal(store.read().connection, null);
    await settle();
    assert.deepEqual(world.requests, [], "nothing is asked before the component is mounted");
    const leave = store.subscribe(() => {});
    await world.clock.advance(100);
    assert.equal(store.read().state, "open");
    const { connection } = store.read();
    leave();
    await world.clock.advance(100);
    assert.equal(connection?.state.state, "closed");
    assert.equal(store.read().connection, null);
    assert.equal(world.sessions.size, 0);
  });

  test("strict mode's second mount keeps the one connection", async () => {
    const world = new World();
    const store = storeOf(world);
    const leaveFirst = store.subscribe(() => {});
    const { connection } = store.read();
    leaveFirst();
    const leave = store.subscribe(() => {});
    await world.clock.advance(1_000);
    assert.deepEqual([store.read().connection === connection, store.read().state], [true, "open"]);
    assert.deepEqual([sessionsAsked(world), world.endedSessions], [1, 0]);
    leave();
    await world.clock.advance(100);
  });

  test("a component that comes back reads the stream anew", async () => {
    const world = new World();
    const store = storeOf(world, { from: 0 });
    const leave = store.subscribe(() => {});
    await world.clock.advance(100);
    await sayEach(world, ["a", "b"]);
    world.commit();
    await world.clock.advance(100);
    assert.deepEqual(texts(store), ["a", "b"]);
    leave();
    await world.clock.advance(100);
    assert.deepEqual(texts(store), []);
    const leaveAgain = store.subscribe(() => {});
    await world.clock.advance(1_000);
    assert.deepEqual(texts(store), ["a", "b"]);
    leaveAgain();
    await world.clock.advance(100);
  });

  test("keeps the newest messages only", async () => {
    const world = new World();
    const store = storeOf(world, { from: 0, maxMessages: 2 });
    const leave = store.subscribe(() => {});
    await world.clock.advance(1_000);
    await sayEach(world, ["a", "b", "c", "d", "e"]);
    await world.clock.advance(100);
    assert.deepEqual(texts(store), ["d", "e"]);
    leave();
    await world.clock.advance(100);
  });

  test("keeps 16 MiB of payloads only", async () => {
    const world = new World();
    const store = storeOf(world, { from: 0 });
    const leave = store.subscribe(() => {});
    await world.clock.advance(1_000);
    const large = "x".repeat(65_536);
    for (let i = 0; i < 3; i++) await sayEach(world, Array(100).fill(large));
    await world.clock.advance(100);
    assert.equal(texts(store).length, 256, "the newest ones, of 300");
    assert.equal(store.read().messages.at(-1)?.seq, 299);
    leave();
    await world.clock.advance(100);
  });

  test("what a relay loses is taken back", async () => {
    const world = new World();
    const store = storeOf(world, { from: 0 });
    const leave = store.subscribe(() => {});
    await world.clock.advance(100);
    await sayEach(world, ["kept"]);
    world.commit();
    await sayEach(world, ["lost"]);
    await world.clock.advance(100);
    assert.deepEqual(texts(store), ["kept", "lost"]);
    world.takeOver();
    await world.clock.advance(5_000);
    assert.deepEqual(texts(store), ["kept"]);
    leave();
    await world.clock.advance(100);
  });

  test("many messages at once are few changes", async () => {
    const world = new World();
    const store = storeOf(world, { from: 0 });
    let changes = 0;
    const leave = store.subscribe(() => {
      changes++;
    });
    await world.clock.advance(1_000);
    const before = changes;
    await sayEach(
      world,
      Array.from({ length: 50 }, (_, i) => `m${i}`),
    );
    await world.clock.advance(100);
    assert.equal(texts(store).length, 50);
    assert.ok(changes - before <= 3, `${changes - before} changes for 50 messages within one frame`);
    leave();
    await world.clock.advance(100);
  });

  test("a value is the same object until it changes", async () => {
    const world = new World();
    const store = storeOf(world);
    const leave = store.subscribe(() => {});
    await world.clock.advance(1_000);
    assert.equal(store.read(), store.read());
    const before = store.read();
    await world.clock.advance(1_000);
    assert.equal(store.read(), before);
    leave();
    await world.clock.advance(100);
  });
});

describe("the publications of a component", () => {
  test("wait until they are stored", async () => {
    const world = new World();
    const stream = storeOf(world);
    const leaveStream = stream.subscribe(() => {});
    await world.clock.advance(100);
    const store = new PublishStore(stream.read().connection, world.clock);
    const leave = store.subscribe(() => {});
    store.publish("hello");
    await world.clock.advance(100);
    assert.deepEqual(
      store.read().unstored.map(({ payload, state }) => [text(payload), state]),
      [["hello", "live"]],
    );
    world.commit();
    await world.clock.advance(100);
    assert.deepEqual(store.read().unstored, []);
    leave();
    leaveStream();
    await world.clock.advance(100);
  });

  test("that fail are shown with their error until dismissed", async () => {
    const world = new World();
    const stream = storeOf(world, { platform: world.page({ storage: null, locks: null }) });
    const leaveStream = stream.subscribe(() => {});
    await world.clock.advance(100);
    const { connection } = stream.read();
    const store = new PublishStore(connection, world.clock);
    const leave = store.subscribe(() => {});
    world.relayAnswers = false;
    const publication = store.publish("hello");
    connection?.close();
    await world.clock.advance(100);
    assert.deepEqual(
      store
        .read()
        .failed.map((failed) => failed.publication === publication && failed.error instanceof StreamChainError),
      [true],
    );
    store.dismiss(publication);
    await world.clock.advance(100);
    assert.deepEqual(store.read().failed, []);
    leave();
    leaveStream();
    await world.clock.advance(100);
  });

  test("need a mounted component", () => {
    const store = new PublishStore(null, new VirtualClock());
    assert.throws(() => store.publish("hello"), { code: "closed" });
  });
});

const word = (byte: string): Hex => `0x${byte.repeat(32)}`;
const address = (byte: string): Hex => `0x${byte.repeat(20)}`;

/** The receipt of message 0, the only one under its root. */
const receiptOf = (payload: Hex): Receipt => {
  const owner = address("0a");
  const id = streamId(fromHex(owner, 20), "demo");
  const author = address("0b");
  const { leaf } = leafHashes({ stream: id, seq: 0, time: 1, author: fromHex(author, 20), payload: fromHex(payload) });
  const root = toHex(leaf);
  return parseReceipt({
    type: "streamchain-receipt",
    version: 1,
    chainId: 31_337,
    contract: address("c0"),
    stream: { id: toHex(id), owner, name: "demo" },
    message: { seq: 0, time: 1, author, payload },
    leaf: root,
    proof: [],
    root,
    anchor: { first: 0, count: 1, root, tx: word("7a"), block: 12, blockHash: word("b1"), logIndex: 0 },
  });
};

/** A node that knows the anchor of a receipt, and says that the root is `root`. */
const nodeOf = ({ stream, anchor }: Receipt, root: Hex = anchor.root): typeof fetch => {
  const log = {
    address: address("c0"),
    topics: [ANCHORED_TOPIC, stream.id, `0x${"00".repeat(12)}${"0d".repeat(20)}`],
    data: `0x${[toHex(toWord(0)), toHex(toWord(1)), root].map((hex) => hex.slice(2)).join("")}`,
    logIndex: "0x0",
  };
  const table: Record<string, unknown> = {
    eth_chainId: "0x7a69",
    eth_getTransactionReceipt: { status: "0x1", blockNumber: "0xc", blockHash: word("b1"), logs: [log] },
    eth_getBlockByNumber: { number: "0x20" },
  };
  return async (_, init) => {
    const { method } = JSON.parse(String(init?.body)) as { method: string };
    return Response.json({ jsonrpc: "2.0", id: 1, result: table[method] });
  };
};

/** A connection of which a receipt store uses this much. */
class Anchoring {
  readonly stream = "demo";
  marks = { committed: 1, anchored: 0, final: 0 };
  asked = 0;
  answers: (() => Promise<Receipt>)[] = [];
  #listener: () => void = () => {};
  readonly edge = {
    receipt: (): Promise<Receipt> => {
      this.asked++;
      return (this.answers.shift() as () => Promise<Receipt>)();
    },
  };

  on(_: string, listener: () => void): () => void {
    this.#listener = listener;
    return () => {};
  }

  anchor(): void {
    this.marks = { committed: 1, anchored: 1, final: 0 };
    this.#listener();
  }
}

const receiptStore = (
  connection: Anchoring,
  clock: VirtualClock,
  checks?: ReceiptChecks,
  message: StreamMessage | number = 0,
): ReceiptStore => {
  const store = new ReceiptStore(connection as unknown as StreamConnection, message, checks, clock);
  store.subscribe(() => {});
  return store;
};

describe("the receipt of a component", () => {
  const receipt = receiptOf("0x6869");
  const expected = { chainId: 31_337, contract: address("c0") };
  const checks = { expected, rpcUrl: "https://node.test", fetch: nodeOf(receipt) };

  test("is asked for once the message is anchored", async () => {
    const [connection, clock] = [new Anchoring(), new VirtualClock()];
    connection.answers = [async () => receipt];
    const store = receiptStore(connection, clock);
    await clock.advance(100);
    assert.deepEqual([store.read().state, connection.asked], ["waiting", 0]);
    connection.anchor();
    connection.anchor();
    await clock.advance(100);
    assert.deepEqual([store.read().state, connection.asked], ["fetched", 1]);
    assert.equal(store.read().receipt, receipt);
  });

  test("is asked for once in strict mode, which mounts twice", async () => {
    const [connection, clock] = [new Anchoring(), new VirtualClock()];
    connection.answers = [async () => receipt];
    connection.marks = { committed: 1, anchored: 1, final: 0 };
    const store = new ReceiptStore(connection as unknown as StreamConnection, 0, undefined, clock);
    store.subscribe(() => {})();
    store.subscribe(() => {});
    await clock.advance(1_000);
    assert.deepEqual([store.read().state, connection.asked], ["fetched", 1]);
  });

  const stateAfter = async (
    given: Receipt,
    how: ReceiptChecks,
    message: StreamMessage | number = 0,
  ): Promise<string> => {
    const [connection, clock] = [new Anchoring(), new VirtualClock()];
    connection.answers = [async () => given];
    connection.marks = { committed: 9, anchored: 9, final: 0 };
    const store = receiptStore(connection, clock, how, message);
    await clock.advance(100);
    return store.read().state;
  };

  test("is valid when proof, deployment and node agree", async () => {
    assert.equal(await stateAfter(receipt, checks), "valid");
  });

  test("is invalid for another payload, contract, seq or root", async () => {
    const other = { ...receipt, message: { ...receipt.message, payload: "0x6868" as Hex } };
    assert.equal(await stateAfter(other, checks), "invalid");
    assert.equal(
      await stateAfter(receipt, { ...checks, expected: { ...expected, contract: address("c1") } }),
      "invalid",
    );
    assert.equal(await stateAfter(receipt, checks, 1), "invalid", "the receipt of another message");
    assert.equal(await stateAfter(receipt, { ...checks, fetch: nodeOf(receipt, word("ee")) }), "invalid");
  });

  test("is that of the message which the page shows", async () => {
    const { seq, time, author, payload } = receipt.message;
    const shown: StreamMessage = { seq, time, author, payload: fromHex(payload) };
    assert.equal(await stateAfter(receipt, checks, shown), "valid");
    assert.equal(await stateAfter(receipt, checks, { ...shown, payload: fromHex("0x6868") }), "invalid");
    assert.equal(await stateAfter(receipt, checks, { ...shown, author: address("0c") }), "invalid");
  });

  test("is asked for again after what passes", async () => {
    const [connection, clock] = [new Anchoring(), new VirtualClock()];
    const away = new StreamChainError("edge-unreachable", "away", { retryable: true });
    connection.answers = [() => Promise.reject(away), async () => receipt];
    connection.anchor();
    const store = receiptStore(connection, clock, checks);
    await clock.advance(100);
    assert.deepEqual([store.read().state, store.read().error], ["failed", away]);
    await clock.advance(60_000);
    assert.deepEqual([store.read().state, connection.asked], ["valid", 2]);
  });

  test("is not asked for again after a refusal", async () => {
    const [connection, clock] = [new Anchoring(), new VirtualClock()];
    connection.answers = [() => Promise.reject(new StreamChainError("refused", "no"))];
    connection.anchor();
    const store = receiptStore(connection, clock, checks);
    await clock.advance(600_000);
    assert.deepEqual([store.read().state, connection.asked], ["failed", 1]);
  });
});
