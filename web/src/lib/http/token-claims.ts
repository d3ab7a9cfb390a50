// What an access token says of itself. The edge alone verifies it; here it only helps to know when to ask for another one.

import type { Hex } from "../wire/bytes.ts";

/** The claims that the library reads. */
export interface TokenClaims {
  /** The author of what is published with the token; undefined for an API key. */
  readonly author: Hex | undefined;
  /** When the token expires, ms since the Unix epoch; undefined when it does not say so. */
  readonly expiresMs: number | undefined;
  /** Whether the edge made the account, so that nobody can sign in to it again. */
  readonly isGuest: boolean;
  /** Whether the edge exchanges the token for a newer one: it is that of a wallet. */
  readonly isRenewable: boolean;
}

const NONE: TokenClaims = {
  author: undefined,
  expiresMs: undefined,
  isGuest: false,
  isRenewable: false,
};

/** The claims of a JWT (RFC 7519); none for anything else, as an API key. */
export function claimsOf(token: string | undefined): TokenClaims {
  try {
    const encoded = (token?.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/");
    const { sub, exp, guest, key } = JSON.parse(atob(encoded)) as Record<string, unknown>;
    const isGuest = guest === true;
    return {
      author: /^0x[0-9a-f]{40}$/.test(String(sub)) ? (sub as Hex) : undefined,
      expiresMs: typeof exp === "number" && Number.isFinite(exp) ? exp * 1_000 : undefined,
      isGuest,
      isRenewable: !isGuest && (key === undefined || key === null) && typeof exp === "number",
    };
  } catch {
    return NONE;
  }
}
