// The app: one page on one stream. Data goes one way: connection → model → panels.

import * as lib from "../lib/index.ts";
import { type AccountMemory, AccountMenu, accountToken, restoreAccount } from "./account/account.ts";
import { NewStream } from "./account/new-stream.ts";
import { Banners } from "./banners.ts";
import { Header } from "./header.ts";
import { Manage } from "./manage/manage.ts";
import { Composer } from "./messages/composer.ts";
import { Details } from "./messages/details.ts";
import { DirectStrip } from "./messages/direct.ts";
import { MessageList } from "./messages/list.ts";
import { MarksBar } from "./messages/marks-bar.ts";
import { PresenceCount, wishesToBeSeen } from "./messages/presence.ts";
import { MessageRun } from "./messages/run.ts";
import { AnchorPanel } from "./panels/anchors.ts";
import { ChainPanel } from "./panels/chain.ts";
import { LatencyPanel } from "./panels/latency.ts";
import { PathPanel } from "./panels/path.ts";
import { SystemPanel } from "./panels/system.ts";
import { texts } from "./texts/texts.ts";
import { el, perFrame, setText } from "./ui/dom.ts";
import { payloadLine } from "./ui/format.ts";
import { isServed, onServed } from "./ui/served.ts";
import { isStreamName, streamAddress } from "./ui/stream-name.ts";
import { restoreTheme } from "./ui/theme.ts";

declare global {
  interface Window {
    /** The page's connection, its library and its messages: for tests and for the browser's console. */
    streamchain: { connection: lib.StreamConnection; lib: typeof lib; messages: () => lib.StreamMessage[] };
  }
}

/** The stream of a page whose address names none. */
const DEFAULT_STREAM = "demo";

/** Earlier messages that a page reads at first, and with each press of "Load older messages". */
const EARLIER = 500;

/** Messages that arrive within this time, in ms, are announced together to a screen reader. */
const ANNOUNCE_EVERY_MS = 4_000;

/** How long, in ms, history waits for the first attempt to connect, whose welcome names the stream's end. */
const FIRST_ATTEMPT_MS = 1_200;

/** An edge that does not answer is asked again after this time, in ms. */
const ASK_AGAIN_MS = 2_000;

