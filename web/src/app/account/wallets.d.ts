import { type EdgeConfig, type StreamConnection, type Wallet } from "../../lib/index.ts";
/** The wallets found by the page, and the chosen one. */
export declare class Wallets {
    #private;
    /** The choice, shown when there is more than one wallet. */
    readonly choice: HTMLSelectElement;
    constructor(connection: StreamConnection);
    /** The chosen wallet and the chain to use it on; without a wallet, an account of the local chain. */
    ready(): Promise<{
        config: EdgeConfig;
        wallet: Wallet;
    }>;
}
/** The text to show for a wallet's error. */
export declare function explainWallet(error: unknown): string;
