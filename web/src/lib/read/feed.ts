// The feed of one stream: the latest messages in order, without gaps, each once.
//
// What always holds: the window is contiguous; messages below `committed` are stored for good; messages above it are
// tentative and all of the feed's epoch. On another epoch the tentative ones are dropped, since the new leader may give
// their seqs to other messages. Readers keep their own cursor and read history when it is before the window, so a slow
// reader costs no memory here.

import { MAX_FEED_BYTES, MAX_FEED_MESSAGES, MAX_GROUP_MESSAGES } from "../limits.ts";
import { type Bytes, toHex } from "../wire/bytes.ts";
import type { MessageFrame, SignatureFrame } from "../wire/frames.ts";
import { isSameMessage, type MessageSignature, type StreamMessage, signedBy } from "../wire/records.ts";

/** What the feed has at a reader's cursor. */
type FeedRead =
  | { readonly kind: "message"; readonly message: StreamMessage }
  /** The reader is up to date. */
  | { readonly kind: "end" }
  /** The message is not in the window: history has it, once it is stored. */
  | { readonly kind: "behind" };

/** Which messages a reader gets: all at once (`live`), or only those that are stored. */
export type Guarantee = "live" | "stored";

/** Size bounds of a feed; the defaults are those of limits.ts. */
interface FeedOptions {
  readonly messages?: number;
  readonly bytes?: number;
  /** Whether the relay was asked for signatures, so that a message without one is not signed. */
  readonly signatures?: boolean;
}

/** The window of a stream's latest messages. */
export class Feed {
  readonly #bounds: Required<FeedOptions>;
  /** The latest signature, of the group that follows it. */
  #signature: MessageSignature | undefined;
  /** Below this seq a message without a signature may be of a group that began before the relay was asked for it. */
  #sureFrom = 0;
  #epoch: number | null = null;
  #committed = 0;
  #next: number | null = null;
  #window: StreamMessage[] = [];
  #dropped = 0; // entries at the front of #window that are no longer in it
  #bytes = 0;

  constructor(options: FeedOptions = {}) {
    const { messages = MAX_FEED_MESSAGES, bytes = MAX_FEED_BYTES, signatures = false } = options;
    this.#bounds = { messages, bytes, signatures };
  }

  /** Epoch of the tentative messages; null before the first frame. */
  get epoch(): number | null {
    return this.#epoch;
  }

  /** Every message below is stored. */
  get committed(): number {
    return this.#committed;
  }

  /** The seq that the next message will have; null while the feed's position in the stream is not known. */
  get next(): number | null {
    return this.#next;
  }

  /** The lowest seq in the window (equal to `next` when it is empty). */
  get start(): number | null {
    return this.#next === null ? null : this.#next - this.#length;
  }

