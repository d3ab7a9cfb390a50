// Publishing through the chain: a wallet of the user sends the message to the contract, without a relay.

import {
  connectWallet,
  type EdgeConfig,
  followTransaction,
  fromHex,
  type Hex,
  type StreamConnection,
  sendPublish,
  streamId,
  type TransactionState,
  toHex,
  useChain,
} from "../../lib/index.ts";
import { explainWallet, Wallets } from "../account/wallets.ts";
import { texts } from "../texts/texts.ts";
import { el, setAttribute, setText } from "../ui/dom.ts";
import { shortHex } from "../ui/format.ts";

/** Transactions shown at once; the oldest are removed first. */
const MAX_SHOWN = 5;

const t = texts.chainSend;

/** What the button needs of the composer. */
export interface ChainSendOptions {
  readonly connection: StreamConnection;
  /** The text of the message, or undefined when there is none. */
  readonly text: () => string | undefined;
  /** The wallet sent the message: the field may be cleared. */
  readonly onSent: () => void;
}

/** The button beside the field, the choice of a wallet, and the state of each message. */
export class ChainSend {
  readonly button: HTMLElement;
  readonly element = el("div", { class: "chain-send", testid: "chain-send" });
  readonly #options: ChainSendOptions;
  readonly #problem = el("p", { class: "problem", role: "alert", testid: "chain-send-error" });
  readonly #list = el("ol", { class: "chain-sent", "aria-live": "polite" });
  readonly #wallets: Wallets;
  readonly #pageLeft = new AbortController();
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
    addEventListener("pagehide", () => this.#pageLeft.abort());
  }

  /** The stream's id from the edge, or the id that the operator's stream of that name will have. */
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
    while (this.#list.children.length > MAX_SHOWN) this.#list.firstElementChild?.remove();
    try {
      const { config, wallet } = await this.#wallets.ready();
      const stream = await this.#stream(config);
      const account = await connectWallet(wallet);
      await useChain(wallet, config.chainId, config.rpcUrl);
      const payload = new TextEncoder().encode(text);
      const hash = await sendPublish(wallet, account, config.contract, stream, payload);
      this.#options.onSent();
      row.hash(hash);
      void followTransaction(wallet, hash, (state) => row.show(state), this.#pageLeft.signal);
    } catch (error) {
      row.element.remove();
      setText(this.#problem, explainWallet(error));
    } finally {
      this.#busy = false;
    }
  }
}

/** One message, and the state of its transaction. */
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
