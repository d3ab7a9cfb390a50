// How many read the stream, and who of them wishes to be seen.

import type { Presence, StreamConnection } from "../../lib/index.ts";
import { texts } from "../texts/texts.ts";
import { el, setText } from "../ui/dom.ts";
import { shortHex } from "../ui/format.ts";

const KEY = "streamchain:1:seen";

/** Authors that are shown by their addresses; the rest is counted. */
const MAX_SHOWN_AUTHORS = 20;

/** The count changes at most so often, in ms: people who come and go shall not make the page restless. */
const SHOW_EVERY_MS = 2_000;

/** Whether this person wishes to be seen, as the browser's storage says. */
export function wishesToBeSeen(): boolean {
  try {
    return localStorage.getItem(KEY) === "1";
  } catch {
    return false;
  }
}

/** The count of readers, which opens a list. Hidden while nothing is known. */
export class PresenceCount {
  readonly element: HTMLDetailsElement;
  readonly #connection: StreamConnection;
  readonly #count = el("summary", { testid: "presence-readers" });
  readonly #text = el("p", {});
  readonly #authors = el("ul", { class: "entries", testid: "presence-authors" });
  #planned: ReturnType<typeof setTimeout> | null = null;
  #shownAt = 0;

  constructor(connection: StreamConnection) {
    this.#connection = connection;
    const box = el("input", {
      type: "checkbox",
      testid: "presence-show",
      checked: wishesToBeSeen(),
      onchange: () => this.#wish(box.checked),
    });
    this.element = el(
      "details",
      { class: "presence", testid: "presence", hidden: true },
      this.#count,
      el("div", { class: "present" }, this.#text, this.#authors, el("label", {}, box, texts.presence.show)),
    );
    connection.on("presence", () => this.#plan());
  }

  #wish(isSeen: boolean): void {
    this.#connection.showPresence(isSeen);
    try {
      if (isSeen) localStorage.setItem(KEY, "1");
      else localStorage.removeItem(KEY);
    } catch {
      // storage is forbidden: the wish is this page's alone
    }
  }

  #plan(): void {
    if (this.#planned !== null) return;
    const wait = Math.max(0, this.#shownAt + SHOW_EVERY_MS - Date.now());
    this.#planned = setTimeout(() => {
      this.#planned = null;
      this.#shownAt = Date.now();
      this.#show(this.#connection.presence);
    }, wait);
  }

  #show(presence: Presence | null): void {
    this.element.hidden = presence === null;
    if (presence === null) return;
    const { readers, authors } = presence;
    setText(this.#count, texts.presence.readers(readers));
    setText(this.#text, authors.length === 0 ? texts.presence.nobody : texts.presence.seen);
    const own = this.#connection.author;
    const shown = authors.slice(0, MAX_SHOWN_AUTHORS).map((author) => {
      const you = author === own ? ` (${texts.messages.you})` : "";
      return el("li", {}, el("code", { title: author }, shortHex(author)), you);
    });
    const more = authors.length - shown.length;
    if (more > 0) shown.push(el("li", {}, texts.presence.others(more)));
    this.#authors.replaceChildren(...shown);
  }
}