class App {
  readonly #connection: lib.StreamConnection;
  readonly #memory: AccountMemory;
  readonly #run = new MessageRun();
  readonly #list: MessageList;
  readonly #details: Details;
  readonly #composer: Composer;
  readonly #latency = new LatencyPanel();
  readonly #anchors: AnchorPanel;
  readonly #chain: ChainPanel;
  readonly #path: PathPanel;
  readonly #banners: Banners;
  readonly #marks = new MarksBar();
  readonly #presence: PresenceCount;
  readonly #system: SystemPanel;
  readonly #empty = el(
    "div",
    { class: "empty", testid: "empty", hidden: true },
    el("strong", {}, texts.messages.empty),
    el("p", {}, texts.messages.emptyHint),
  );
  readonly #loading = el("p", { class: "loading", testid: "history-loading", role: "status", hidden: true });
  readonly #announcer = el("p", { class: "unseen", "aria-live": "polite" });
  readonly #unannounced: lib.StreamMessage[] = [];
  #settled = false;
  #liveFrom: number | null = null; // messages before this page opened say nothing about its latency

  constructor(connection: lib.StreamConnection, memory: AccountMemory) {
    this.#connection = connection;
    this.#memory = memory;
    this.#details = new Details(connection);
    this.#presence = new PresenceCount(connection);
    this.#banners = new Banners(connection, () => this.#showPath());
    this.#list = new MessageList({
      run: this.#run,
      stateOf: (seq) => connection.stateOf(seq),
      isOwn: (author) => author === connection.author,
      checkAuthor: (message) => connection.verifyAuthor(message),
      onOpen: (message) => this.#details.open(message),
      onOlder: () => void this.#readOlder(),
      notes: this.#banners.element,
    });
    this.#composer = new Composer({ connection, publish: (text) => this.#publish(text) });
    this.#anchors = new AnchorPanel((seq) => void this.#showMessage(seq));
    this.#chain = new ChainPanel(connection);
    this.#path = new PathPanel(connection);
    this.#system = new SystemPanel(connection.edge, ({ status, config }) => {
      this.#banners.status(status);
      this.#details.config = config;
    });
    this.#build();
    this.#follow();
  }

  #build(): void {
    const view = (name: string): void => {
      document.body.dataset.view = name;
      for (const tab of tabs.children) tab.setAttribute("aria-current", String(tab.getAttribute("data-tab") === name));
    };
    const tabs = el(
      "nav",
      { class: "tabs", "aria-label": texts.app.name },
      ...Object.entries(texts.app.views).map(([name, label]) =>
        el("button", { type: "button", "data-tab": name, testid: `tab-${name}`, onclick: () => view(name) }, label),
      ),
    );
    const messages = el(
      "section",
      { class: "messages", "data-view": "messages", "aria-labelledby": "messages-title" },
      el(
        "div",
        { class: "head" },
        el("h1", { id: "messages-title" }, texts.messages.title),
        this.#presence.element,
        this.#marks.element,
      ),
      el("div", { class: "list-notes" }, this.#loading, this.#empty),
      this.#list.element,
      new DirectStrip(this.#connection).element,
      this.#composer.element,
    );
    const made = new NewStream(this.#connection);
    const account = new AccountMenu(this.#connection, this.#memory);
    const manage = new Manage(this.#connection, this.#memory);
    const redraw = () => this.#latency.redraw();
    const header = new Header(
      this.#connection,
      () => this.#memory.token,
      redraw,
      made.button,
      manage.button,
      account.button,
    );
    document.body.replaceChildren(
      el("a", { class: "skip", href: "#composer" }, texts.app.skip),
      header.element,
      made.element,
      manage.element,
      account.element,
      el(
        "main",
        {},
        messages,
        el(
          "div",
          { class: "panels" },
          this.#latency.element,
          this.#anchors.element,
          this.#chain.element,
          this.#path.element,
          this.#system.element,
        ),
      ),
      tabs,
      this.#details.element,
      this.#announcer,
    );
    view("messages");
  }

  #follow(): void {
    const connection = this.#connection;
    connection.on("marks", (marks) => this.#onMarks(marks));
    connection.on("anchor", (anchor) => this.#anchors.add(anchor));
    connection.on("info", (info) => this.#path.relay(info.relay));
    connection.on("publication", () => this.#showWaiting());
    onServed(connection, () => this.#onOpen());
    connection.on("state", () => {
      this.#showWaiting();
    });
    setInterval(() => this.#announce(), ANNOUNCE_EVERY_MS);
    this.#system.start();
    void this.#begin();
  }

  #onOpen(): void {
    this.#settled = true;
    this.#liveFrom ??= this.#connection.head;
    this.#changed();
    void this.#readAnchors();
  }

  /** Subscribes from a little before the stream's end, so that a long stream is not read whole. */
  async #begin(): Promise<void> {
    const head = await this.#firstHead();
    const subscription = this.#connection.subscribe({ from: Math.max(0, head - EARLIER) });
    subscription.on("message", (message) => this.#onMessage(message));
    subscription.on("retracted", ({ from }) => {
      this.#run.truncate(from);
      this.#changed();
      setText(this.#announcer, texts.messages.takenBack);
    });
    subscription.on("history", ({ loading, error }) => this.#showHistory(loading, error));
    subscription.on("end", () => this.#showHistory(false, undefined));
    await this.#connection.refreshMarks().catch(() => {}); // the library polls again
    if (!isServed(this.#connection.state.state)) void this.#readAnchors(); // else they were read when the connection opened
  }

  /** The stream's end: from the relay's welcome or, when no relay can be reached, from the edge. */
  async #firstHead(): Promise<number> {
    for (;;) {
      await this.#firstAttempt();
      if (this.#connection.head !== null) return this.#connection.head;
      try {
        return (await this.#connection.refreshMarks())?.stored ?? 0;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
      }
    }
  }

  /** Resolves when the first attempt to connect is over, or after `FIRST_ATTEMPT_MS`. */
  #firstAttempt(): Promise<void> {
    const connection = this.#connection;
    if (connection.attempts.length > 0) return Promise.resolve();
    return new Promise((resolve) => {
      setTimeout(resolve, FIRST_ATTEMPT_MS);
      const stop = connection.on("state", ({ state }) => {
        if (state === "connecting") return;
        stop();
        resolve();
      });
    });
  }

  #showHistory(loading: boolean, error: lib.StreamChainError | undefined): void {
    this.#loading.hidden = !loading && error === undefined;
    setText(this.#loading, error === undefined ? texts.messages.loading : texts.messages.historyFailed);
    this.#changed();
  }

  async #readAnchors(): Promise<void> {
    const { edge, stream, marks } = this.#connection;
    if (marks.committed === 0) return;
    const from = Math.max(0, marks.committed - 10 * EARLIER);
    const own = edge.anchors(stream, from, 200).catch(() => []);
    const inRounds = edge.runs(stream, from, 200).catch(() => []);
    for (const anchor of [...(await own), ...(await inRounds)]) this.#anchors.add(anchor);
  }

  #publish(text: string): void {
    const startedAt = performance.now();
    const publication = this.#connection.publish(text);
    publication.live.then(
      () => this.#latency.add("accepted", performance.now() - startedAt),
      () => {},
    );
    publication.stored.then(
      () => this.#latency.add("stored", performance.now() - startedAt),
      () => {},
    );
    this.#list.toEnd();
    this.#showWaiting();
  }

  #onMessage(message: lib.StreamMessage): void {
    this.#run.push(message);
    if (this.#liveFrom !== null && message.seq >= this.#liveFrom) {
      this.#latency.add("received", Date.now() - message.time);
      if (message.author !== this.#connection.author) this.#unannounced.push(message);
    }
    this.#changed();
  }

  #onMarks(marks: lib.StreamMarks): void {
    this.#anchors.marks(marks);
    this.#details.changed();
    this.#showWaiting();
    this.#changed();
  }

  readonly #changed = perFrame(() => this.#show());

  #show(): void {
    this.#list.changed();
    this.#list.olderAvailable = this.#run.length > 0 && this.#run.first > 0;
    this.#marks.show(Math.max(this.#run.end, this.#connection.marks.committed), this.#connection.marks);
    this.#empty.hidden = this.#run.length > 0 || !this.#loading.hidden || !this.#settled;
  }

  #showWaiting(): void {
    const { unstored } = this.#connection;
    const connected = this.#connection.state.state === "open";
    // While connected, messages are stored within a moment, and the count would only flicker.
    this.#composer.showWaiting(connected && unstored.length < 200 ? 0 : unstored.length, unstored[0]?.kept ?? false);
  }

  async #readOlder(): Promise<void> {
    const { first } = this.#run;
    const from = Math.max(0, first - EARLIER);
    const { edge, stream } = this.#connection;
    const older = await edge.messages(stream, from, first - from, undefined, true).catch(() => []);
    this.#run.unshift(older);
    this.#changed();
    if (older.length > 0) this.#list.show(first);
  }

  async #showMessage(seq: number): Promise<void> {
    while (this.#run.length > 0 && seq < this.#run.first) {
      const before = this.#run.first;
      await this.#readOlder();
      if (this.#run.first === before) return;
    }
    document.querySelector<HTMLElement>("[data-tab=messages]")?.click();
    this.#list.show(seq);
  }

  #showPath(): void {
    document.querySelector<HTMLElement>("[data-tab=path]")?.click();
    this.#path.element.scrollIntoView({ block: "start" });
    this.#path.element.focus();
  }

  #announce(): void {
    const messages = this.#unannounced.splice(0);
    const latest = messages.at(-1);
    if (latest !== undefined) setText(this.#announcer, texts.messages.announce(messages.length, payloadLine(latest)));
  }

  /** The messages that the page holds, oldest first. */
  messages(): lib.StreamMessage[] {
    return this.#run.toArray();
  }
}

async function start(): Promise<void> {
  restoreTheme();
  const asked = new URLSearchParams(location.search).get("stream")?.trim().toLowerCase() ?? "";
  const stream = isStreamName(asked) ? asked : DEFAULT_STREAM;
  if (stream !== asked) history.replaceState(null, "", streamAddress(stream));
  document.title = `${stream} · ${texts.app.name}`;
  document.documentElement.lang = texts.locale;
  const memory = await restoreAccount({ origin: location.origin, onRefused: () => location.reload() });
  const token = accountToken(memory, location.origin);
  const connection = lib.connect({
    stream,
    signatures: true,
    presence: true,
    seen: wishesToBeSeen(),
    ...(token === undefined ? {} : { token }),
  });
  const app = new App(connection, memory);
  window.streamchain = { connection, lib, messages: () => app.messages() };
  addEventListener("pagehide", () => connection.close());
  addEventListener("pageshow", (event) => {
    if (event.persisted) location.reload(); // back from the browser's cache: the connection was closed
  });
}

void start();
