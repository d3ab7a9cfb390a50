import type { StreamMessage } from "../../lib/index.ts";
/** Time of day of a Unix time in ms. */
export declare function timeOfDay(ms: number): string;
/** Date and time of a Unix time in ms. */
export declare function dateAndTime(ms: number): string;
/** `0x1234…cdef` of a hash or an address. */
export declare function shortHex(hex: string, lead?: number, tail?: number): string;
/** A number of bytes with its unit. */
export declare function byteCount(bytes: number): string;
/** The payload as text, or null when it is not UTF-8. */
export declare function payloadText(payload: Uint8Array): string | null;
/** A message as one line of a list. */
export declare function payloadLine(message: Pick<StreamMessage, "payload">): string;
/** An angle of the colour wheel for an address, so that authors have different colours. */
export declare function hueOf(address: string): number;
