import { type Hex, type Wallet } from "../../lib/index.ts";
/** Makes a new private key. */
export declare function makePageKey(): Hex;
/** The wallet of a private key that the page made. */
export declare function pageWallet(key: Hex): Wallet;
