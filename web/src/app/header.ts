// The bar at the top: the stream, the state of the connection, and the page's own switches.

import type { StateChange, StreamConnection } from "../lib/index.ts";
import { texts } from "./texts/texts.ts";
import { copyText, el, setAttribute, setText } from "./ui/dom.ts";
import { shortHex } from "./ui/format.ts";
import { brandMark, icon } from "./ui/icons.ts";
import { isStreamName, streamAddress } from "./ui/stream-name.ts";
import { suggestions } from "./ui/suggestions.ts";
import { themeButton } from "./ui/theme.ts";

/** The header. */
export class Header {
  readonly element: HTMLElement;
  readonly #connection: StreamConnection;
  readonly #state = el("span", { class: "connection", testid: "connection-state", role: "status" });
  readonly #error = el("p", { class: "problem", id: "stream-error", role: "alert" });
  readonly #input: HTMLInputElement;

  /** `token` is what the edge is asked with for names of streams. */
  constructor(
    connection: StreamConnection,
    token: () => string | undefined,
    onTheme: () => void,
    newStream: HTMLElement,
    ...own: HTMLElement[]
  ) {
    this.#connection = connection;
    this.#input = el("input", {
      id: "stream",
      testid: "stream-name",
      value: connection.stream,
      autocomplete: "off",
      autocapitalize: "none",
      spellcheck: "false",
      maxlength: 66,
      "aria-describedby": "stream-error",
    });
    const join = el(
      "form",
      { class: "join", onsubmit: (event: Event) => this.#join(event) },
      el("label", { for: "stream" }, texts.app.stream),
      this.#input,
      suggestions(this.#input, connection, token),
      el("button", { type: "submit", testid: "join", class: "quiet" }, texts.app.join),
      this.#error,
    );
    this.element = el(
      "header",
      { class: "bar" },
      el("a", { class: "brand", href: location.pathname }, brandMark(), el("span", {}, texts.app.name)),
      join,
      newStream,
      this.#state,
      this.#shareButton(),
      ...own,
      themeButton(texts.app.theme, onTheme),
    );
    connection.on("state", () => this.#show());
    setInterval(() => this.#show(), 1_000);
    this.#show();
  }

  #join(event: Event): void {
    event.preventDefault();
    const stream = this.#input.value.trim().toLowerCase();
    setText(this.#error, isStreamName(stream) ? "" : texts.app.badName);
    if (isStreamName(stream) && stream !== this.#connection.stream) location.assign(streamAddress(stream));
  }

  #shareButton(): HTMLElement {
    const label = el("span", { class: "label" }, texts.app.share);
    return el(
      "button",
      {
        type: "button",
        class: "bare share",
        testid: "share",
        title: texts.app.share,
        onclick: async () => {
          const copied = await copyText(new URL(streamAddress(this.#connection.stream), location.href).href);
          if (copied) setText(label, texts.app.shared);
          setTimeout(() => setText(label, texts.app.share), 1_500);
        },
      },
      icon("share"),
      label,
    );
  }

  #show(): void {
    const change: StateChange = this.#connection.state;
    const { connection } = texts;
    const seconds = Math.ceil(((change.retryAt ?? 0) - Date.now()) / 1_000);
    const retry = change.state === "waiting" && seconds > 1 ? `, ${connection.retryIn(seconds)}` : "";
    setAttribute(this.#state, "data-state", change.state);
    const { author } = this.#connection;
    setAttribute(this.#state, "title", author === undefined ? undefined : connection.you(author));
    const you = author === undefined || change.state !== "open" ? "" : ` · ${shortHex(author)}`;
    setText(this.#state, `${connection[change.state]}${retry}${you}`);
  }
}
