// The message list. Only the visible rows exist, so that thousands of messages cost nothing.
//
// What always holds: row i of the list is message `run.first + i`; every row has the same height; one row is the active
// one, and only its button can be reached by Tab (a roving tab stop, moved by the arrow keys).

import type { AuthorCheck, MessageState, StreamMessage } from "../../lib/index.ts";
import type { AuthorMark } from "../texts/english.ts";
import { texts } from "../texts/texts.ts";
import { el, perFrame, setAttribute, setText } from "../ui/dom.ts";
import { hueOf, payloadLine, shortHex, timeOfDay } from "../ui/format.ts";
import { icon, statePips } from "../ui/icons.ts";
import type { MessageRun } from "./run.ts";

/** Rows drawn above and below the visible ones, so that scrolling shows no gaps. */
const OVERSCAN = 8;

/** Distance from the end, in pixels, that still counts as being at the end. */
const AT_END = 48;

/** Tallest scroll area, in pixels, that all browsers lay out correctly. */
const MAX_HEIGHT = 8_000_000;

const markOf = (check: AuthorCheck): AuthorMark =>
  check.state === "signed" && check.voucher === "service" ? "vouched" : check.state;

/** What the list shows, and whom it calls. */
interface ListOptions {
  readonly run: MessageRun;
  readonly stateOf: (seq: number) => MessageState;
  readonly isOwn: (author: string) => boolean;
  /** Checks who wrote a message. */
  readonly checkAuthor: (message: StreamMessage) => Promise<AuthorCheck>;
  readonly onOpen: (message: StreamMessage) => void;
  readonly onOlder: () => void;
  /** What is drawn over the end of the list. */
  readonly notes: HTMLElement;
}

interface Row {
  readonly element: HTMLLIElement;
  readonly seq: HTMLElement;
  readonly time: HTMLElement;
  readonly author: HTMLElement;
  /** What the mark before the author says, for those who do not see it. */
  readonly signature: HTMLElement;
  readonly text: HTMLElement;
  readonly state: HTMLElement;
  readonly button: HTMLButtonElement;
  message: StreamMessage | null;
  shown: MessageState | null;
}

/** The list. */
export class MessageList {
  readonly element: HTMLElement;
  readonly #options: ListOptions;
  readonly #rows = el("ol", { class: "rows", "aria-label": texts.messages.title });
  readonly #pool: Row[] = [];
  readonly #more: HTMLButtonElement;
  readonly #older: HTMLButtonElement;
  readonly #viewport: HTMLElement;
  readonly #draw = perFrame(() => this.#render());
  #active: number | null = null;
  #atEnd = true;
  #unseenFrom: number | null = null;
  #lastEnd = 0;
  #rowHeight = 34;
  /** Height of the notes that are drawn over the end of the list. */
  #covered = 0;
  /** What is known of the messages that were looked at. */
  readonly #checks = new WeakMap<StreamMessage, AuthorMark>();

