// One message and its proof: computed again here, step by step, and checked with a node of the user's choice.

import {
  type AuthorResult,
  anchorerOf,
  type CheckResult,
  type CheckStep,
  checkAuthor,
  checkDeployment,
  checkOnChain,
  checkProof,
  type EdgeConfig,
  type ExpectedDeployment,
  type Hex,
  type MessageState,
  type Receipt,
  StreamChainError,
  type StreamConnection,
  type StreamInfo,
  type StreamMessage,
  toHex,
} from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";
import { dialogHeader } from "../ui/dialog.ts";
import { el, isBusy, setBusy, setText } from "../ui/dom.ts";
import { dateAndTime, payloadText } from "../ui/format.ts";
import { icon, statePips } from "../ui/icons.ts";

/** Storage key of the user's node. */
const RPC_KEY = "streamchain:rpc";

/** Node of the local development chain, offered when the page itself is local. */
const LOCAL_RPC = "http://127.0.0.1:8545";

/** Longest payload shown in the dialog, in characters. */
const SHOWN_PAYLOAD = 4_000;

const t = texts.details;

function rememberedRpc(): string {
  const local = ["127.0.0.1", "localhost"].includes(location.hostname);
  try {
    return localStorage.getItem(RPC_KEY) ?? (local ? LOCAL_RPC : "");
  } catch {
    return local ? LOCAL_RPC : "";
  }
}

