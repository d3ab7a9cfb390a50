// The account of the user: a guest, who is a key of this browser where there are any, a key made in this page, or the account of a wallet.
//
// What always holds: the connection reads the access token from where the account keeps it, so a change of account is a
// new token and a new page; a page's key is never deleted, so its account can be used again.

import {
  connectWallet,
  guestKeyName,
  type Hex,
  keepToken,
  keptToken,
  postJson,
  StreamChainError,
  type StreamConnection,
  signIn,
  storageOf,
  webKeys,
} from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";
import { dialogHeader } from "../ui/dialog.ts";
import { el, isBusy, setBusy, setText } from "../ui/dom.ts";
import { icon } from "../ui/icons.ts";
import { makePageKey, pageWallet } from "./page-key.ts";
import { explainWallet, Wallets } from "./wallets.ts";

const t = texts.account;

/** How often the token is exchanged for a newer one, in ms: a third of its life. */
const RENEW_EVERY_MS = 5 * 60_000;

/** A kept token is used to connect when it is valid for this much longer, in ms: for its session, and for a late clock. */
const GOOD_FOR_MS = 60_000;

/** How a user signed in; guests do not. */
type AccountKind = "page" | "wallet";

const KIND = "streamchain:1:account";
const PAGE_KEY = "streamchain:1:page-key";

/** The storage of the account: the browser's, or a part of it. */
export type AccountStorage = Pick<Storage, "getItem" | "setItem" | "removeItem">;

/** The account at one edge, as the browser's storage has it. */
export class AccountMemory {
  readonly #storage: AccountStorage | null;
  readonly #origin: string;

  constructor(storage: AccountStorage | null, origin: string) {
    this.#storage = storage;
    this.#origin = origin;
  }

  /** How the user signed in; undefined for a guest. */
  get kind(): AccountKind | undefined {
    const kept = this.#read(`${KIND}:${this.#origin}`);
    return kept === "page" || kept === "wallet" ? kept : undefined;
  }

  /** The access token, if there is one. */
  get token(): string | undefined {
    return keptToken(this.#storage, this.#origin);
  }

  /** Replaces the account by another one and its token. Without a token the edge makes a guest. */
  become(kind: AccountKind | undefined, token: string | undefined): void {
    keepToken(this.#storage, this.#origin, token);
    this.#write(`${KIND}:${this.#origin}`, kind);
  }

  /** The key of this page; makes one when there is none. */
  pageKey(): Hex {
    const kept = this.#read(`${PAGE_KEY}:${this.#origin}`);
    if (kept !== null && /^0x[0-9a-f]{64}$/.test(kept)) return kept as Hex;
    const made = makePageKey();
    this.#write(`${PAGE_KEY}:${this.#origin}`, made);
    return made;
  }

  #read(key: string): string | null {
    try {
      return this.#storage?.getItem(key) ?? null;
    } catch {
      return null;
    }
  }

  #write(key: string, text: string | undefined): void {
    try {
      if (text === undefined) this.#storage?.removeItem(key);
      else this.#storage?.setItem(key, text);
    } catch {
      // storage is forbidden: the account lasts as long as the page
    }
  }
}

/** Signs in with the page's own key. */
export async function signInByPage(
  memory: AccountMemory,
  origin: string,
  fetcher: typeof fetch = fetch,
): Promise<void> {
  const wallet = pageWallet(memory.pageKey());
  const account = await connectWallet(wallet);
  memory.become("page", await signIn(origin, wallet, account, texts.newStream.statement, fetcher));
}

