// Text forms of values on the page.

import type { StreamMessage } from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";

const clockTime = new Intl.DateTimeFormat(texts.locale, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});

const fullTime = new Intl.DateTimeFormat(texts.locale, { dateStyle: "medium", timeStyle: "medium" });

/** Time of day of a Unix time in ms. */
export function timeOfDay(ms: number): string {
  return clockTime.format(ms);
}

/** Date and time of a Unix time in ms. */
export function dateAndTime(ms: number): string {
  return fullTime.format(ms);
}

/** `0x1234…cdef` of a hash or an address. */
export function shortHex(hex: string, lead = 6, tail = 4): string {
  return hex.length <= lead + tail + 1 ? hex : `${hex.slice(0, lead)}…${hex.slice(-tail)}`;
}

/** A number of bytes with its unit. */
export function byteCount(bytes: number): string {
  if (bytes < 1_024) return `${bytes} B`;
  if (bytes < 1_048_576) return `${(bytes / 1_024).toFixed(1)} KiB`;
  return `${(bytes / 1_048_576).toFixed(1)} MiB`;
}

/** The payload as text, or null when it is not UTF-8. */
export function payloadText(payload: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(payload);
  } catch {
    return null;
  }
}

/** A message as one line of a list. */
export function payloadLine(message: Pick<StreamMessage, "payload" | "erased">): string {
  if (message.erased !== undefined) return texts.messages.erased(message.erased.size);
  const head = message.payload.subarray(0, 400);
  const text = payloadText(head.length < message.payload.length ? cutAtCharacter(head) : head);
  return text === null ? texts.messages.binary(message.payload.length) : text.replace(/\s+/g, " ").trim();
}

/** Drops a UTF-8 character that was cut in two. */
function cutAtCharacter(bytes: Uint8Array): Uint8Array {
  let end = bytes.length;
  while (end > 0 && ((bytes[end - 1] as number) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, Math.max(0, end - 1));
}

/** An angle of the colour wheel for an address, so that authors have different colours. */
export function hueOf(address: string): number {
  return Number.parseInt(address.slice(2, 8), 16) % 360;
}
