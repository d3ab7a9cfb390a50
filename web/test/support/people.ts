// Who is who at the edge of a test world: guests, wallets whose tokens expire, and the authors of tokens.

import { fromHex, type Hex } from "../../src/lib/wire/bytes.ts";
import { problem } from "./edge-parts.ts";

/** Life of a wallet's token and of its sign-in, ms, as the edge has them. */
const TOKEN_LIFE_MS = 900_000;
const SIGN_IN_LIFE_MS = 24 * 3_600_000;

interface Granted {
  readonly author: Hex;
  readonly guest: boolean;
  readonly until: number;
  /** Until when the token may be exchanged for a newer one. */
  readonly renewUntil: number;
}

/** The address of the account with this number. */
export const account = (number: number): Hex => `0x${number.toString(16).padStart(2, "0").repeat(20)}`;

/** The tokens of a world. */
export class People {
  readonly #clock: { readonly now: number };
  readonly #granted = new Map<string, Granted>();
  #number = 0;
  /** Guests that were made. */
  guests = 0;

  constructor(clock: { readonly now: number }) {
    this.#clock = clock;
  }

  /** A token of a wallet's account, as a JWT that says when it expires. */
  sign(author: Hex, lifeMs = TOKEN_LIFE_MS, renewUntil = this.#clock.now + SIGN_IN_LIFE_MS): string {
    const until = Math.min(this.#clock.now + lifeMs, renewUntil);
    return this.#grant({ author, guest: false, until, renewUntil });
  }

  /** Makes a guest, or the guest that proved to be a key. */
  guest(proven?: Hex): { token: string; author: Hex } {
    const author = proven ?? account(0xe0 + this.guests++);
    const until = this.#clock.now + (proven === undefined ? 30 * SIGN_IN_LIFE_MS : TOKEN_LIFE_MS);
    return { token: this.#grant({ author, guest: true, until, renewUntil: until }), author };
  }

  #grant(granted: Granted): string {
    const exp = Math.floor(granted.until / 1_000);
    const claims = { sub: granted.author, exp, guest: granted.guest, number: this.#number++ };
    const token = `head.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.mac`;
    this.#granted.set(token, granted);
    return token;
  }

  /** Whose token it is: undefined without one, null when it is not taken. */
  who(authorization: string | null): Hex | undefined | null {
    if (authorization === null) return undefined;
    const granted = this.#granted.get(authorization.replace("Bearer ", ""));
    return granted === undefined || granted.until <= this.#clock.now ? null : granted.author;
  }

  /** A token is not taken any longer. */
  revoke(token: string): void {
    this.#granted.delete(token);
  }

  /** No token that was given out is taken any longer. */
  revokeAll(): void {
    this.#granted.clear();
  }

  /** The edge's answers to `POST /v1/auth/…`. */
  answer(path: string, authorization: string | null, proven?: Hex): Response {
    if (path === "/v1/auth/guest") return Response.json({ ...this.guest(proven), expires: 0 }, { status: 201 });
    const author = this.who(authorization);
    const before = this.#granted.get((authorization ?? "").replace("Bearer ", ""));
    if (author === undefined || author === null || before === undefined) return problem(401, "unauthorized")();
    const token = before.guest ? authorization?.slice(7) : this.sign(author, TOKEN_LIFE_MS, before.renewUntil);
    return Response.json({ token, author, expires: 0 }, { status: 201 });
  }
}

/** An author in the form that frames have. */
export const authorBytes = (author: Hex): Uint8Array => fromHex(author, 20);
