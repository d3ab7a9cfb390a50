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
} from "../lib/index.ts";
import { el, setAttribute, setText } from "./dom.ts";
import { shortHex } from "./format.ts";
import { texts } from "./texts.ts";

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
  readonly #choice = el("select", { testid: "wallet", "aria-label": t.wallet, hidden: true });
  readonly #problem = el("p", { class: "problem", role: "alert", testid: "chain-send-error" });
  readonly #list = el("ol", { class: "chain-sent", "aria-live": "polite" });
  readonly #wallets: Wallet[] = [];
  readonly #gone = new AbortController();
  #config: EdgeConfig | null = null;
  #busy = false;

  constructor(options: ChainSendOptions) {
    this.#options = options;
    this.button = el(
      "button",
      { type: "button", class: "quiet", testid: "send-chain", title: t.help, onclick: () => void this.#send() },
      t.send,
    );
    this.element.append(this.#choice, this.#problem, this.#list);
    discoverWallets((wallet) => this.#add(wallet));
    addEventListener("pagehide", () => this.#gone.abort());
  }

  #add(wallet: Wallet): void {
    if (this.#wallets.some(({ id }) => id === wallet.id)) return;
    this.#wallets.push(wallet);
    const name = wallet.id === "local" ? t.local : wallet.name;
    this.#choice.append(el("option", { value: wallet.id }, name));
    this.#choice.hidden = this.#wallets.length < 2;
  }

  async #ready(): Promise<{ config: EdgeConfig; wallet: Wallet; stream: Hex }> {
    const { edge, stream } = this.#options.connection;
    this.#config ??= await edge.config();
    const config = this.#config;
    if (this.#wallets.length === 0 && config.rpcUrl !== undefined) {
      const local = await localWallet(config.rpcUrl, config.chainId);
      if (local !== undefined) this.#add(local);
    }
    const wallet = this.#wallets.find(({ id }) => id === this.#choice.value) ?? this.#wallets[0];
    if (wallet === undefined) throw new WalletError("no-account", t.none);
    const known = (await edge.stream(stream))?.id;
    const id = /^0x[0-9a-f]{64}$/.test(stream) ? (stream as Hex) : known;
    return { config, wallet, stream: id ?? toHex(streamId(fromHex(config.operator, 20), stream)) };
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
      const { config, wallet, stream } = await this.#ready();
      const account = await connectWallet(wallet);
      await useChain(wallet, config.chainId, config.rpcUrl);
      const payload = new TextEncoder().encode(text);
      const hash = await sendPublish(wallet, account, config.contract, stream, payload);
      this.#options.sent();
      row.hash(hash);
      void followTransaction(wallet, hash, (state) => row.show(state), this.#gone.signal);
    } catch (error) {
      row.element.remove();
      setText(this.#problem, explain(error));
    } finally {
      this.#busy = false;
    }
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

function explain(error: unknown): string {
  if (!(error instanceof WalletError)) return t.failed(error instanceof Error ? error.message : String(error));
  return error.code === "failed" ? t.failed(error.message) : t.errors[error.code];
}
