// The operator's page: how the whole deployment is doing, read from the edge's status every few seconds.

import { keptToken, storageOf } from "../../lib/index.ts";
import { restoreAccount } from "../account/account.ts";
import { ManageClient, Refused } from "../manage/api.ts";
import { texts } from "../texts/texts.ts";
import { el, setText } from "../ui/dom.ts";
import { timeOfDay } from "../ui/format.ts";
import { brandMark } from "../ui/icons.ts";
import { restoreTheme } from "../ui/theme.ts";
import { cards } from "./cards.ts";
import type { Refusal, Status, StreamRow } from "./status.ts";

const t = texts.operator;

/** How often the status is read, in ms. */
const POLL_MS = 5_000;

/** How often the list of streams and the audit log are read, in polls: each is a query of the database. */
const LISTS_EVERY = 6;

/** Rows of those lists that are shown. */
const SHOWN = 12;

/** The page, once it knows an operator's token. */
class Dashboard {
  readonly #client: ManageClient;
  readonly #content: HTMLElement;
  readonly #when = el("p", { class: "hint", testid: "operator-when" });
  readonly #problem = el("p", { class: "problem", role: "alert", testid: "operator-problem" });
  readonly #cards = el("div", { class: "cards", testid: "operator-cards" });
  #streams: readonly StreamRow[] = [];
  #refusals: readonly Refusal[] = [];
  #polls = 0;

  constructor(client: ManageClient, content: HTMLElement) {
    this.#client = client;
    this.#content = content;
  }

  /** Shows the status, and goes on reading it while the page is visible. */
  async start(): Promise<void> {
    this.#content.replaceChildren(this.#when, this.#problem, this.#cards);
    for (;;) {
      if (document.visibilityState === "visible") await this.#poll();
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async #poll(): Promise<void> {
    try {
      const status = await this.#client.ask<Status>("GET", "/v1/status");
      if (this.#polls++ % LISTS_EVERY === 0) await this.#readLists();
      this.#show(cards(status, this.#streams, this.#refusals));
      setText(this.#when, t.asOf(timeOfDay(status.now)));
      setText(this.#problem, "");
    } catch (error) {
      setText(this.#problem, t.late(error instanceof Error ? error.message : String(error)));
    }
  }

  /** Replaces the cards that changed alone, so that focus and scrolling stay in the others. */
  #show(now: HTMLElement[]): void {
    for (const [place, card] of now.entries()) {
      const before = this.#cards.children[place];
      if (before === undefined) this.#cards.append(card);
      else if (!before.isEqualNode(card)) before.replaceWith(card);
    }
  }

  async #readLists(): Promise<void> {
    const { streams } = await this.#client.ask<{ streams: StreamRow[] }>("GET", `/v1/streams?limit=${SHOWN}`);
    const refused = `/v1/audit?outcome=refused&limit=${SHOWN}`;
    const { entries } = await this.#client.ask<{ entries: Refusal[] }>("GET", refused);
    this.#streams = streams;
    this.#refusals = entries;
  }
}

/** Whether the edge takes the token for an operator's. */
async function isOperator(client: ManageClient): Promise<boolean> {
  try {
    await client.ask("GET", "/v1/audit?limit=1");
    return true;
  } catch (error) {
    if (error instanceof Refused && [401, 403].includes(error.status)) return false;
    throw error;
  }
}

/** Asks for a token. It is kept in this page's memory alone. */
function signIn(content: HTMLElement): void {
  const input = el("input", {
    id: "token",
    testid: "operator-token",
    type: "password",
    required: true,
    autocomplete: "off",
  });
  const problem = el("p", { class: "problem", role: "alert", testid: "operator-refused" });
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setText(problem, "");
    const token = input.value.trim();
    const client = new ManageClient(location.origin, () => token);
    try {
      if (await isOperator(client)) return await new Dashboard(client, content).start();
      setText(problem, t.refused);
    } catch (error) {
      setText(problem, error instanceof Error ? error.message : String(error));
    }
  };
  content.replaceChildren(
    el(
      "form",
      { class: "gate", onsubmit: (event: Event) => void submit(event) },
      el("p", {}, t.only),
      el("label", { for: "token" }, t.token),
      input,
      el("button", { type: "submit", class: "primary", testid: "operator-show" }, t.show),
      problem,
    ),
  );
}

async function start(): Promise<void> {
  restoreTheme();
  document.documentElement.lang = texts.locale;
  document.title = `${t.title} · ${texts.app.name}`;
  const content = el("main", { class: "operator", "aria-labelledby": "operator-title" });
  const header = el(
    "header",
    { class: "bar" },
    el("a", { class: "brand", href: "/", title: t.page }, brandMark(), el("span", {}, texts.app.name)),
    el("h1", { id: "operator-title" }, t.title),
  );
  document.body.replaceChildren(header, content);
  const { origin } = location;
  const memory = await restoreAccount({ origin, onRefused: () => location.reload() });
  const kept = (): string | undefined => memory.token ?? keptToken(storageOf("localStorage"), origin);
  const client = new ManageClient(origin, kept);
  const may = kept() !== undefined && memory.kind !== undefined && (await isOperator(client).catch(() => false));
  if (may) await new Dashboard(client, content).start();
  else signIn(content);
}

void start();
