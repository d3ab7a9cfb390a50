import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FrameRouter } from "../src/lib/connection/frame-router.ts";
import type { LoopState } from "../src/lib/connection/loop-state.ts";
import { StreamState } from "../src/lib/connection/stream-state.ts";
import type { StreamChainError } from "../src/lib/errors.ts";
import { EdgeClient } from "../src/lib/http/edge-client.ts";
import { Outbox } from "../src/lib/publish/outbox.ts";
import { Sender } from "../src/lib/publish/sender.ts";
import { Progress } from "../src/lib/read/progress.ts";
import { utf8Bytes } from "../src/lib/wire/bytes.ts";
import { type CborValue, encodeCbor } from "../src/lib/wire/cbor.ts";
import { RelayErrorCode } from "../src/lib/wire/frames.ts";
import { testPlatform, VirtualClock } from "./support/surroundings.ts";

const EPOCH = 3;
const AUTHOR = new Uint8Array(20).fill(10);
const HASH = new Uint8Array(32).fill(7);

const WELCOME: CborValue = [16, EPOCH, 0, 0, null, new Map()];
const message = (seq: number, epoch = EPOCH): CborValue => [17, epoch, seq, 1, AUTHOR, utf8Bytes(`m${seq}`)];
const errorFrame = (code: number, ...retryMs: number[]): CborValue => [23, code, "text", ...retryMs];

/** A router whose session is where `at` says; it ends as the loop would end it. */
class Bench {
  at: LoopState<unknown>["at"] = "open";
  isEarly = false;
  /** What the router called, in order. */
  readonly calls: string[] = [];
  readonly ends: StreamChainError[] = [];
  readonly outbox: Outbox;
  readonly state: StreamState;
  readonly router: FrameRouter;

  constructor() {
    const platform = testPlatform(new VirtualClock(), {});
    const progress = new Progress(new EdgeClient("https://edge.test", platform.fetch), "demo");
    this.outbox = new Outbox(progress.marks, () => {});
    const onAnchor = ({ state }: { state: string }) => this.calls.push(`anchor ${state}`);
    this.state = new StreamState({ progress, outbox: this.outbox, onMarks: () => {}, onAnchor });
    this.state.feed.begin(EPOCH, 0, 0, true);
    this.router = new FrameRouter({
      state: this.state,
      outbox: this.outbox,
      sender: new Sender(this.outbox, platform),
      at: () => this.at,
      isEarly: () => this.isEarly,
      isAtTail: () => false,
      onWelcome: () => {
        this.calls.push("welcome");
        this.at = "open";
      },
      onMessage: ({ seq }) => this.calls.push(`message ${seq}`),
      onChain: ({ block, state }) => this.calls.push(`chain ${block} ${state}`),
      onPresence: ({ readers }) => this.calls.push(`presence ${readers}`),
      onError: ({ code }) => this.calls.push(`error ${code}`),
      end: (error) => {
        this.ends.push(error);
        this.at = "ended";
      },
    });
  }

  receive(...frames: CborValue[]): this {
    this.router.receive(Uint8Array.from(frames.flatMap((frame) => [...encodeCbor(frame)])));
    return this;
  }
}

describe("the frame router", () => {
  test("passes the frames of an open session on, in order", () => {
    const bench = new Bench().receive(
      message(0),
      [19, 1],
      [20, 0, 1, HASH, HASH, 5, 1],
      [21, 9, 0, AUTHOR, utf8Bytes("hi"), HASH, 0],
      [24, 9, 0, HASH, 2],
      message(1),
    );
    assert.deepEqual(bench.calls, ["message 0", "anchor final", "chain 9 anchored", "chain 9 reverted", "message 1"]);
    assert.equal(bench.state.feed.committed, 1);
    assert.equal(bench.state.head, 2);
  });

  test("a gap moves the feed behind it", () => {
    const bench = new Bench().receive([22, 0, 5]);
    assert.equal(bench.state.feed.next, 5);
  });

  test("before the welcome only welcome and errors count", () => {
    const bench = new Bench();
    bench.at = "greeting";
    bench.receive(message(0), [19, 1], errorFrame(RelayErrorCode.unexpected), WELCOME, message(0));
    assert.deepEqual(bench.calls, ["error 9", "welcome", "message 0"]);
    assert.equal(bench.state.feed.committed, 0);
  });

  test("before the first welcome of all every frame counts", () => {
    const bench = new Bench();
    bench.at = "greeting";
    bench.isEarly = true;
    bench.receive(message(0), WELCOME);
    assert.deepEqual(bench.calls, ["message 0", "welcome"]);
  });

  test("what follows the end in one message is dropped", () => {
    const bench = new Bench().receive(errorFrame(RelayErrorCode.goingAway), message(0), WELCOME);
    assert.deepEqual(bench.calls, ["error 6"]);
    assert.equal(bench.ends.length, 1);
  });

  test("a message of a newer epoch ends an open session", () => {
    const bench = new Bench().receive(message(0), message(1, EPOCH + 1));
    assert.deepEqual(bench.calls, ["message 0"]);
    assert.equal(bench.ends[0]?.code, "relay-unreachable");
    assert.equal(bench.ends[0]?.retryable, true);
  });

  test("malformed bytes end the session and can be retried", () => {
    const bench = new Bench();
    bench.router.receive(Uint8Array.of(0x9f, 0xff));
    assert.equal(bench.ends[0]?.code, "malformed");
    assert.equal(bench.ends[0]?.retryable, true);
  });

  test("each error code has the reaction of the protocol", () => {
    const endOf = (code: number, ...retryMs: number[]): string | undefined =>
      new Bench().receive(errorFrame(code, ...retryMs)).ends[0]?.code;
    assert.equal(endOf(RelayErrorCode.streamMoved), "relay-unreachable");
    assert.equal(endOf(RelayErrorCode.goingAway), "relay-unreachable");
    assert.equal(endOf(RelayErrorCode.sessionEnded), "session-ended");
    assert.equal(endOf(RelayErrorCode.rateLimited), "rate-limited", "without a time it ends the session");
    assert.equal(endOf(RelayErrorCode.rateLimited, 500), undefined, "with a time it is a pause");
    for (const code of [RelayErrorCode.overloaded, RelayErrorCode.producerGap, RelayErrorCode.unexpected, 99]) {
      assert.equal(endOf(code), undefined);
    }
  });

  test("an ended session is final, a moved stream is not", () => {
    const isRetryable = (code: number) => new Bench().receive(errorFrame(code)).ends[0]?.retryable;
    assert.equal(isRetryable(RelayErrorCode.sessionEnded), false);
    assert.equal(isRetryable(RelayErrorCode.streamMoved), true);
  });

  test("publications fail when the relay refuses their author", async () => {
    const bench = new Bench();
    const publication = bench.outbox.publish(utf8Bytes("a"));
    bench.receive(errorFrame(RelayErrorCode.notAllowed));
    await assert.rejects(publication.stored, (error: StreamChainError) => error.code === "not-allowed");
    assert.deepEqual(bench.ends, []);
  });
});
