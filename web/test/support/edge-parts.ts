// What the fake edge and the fake relay of the tests share.

import type { Hex } from "../../src/lib/wire/bytes.ts";

/** A message as the relay has it. */
export interface Accepted {
  readonly time: number;
  readonly author: Uint8Array;
  readonly producer: string;
  readonly producerSeq: number;
  readonly payload: Uint8Array;
  /** The signed group that it is of: its place in it, its digest, and what signs it. */
  readonly signed?: SignedPlace;
}

/** The place of a message in a signed group. */
export interface SignedPlace {
  readonly index: number;
  readonly count: number;
  readonly id: Uint8Array;
  readonly first: number;
  readonly previous: Uint8Array;
  readonly key: Uint8Array;
  readonly signature: Uint8Array;
  readonly digest: Hex;
}

/** A problem document as the edge sends it. */
export function problem(status: number, slug: string, headers: Record<string, string> = {}): () => Response {
  return () =>
    new Response(
      JSON.stringify({ type: `https://streamchain.dev/problems/${slug}`, title: slug, status, detail: "said so" }),
      { status, headers: { "content-type": "application/problem+json", ...headers } },
    );
}

/** The answer to an offer. */
export const ANSWER = [
  "v=0",
  "o=- 1 1 IN IP4 0.0.0.0",
  "a=candidate:1 1 udp 2130706431 192.0.2.7 7100 typ host",
  "",
].join("\r\n");

/** The TURN server that the edge names. */
export const TURN_URL = "turn:turn.test:3478?transport=tcp";

/** The guest that everybody is in a world without people. */
export const guest = (): Response =>
  Response.json({ token: "guest-token", author: `0x${"a1".repeat(20)}`, expires: 0 }, { status: 201 });

/** Answers an offer of that guest. */
export function answerOffer(): Response {
  return new Response(ANSWER, {
    status: 201,
    headers: {
      "content-type": "application/sdp",
      link: `<${TURN_URL}>; rel="ice-server"; username="1:a"; credential="c"; credential-type="password"`,
      location: "/v1/sessions/abc",
      "streamchain-access-token": "guest-token",
      "streamchain-author": `0x${"a1".repeat(20)}`,
    },
  });
}