/** The claims of an access token; empty when it cannot be read. */
function claimsOf(token: string | undefined): { sub?: string; exp?: number; guest?: boolean } {
  try {
    const claims: unknown = JSON.parse(atob((token?.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/")));
    return typeof claims === "object" && claims !== null ? claims : {};
  } catch {
    return {};
  }
}

/**
 * Exchanges the token for a newer one. When it is too old, a key of this page signs in again by itself, and the user of a
 * wallet is a guest until the next sign-in. When the edge does not answer, nothing changes. Resolves to whether the edge
 * refused the token, so that a connection made with it has another account now.
 */
export async function renew(memory: AccountMemory, origin: string, fetcher: typeof fetch = fetch): Promise<boolean> {
  const { kind, token } = memory;
  if (kind === undefined) return false;
  try {
    // A connection whose token was refused continues as a guest, whose token is kept.
    if (claimsOf(token).guest !== true) {
      const given = await postJson(`${origin}/v1/auth/token`, {}, token, fetcher);
      memory.become(kind, given.text("token"));
      return false;
    }
  } catch (error) {
    if ((error as { code?: string }).code === "edge-unreachable") return false;
  }
  if (kind === "wallet") {
    memory.become(undefined, undefined);
    return true;
  }
  return signInByPage(memory, origin, fetcher).then(
    () => true,
    () => false, // tried again at the next renewal
  );
}

/**
 * The token of the account that signed in, renewed where it is too old; undefined for a guest, whose token the connection
 * keeps itself. The function rejects when the sign-in of a wallet is over: the page must not go on as somebody else.
 */
export function accountToken(
  memory: AccountMemory,
  origin: string,
  fetcher: typeof fetch = fetch,
  now: () => number = Date.now,
): (() => Promise<string>) | undefined {
  const { kind } = memory;
  if (kind === undefined) return undefined;
  const { sub } = claimsOf(memory.token);
  let given: string | undefined;
  return async () => {
    const { exp = 0 } = claimsOf(memory.token);
    // The function is called again for the same token only when the edge refused it.
    if (memory.token === given || exp * 1_000 < now() + GOOD_FOR_MS) await renew(memory, origin, fetcher);
    if (memory.kind !== kind || memory.token === undefined) {
      throw new StreamChainError("refused", texts.account.over);
    }
    // Another tab may have signed in with another account.
    if (sub !== undefined && claimsOf(memory.token).sub !== sub) {
      throw new StreamChainError("author-changed", texts.error["author-changed"]);
    }
    given = memory.token;
    return given;
  };
}

/** How the account of a page is restored. */
interface Restoring {
  readonly origin: string;
  /** The account's token was refused after the page connected with it. */
  readonly onRefused: () => void;
  readonly storage?: AccountStorage | null;
  readonly fetcher?: typeof fetch;
  readonly now?: () => number;
}

/**
 * Restores the account of this page. The token of an account that signed in is renewed: in the background while the kept
 * one is valid long enough to connect, else before the page connects.
 */
export async function restoreAccount(restoring: Restoring): Promise<AccountMemory> {
  const { origin, onRefused, storage = storageOf("localStorage"), fetcher = fetch, now = Date.now } = restoring;
  const memory = new AccountMemory(storage, origin);
  const { exp = 0, guest } = claimsOf(memory.token);
  const renewed = renew(memory, origin, fetcher);
  if (guest === true || exp * 1_000 < now() + GOOD_FOR_MS) await renewed;
  else void renewed.then((refused) => refused && onRefused());
  return memory;
}

/** The account button and its dialog. */
export class AccountMenu {
  readonly button: HTMLElement;
  readonly element: HTMLDialogElement;
  readonly #connection: StreamConnection;
  readonly #memory: AccountMemory;
  readonly #wallets: Wallets;
  readonly #who = el("p", { testid: "account-who" });
  readonly #address = el("code", { testid: "account-address" });
  readonly #problem = el("p", { class: "problem", role: "alert", testid: "account-error" });

  constructor(connection: StreamConnection, memory: AccountMemory) {
    this.#connection = connection;
    this.#memory = memory;
    this.#wallets = new Wallets(connection);
    this.button = el(
      "button",
      {
        type: "button",
        class: "bare",
        testid: "account",
        title: t.title,
        "aria-label": t.title,
        onclick: () => this.#open(),
      },
      icon("person"),
    );
    this.element = el(
      "dialog",
      { class: "details", testid: "account-sheet", "aria-labelledby": "account-title" },
      dialogHeader(el("h2", { id: "account-title" }, t.title)),
      el(
        "div",
        { class: "sheet account" },
        this.#who,
        this.#address,
        el("p", { class: "hint" }, t.hint),
        el("p", { class: "hint", testid: "account-risk" }, t.risk),
        this.#wallets.choice,
        this.#action("wallet", t.wallet, () => this.#byWallet(), true),
        this.#action("page", t.page, () => signInByPage(this.#memory, this.#connection.edge.origin), true),
        this.#action("guest", t.guest, () => this.#asNewGuest(), false),
        this.#problem,
      ),
    );
    setInterval(() => void renew(memory, connection.edge.origin), RENEW_EVERY_MS);
  }

  #action(name: string, label: string, act: () => Promise<void>, primary: boolean): HTMLElement {
    const button = el(
      "button",
      {
        type: "button",
        class: primary ? "primary" : "quiet",
        testid: `account-${name}`,
        onclick: async () => {
          if (isBusy(button)) return;
          setText(this.#problem, "");
          setBusy(button, true);
          try {
            await act();
            location.reload();
          } catch (error) {
            setText(this.#problem, explainWallet(error));
            setBusy(button, false);
          }
        },
      },
      label,
    );
    return button;
  }

  #open(): void {
    setText(this.#problem, "");
    setText(this.#who, t.kinds[this.#memory.kind ?? (this.#connection.signs ? "guest" : "unsignedGuest")]);
    setText(this.#address, this.#connection.author ?? "–");
    this.element.showModal();
  }

  /** A guest is a key, so a new guest is a new one; nobody can publish as the one before any more. */
  async #asNewGuest(): Promise<void> {
    await webKeys()?.forget(guestKeyName(this.#connection.edge.origin));
    this.#memory.become(undefined, undefined);
  }

  async #byWallet(): Promise<void> {
    const { wallet } = await this.#wallets.ready();
    const account = await connectWallet(wallet);
    this.#memory.become(
      "wallet",
      await signIn(this.#connection.edge.origin, wallet, account, texts.newStream.statement),
    );
  }
}
