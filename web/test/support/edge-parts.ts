// What the fake edge and the fake relay of the tests share.

/** A message as the relay has it. */
export interface Accepted {
  readonly time: number;
  readonly author: Uint8Array;
  readonly producer: string;
  readonly producerSeq: number;
  readonly payload: Uint8Array;
}

/** A problem document as the edge sends it. */
export function problem(status: number, slug: string, headers: Record<string, string> = {}): () => Response {
  return () =>
    new Response(
      JSON.stringify({ type: `https://streamchain.dev/problems/${slug}`, title: slug, status, detail: "said so" }),
      { status, headers: { "content-type": "application/problem+json", ...headers } },
    );
}
