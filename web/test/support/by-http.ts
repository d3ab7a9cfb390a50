// The world's edge for clients without WebRTC: an event stream, and messages by POST into the same stream.

import { fromHex, type Hex, toHex } from "../../src/lib/wire/bytes.ts";
import { type Accepted, problem, type SignedPlace } from "./edge-parts.ts";
import type { Signatures, TakenGroup } from "./signing.ts";

/** What the service needs of the world around it. */
interface Surroundings {
  readonly epoch: number;
  readonly stored: Accepted[];
  readonly open: Accepted[];
  readonly anchored: number;
  readonly final: number;
  readonly clock: { readonly now: number };
  readonly byHttp: ByHttp;
  readonly signatures: Signatures;
  takeGroup(to: Accepted[], producer: string, group: TakenGroup, all: readonly Accepted[]): number | null;
  commit(): void;
  sendOpen(): void;
}

const AUTHOR: Hex = `0x${"a1".repeat(20)}`;

/** The signature of a group whose first message has this seq, as JSON. */
const groupJson = (seq: number, { count, id, first, previous, key, signature }: SignedPlace): object => ({
  seq,
  count,
  producer: toHex(id),
  producerSeq: first,
  previous: toHex(previous),
  key: toHex(key),
  signature: toHex(signature),
});

/** One response of server-sent events. */
class EventResponse {
  readonly #world: Surroundings;
  readonly #signal: AbortSignal | null | undefined;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  readonly #withSignatures: boolean;
  #seq: number;
  #over = false;

  constructor(world: Surroundings, seq: number, signal: AbortSignal | null | undefined, withSignatures: boolean) {
    this.#world = world;
    this.#withSignatures = withSignatures;
    this.#seq = seq;
    this.#signal = signal;
  }