  constructor(options: ListOptions) {
    this.#options = options;
    this.#more = el("button", { class: "more", type: "button", hidden: true, onclick: () => this.toEnd() });
    this.#older = el(
      "button",
      { class: "older", type: "button", hidden: true, testid: "older", onclick: () => options.onOlder() },
      texts.messages.older,
    );
    this.#viewport = el("div", { class: "viewport", testid: "messages", tabindex: -1 }, this.#older, this.#rows);
    this.element = el("div", { class: "list" }, this.#viewport, this.#more, options.notes);
    this.#viewport.addEventListener("scroll", () => this.#onScroll(), { passive: true });
    this.#rows.addEventListener("click", (event) => this.#onClick(event));
    this.#rows.addEventListener("keydown", (event) => this.#onKey(event));
    new ResizeObserver(() => this.#onResize()).observe(this.#viewport);
    new ResizeObserver(() => this.#onNotes()).observe(options.notes);
  }

  /** Draws again in the next frame. */
  changed(): void {
    this.#draw();
  }

  /** Whether there are older messages to load. */
  set olderAvailable(available: boolean) {
    if (this.#older.hidden === !available) return;
    const before = this.#rows.offsetTop;
    this.#older.hidden = !available;
    this.#viewport.scrollTop += this.#rows.offsetTop - before; // the rows stay where they are
  }

  /** Scrolls to the newest message and follows it. */
  toEnd(): void {
    this.#atEnd = true;
    this.#unseenFrom = null;
    this.#draw();
  }

  /** Scrolls to a message, and makes its row the active one. */
  show(seq: number): void {
    this.#atEnd = false;
    this.#setActive(seq, false);
    this.#viewport.scrollTop = Math.max(0, this.#topOf(seq) - this.#rowHeight);
    this.#draw();
  }

  /** The notes lie over the end of the list, which therefore scrolls further by as much, and nothing moves. */
  #onNotes(): void {
    this.#covered = this.#options.notes.offsetHeight;
    this.element.style.setProperty("--notes-height", `${this.#covered}px`);
    if (this.#atEnd) this.#viewport.scrollTop = this.#viewport.scrollHeight;
    this.#draw();
  }

  /** Where the row of a message begins, in px from the top of what scrolls. */
  #topOf(seq: number): number {
    return this.#rows.offsetTop + (seq - this.#options.run.first) * this.#rowHeight;
  }

  #onScroll(): void {
    const { scrollTop, clientHeight, scrollHeight } = this.#viewport;
    this.#atEnd = scrollTop + clientHeight >= scrollHeight - AT_END;
    if (this.#atEnd) this.#unseenFrom = null;
    this.#draw();
  }

  #onResize(): void {
    const height = Number.parseFloat(getComputedStyle(this.element).getPropertyValue("--row-height"));
    if (height > 0) this.#rowHeight = height;
    this.#draw();
  }

  #onClick(event: Event): void {
    const row = (event.target as Element).closest("li");
    const message = row === null ? undefined : this.#options.run.at(Number(row.dataset.seq));
    if (message === undefined || !getSelection()?.isCollapsed) return; // the user is selecting text
    this.#setActive(message.seq, false);
    this.#options.onOpen(message);
  }