  get #length(): number {
    return this.#window.length - this.#dropped;
  }

  /** Begins the feed at `seq`, from where the relay was asked to send, unless its position is known. */
  beginAt(seq: number): void {
    if (this.#next === null) this.#restartAt(seq);
  }

  /**
   * Whether these counts are of a stream that was made again: one that ends below what is stored here, or that has less
   * stored under an older epoch. A lower committed mark alone is no sign: the edge sends a message as stored before the
   * relay knows that it is.
   */
  isRestart(epoch: number, head: number, committed: number): boolean {
    const older = this.#epoch !== null && epoch < this.#epoch;
    return head < this.#committed || (older && committed < this.#committed);
  }

  /**
   * Applies the counts of a relay's welcome, or of the edge; `atTail` begins the feed at the head unless its position is
   * known. Returns the seq from which messages were taken back, or null. All above the committed mark are, when the stream
   * was made again.
   */
  begin(epoch: number, head: number, committed: number, atTail: boolean): number | null {
    const isRestart = this.isRestart(epoch, head, committed);
    const retracted = this.#enterEpoch(epoch);
    if (isRestart) this.#truncate(committed);
    this.#committed = isRestart ? committed : Math.max(this.#committed, committed);
    if (this.#next === null && atTail) this.#next = head;
    return isRestart ? committed : retracted;
  }

  /** The signature of the group whose messages follow. */
  signature({ seq, count, producer, producerSeq, previous, key, signature }: SignatureFrame): void {
    this.#sureFrom = Math.min(this.#sureFrom, seq);
    this.#signature = {
      seq,
      count,
      producer: toHex(producer),
      producerSeq,
      previous: toHex(previous),
      key: toHex(key),
      signature: toHex(signature),
    };
  }

  /** Adds a message. Returns the seq from which tentative messages were taken back, or null. */
  message(frame: MessageFrame): number | null {
    if (this.#epoch !== null && frame.epoch < this.#epoch) return null;
    const retracted = this.#enterEpoch(frame.epoch);
    if (this.#next !== null && frame.seq < this.#next) return retracted;
    if (this.#next === null || frame.seq > this.#next) this.#restartAt(frame.seq);
    this.#push({
      seq: frame.seq,
      time: frame.time,
      author: toHex(frame.author),
      payload: frame.payload.slice() as Bytes, // the frame is a view into a larger buffer
      ...this.#signedOf(frame.seq),
    });
    return retracted;
  }

  /**
   * Adds a stored message of the edge. Returns the seq from which tentative messages were taken back, or null: they stay
   * when the message equals the tentative one at its seq.
   */
  stored(message: StreamMessage): number | null {
    const { seq } = message;
    if (seq < this.#committed && this.#next !== null && seq < this.#next) return null; // stored already
    const tentative = this.at(seq);
    const isOther = tentative !== undefined && !isSameMessage(tentative, message);
    const retracted = isOther && this.#truncate(seq) ? seq : null;
    if (this.#next === null || seq > this.#next) this.#restartAt(seq);
    if (seq === this.#next) this.#push(message);
    // A relay that goes on inside the group does not send its signature again.
    if (message.signed) this.#sureFrom = Math.max(this.#sureFrom, endOfGroup(message));
    this.commit(seq + 1);
    return retracted;
  }

  #push(message: StreamMessage): void {
    this.#window.push(message);
    this.#bytes += message.payload.length;
    this.#next = message.seq + 1;
    this.#shrink();
  }

  /** The message at a seq, if the window has it. */
  at(seq: number): StreamMessage | undefined {
    if (this.#next === null || seq >= this.#next || seq < (this.start as number)) return undefined;
    return this.#window[this.#dropped + seq - (this.start as number)];
  }

  /** The relay leaves out messages before `to`: readers get them from history. */
  gap(to: number): void {
    if (this.#next === null || to > this.#next) this.#restartAt(to);
  }

  /** Raises the committed mark; it never falls within an epoch. */
  commit(committed: number): void {
    if (committed > this.#committed) this.#committed = committed;
  }

  /** What the feed has at a cursor. */
  read(cursor: number, guarantee: Guarantee): FeedRead {
    if (this.#next === null || cursor < (this.start as number)) return { kind: "behind" };
    if (cursor >= this.#next || (guarantee === "stored" && cursor >= this.#committed)) return { kind: "end" };
    return { kind: "message", message: this.at(cursor) as StreamMessage };
  }

  /** Whether a message of the relay is signed, as far as it can be known. */
  #signedOf(seq: number): Pick<StreamMessage, "signed" | "signature"> {
    const found = this.#bounds.signatures ? signedBy(this.#signature, seq) : { signed: false };
    const isKnown = this.#bounds.signatures && (found.signed || seq >= this.#sureFrom);
    return isKnown ? found : {};
  }

  #enterEpoch(epoch: number): number | null {
    const before = this.#epoch;
    this.#epoch = epoch;
    if (before !== epoch && before !== null) this.#signature = undefined;
    if (before === null || before === epoch) return null;
    return this.#truncate(this.#committed) ? this.#committed : null;
  }

  /** Drops everything from `seq` on; returns whether the feed went beyond it. */
  #truncate(seq: number): boolean {
    if (this.#next === null || this.#next <= seq) return false;
    const start = this.start as number;
    const kept = Math.max(0, seq - start);
    for (const message of this.#window.splice(this.#dropped + kept)) this.#bytes -= message.payload.length;
    this.#next = seq;
    return true;
  }

  #restartAt(seq: number): void {
    this.#window = [];
    this.#dropped = 0;
    this.#bytes = 0;
    this.#next = seq;
    this.#sureFrom = seq === 0 ? 0 : seq + MAX_GROUP_MESSAGES - 1;
  }

  #shrink(): void {
    while (this.#length > this.#bounds.messages || (this.#bytes > this.#bounds.bytes && this.#length > 1)) {
      this.#bytes -= (this.#window[this.#dropped] as StreamMessage).payload.length;
      this.#dropped++;
    }
    if (this.#dropped > this.#bounds.messages) {
      this.#window.splice(0, this.#dropped); // rarely, so that dropping is cheap on average
      this.#dropped = 0;
    }
  }
}

/** The seq behind a signed message's group, as far as it is known: the group goes on no further. */
const endOfGroup = ({ seq, signature }: StreamMessage): number =>
  signature === undefined ? seq + MAX_GROUP_MESSAGES : signature.seq + signature.count;
