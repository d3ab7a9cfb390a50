import { type Hex, type StreamConnection } from "../../lib/index.ts";
/** How a user signed in; guests do not. */
type AccountKind = "page" | "wallet";
/** The storage of the account: the browser's, or a part of it. */
export type AccountStorage = Pick<Storage, "getItem" | "setItem" | "removeItem">;
/** The account at one edge, as the browser's storage has it. */
export declare class AccountMemory {
    #private;
    constructor(storage: AccountStorage | null, origin: string);
    /** How the user signed in; undefined for a guest. */
    get kind(): AccountKind | undefined;
    /** The access token, if there is one. */
    get token(): string | undefined;
    /** Replaces the account by another one and its token. Without a token the edge makes a guest. */
    become(kind: AccountKind | undefined, token: string | undefined): void;
    /** The key of this page; makes one when there is none. */
    pageKey(): Hex;
}
/** Signs in with the page's own key. */
export declare function signInByPage(memory: AccountMemory, origin: string, fetcher?: typeof fetch): Promise<void>;
/**
 * Exchanges the token for a newer one. When it is too old, a key of this page signs in again by itself, and the user of a
 * wallet is a guest until the next sign-in. When the edge does not answer, nothing changes. Resolves to whether the edge
 * refused the token, so that a connection made with it has another account now.
 */
export declare function renew(memory: AccountMemory, origin: string, fetcher?: typeof fetch): Promise<boolean>;
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
export declare function restoreAccount(restoring: Restoring): Promise<AccountMemory>;
/** The account button and its dialog. */
export declare class AccountMenu {
    #private;
    readonly button: HTMLElement;
    readonly element: HTMLDialogElement;
    constructor(connection: StreamConnection, memory: AccountMemory);
}
export {};
