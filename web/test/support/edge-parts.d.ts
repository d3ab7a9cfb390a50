/** A message as the relay has it. */
export interface Accepted {
    readonly time: number;
    readonly author: Uint8Array;
    readonly producer: string;
    readonly producerSeq: number;
    readonly payload: Uint8Array;
}
/** A problem document as the edge sends it. */
export declare function problem(status: number, slug: string, headers?: Record<string, string>): () => Response;
