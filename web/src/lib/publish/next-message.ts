// The data-channel messages in which publications are sent.

import { MAX_COALESCED_BYTES } from "../limits.ts";
import { type Bytes, concat } from "../wire/bytes.ts";
import { encodeFrame } from "../wire/frames.ts";
import type { Publication, SealedGroup } from "./publication.ts";

/** A data-channel message, and how many messages of the stream it has. */
export interface NextMessage {
  readonly bytes: Bytes;
  readonly count: number;
}

/** A signed group in one frame. */
export function groupMessage({ first, previous, signature, publications }: SealedGroup): NextMessage {
  const payloads = publications.map(({ payload }) => payload);
  const bytes = encodeFrame({ kind: "group", producerSeq: first, previous, signature, payloads });
  return { bytes, count: publications.length };
}

/** The first of these messages, in *publish* frames that share a data-channel message; null when there is none to send. */
export function publishMessages(messages: Iterable<Publication>, maxFrames: number): NextMessage | null {
  const frames: Uint8Array[] = [];
  let size = 0;
  for (const { producerSeq, payload } of messages) {
    if (frames.length >= maxFrames || producerSeq < 0) break;
    const frame = encodeFrame({ kind: "publish", producerSeq, payload });
    if (size > 0 && size + frame.length > MAX_COALESCED_BYTES) break;
    frames.push(frame);
    size += frame.length;
  }
  return frames.length === 0 ? null : { bytes: concat(frames), count: frames.length };
}
