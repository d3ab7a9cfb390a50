// The dialog that creates a stream: its name, and what goes on chain, with the present costs.

import {
  type Cost,
  connectWallet,
  type EdgeCosts,
  keccak,
  openStream,
  postJson,
  type StreamConnection,
  signIn,
  toHex,
  useChain,
  WalletError,
} from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";
import { dialogHeader } from "../ui/dialog.ts";
import { el, isBusy, setBusy, setText } from "../ui/dom.ts";
import { isStreamName, streamAddress } from "../ui/stream-name.ts";
import { explainWallet, Wallets } from "./wallets.ts";

const t = texts.newStream;

const MODES = ["root", "hash", "payload"] as const;
type Mode = (typeof MODES)[number];

const WEI_PER_GWEI = 1_000_000_000n;
const WEI_PER_ETHER = 10n ** 18n;

/** An amount of wei in wei, gwei or ETH, with three figures. */
function money(wei: bigint): string {
  const [unit, name] =
    wei < WEI_PER_GWEI / 1_000n
      ? [1n, "wei"]
      : wei < WEI_PER_ETHER / 10_000n
        ? [WEI_PER_GWEI, "gwei"]
        : [WEI_PER_ETHER, "ETH"];
  return `${Number((Number(wei) / Number(unit)).toPrecision(3))} ${name}`;
}

/** The button and its dialog. */
export class NewStream {
  readonly button: HTMLElement;
  readonly element: HTMLDialogElement;
  readonly #connection: StreamConnection;
  readonly #wallets: Wallets;
  readonly #name = el("input", {
    id: "new-name",
    testid: "new-name",
    maxlength: 64,
    autocomplete: "off",
    spellcheck: "false",
  });
  readonly #prove = el("input", { type: "checkbox", id: "new-prove", testid: "new-prove" });
  readonly #costs = new Map<Mode | "prove", HTMLElement>();
  readonly #price = el("p", { class: "hint", testid: "gas-price", role: "status" });
  readonly #problem = el("p", { class: "problem", role: "alert", testid: "new-stream-error" });
  readonly #make = el("button", { type: "submit", class: "primary", testid: "new-stream-make" }, t.make);
  #mode: Mode = "root";

  constructor(connection: StreamConnection) {
    this.#connection = connection;
    this.#wallets = new Wallets(connection);
    this.button = el(
      "button",
      { type: "button", class: "quiet make-stream", testid: "new-stream", onclick: () => this.#open() },
      t.open,
    );
    const modes = MODES.map((mode) => this.#option(mode));
    this.element = el(
      "dialog",
      { class: "details", testid: "new-stream-sheet", "aria-labelledby": "new-stream-title" },
      dialogHeader(el("h2", { id: "new-stream-title" }, t.title)),
      el(
        "form",
        {
          class: "sheet new-stream",
          onsubmit: (event: Event) => {
            event.preventDefault();
            void this.#submit();
          },
        },
        el("label", { for: "new-name" }, t.name),
        this.#name,
        el("fieldset", {}, el("legend", {}, t.mode), ...modes),
        el("label", { class: "choice", for: "new-prove" }, this.#prove, el("span", {}, t.prove), this.#costOf("prove")),
        this.#price,
        el("p", { class: "hint" }, t.owner),
        this.#problem,
        this.#make,
      ),
    );
  }

  #costOf(key: Mode | "prove"): HTMLElement {
    const cost = el("span", { class: "cost", testid: `cost-${key}` });
    this.#costs.set(key, cost);
    return cost;
  }

  #option(mode: Mode): HTMLElement {
    const input = el("input", {
      type: "radio",
      name: "mode",
      value: mode,
      testid: `mode-${mode}`,
      checked: mode === "root",
      onchange: () => {
        this.#mode = mode;
      },
    });
    return el("label", { class: "choice" }, input, el("span", {}, t.modes[mode]), this.#costOf(mode));
  }

  #open(): void {
    setText(this.#problem, "");
    this.element.showModal();
    void this.#showCosts();
  }

  async #showCosts(): Promise<void> {
    setText(this.#price, t.asking);
    const costs = await this.#connection.edge.costs().catch(() => undefined);
    if (costs === undefined) return setText(this.#price, t.noCosts);
    this.#show(costs);
  }

  #show(costs: EdgeCosts): void {
    const put = (key: Mode | "prove", text: string): void => setText(this.#costs.get(key) as HTMLElement, text);
    const each = ({ gas, wei }: Cost): string => t.perMessage(gas, money(wei));
    for (const mode of MODES) put(mode, each(costs[mode]));
    put(
      "prove",
      t.perAnchor(costs.anchorStored.gas - costs.anchor.gas, money(costs.anchorStored.wei - costs.anchor.wei)),
    );
    setText(this.#price, t.price(money(costs.gasPriceWei), costs.messagesPerAnchor, costs.payloadBytes));
  }

  async #submit(): Promise<void> {
    if (isBusy(this.#make)) return;
    const name = this.#name.value.trim().toLowerCase();
    if (!isStreamName(name) || name.startsWith("0x")) return setText(this.#problem, texts.app.badName);
    setText(this.#problem, "");
    setBusy(this.#make, true);
    try {
      const usual = this.#mode === "root" && !this.#prove.checked;
      location.assign(streamAddress(usual ? name : await this.#makeOwn(name)));
    } catch (error) {
      setText(this.#problem, error instanceof WalletError ? explainWallet(error) : String((error as Error).message));
    } finally {
      setBusy(this.#make, false);
    }
  }

  /** Makes a stream of the user's account: signs in, and opens it on chain with the edge's account as anchorer. */
  async #makeOwn(name: string): Promise<string> {
    const { origin } = this.#connection.edge;
    const { config, wallet } = await this.#wallets.ready();
    const account = await connectWallet(wallet);
    await useChain(wallet, config.chainId, config.rpcUrl);
    const token = await signIn(origin, wallet, account, t.statement);
    const body = { name, owner: account, mode: this.#mode, prove: this.#prove.checked };
    const made = await postJson(`${origin}/v1/streams`, body, token);
    await openStream(wallet, account, config.contract, toHex(keccak(new TextEncoder().encode(name))), config.operator);
    return made.hex("id", 32);
  }
}