  #onKey(event: KeyboardEvent): void {
    const { run } = this.#options;
    const page = Math.max(1, Math.floor((this.#viewport.clientHeight - this.#covered) / this.#rowHeight) - 1);
    const from = this.#active ?? run.end - 1;
    const target: Record<string, number> = {
      ArrowUp: from - 1,
      ArrowDown: from + 1,
      PageUp: from - page,
      PageDown: from + page,
      Home: run.first,
      End: run.end - 1,
    };
    const seq = target[event.key];
    if (seq === undefined) return;
    event.preventDefault();
    this.#setActive(Math.min(Math.max(seq, run.first), run.end - 1), true);
  }

  /** Moves the tab stop; `focus` moves the focus too and scrolls to the row. */
  #setActive(seq: number, focus: boolean): void {
    this.#active = seq;
    if (!focus) {
      this.#draw();
      return;
    }
    this.#atEnd = seq === this.#options.run.end - 1;
    const top = this.#topOf(seq);
    const { scrollTop, clientHeight } = this.#viewport;
    const height = clientHeight - this.#covered;
    if (top < scrollTop) this.#viewport.scrollTop = top;
    if (top + this.#rowHeight > scrollTop + height) {
      this.#viewport.scrollTop = top + this.#rowHeight - height;
    }
    this.#render();
    this.#pool.find((row) => row.message?.seq === seq)?.button.focus({ preventScroll: true });
  }

  #render(): void {
    const { run } = this.#options;
    const count = Math.min(run.length, Math.floor(MAX_HEIGHT / this.#rowHeight));
    if (!this.#atEnd && this.#unseenFrom === null && run.end > this.#lastEnd) this.#unseenFrom = this.#lastEnd;
    this.#lastEnd = run.end;
    this.#rows.style.height = `${count * this.#rowHeight}px`;
    if (this.#atEnd) this.#viewport.scrollTop = this.#viewport.scrollHeight;
    const { scrollTop, clientHeight } = this.#viewport;
    const first = run.first + Math.max(0, Math.floor((scrollTop - this.#rows.offsetTop) / this.#rowHeight) - OVERSCAN);
    const wanted = Math.ceil(clientHeight / this.#rowHeight) + 2 * OVERSCAN;
    const last = Math.min(run.end, first + wanted);
    this.#fill(first, last);
    const unseen = this.#unseenFrom === null ? 0 : run.end - this.#unseenFrom;
    this.#more.hidden = unseen <= 0;
    if (unseen > 0 && this.#more.dataset.count !== String(unseen)) {
      this.#more.dataset.count = String(unseen);
      this.#more.replaceChildren(icon("down"), texts.messages.fresh(unseen));
    }
  }

  /** Assigns elements to the rows `first .. last`; a row keeps its element while it is visible. */
  #fill(first: number, last: number): void {
    const size = last - first;
    while (this.#pool.length < size) this.#pool.push(this.#makeRow());
    const slots = this.#pool.length;
    const active = this.#active !== null && this.#active >= first && this.#active < last ? this.#active : last - 1;
    for (let seq = first; seq < first + slots; seq++) {
      const row = this.#pool[seq % slots] as Row;
      const message = seq < last ? this.#options.run.at(seq) : undefined;
      if (message === undefined) this.#clear(row);
      else this.#show(row, message, seq === active);
    }
  }

  #makeRow(): Row {
    const row: Row = {
      element: el("li", { class: "row", testid: "message" }),
      seq: el("span", { class: "seq" }),
      time: el("time", { class: "time" }),
      author: el("span", { class: "author" }),
      signature: el("span", { class: "unseen" }),
      text: el("span", { class: "text" }),
      state: el("span", { class: "state" }),
      button: el("button", { class: "verify", type: "button", testid: "verify", tabindex: -1 }, texts.messages.verify),
      message: null,
      shown: null,
    };
    row.element.append(row.seq, row.time, row.author, row.text, row.state, row.button, row.signature);
    this.#rows.append(row.element);
    return row;
  }

  #clear(row: Row): void {
    if (row.message === null) return;
    row.message = null;
    row.shown = null;
    row.element.hidden = true;
    row.element.removeAttribute("data-seq");
  }

  #show(row: Row, message: StreamMessage, active: boolean): void {
    const { run, stateOf, isOwn } = this.#options;
    const { element } = row;
    const top = `${(message.seq - run.first) * this.#rowHeight}px`;
    if (element.style.top !== top) element.style.top = top;
    setAttribute(element, "aria-posinset", String(message.seq - run.first + 1));
    setAttribute(element, "aria-setsize", String(run.length));
    setAttribute(row.button, "tabindex", active ? "0" : "-1");
    if (row.message !== message) {
      row.message = message;
      row.shown = null;
      element.hidden = false;
      element.dataset.seq = String(message.seq);
      setText(row.seq, texts.number(message.seq));
      setText(row.time, timeOfDay(message.time));
      setText(row.text, payloadLine(message));
      row.button.setAttribute("aria-label", texts.messages.details(message.seq));
      const own = isOwn(message.author);
      element.classList.toggle("own", own);
      setText(row.author, own ? texts.messages.you : shortHex(message.author, 6, 4));
      this.#showAuthor(row, message);
      row.author.style.setProperty("--hue", String(hueOf(message.author)));
    }
    const state = stateOf(message.seq);
    if (row.shown === state) return;
    row.shown = state;
    element.dataset.state = state;
    if (element.dataset.signature === "unknown") this.#showAuthor(row, message); // what is stored can be looked up
    row.state.replaceChildren(statePips(state), texts.states[state]);
    row.state.title = texts.stateHelp[state];
  }

  /** The mark before an author is filled where the author signed the message, and an outline where the operator attests the author. */
  #showAuthor(row: Row, message: StreamMessage): void {
    const known = this.#checks.get(message);
    const state = known ?? (message.signed === false ? "unsigned" : "unknown");
    row.element.dataset.signature = state;
    const words = texts.messages.signature[state];
    row.author.title = `${message.author}\n${words}`;
    setText(row.signature, state === "signed" ? "" : words);
    if (known !== undefined) return;
    void this.#options.checkAuthor(message).then((check) => {
      if (check.state === "unknown") return; // looked at again when the state changes
      this.#checks.set(message, markOf(check));
      if (row.message === message) this.#showAuthor(row, message);
    });
  }
}