/** The dialog. */
export class Details {
  readonly element: HTMLDialogElement;
  readonly #connection: StreamConnection;
  readonly #title = el("h2", { id: "details-title" });
  readonly #facts = el("dl", { class: "facts" });
  readonly #state = el("dd", { class: "state", testid: "details-state" });
  readonly #signature = el("dd", { testid: "details-signature" });
  readonly #verdict = el("div", { class: "verdict", role: "status", testid: "verify-result" });
  readonly #believed = el("div", { class: "believed", testid: "verify-believed" });
  readonly #steps = el("div", { class: "checks", testid: "verify-steps" });
  readonly #run = el(
    "button",
    {
      type: "button",
      class: "primary",
      testid: "verify-run",
      onclick: () => void (isBusy(this.#run) || this.verify()),
    },
    t.run,
  );
  readonly #download = el(
    "button",
    { type: "button", class: "quiet", testid: "download-receipt", onclick: () => void this.#downloadReceipt() },
    t.download,
  );
  readonly #rpc = el("input", {
    id: "rpc",
    type: "url",
    testid: "rpc",
    inputmode: "url",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "https://…",
    "aria-describedby": "rpc-help",
  });
  #message: StreamMessage | null = null;
  #shownState: MessageState | null = null;
  /** The chain and the contract of the edge; null until it answered. */
  config: EdgeConfig | null = null;
  /** The stream of this page; null until the edge answered. */
  #stream: StreamInfo | null = null;

  constructor(connection: StreamConnection) {
    this.#connection = connection;
    this.#rpc.value = rememberedRpc();
    connection.on("info", (info) => {
      this.#stream = info;
    });
    this.element = el(
      "dialog",
      { class: "details", testid: "verify-dialog", "aria-labelledby": "details-title" },
      dialogHeader(this.#title, "details-close"),
      el(
        "div",
        { class: "sheet" },
        this.#facts,
        el("p", { class: "hint" }, t.intro),
        el(
          "div",
          { class: "field" },
          el("label", { for: "rpc" }, t.rpc),
          this.#rpc,
          el("p", { class: "hint", id: "rpc-help" }, t.rpcHelp),
        ),
        el("div", { class: "actions" }, this.#run, this.#download),
        this.#verdict,
        this.#believed,
        this.#steps,
      ),
    );
    this.element.addEventListener("click", (event) => {
      if (event.target === this.element) this.element.close(); // the backdrop
    });
    this.#rpc.addEventListener("change", () => this.#rememberRpc());
  }

  /** Shows a message; verifies it at once when it is anchored. */
  open(message: StreamMessage): void {
    this.#message = message;
    this.#shownState = null;
    const { payload, erased } = message;
    const text = erased ? texts.messages.erased(erased.size) : (payloadText(payload) ?? toHex(payload));
    setText(this.#title, t.title(message.seq));
    this.#facts.replaceChildren(
      ...fact(t.state, this.#state),
      ...fact(t.time, el("dd", {}, dateAndTime(message.time))),
      ...fact(t.author, el("dd", { class: "mono" }, message.author)),
      ...fact(t.signature, this.#signature),
      ...fact(
        `${t.payload}, ${t.size(erased?.size ?? payload.length)}`,
        el("dd", { class: "payload" }, text.slice(0, SHOWN_PAYLOAD)),
      ),
      ...(erased ? fact(t.payloadHash, el("dd", { class: "mono" }, erased.digest)) : []),
    );
    this.#clear();
    setText(this.#run, t.run);
    void this.#showSignature(message);
    this.changed();
    if (!this.element.open) this.element.showModal();
    const state = this.#connection.stateOf(message.seq);
    if (state === "anchored" || state === "final") void this.verify();
  }

  /** Says who signed the message, as this page checks it without a receipt. */
  async #showSignature(message: StreamMessage): Promise<void> {
    setText(this.#signature, t.checkingSignature);
    const rpcUrl = this.#rpc.value.trim();
    const check = await this.#connection.verifyAuthor(message, rpcUrl === "" ? undefined : { rpcUrl });
    if (this.#message !== message) return;
    this.#signature.dataset.signature = check.state;
    if (check.state === "signed") {
      this.#signature.replaceChildren(`${t.vouchers[check.voucher]} ${t.key} `, el("code", {}, check.key));
    } else if (check.state === "unsigned") {
      setText(this.#signature, t.vouchers.operator);
    } else {
      setText(this.#signature, (check.state === "invalid" ? t.badSignature : t.unknownSignature)(check.reason));
    }
  }

  /** Called when the marks moved, which can change the state of the message. */
  changed(): void {
    if (this.#message === null || (!this.element.open && this.#shownState !== null)) return;
    const state = this.#connection.stateOf(this.#message.seq);
    if (state === this.#shownState) return;
    this.#shownState = state;
    this.element.dataset.state = state;
    this.#state.replaceChildren(
      statePips(state),
      texts.states[state],
      el("span", { class: "help" }, texts.stateHelp[state]),
    );
  }

  /** Fetches the receipt and checks it, showing each step. */
  async verify(): Promise<void> {
    const message = this.#message;
    if (message === null) return;
    this.#clear();
    setBusy(this.#run, true);
    setText(this.#run, t.running);
    try {
      const receipt = await this.#receipt(message);
      if (receipt !== null && this.#message === message) await this.#check(receipt, message);
    } finally {
      setBusy(this.#run, false);
      setText(this.#run, t.again);
    }
  }

  #clear(): void {
    this.#verdict.replaceChildren();
    this.#verdict.removeAttribute("data-ok");
    this.#believed.replaceChildren();
    this.#steps.replaceChildren();
  }

  async #receipt(message: StreamMessage): Promise<Receipt | null> {
    try {
      return await this.#connection.edge.receipt(this.#connection.stream, message.seq);
    } catch (error) {
      const pending = error instanceof StreamChainError && error.problem?.slug === "not-anchored";
      this.#say(pending ? "pending" : "error", pending ? t.notYet : describe(error), "");
      return null;
    }
  }

  /** Compares with what this page knows by itself; what the receipt names is only what is compared. */
  async #check(receipt: Receipt, message: StreamMessage): Promise<void> {
    const proof = checkProof(receipt);
    this.#part(t.partProof, proof);
    const expected = await this.#expected(message).catch((error: unknown) => describe(error));
    if (typeof expected === "string") return this.#say("error", t.noDeployment, expected);
    const deployment = checkDeployment(receipt, expected);
    this.#part(t.partDeployment, deployment);
    const url = this.#rpc.value.trim();
    const author = await this.#askAuthor(receipt, url);
    if (!(author instanceof Error)) this.#part(t.partAuthor, author);
    const chain = url === "" ? null : await this.#askNode(receipt, url);
    if (this.#message !== message) return;
    const anchorer = chain instanceof Error || chain === null ? undefined : anchorerOf(chain);
    this.#believe(expected, receipt.round !== undefined, anchorer);
    if (author instanceof Error) return this.#say("error", t.verifiedProof, t.unknownSignature(describe(author)));
    const wrong = [proof, deployment, author].flatMap(({ steps }) => steps).find((step) => !step.ok);
    if (wrong !== undefined) return this.#say("false", t.failed, t.failedAt(t.steps[wrong.id]));
    if (chain instanceof Error) return this.#say("error", t.verifiedProof, `${t.unreachable} ${describe(chain)}`);
    const who = t.vouchers[author.voucher ?? "operator"];
    if (chain === null) return this.#say("proof", t.verifiedProof, `${t.summaryOffline} ${who}`);
    this.#part(t.partChain, chain);
    const failed = chain.steps.find((step) => !step.ok);
    if (failed !== undefined) return this.#say("false", t.failed, t.failedAt(t.steps[failed.id]));
    const { block } = receipt.anchor;
    const { first, count } = receipt.round?.run ?? receipt.anchor;
    const final = chain.steps.at(-1)?.values.find(([name]) => name === "final")?.[1] ?? "unknown";
    this.#say("true", t.verified, `${t.summary(first, first + count - 1, block)} ${t.finality[final]} ${who}`);
  }

  /** The chain, the contract, the stream and the message that a receipt must be of. */
  async #expected(message: StreamMessage): Promise<Required<ExpectedDeployment>> {
    const { edge, stream } = this.#connection;
    this.config ??= await edge.config();
    this.#stream ??= (await edge.stream(stream)) ?? null;
    if (this.#stream === null) throw new StreamChainError("refused", t.noStream);
    const { id, owner } = this.#stream;
    // A page that is opened with an id believes that id, whatever the edge answers.
    const own = /^0x[0-9a-f]{64}$/i.test(stream) ? (stream.toLowerCase() as Hex) : id;
    const { chainId, contract, roundsOwner } = this.config;
    return { chainId, contract, roundsOwner, stream: { id: own, owner }, message };
  }

  /** Shows who must be right for the verdict to be. */
  #believe(expected: Required<ExpectedDeployment>, isInRound: boolean, anchorer: Hex | undefined): void {
    const { chainId, contract, stream, roundsOwner } = expected;
    const note = anchorer !== undefined && anchorer === this.config?.operator.toLowerCase() ? ` (${t.operator})` : "";
    const values = [
      ["chain", String(chainId)],
      ["contract", contract],
      ["stream", stream.id],
      ["owner", stream.owner],
      ...(isInRound ? [["rounds", roundsOwner] as const] : []),
      ...(anchorer === undefined ? [] : [["anchorer", `${anchorer}${note}`] as const]),
    ] as const;
    this.#believed.replaceChildren(el("h3", {}, t.believed), valueList(values));
  }

  async #askNode(receipt: Receipt, url: string): Promise<CheckResult | Error> {
    try {
      return await checkOnChain(receipt, url);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** Who signed the message, by the receipt alone; a wallet that is a contract is asked by the node, if there is one. */
  async #askAuthor(receipt: Receipt, url: string): Promise<AuthorResult | Error> {
    try {
      return await checkAuthor(receipt, url === "" ? {} : { rpcUrl: url });
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  /** The verdict; `ok` is true, false, proof (only the part in this page), pending or error. */
  #say(ok: string, title: string, text: string): void {
    this.#verdict.dataset.ok = ok;
    const sign = ok === "true" || ok === "proof" ? icon("check") : ok === "false" ? icon("cross") : icon("alert");
    this.#verdict.replaceChildren(sign, el("div", {}, el("strong", {}, title), text === "" ? "" : el("p", {}, text)));
  }

  #part(title: string, result: CheckResult): void {
    this.#steps.append(el("h3", {}, title), el("ol", { class: "proof" }, ...result.steps.map(stepItem)));
  }

  #rememberRpc(): void {
    try {
      localStorage.setItem(RPC_KEY, this.#rpc.value.trim());
    } catch {
      // storage is forbidden: the user enters it again next time
    }
  }

  async #downloadReceipt(): Promise<void> {
    const message = this.#message;
    const receipt = message === null ? null : await this.#receipt(message);
    if (message === null || receipt === null) return;
    const url = URL.createObjectURL(new Blob([`${JSON.stringify(receipt, null, 2)}\n`], { type: "application/json" }));
    el("a", { href: url, download: `${this.#connection.stream}-${message.seq}.receipt.json` }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }
}

function fact(name: string, value: HTMLElement): [HTMLElement, HTMLElement] {
  return [el("dt", {}, name), value];
}

function valueList(values: CheckStep["values"]): HTMLElement {
  const rows = values.map(([name, value]) =>
    el("div", {}, el("dt", {}, t.values[name] ?? name), el("dd", { class: "mono" }, value)),
  );
  return el("dl", { class: "values" }, ...rows);
}

function stepItem(step: CheckStep): HTMLElement {
  return el(
    "li",
    { testid: "verify-step", "data-step": step.id, "data-ok": String(step.ok) },
    el(
      "details",
      { open: !step.ok },
      el(
        "summary",
        {},
        el(
          "span",
          { class: "sign", role: "img", "aria-label": step.ok ? t.ok : t.wrong },
          icon(step.ok ? "check" : "cross"),
        ),
        el("span", { class: "name" }, t.steps[step.id]),
        el("code", { class: "result" }, resultOf(step)),
      ),
      valueList(step.values),
    ),
  );
}

/** The result of a step, shortened to fit its line. */
function resultOf(step: CheckStep): string {
  const value = (step.values.find(([name]) => name === "computed") ?? step.values.at(-1) ?? ["", ""])[1];
  return value.length > 20 ? `${value.slice(0, 10)}…${value.slice(-6)}` : value;
}

function describe(error: unknown): string {
  return error instanceof StreamChainError ? error.message : String(error);
}
