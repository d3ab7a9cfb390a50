import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DirectChannels } from "../src/lib/direct/direct-channels.ts";
import { DirectInbox, type DirectMessage } from "../src/lib/direct/inbox.ts";
import { StreamChainError } from "../src/lib/errors.ts";
import type { MailboxContents, PeerInfo, SessionAnswer } from "../src/lib/http/edge-answers.ts";
import type { EdgeClient } from "../src/lib/http/edge-client.ts";
import { DIRECT_IDLE_POLL_MS, DIRECT_LIFE_MS, MAX_DIRECT_PEERS, MAX_DIRECT_UNCHECKED } from "../src/lib/limits.ts";
import type { Platform } from "../src/lib/platform.ts";
import { Publication, type SealedGroup } from "../src/lib/publish/publication.ts";
import type { DataChannel, DirectConnection } from "../src/lib/webrtc.ts";
import { type Bytes, type Hex, utf8Bytes } from "../src/lib/wire/bytes.ts";
import { encodeCbor } from "../src/lib/wire/cbor.ts";
import { settle, testPlatform, VirtualClock } from "./support/surroundings.ts";

const AUTHOR: Hex = `0x${"a1".repeat(20)}`;
const PRODUCER = new Uint8Array(16).fill(7);
const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);

/** An inbox and everything that it reported, as `state:payload`. */
function inbox(): { box: DirectInbox; reported: string[]; clock: VirtualClock } {
  const clock = new VirtualClock();
  const reported: string[] = [];
  const notify = ({ state, payload, seq }: DirectMessage): void => {
    reported.push(`${state}:${text(payload)}${seq === undefined ? "" : `@${seq}`}`);
  };
  return { box: new DirectInbox(testPlatform(clock, {}), notify), reported, clock };
}

describe("direct messages", () => {
  test("reports a message once, tentative until the relay sends it", () => {
    const { box, reported } = inbox();
    box.arrived(AUTHOR, PRODUCER, 0, utf8Bytes("hi"));
    box.arrived(AUTHOR, PRODUCER, 0, utf8Bytes("hi"));
    box.relayed(AUTHOR, utf8Bytes("hi"), 12);
    box.arrived(AUTHOR, PRODUCER, 0, utf8Bytes("hi"));
    assert.deepEqual(reported, ["tentative:hi", "settled:hi@12"]);
  });

  test("drops a message that the relay sent before", () => {
    const { box, reported } = inbox();
    box.relayed(AUTHOR, utf8Bytes("hi"), 3);
    box.arrived(AUTHOR, PRODUCER, 0, utf8Bytes("hi"));
    assert.deepEqual(reported, []);
    box.arrived(AUTHOR, PRODUCER, 1, utf8Bytes("hi"));
    assert.deepEqual(reported, ["tentative:hi"], "the same words said again are another message");
  });

  test("settles equal messages of one author one by one", () => {
    const { box, reported } = inbox();
    for (const number of [0, 1]) box.arrived(AUTHOR, PRODUCER, number, utf8Bytes("x"));
    for (const seq of [5, 6]) box.relayed(AUTHOR, utf8Bytes("x"), seq);
    assert.deepEqual(reported, ["tentative:x", "tentative:x", "settled:x@5", "settled:x@6"]);
  });

  test("does not settle a message by that of another author", () => {
    const { box, reported } = inbox();
    box.arrived(AUTHOR, PRODUCER, 0, utf8Bytes("x"));
    box.relayed(`0x${"b2".repeat(20)}`, utf8Bytes("x"), 5);
    assert.deepEqual(reported, ["tentative:x"]);
  });

  test("takes back what the relay never sends", async () => {
    const { box, reported, clock } = inbox();
    box.arrived(AUTHOR, PRODUCER, 0, utf8Bytes("lost"));
    await clock.advance(DIRECT_LIFE_MS);
    assert.deepEqual(reported, ["tentative:lost", "dropped:lost"]);
  });
});

