// The field where messages are written: Enter sends, and a note beside the field says why a message was not sent.

import { MAX_PAYLOAD_BYTES, StreamChainError, type StreamConnection } from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";
import { el, setText } from "../ui/dom.ts";
import { ChainSend } from "./chain-send.ts";

/** The number of bytes is shown from this share of the limit on. */
const SHOW_BYTES_FROM = 0.5;

/** Messages sent by one press of the burst button. */
const BURST = 100;

/** What the composer needs of the page. */
export interface ComposerOptions {
  /** Publishes a text, or throws a `StreamChainError`. */
  readonly publish: (text: string) => void;
  readonly connection: StreamConnection;
}

/** The field, its buttons and its notes. */
export class Composer {
  readonly element: HTMLFormElement;
  readonly #options: ComposerOptions;
  readonly #field: HTMLTextAreaElement;
  readonly #error = el("p", { class: "problem", role: "alert", id: "composer-error", testid: "composer-error" });
  readonly #bytes = el("span", { class: "bytes" });
  readonly #waiting = el("span", { class: "waiting", testid: "unstored" });
  #burst = 0;

  constructor(options: ComposerOptions) {
    this.#options = options;
    const short = matchMedia("(max-width: 720px)").matches;
    this.#field = el("textarea", {
      id: "composer",
      testid: "composer",
      rows: 1,
      placeholder: short ? texts.composer.placeholderShort : texts.composer.placeholder,
      "aria-label": texts.composer.label,
      "aria-describedby": "composer-error",
      oninput: () => this.#onInput(),
      onkeydown: (event: KeyboardEvent) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        this.#send();
      },
    });
    const send = el("button", { class: "primary", type: "submit", testid: "send" }, texts.composer.send);
    const burst = el(
      "button",
      {
        type: "button",
        class: "quiet",
        testid: "burst",
        title: texts.composer.burstHelp,
        onclick: () => this.#sendBurst(),
      },
      texts.composer.burst,
    );
    const chain = new ChainSend({
      connection: options.connection,
      text: () => (this.#field.value.trim() === "" ? undefined : this.#field.value),
      onSent: () => this.#clear(),
    });
    this.element = el(
      "form",
      {
        class: "composer",
        onsubmit: (event: Event) => {
          event.preventDefault();
          this.#send();
        },
      },
      el("div", { class: "line" }, this.#field, send, burst, chain.button),
      el("div", { class: "notes" }, this.#error, this.#waiting, this.#bytes),
      chain.element,
    );
  }

  /** Shows how many messages of this page are not stored, and whether the browser keeps them over a reload. */
  showWaiting(count: number, kept: boolean): void {
    const text = count === 0 ? "" : texts.composer.waiting(count) + (kept ? `, ${texts.composer.kept}` : "");
    setText(this.#waiting, text);
  }

  #onInput(): void {
    this.#field.style.height = "auto";
    this.#field.style.height = `${Math.min(this.#field.scrollHeight, 160)}px`;
    const bytes = new TextEncoder().encode(this.#field.value).length;
    setText(
      this.#bytes,
      bytes < MAX_PAYLOAD_BYTES * SHOW_BYTES_FROM ? "" : texts.composer.bytes(bytes, MAX_PAYLOAD_BYTES),
    );
    if (bytes <= MAX_PAYLOAD_BYTES) setText(this.#error, "");
  }

  #send(): void {
    const text = this.#field.value;
    if (text.trim() === "") return;
    if (this.#publish(text)) this.#clear();
  }

  #clear(): void {
    this.#field.value = "";
    this.#onInput();
  }

  #sendBurst(): void {
    this.#burst++;
    for (let i = 1; i <= BURST; i++) if (!this.#publish(`test ${this.#burst}·${i}`)) return;
  }

  #publish(text: string): boolean {
    try {
      this.#options.publish(text);
      setText(this.#error, "");
      return true;
    } catch (error) {
      if (!(error instanceof StreamChainError)) throw error;
      setText(this.#error, this.#explain(error, text));
      return false;
    }
  }

  #explain(error: StreamChainError, text: string): string {
    if (error.code === "too-large") {
      return texts.composer.tooLarge(new TextEncoder().encode(text).length, MAX_PAYLOAD_BYTES);
    }
    if (error.code === "queue-full") return texts.composer.queueFull;
    return error.code === "closed" ? texts.composer.closed : texts.error[error.code];
  }
}
