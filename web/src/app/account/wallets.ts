// The wallets that the page can use.

import {
  discoverWallets,
  type EdgeConfig,
  localWallet,
  type StreamConnection,
  type Wallet,
  WalletError,
} from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";
import { el } from "../ui/dom.ts";

const t = texts.chainSend;

/** The wallets found by the page, and the chosen one. */
export class Wallets {
  /** The choice, shown when there is more than one wallet. */
  readonly choice = el("select", { testid: "wallet", "aria-label": t.wallet, hidden: true });
  readonly #connection: StreamConnection;
  readonly #found: Wallet[] = [];
  #config: EdgeConfig | null = null;

  constructor(connection: StreamConnection) {
    this.#connection = connection;
    discoverWallets((wallet) => this.#add(wallet));
  }

  #add(wallet: Wallet): void {
    if (this.#found.some(({ id }) => id === wallet.id)) return;
    this.#found.push(wallet);
    this.choice.append(el("option", { value: wallet.id }, wallet.id === "local" ? t.local : wallet.name));
    this.choice.hidden = this.#found.length < 2;
  }

  /** The chosen wallet and the chain to use it on; without a wallet, an account of the local chain. */
  async ready(): Promise<{ config: EdgeConfig; wallet: Wallet }> {
    this.#config ??= await this.#connection.edge.config();
    const config = this.#config;
    if (this.#found.length === 0 && config.rpcUrl !== undefined) {
      const local = await localWallet(config.rpcUrl, config.chainId);
      if (local !== undefined) this.#add(local);
    }
    const wallet = this.#found.find(({ id }) => id === this.choice.value) ?? this.#found[0];
    if (wallet === undefined) throw new WalletError("no-account", t.none);
    return { config, wallet };
  }
}

/** The text to show for a wallet's error. */
export function explainWallet(error: unknown): string {
  if (!(error instanceof WalletError)) return t.failed(error instanceof Error ? error.message : String(error));
  return error.code === "failed" ? t.failed(error.message) : t.errors[error.code];
}