describe("direct channels", () => {
  /** One end of a direct channel; the SDP in the mailboxes connects it with the other end. */
  class FakeDirect implements DirectConnection {
    static readonly all = new Map<string, FakeDirect>();
    connectionState: RTCPeerConnectionState = "new";
    iceGatheringState: RTCIceGatheringState = "complete";
    localDescription: { sdp: string };
    onconnectionstatechange: DirectConnection["onconnectionstatechange"] = null;
    onicegatheringstatechange: DirectConnection["onicegatheringstatechange"] = null;
    other: FakeDirect | null = null;
    readonly channel = {
      bufferedAmount: 0,
      onopen: null,
      onclose: null,
      onmessage: null,
      send: (bytes: Bytes) => queueMicrotask(() => this.other?.channel.onmessage?.({ data: bytes.slice().buffer })),
      close: () => {},
    } as unknown as DataChannel & { onmessage: ((event: unknown) => void) | null };

    constructor() {
      const name = `fake ${FakeDirect.all.size}`;
      this.localDescription = { sdp: name };
      FakeDirect.all.set(name, this);
    }

    createDataChannel(): DataChannel {
      return this.channel;
    }

    async setLocalDescription(): Promise<void> {}

    async setRemoteDescription({ type, sdp }: { type: "offer" | "answer"; sdp: string }): Promise<void> {
      this.other = FakeDirect.all.get(sdp) ?? null;
      if (this.other === null) throw new Error("no such peer");
      if (type !== "answer") return;
      for (const end of [this, this.other]) end.channel.onopen?.call(end.channel as never, new Event("open"));
    }

    close(): void {
      this.connectionState = "closed";
      const { other } = this;
      this.other = null;
      if (other?.other === this)
        queueMicrotask(() => other.channel.onclose?.call(other.channel as never, new Event("close")));
    }
  }

  /** The edge's mailboxes, without their limits. */
  class Mailboxes {
    readonly boxes = new Map<string, MailboxContents["signals"][number][]>();
    number = 0;
    /** Sessions whose rights are over. */
    readonly refused = new Set<string>();

    client(author: Hex): EdgeClient {
      const peer = (session: string): PeerInfo => ({ session, author });
      return {
        signals: async (session: string, after: number, _token: unknown, linked: readonly string[] = []) => {
          if (this.refused.has(session)) {
            this.boxes.delete(session);
            const problem = { type: "about:blank", title: "Forbidden", status: 403, detail: "", slug: "forbidden" };
            throw new StreamChainError("refused", "Forbidden", { problem });
          }
          const box = this.boxes.get(session) ?? [];
          this.boxes.set(session, box);
          const peers = [...this.boxes.keys()].filter((other) => other !== session).map(peer);
          const gone = linked.filter((other) => !this.boxes.has(other));
          return { peers, gone, signals: box.filter(({ number }) => number > after) };
        },
        signal: async (session: string, to: string, signal: string) => {
          this.boxes.get(to)?.push({ number: ++this.number, from: peer(session), signal });
        },
      } as unknown as EdgeClient;
    }
  }

  interface Member {
    readonly direct: DirectChannels;
    readonly reported: string[];
    /** The groups that were checked, by their first message. */
    readonly checks: string[];
  }

  function member(
    clock: VirtualClock,
    mailboxes: Mailboxes,
    session: string,
    parts: Partial<Platform> = {},
    verdict: Promise<string> | string = "signed",
  ): Member {
    const reported: string[] = [];
    const checks: string[] = [];
    const direct = new DirectChannels({
      platform: testPlatform(clock, { createDirectConnection: () => new FakeDirect(), ...parts }),
      edge: mailboxes.client(AUTHOR),
      token: () => "token",
      check: async (_, { payloads }) => {
        checks.push(text(payloads[0] ?? new Uint8Array()));
        return { state: await verdict };
      },
      onMessage: ({ state, payload }) => reported.push(`${state}:${text(payload)}`),
      onPeers: () => {},
    });
    direct.follow(true, { location: `/v1/sessions/${session}`, iceServers: [] } as unknown as SessionAnswer);
    return { direct, reported, checks };
  }

  /** A group of one message, whose text is its number. */
  const groupAt = (first: number): SealedGroup => ({
    first,
    count: 1,
    previous: new Uint8Array(32),
    signature: new Uint8Array(64),
    publications: [new Publication(utf8Bytes(`${first}`))],
  });

  /** Two linked members, the second of which has got 100 groups at once; `verdict` is what its checks come to. */
  async function flooded(verdict: Promise<string> | string): Promise<Record<"a" | "b", Member>> {
    const clock = new VirtualClock();
    const mailboxes = new Mailboxes();
    const [a, b] = [member(clock, mailboxes, "aa"), member(clock, mailboxes, "bb", {}, verdict)];
    await clock.advance(5_000);
    for (let first = 0; first < 100; first++) a.direct.signed(groupAt(first), PRODUCER, new Uint8Array(33).fill(first));
    await settle();
    return { a, b };
  }

  test("two sessions open one channel and exchange messages", async () => {
    const clock = new VirtualClock();
    const mailboxes = new Mailboxes();
    const [a, b] = [member(clock, mailboxes, "aa"), member(clock, mailboxes, "bb")];
    await clock.advance(5_000);
    assert.deepEqual([a.direct.peers, b.direct.peers], [[AUTHOR], [AUTHOR]]);
    a.direct.published(PRODUCER, 0, utf8Bytes("from a"));
    b.direct.published(PRODUCER, 0, utf8Bytes("from b"));
    await settle();
    assert.deepEqual([a.reported, b.reported], [["tentative:from b"], ["tentative:from a"]]);
    a.direct.stop();
    await settle();
    assert.deepEqual(b.direct.peers, [], "the other side notices");
    b.direct.stop();
  });

  test("channels end on both sides with the rights of one", async () => {
    const clock = new VirtualClock();
    const mailboxes = new Mailboxes();
    const [a, b] = [member(clock, mailboxes, "aa"), member(clock, mailboxes, "bb")];
    await clock.advance(5_000);
    assert.deepEqual([a.direct.peers, b.direct.peers], [[AUTHOR], [AUTHOR]]);
    mailboxes.boxes.delete("bb");
    mailboxes.refused.add("bb");
    await clock.advance(DIRECT_IDLE_POLL_MS + 1_000);
    assert.deepEqual([a.direct.peers, b.direct.peers], [[], []]);
    a.direct.published(PRODUCER, 0, utf8Bytes("for members"));
    await settle();
    assert.deepEqual(b.reported, []);
    a.direct.stop();
    b.direct.stop();
  });

  test("a stream that forbids them costs no request", async () => {
    const clock = new VirtualClock();
    const mailboxes = new Mailboxes();
    const { direct } = member(clock, mailboxes, "aa");
    direct.follow(false, undefined);
    mailboxes.boxes.clear();
    await clock.advance(60_000);
    assert.equal(mailboxes.boxes.size, 0);
  });

  test("a client opens only a few channels on a busy stream", async () => {
    const clock = new VirtualClock();
    const mailboxes = new Mailboxes();
    const crowd = Array.from({ length: 9 }, (_, i) => member(clock, mailboxes, `s${i}`));
    await clock.advance(20_000);
    for (const { direct } of crowd)
      assert.ok(direct.peers.length <= MAX_DIRECT_PEERS, `${direct.peers.length} channels`);
    assert.equal(crowd[0]?.direct.peers.length, MAX_DIRECT_PEERS);
    for (const { direct } of crowd) direct.stop();
  });

  test("a browser that cannot open any uses the relay", async () => {
    const clock = new VirtualClock();
    const mailboxes = new Mailboxes();
    const refuse = (): never => {
      throw new Error("not here");
    };
    const [a, b] = [member(clock, mailboxes, "aa", { createDirectConnection: refuse }), member(clock, mailboxes, "bb")];
    await clock.advance(60_000);
    assert.deepEqual([a.direct.peers, b.direct.peers], [[], []]);
    a.direct.stop();
    b.direct.stop();
  });

  test("a forged group ends the checks of those behind it", async () => {
    const { a, b } = await flooded("invalid");
    assert.deepEqual([b.checks, b.reported, b.direct.peers], [["0"], [], []]);
    a.direct.stop();
    b.direct.stop();
  });

  test("few groups wait while the edge is silent", async () => {
    let answer = (_state: string): void => {};
    const { a, b } = await flooded(
      new Promise((resolve) => {
        answer = resolve;
      }),
    );
    assert.deepEqual(b.checks, ["0"]);
    answer("signed");
    await settle();
    const expected = Array.from({ length: MAX_DIRECT_UNCHECKED }, (_, i) => `tentative:${i}`);
    assert.deepEqual(b.reported, expected, "the relay sends the others");
    a.direct.signed(groupAt(100), PRODUCER, new Uint8Array(33));
    await settle();
    assert.equal(b.reported.at(-1), "tentative:100");
    a.direct.stop();
    b.direct.stop();
  });

  test("a malformed frame closes only its channel", async () => {
    const clock = new VirtualClock();
    const mailboxes = new Mailboxes();
    const before = FakeDirect.all.size;
    const [a, b] = [member(clock, mailboxes, "aa"), member(clock, mailboxes, "bb")];
    await clock.advance(5_000);
    const end = [...FakeDirect.all.values()][before];
    end?.channel.send(encodeCbor([32, new Uint8Array(3), 0, new Uint8Array()]) as never);
    await settle();
    assert.deepEqual([a.direct.peers, b.direct.peers, b.reported], [[], [], []]);
    a.direct.stop();
    b.direct.stop();
  });
});
