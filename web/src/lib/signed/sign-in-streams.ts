// The streams that a wallet's sign-in (EIP-4361) is for: its resources at its own hosts.
//
// What always holds: a resource at one of these hosts, however it is written, is exactly one stream or makes the whole text
// void. Were it passed over, a signer who meant one stream would vouch for all. Every verifier reads them by this rule.

/** Schemes after whose colon any number of slashes may stand before the host (WHATWG URL). */
const SPECIAL_SCHEMES: readonly string[] = ["http", "https", "ws", "wss", "ftp"];

/** How often a host is unescaped: deeper ones name no host anywhere. */
const MAX_UNESCAPES = 4;

/** What stands before a stream in the path. */
const STREAMS = "v1/streams/";

/** A stream's name, its id or the beginning of that. */
const STREAM = /^(?:_?[a-z0-9][a-z0-9._-]{0,63}|0x[0-9a-f]{40}|0x[0-9a-f]{64})$/;

/** A text with its `%41` read; what is not UTF-8 becomes a character that is not ASCII. */
const unescaped = (text: string): string =>
  text.replace(/(?:%[0-9a-f]{2})+/gi, (run) => {
    const bytes = run.slice(1).split("%");
    return new TextDecoder().decode(new Uint8Array(bytes.map((byte) => Number.parseInt(byte, 16))));
  });

/** An authority's host without what may be around it: escapes, capitals, a user, a port, dots at the end. */
function plainHost(authority: string): string {
  let text = authority;
  for (let times = 0; times < MAX_UNESCAPES; times++) text = unescaped(text);
  const host = text.toLowerCase().split("@").at(-1) ?? "";
  return (/^\[[^\]]*\]?|^[^:]*/.exec(host)?.[0] ?? "").replace(/\.+$/, "");
}

/** The host that any reader may find in a URI; undefined where there is none. */
function hostOf(resource: string): string | undefined {
  const [, scheme = "", rest = ""] = /^([^:]*):(.*)$/s.exec(resource) ?? [];
  const isSpecial = SPECIAL_SCHEMES.includes(scheme.toLowerCase());
  if (!isSpecial && !rest.startsWith("//")) return undefined;
  const authority = isSpecial ? rest.replace(/^\/+/, "") : rest.slice(2);
  return plainHost(authority.split(/[/?#]/)[0] ?? "");
}

/** The authority of an `http` or `https` URI. */
const authorityOf = (uri: string): string | undefined => /^https?:\/\/([^/?#]*)/i.exec(uri)?.[1];

/** The streams that resources at the hosts of a text's domain and URI name. Throws when one names anything else. */
export function streamsAmong(resources: readonly string[], domain: string, uri: string): string[] {
  const authorities = [domain, authorityOf(uri) ?? domain].map((authority) => authority.toLowerCase());
  const hosts = authorities.map(plainHost);
  return resources.flatMap((resource) => {
    const host = hostOf(resource);
    // Of a host that is not plain ASCII it can't be said here what it becomes (RFC 3987, UTS #46).
    const isOurs = host !== undefined && (hosts.includes(host) || [...host].some((letter) => letter > "\x7f"));
    if (!isOurs) return [];
    const [, authority = "", path = ""] = /^https?:\/\/([^/]*)\/(.*)$/is.exec(resource) ?? [];
    const named = path.startsWith(STREAMS) ? path.slice(STREAMS.length) : "";
    if (!authorities.includes(authority.toLowerCase()) || !STREAM.test(named))
      throw new RangeError("a resource of the site is no stream");
    return [named];
  });
}
