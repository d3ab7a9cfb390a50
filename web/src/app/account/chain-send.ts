// Speaking through the chain: the message goes to the contract by a wallet of the reader's, and not through a relay.

import {
  connectWallet,
  discoverWallets,
  type EdgeConfig,
  followTransaction,
  fromHex,
  type Hex,
  localWallet,
  type StreamConnection,
  sendPublish,
  streamId,
  type TransactionState,
  toHex,
  useChain,
  type Wallet,
  WalletError,
} from "../../lib/index.ts";
import { texts } from "../texts.ts";
import { el, setAttribute, setText } from "../ui/dom.ts";
import { shortHex } from "../ui/format.ts";

/** Transactions shown at once; the oldest go first. */
const SHOWN = 5;

const t = texts.chainSend;

/** What the field and its owner do for a message that goes through the chain. */
export interface ChainSendOptions {
  readonly connection: StreamConnection;
  /** The text that was written, or undefined when there is none. */
  readonly text: () => string | undefined;
  /** The message is in the wallet's hands: the field may be cleared. */
  readonly sent: () => void;
}

/** The button beside the field, the choice of a wallet, and what became of each message. */
export class ChainSend {
  readonly button: HTMLElement;
  readonly element = el("div", { class: "chain-send", testid: "chain-send" });
  readonly #options: ChainSendOptions;
  readonly #problem = el("p", { class: "problem", role: "alert", testid: "chain-send-error" });
  readonly #list = el("ol", { class: "chain-sent", "aria-live": "polite" });
  readonly #wallets: Wallets;
  readonly #gone = new AbortController();
  #busy = false;

  constructor(options: ChainSendOptions) {
    this.#options = options;
    this.button = el(
      "button",
      { type: "button", class: "quiet", testid: "send-chain", title: t.help, onclick: () => void this.#send() },
      t.send,
    );
    this.#wallets = new Wallets(options.connection);
    this.element.append(this.#wallets.choice, this.#problem, this.#list);
    addEventListener("pagehide", () => this.#gone.abort());
  }

  /** The stream's id: as the edge knows it, or as it will be when the operator's stream of that name is made. */
  async #stream(config: EdgeConfig): Promise<Hex> {
    const { edge, stream } = this.#options.connection;
    if (/^0x[0-9a-f]{64}$/.test(stream)) return stream as Hex;
    return (await edge.stream(stream))?.id ?? toHex(streamId(fromHex(config.operator, 20), stream));
  }

  async #send(): Promise<void> {
    const text = this.#options.text();
    if (text === undefined || this.#busy) return;
    this.#busy = true;
    setText(this.#problem, "");
    const row = new Row(text);
    this.#list.append(row.element);
    while (this.#list.children.length > SHOWN) this.#list.firstElementChild?.remove();
    try {
      const { config, wallet } = await this.#wallets.ready();
      const stream = await this.#stream(config);
      const account = await connectWallet(wallet);
      await useChain(wallet, config.chainId, config.rpcUrl);
      const payload = new TextEncoder().encode(text);
      const hash = await sendPublish(wallet, account, config.contract, stream, payload);
      this.#options.sent();
      row.hash(hash);
      void followTransaction(wallet, hash, (state) => row.show(state), this.#gone.signal);
    } catch (error) {
      row.element.remove();
      setText(this.#problem, explainWallet(error));
    } finally {
      this.#busy = false;
    }
  }
}

/** The wallets that the page has found, and which of them is meant. */
export class Wallets {
  /** Shown when there is a choice. */
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

  /** The wallet to use, and the chain to use it on; without a wallet, an account of the local chain. */
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

/** One message on its way through the chain. */
class Row {
  readonly element: HTMLElement;
  readonly #state = el("span", { class: "state" }, t.wallets);
  readonly #hash = el("code", {});

  constructor(text: string) {
    const line = text.split("\n", 1)[0] ?? "";
    this.element = el(
      "li",
      { testid: "chain-sent", "data-state": "wallet" },
      el("span", { class: "text" }, line),
      this.#hash,
      this.#state,
    );
  }

  hash(hash: Hex): void {
    setText(this.#hash, shortHex(hash));
    setAttribute(this.#hash, "title", hash);
    this.show({ state: "waiting" });
  }

  show(state: TransactionState): void {
    setAttribute(this.element, "data-state", state.state);
    setText(this.#state, "block" in state ? t.inBlock[state.state](state.block) : t.states[state.state]);
  }
}

/** What a wallet's error means, for people. */
export function explainWallet(error: unknown): string {
  if (!(error instanceof WalletError)) return t.failed(error instanceof Error ? error.message : String(error));
  return error.code === "failed" ? t.failed(error.message) : t.errors[error.code];
}
