// Whether a group stands where its author put it: behind the group of the same producer that ends with the number before its
// own. Numbers are signed, so nobody but the author can make a group fit where another was left out, repeated or moved.

import type { Hex } from "../wire/bytes.ts";
import type { MessageSignature, StreamMessage } from "../wire/records.ts";

/** The messages that a page holds without a hole, up to a group. */
type Held = (seq: number) => StreamMessage | undefined;

/**
 * The number that the producer's next message must have behind what the page holds before `seq`; undefined where it does not
 * hold enough to tell.
 */
function nextNumber(author: Hex, producer: Hex, seq: number, held: Held): number | undefined {
  for (let at = seq - 1; at >= 0; at--) {
    const message = held(at);
    if (message === undefined) return undefined;
    if (message.author !== author || message.signed === false) continue;
    const { signature } = message;
    if (signature === undefined) return undefined; // it may be the producer's
    if (signature.producer === producer) return signature.producerSeq + signature.count;
  }
  return 0;
}

/** Why a group can't stand where it does; undefined where nothing that the page holds speaks against it. */
export function wrongPlace(
  { seq, producer, producerSeq, previous }: MessageSignature,
  author: Hex,
  held: Held,
): string | undefined {
  if ((producerSeq === 0) !== /^0x0*$/.test(previous)) return "its place in the author's chain of groups is none";
  const next = nextNumber(author, producer, seq, held);
  if (next === undefined || next === producerSeq) return undefined;
  return next < producerSeq
    ? "a group of the author's before it was left out"
    : "the author put it elsewhere: it is repeated, or moved";
}