  response(): Response {
    const { epoch, stored, anchored, final } = this.#world;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller;
        this.#signal?.addEventListener("abort", () => this.cut());
        this.#write("state", this.#seq, { epoch, stored: stored.length, anchored, final });
        this.sendStored();
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  /** Sends the stored messages that were not sent. */
  sendStored(): void {
    const end = Math.min(this.#world.stored.length, this.#world.byHttp.brings);
    for (; this.#seq < end; this.#seq++) {
      const { time, author, payload, signed } = this.#world.stored[this.#seq] as Accepted;
      if (this.#withSignatures && signed?.index === 0)
        this.#write("signature", this.#seq, groupJson(this.#seq, signed));
      const isSigned = signed === undefined ? {} : { signed: true };
      const message = { seq: this.#seq, time, author: toHex(author), payload: toHex(payload), ...isSigned };
      this.#write("stored", this.#seq + 1, message);
    }
  }

  sendAnchor(first: number, count: number, state: string): void {
    const hash = `0x${"07".repeat(32)}`;
    const name = state === "anchored" ? "anchored" : state === "final" ? "final" : "reorg";
    this.#write(name, this.#seq, { kind: "anchored", first, count, root: hash, tx: hash, block: 12, state });
  }

  /** Breaks the response. */
  cut(): void {
    if (this.#over) return;
    this.#over = true;
    this.#world.byHttp.responses.delete(this);
    this.#controller?.error(new TypeError("network"));
  }

  #write(name: string, seq: number, data: object): void {
    if (this.#over) return;
    const text = `id: 0-${seq}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
    this.#controller?.enqueue(new TextEncoder().encode(text));
  }
}

/** The edge's part that serves clients without WebRTC. */
export class ByHttp {
  readonly #world: Surroundings;
  readonly responses = new Set<EventResponse>();
  /** Whether the edge serves it at all. */
  serves = false;
  /** A relay is the stream's leader: what is posted is stored with its next commit. */
  hasLeader = false;
  /** The number of next posts that are stored, but whose answer is lost. */
  lostAnswers = 0;
  /** Responses bring the messages below this seq: the rest is on its way. */
  brings = Number.POSITIVE_INFINITY;
  /** The edge forgot the seqs of repeated messages. */
  forgetsSeqs = false;
  /** Every message that was posted, as `number:text`, repetitions included. */
  readonly posted: string[] = [];
  /** Posted messages that are not stored: they survive a change of relays. */
  #inbox: Accepted[] = [];

  constructor(world: Surroundings) {
    this.#world = world;
  }

  events(url: URL, headers: Headers, signal: AbortSignal | null | undefined): Response {
    if (!this.serves) return problem(503, "unavailable")();
    const at = (headers.get("last-event-id") ?? url.searchParams.get("after"))?.split("-")[1];
    const seq = Number(at ?? url.searchParams.get("from") ?? this.#world.stored.length);
    if (seq > this.#world.stored.length) return problem(400, "bad-request")();
    const withSignatures = url.searchParams.get("signatures") === "1";
    const response = new EventResponse(this.#world, seq, signal, withSignatures);
    this.responses.add(response);
    return response.response();
  }

  post(headers: Headers, payload: Uint8Array, by?: Hex): Response {
    if (!this.serves) return problem(503, "unavailable")();
    if (headers.get("authorization") === null) return problem(401, "unauthorized")();
    if (headers.get("content-type") === "application/json") return this.#postGroup(String(payload), by);
    if (this.#world.signatures.required) return problem(403, "signature-required")();
    const producer = `${by === undefined ? "" : `${by}:`}0x${headers.get("streamchain-producer")}`;
    const producerSeq = Number(headers.get("streamchain-producer-seq"));
    this.posted.push(`${producerSeq}:${new TextDecoder().decode(payload)}`);
    const world = this.#world;
    const own = [...world.stored, ...this.#inbox].filter((message) => message.producer === producer);
    if (producerSeq > own.length) return problem(409, "producer-conflict")();
    if (producerSeq === own.length) {
      const author = fromHex(by ?? AUTHOR, 20);
      const time = Math.floor(world.clock.now);
      this.#inbox.push({ time, author, producer, producerSeq, payload: payload.slice() });
    }
    if (!this.hasLeader) world.commit();
    const seq = world.stored.findIndex((one) => one.producer === producer && one.producerSeq === producerSeq);
    if (this.lostAnswers-- > 0) throw new TypeError("network");
    const body = { stored: seq >= 0, seq: seq < 0 || this.forgetsSeqs ? null : seq, author: by ?? AUTHOR };
    return Response.json(body, { status: seq < 0 ? 202 : 201 });
  }

  #postGroup(body: string, by?: Hex): Response {
    const world = this.#world;
    const json = JSON.parse(body);
    const payloads = json.messages.map(({ payload }: { payload: Hex }) => fromHex(payload));
    const { producerSeq } = json;
    for (const [i, payload] of payloads.entries()) {
      this.posted.push(`${producerSeq + i}:${new TextDecoder().decode(payload)}`);
    }
    const author = by ?? AUTHOR;
    const producer = `${by === undefined ? "" : `${by}:`}${json.producer}`;
    const group = {
      stream: world.signatures.stream,
      author: fromHex(author, 20),
      producer: fromHex(json.producer, 16),
      producerSeq,
      previous: fromHex(json.previous, 32),
      key: fromHex(json.key, 33),
      signature: fromHex(json.signature, 64),
      payloads,
    };
    const all = [...world.stored, ...this.#inbox];
    if (!all.some((one) => one.producer === producer && one.producerSeq === producerSeq)) {
      const refusal = world.takeGroup(this.#inbox, producer, group, all);
      if (refusal === 11) return problem(400, "bad-signature")();
      if (refusal !== null) return problem(409, refusal === 13 ? "broken-chain" : "producer-conflict")();
    }
    if (!this.hasLeader) world.commit();
    const seq = world.stored.findIndex((one) => one.producer === producer && one.producerSeq === producerSeq);
    if (this.lostAnswers-- > 0) throw new TypeError("network");
    const answer = { stored: seq >= 0, seq: seq < 0 || this.forgetsSeqs ? null : seq, author };
    return Response.json({ ...answer, count: payloads.length }, { status: seq < 0 ? 202 : 201 });
  }

  /** The relay fetches the posted messages that it does not have; another relay would too, until they are stored. */
  fetch(): void {
    for (const message of this.#inbox) {
      const { producer, producerSeq } = message;
      const all = [...this.#world.stored, ...this.#world.open];
      if (all.some((one) => one.producer === producer && one.producerSeq === producerSeq)) continue;
      this.#world.open.push(message);
      this.#world.sendOpen();
    }
  }

  /** All posted messages are stored. */
  settled(): void {
    this.#inbox = [];
  }

  /** Breaks every response. */
  cut(): void {
    for (const response of [...this.responses]) response.cut();
  }
}
