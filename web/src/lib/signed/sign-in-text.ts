// The text of a sign-in (EIP-4361) by which a wallet vouches for a key, read strictly: from its first to its last line, or
// not at all. A text that could be read in two ways would let somebody put words into it.

import { MAX_CERTIFICATE_CHARS } from "../limits.ts";
import type { Hex } from "../wire/bytes.ts";
import { decompress, keyOfText } from "./point.ts";
import { streamsAmong } from "./sign-in-streams.ts";

/** What names a key among the resources of a sign-in text. */
export const KEY_RESOURCE = "urn:streamchain:key:p256:";

/** How far, in ms, the clock of a signer may be ahead of the edge's: the key is valid that much earlier. */
const CLOCK_SKEW_MS = 60_000;

/** Life of a certificate whose text names no end, in seconds: 30 days. */
const CERTIFICATE_LIFE_S = 30 * 86_400;

/** What a text says. Times are seconds since the Unix epoch. */
export interface SignInClaims {
  /** The site that asked for the signature. */
  readonly domain: string;
  readonly account: Hex;
  readonly chainId: number;
  /** From when to when the key signs for the account. */
  readonly issued: number;
  readonly expires: number;
  /** The key that the text names: its text. */
  readonly key: string;
  /** The streams that it is for; all, when there is none. */
  readonly streams: readonly string[];
}

const HEAD =
  /^(?:[A-Za-z][\w+.-]*:\/\/)?([^\s/?#]+) wants you to sign in with your Ethereum account:\n(0x[0-9a-fA-F]{40})\n\n(?:[^\n]*\n)?\nURI: ([^\s]+)\nVersion: 1\nChain ID: (\d{1,15})\nNonce: [0-9A-Za-z]{8,}\nIssued At: ([^\n]+)((?:\nExpiration Time: [^\n]+)?)((?:\nNot Before: [^\n]+)?)(?:\nRequest ID: [^\n]*)?(\nResources:(?:\n- [^\s]+)*)?$/;

/** A `date-time` of RFC 3339 §5.6. */
const DATE_TIME = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** The time of a `date-time` in ms; NaN for any other text, a day that its month has not, and times before 1970. */
function dateTime(text: string): number {
  const match = DATE_TIME.exec(text);
  if (match === null) return Number.NaN;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const [hours, minutes] = [Number(match[9] ?? 0), Number(match[10] ?? 0)];
  const date = new Date(Date.UTC(year, month - 1, day));
  const isDay = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
  // 60 is a leap second (§5.7): the clocks here have none, so it is the second that follows.
  const isTime = hour <= 23 && minute <= 59 && second <= 60 && hours <= 23 && minutes <= 59;
  if (!isDay || !isTime) return Number.NaN;
  const millis = Number((match[7] ?? "").padEnd(3, "0").slice(0, 3));
  const offset = (hours * 60 + minutes) * (match[8] === "-" ? -1 : 1);
  const time = date.getTime() + ((hour * 60 + minute - offset) * 60 + second) * 1_000 + millis;
  return time >= 0 ? time : Number.NaN;
}

/** The time in ms; undefined where there is none. Throws RangeError on what is no time. */
function timeOf(line: string): number | undefined {
  if (line === "") return undefined;
  const time = dateTime(line.replace(/^\n[^:]*: /, ""));
  if (Number.isNaN(time)) throw new RangeError("a time of the text is none");
  return time;
}

/** The key among the resources. Throws when it is not exactly one. */
function keyAmong(resources: readonly string[]): string {
  const ours = resources.filter((resource) => /^urn:streamchain:/i.test(resource));
  const [resource = ""] = ours;
  if (ours.length !== 1 || !resource.startsWith(KEY_RESOURCE))
    throw new RangeError("the text names no key, or several");
  const key = resource.slice(KEY_RESOURCE.length);
  decompress(keyOfText(key));
  return key;
}

/** What a sign-in text says; undefined when it is not exactly one that names a key. */
export function readSignIn(text: string): SignInClaims | undefined {
  const match = text.length > MAX_CERTIFICATE_CHARS ? null : HEAD.exec(text);
  if (match === null) return undefined;
  const [, domain = "", account = "", uri = "", chain = "", at = "", until = "", from = "", list = ""] = match;
  const resources = list.split("\n- ").slice(1);
  try {
    const begins = Math.max(timeOf(at) as number, timeOf(from) ?? 0);
    const issued = Math.floor((begins - CLOCK_SKEW_MS) / 1_000);
    const expires = timeOf(until);
    return {
      domain,
      account: account.toLowerCase() as Hex,
      chainId: Number(chain),
      issued,
      expires: expires === undefined ? issued + CERTIFICATE_LIFE_S : Math.floor(expires / 1_000),
      key: keyAmong(resources),
      streams: streamsAmong(resources, domain, uri),
    };
  } catch {
    return undefined;
  }
}
